"""Suites of other packages are found through entry points, as algorithms are."""

import pytest

import results
from algos.core.errors import ConvbenchError
from suites import cli
from suites.cases import suite

GOOD = """
title = "Theirs"
question = "Which is fastest for them?"
algorithms = ["naive", "parallel"]
problems = ["mb1_ic1ih12_oc1_kh3"]
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install a package with two suites, one of them broken, and an entry point to nothing."""
    folder = tmp_path / "their_bench"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise SystemExit('a suite needs no code to be run')\n")
    (folder / "theirs.toml").write_text(GOOD)
    (folder / "wrong.toml").write_text('title = "x"\nproblemz = []\n')
    (folder / "quick.toml").write_text(GOOD)
    info = tmp_path / "their_bench-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-bench\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[convbench.suites]\ntheir-bench = their_bench\nlost = no_such_module\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


@pytest.mark.slow
def test_a_suite_of_another_package_runs_by_its_name(package, tmp_path, capsys):
    assert "theirs" in suite.names()
    words = ["run", "theirs", "--budget", "1", "--runs", str(tmp_path / "runs"), "--quiet"]
    assert cli.main(words) == 0
    frame = results.read(results.latest(tmp_path / "runs"))
    assert set(frame["suite"]) == {"theirs"} and set(frame["algorithm"]) == {"naive", "parallel"}


def test_ours_win_and_a_broken_one_costs_itself_alone(package, capsys):
    assert suite.load("quick").title != "Theirs"
    with pytest.raises(ConvbenchError, match=r"wrong.toml of .*: key 'problemz' is not known"):
        suite.load("wrong")
    assert cli.main(["list", "suites"]) == 0
    said = capsys.readouterr()
    assert "Which is fastest for them?" in said.out and "problemz" in said.out
    assert "entry point 'lost': there is no module 'no_such_module'" in " ".join(said.err.split())
    assert cli.main(["run", "their", "--dry-run"]) == 2
    assert "did you mean 'theirs'?" in capsys.readouterr().err
