"""``convbench export`` and ``convbench import`` at the command line."""

import pytest
from synthetic import LAYERS, measured, write_run

import results
from suites import cli


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "runs", measured(LAYERS[2], blocks=5))


def test_a_run_goes_out_and_comes_back(tmp_path, run, capsys):
    file, again = tmp_path / "0001_run.json", tmp_path / "again"
    words = ["export", str(run), "--format", "pytest-benchmark", "--output", str(file)]
    assert cli.main(words) == 0
    assert cli.main(["import", str(file), "--runs", str(again)]) == 0
    path = results.latest(again)
    assert str(path) in capsys.readouterr().out
    before, after = results.read(run), results.read(path)
    assert after["time_s"].tolist() == before["time_s"].dropna().tolist()


def test_text_goes_to_standard_output(run, capsys):
    assert cli.main(["export", str(run), "--format", "md"]) == 0
    assert capsys.readouterr().out.startswith("| input · kernel |")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--output", "."], "is a folder"),
        (["--format", "xml"], "invalid choice: 'xml'"),
        (["--format", "md", "--output", "/proc/no/file"], "cannot be written"),
    ],
)
def test_mistakes_are_a_sentence(words, complaint, run, capsys):
    assert cli.main(["export", str(run), *words]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_import_of_what_is_no_benchmark_leaves_no_run(tmp_path, capsys):
    (tmp_path / "x.json").write_text("{}")
    assert cli.main(["import", str(tmp_path / "x.json"), "--runs", str(tmp_path / "runs")]) == 2
    assert "no list 'benchmarks'" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
