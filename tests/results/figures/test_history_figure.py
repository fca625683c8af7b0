"""Figure and page of a history."""

import re
from pathlib import Path

import pytest
from history_runs import PROBLEMS, write_history
from matplotlib.figure import Figure

from algos.core.problem import Problem
from results.figures.history import draw_history
from results.figures.looks import look
from results.figures.style import rc_context
from results.page.history import history_page
from results.tables.history import histories

pytest.importorskip("ruptures")
LEVELS = {"fft": [0.5] * 8, "im2col": [0.3] * 5 + [0.36] * 3}


def figure_of(folder: Path) -> Figure:
    with rc_context():
        return draw_history(histories(folder, "quick")[0][0]).figure


def test_changed_series_are_drawn_strongly_in_their_colour(tmp_path: Path) -> None:
    write_history(tmp_path, LEVELS)
    (axes,) = figure_of(tmp_path).axes
    marks = {line.get_label(): line for line in axes.get_lines() if line.get_marker() != "None"}
    assert set(marks) == {"fft", "im2col"}
    assert marks["im2col"].get_color() == look("im2col").colour
    assert marks["fft"].get_alpha() < marks["im2col"].get_alpha() == 1.0
    (change,) = [text.get_text() for text in axes.texts]
    assert re.fullmatch(r"\+(19|20|21)\.\d %", change)


def test_the_most_changed_problems_come_first_and_the_rest_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("results.figures.history.MOST_PANELS", 2)
    third = Problem(size=(16, 16), kernel=3)
    write_history(tmp_path, {"fft": [0.5] * 6}, problems=[third, PROBLEMS[0]])
    write_history(tmp_path, {"fft": [0.5] * 3 + [0.6] * 3}, problems=PROBLEMS[1:], start=11)
    figure = figure_of(tmp_path)
    assert figure.axes[0].get_title(loc="left") == "256² · 7²"
    assert len(figure.axes) == 2
    assert any("2 of 3 problems" in text.get_text() for text in figure.texts)


def test_the_page_loads_nothing_and_holds_every_machine(tmp_path: Path) -> None:
    write_history(tmp_path, LEVELS)
    other = {"cpu": "<script>alert(1)</script>", "host": "other"}
    write_history(tmp_path, {"fft": [0.5]}, environments=[other], start=20)
    page = history_page(histories(tmp_path, "quick")[0])
    assert not re.search(r"<script|<link|src=\"(?!data:)|url\(", page)
    assert "&lt;script&gt;alert(1)" in page
    assert page.count("data:image/png;base64,") == 1  # one run alone has no figure
    assert "One run has no history" in page
    assert '<tr class="failed"><th scope="row" dir="auto">64² · 3²</th>' in page
