"""``convbench compare`` at the command line."""

import json
import math
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command_line import convbench
from synthetic import ENVIRONMENT, LAYERS, cell, write_run

from suites import cli

ROOT = Path(__file__).parents[3]


def run(folder, factor=1.0, seed=0, **changes):
    rng = np.random.default_rng(seed)
    samples = 1e-3 * np.exp(rng.normal(0, 0.003, (2, 8)))
    cells = [
        cell("naive", LAYERS[0], samples=samples[0]),
        cell("parallel", LAYERS[0], samples=samples[1] * factor),
    ]
    return write_run(folder, cells, **changes)


@pytest.fixture
def runs(tmp_path):
    """Return a folder of four runs, the later three as fast, slower, and on another machine."""
    other = {**ENVIRONMENT, "host": "server"}
    made = [run(tmp_path), run(tmp_path, seed=1), run(tmp_path, 1.2, seed=2),
            run(tmp_path, seed=3, environment=other, baseline="parallel")]  # fmt: skip
    return [path.name for path in made], tmp_path


def compare(runs, *words):
    return cli.main(["compare", *words, "--runs", str(runs[1])])


def test_exit_codes(runs, capsys):
    first, same, slower, foreign = runs[0]
    assert compare(runs, first, same, "--fail-on", "slower") == 0
    assert compare(runs, first, slower) == 0
    assert compare(runs, first, slower, "--fail-on", "slower") == 1
    assert compare(runs, slower, first, "--fail-on", "slower") == 0
    capsys.readouterr()
    assert compare(runs, first, foreign, "--fail-on", "slower") == 2
    assert "different machines" in capsys.readouterr().err
    assert compare(runs, first, foreign, "--baseline", "naive") == 0


def test_runs_are_given_by_folder_and_file_too(runs, tmp_path, capsys):
    first, _, slower, _ = (tmp_path / name for name in runs[0])
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes((slower / "records.jsonl").read_bytes())
    assert cli.main(["compare", str(first), str(copy), "--fail-on", "slower"]) == 1
    assert "1 slower, 1 equivalent of 2 matched cells" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "start"), [("md", "### 1 slower"), ("json", "{"), ("html", "<!doctype html>")]
)
def test_formats(runs, kind, start, tmp_path, capsys):
    first, _, slower, _ = runs[0]
    file = tmp_path / f"changes.{kind}"
    assert compare(runs, first, slower, "--format", kind) == 0
    text = capsys.readouterr().out
    assert text.startswith(start)
    assert compare(runs, first, slower, "--format", kind, "--output", str(file)) == 0
    assert file.read_text(encoding="utf-8") == text
    if kind == "json":
        assert json.loads(text)["counts"]["slower"] == 1


def test_what_a_terminal_shows_can_be_written_too(runs, tmp_path):
    first, _, slower, _ = runs[0]
    file = tmp_path / "changes.txt"
    assert compare(runs, first, slower, "--output", str(file)) == 0
    assert "1 slower" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "no run was given; give two or more"),
        (["A"], "1 run was given; give two or more"),
        (["A", "A"], "was given twice"),
        (["A", "nonesuch"], "there is no run 'nonesuch'"),
        (["A", "DAMAGED"], "line 2"),
        (["A", "FOREIGN"], "not a line of JSON"),
        (["A", "B", "--baseline", "fft"], "no time of the baseline 'fft'"),
        (["A", "B", "--beyond-shift"], "too few to tell a shift"),
        (["A", "B", "--budget", "3"], "--budget goes with a comparison of revisions"),
        (["A", "B", "--format", "xml"], "invalid choice: 'xml'"),
        (["A", "B", "--output", "."], "is a folder"),
        (["--rev", "HEAD"], "--rev was given 1 time"),
        (["--rev", "HEAD", "--rev", "HEAD", "quick", "sizes"], "2 suites were given"),
        (["--rev", "HEAD", "--rev", "HEAD", "--baseline", "fft"], "goes with a comparison of runs"),
        (["--rev", "HEAD", "--rev", "HEAD", "quik"], "did you mean 'quick'"),
        (["--rev", "HEAD", "--rev", "HEAD", "--repository", "nowhere"], "is no folder"),
        (["--rev", "HEAD", "--rev", "HEAD", "--repository", "."], "give --repository DIR"),
    ],
)
def test_mistakes_are_a_sentence(words, complaint, runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("CONVBENCH_RUNS", str(tmp_path))
    damaged, foreign = tmp_path / "damaged.jsonl", tmp_path / "foreign.jsonl"
    whole = (tmp_path / runs[0][0] / "records.jsonl").read_text()
    damaged.write_text(whole.replace('"record":"cell"', '"record":"sell"', 1))
    foreign.write_text("name,seconds\nfft,1.0\n")
    known = {"A": runs[0][0], "B": runs[0][1], "DAMAGED": damaged, "FOREIGN": foreign}
    assert cli.main(["compare", *(str(known.get(word, word)) for word in words)]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_a_revision_is_compared_with_itself(tmp_path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--shared", str(ROOT), str(clone)], check=True)
    done = convbench(
        "compare", "--rev", "HEAD", "--rev", "HEAD", "--repository", clone, "--algorithms",
        "naive,im2col", "--problem", "mb1_ic2ih16_oc2_kh3", "--problem", "max_mb1_ic4ih16_kh2",
        "--problem", "mb1_ic2ih16_oc2_kh3_bwdw", "--budget", 30, "--fail-on", "slower",
        "--format", "json", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [row["algorithm"] for row in found["rows"]].count("im2col") == 3
    assert found["counts"]["slower"] == 0
    assert all(0 < row["change"] < math.inf for row in found["rows"])  # no time is asserted
    assert any("every difference is a false alarm" in text for text in found["sentences"])
    listed = ["git", "-C", str(clone), "worktree", "list"]
    assert subprocess.run(listed, capture_output=True, text=True).stdout.count("\n") == 1
