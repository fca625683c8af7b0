"""report.py through its functions, and as a real process."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic import grid, measured, troubled, write_run

import report
import results
from algos.core.errors import ConvbenchError
from algos.core.problem import Problem

REPORT = Path(report.__file__)


def run_report(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(REPORT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8")


def small_run(folder: Path, **changes: object) -> Path:
    return write_run(folder, grid((64, 128, 256), (3,)) + troubled(), **changes)


@pytest.mark.slow
def test_the_report_is_in_the_folder_of_the_run(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    files = report.build(run)
    assert all(file.is_file() and file.is_relative_to(run) for file in files)
    written = ["report.md", "table.csv", "table.md", "report.html"]
    assert [file.name for file in files[:4]] == written
    assert {file.suffix for file in files[4:]} == {".png", ".svg"}
    left = {file for file in run.rglob("*") if file.is_file()}
    assert left == {*files, run / "records.jsonl"}


def test_the_page_has_question_verdict_figures_table_reasons_and_machine(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    text = report.build(run)[0].read_text(encoding="utf-8")
    assert text.startswith("# Five algorithms in a minute\n\n> Which algorithm should I use?")
    assert "- 1 cell FAILED (fft); the reasons are below." in text
    assert "Of 4 problems, parallel was the fastest in 4." in text
    assert "| 512² · 9² |" in text
    assert "## Why some cells have no time" in text
    assert "| cpu | AMD EPYC 9B14 |" in text
    assert "| caches | L1d 32.0 KiB, L2 1.00 MiB, L3 32.0 MiB |" in text
    assert "None" not in text
    assert "nan" not in text.replace("convenant", "")
    linked = re.findall(r"\]\(([^)]+)\)", text)
    assert linked
    assert all((run / link).is_file() for link in linked)


def test_pictures_that_the_run_left_are_shown(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    (run / "pictures").mkdir()
    for name in ("photograph-edge", "2024-gaussian-15", "my cat-edge"):
        (run / "pictures" / f"{name}.png").write_bytes(b"")
    text = report.page_text(results.read(run), [], run)
    for name in ("photograph-edge", "2024-gaussian-15", "my%20cat-edge"):
        assert f"(pictures/{name}.png)" in text


@pytest.mark.slow
def test_building_again_changes_nothing_but_what_changed(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    first = {file: file.read_bytes() for file in report.build(run)}
    assert {file: file.read_bytes() for file in report.build(run)} == first


@pytest.mark.parametrize("end", [None, "interrupted", "out of budget"])
def test_a_run_that_did_not_complete_still_gets_its_report(tmp_path: Path, end: str) -> None:
    run = write_run(tmp_path, measured(Problem(size=(9, 9), kernel=3)), end=end)
    text = report.build(run)[0].read_text(encoding="utf-8")
    assert "what follows is what its 5 cells say" in text


def test_an_empty_run_gets_a_page_without_figures(tmp_path: Path) -> None:
    run = write_run(tmp_path, [], end=None)
    files = report.build(run)
    written = ["report.md", "table.csv", "table.md", "report.html"]
    assert [file.name for file in files] == written
    assert "holds no cell" in files[0].read_text(encoding="utf-8")


def test_a_header_that_says_little_is_enough(tmp_path: Path) -> None:
    run = write_run(
        tmp_path, measured(Problem(size=(9, 9), kernel=3)),
        environment=None, title="", question="", command="", budget_s=None,
    )  # fmt: skip
    assert report.build(run)[0].read_text(encoding="utf-8").startswith("# quick\n")


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    (run / "figures").write_text("in the way")
    with pytest.raises(ConvbenchError, match=r"figures.* cannot be written"):
        report.build(run)


@pytest.mark.slow
def test_the_latest_run_is_the_default(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    small_run(tmp_path, started="2026-11-19T08:00:00")
    late = write_run(tmp_path, troubled(), suite="layers", started="2026-11-20T08:00:00")
    assert report.main(["--runs", str(tmp_path)]) == 0
    assert str(late / "report.html") in capsys.readouterr().out
    assert report.main(["quick", "--runs", str(tmp_path)]) == 0
    assert "20261119-080000-quick" in capsys.readouterr().out


@pytest.mark.slow
def test_from_the_command_line(tmp_path: Path) -> None:
    run = write_run(tmp_path, measured(Problem(size=(9, 9), kernel=3)))
    done = run_report(run)
    assert (done.returncode, done.stderr) == (0, "")
    *summary, blank, last = done.stdout.splitlines()
    pages = f"{run / 'report.md'} and {run / 'report.html'}"
    assert (blank, last) == ("", f"1 figure and 2 tables, all of them on {pages}")
    assert "input · kernel" in summary[0]
    assert any("The fastest is" in line for line in summary)


@pytest.mark.slow
def test_mistakes_are_one_sentence_and_exit_2(tmp_path: Path) -> None:
    for arguments, complaint in (
        (["--runs", tmp_path / "none"], "no runs yet"),
        ([tmp_path], "no runs yet|holds no records.jsonl"),
    ):
        done = run_report(*arguments, *(["--runs", tmp_path] if len(arguments) == 1 else []))
        assert done.returncode == 2
        assert done.stdout == ""
        assert re.search(complaint, done.stderr)
        assert done.stderr.count("\n") == 1
        assert "Traceback" not in done.stderr


def test_help_gives_examples() -> None:
    done = run_report("--help")
    assert done.returncode == 0
    assert "python report.py sizes" in done.stdout


def test_neither_results_nor_the_report_touches_a_clock_or_the_suites() -> None:
    for file in [REPORT, *sorted((REPORT.parent / "results").glob("*.py"))]:
        source = file.read_text(encoding="utf-8")
        imports = re.findall(r"^\s*(?:from|import)\s+(\w+)", source, flags=re.MULTILINE)
        assert not {"suites", "time", "datetime", "timeit"} & set(imports), file.name
