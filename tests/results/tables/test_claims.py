"""The speeds that the README states are those of the records."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic import ENVIRONMENT, cell, write_run

import results
from algos.core.errors import ConvbenchError
from algos.core.problem import Problem
from results.tables.claims import BEGIN, END, claims, claims_of, write_claims

ROOT = Path(__file__).parents[3]
SMALL, LARGE = Problem(size=(64, 64), kernel=3), Problem(size=(512, 512), kernel=3)


def run(tmp_path: Path, **more: object) -> Path:
    times = {
        SMALL: {"parallel": 1.0, "fft": 0.5, "torch": 2.0},
        LARGE: {"parallel": 5.0, "torch": 4.0},
    }
    cells = [
        cell(
            name, problem, samples=[seconds] * 3, relative_error=1e-7,
            accuracy="normwise" if name == "fft" else "direct", **more,
        )
        for problem, entries in times.items()
        for name, seconds in entries.items()
    ]  # fmt: skip
    environment = {**ENVIRONMENT, "libraries": {"torch": "2.13.0"}}
    return write_run(
        tmp_path, cells, algorithms=["parallel", "fft", "torch"], peers=["torch"],
        environment=environment,
    )  # fmt: skip


def test_the_readme_says_what_the_records_say() -> None:
    runs = [ROOT / "results/runs" / name for name in ("headline", "headline-zen4")]
    assert claims_of(ROOT / "README.md") == claims([results.read(run) for run in runs])


def test_claims_name_means_lost_rows_and_versions(tmp_path: Path) -> None:
    text = claims([results.read(run(tmp_path, convert_s=0.1))])
    over_all, equal = text.split("Among algorithms with a direct sum's accuracy")
    assert "1 of 2 rows, 1.79× in the geometric mean" in over_all
    assert "1 of 2 rows, 1.26× in the geometric mean" in equal
    assert "| parallel 5.00 s | torch 4.00 s | 0.80× |" in text
    assert "1 row lost" in text
    assert "torch 2.13.0" in text


def test_nothing_is_claimed_from_a_run_that_timed_conversions(tmp_path: Path) -> None:
    assert "No speed is claimed" in claims([results.read(run(tmp_path))])


def test_each_machine_has_a_section_of_its_own(tmp_path: Path) -> None:
    frame = results.read(run(tmp_path, convert_s=0.1))
    one, two = claims([frame]), claims([frame, frame])
    assert one.startswith(f"### {ENVIRONMENT['cpu']} (")
    assert two == f"{one}\n\n{one}"


def test_claims_are_written_between_their_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write_claims(page, "new")
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert claims_of(page) == "new"
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(ConvbenchError, match="no marks for claims"):
        write_claims(page, "new")
