"""``convbench history`` at the command line."""

import json

import pytest
from history_runs import write_history

from suites import cli

pytest.importorskip("ruptures")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    write_history(runs, {"fft": [0.5] * 7, "im2col": [0.3] * 5 + [0.36] * 2})
    return runs


def test_the_table_names_the_change(folder, capsys):
    assert cli.main(["history", "quick", "--runs", str(folder)]) == 0
    shown = capsys.readouterr()
    assert "im2col" in shown.out
    assert "20261006" in shown.out
    assert shown.err == ""


@pytest.mark.parametrize(("effect", "code"), [("2%", 1), ("50%", 0)])
def test_a_slower_newest_run_fails_if_asked(effect, code, folder, capsys):
    words = ["history", "quick", "--runs", str(folder), "--min-effect", effect]
    assert cli.main([*words, "--fail-on", "slower"]) == code
    assert cli.main(words) == 0


def test_files_are_written(folder, tmp_path, capsys):
    words = ["history", "quick", "--runs", str(folder)]
    page, figure, drawn = tmp_path / "h.html", tmp_path / "h.png", tmp_path / "h.svg"
    assert cli.main([*words, "--format", "html", "--output", str(page)]) == 0
    assert cli.main([*words, "--figure", str(figure)]) == 0
    assert cli.main([*words, "--figure", str(drawn)]) == 0
    assert page.read_text("utf-8").rstrip().endswith("</html>")
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert "<svg" in drawn.read_text("utf-8")


@pytest.mark.parametrize(("form", "start"), [("md", "# History of quick"), ("json", '{"suite"')])
def test_text_goes_to_standard_output(form, start, folder, capsys):
    assert cli.main(["history", "quick", "--runs", str(folder), "--format", form]) == 0
    text = capsys.readouterr().out
    assert text.startswith(start)
    assert form == "md" or json.loads(text)["suite"] == "quick"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["quik"], "did you mean 'quick'"),
        (["quick", "--anchor", "none"], "timed the anchor 'none'"),
        (["quick", "--output", "x.md"], "--output goes with --format"),
        (["quick", "--figure", "x.gif"], "use .png or .svg"),
        (["quick", "--figure", "."], "is a folder"),
        (["quick", "--fail-on", "faster"], "invalid choice: 'faster'"),
        ([], "required: SUITE"),
    ],
)
def test_mistakes_are_a_sentence(words, complaint, folder, capsys):
    assert cli.main(["history", *words, "--runs", str(folder)]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_one_run_has_no_figure(tmp_path, capsys):
    write_history(tmp_path, {"fft": [0.5]})
    words = ["history", "quick", "--runs", str(tmp_path)]
    assert cli.main([*words, "--fail-on", "slower"]) == 0
    assert "One run has no history" in capsys.readouterr().out
    assert cli.main([*words, "--figure", str(tmp_path / "h.png")]) == 2
    assert "has no two runs to draw" in capsys.readouterr().err
