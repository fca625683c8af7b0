"""The table of a run as a notebook shows it."""

import re
from pathlib import Path

import pandas as pd
import pytest
from synthetic import cell, measured, troubled, write_run

import results
from algos.core.problem import Problem
from results.tables.notebook import RunTable


def html_of(folder: Path, cells: list[dict], **changes: object) -> str:
    return results.read(write_run(folder, cells, **changes))._repr_html_()


def test_the_main_columns_are_shown_with_the_verdicts(tmp_path: Path) -> None:
    html = html_of(tmp_path, measured(Problem(size=(64, 64), kernel=3)) + troubled())
    assert html.count("<tr>") == 1 + 5 + 6
    assert "samples" not in html
    assert "<b>parallel</b>" in html
    assert "<li>1 cell FAILED (fft); the reasons are below.</li>" in html
    assert "AMD EPYC 9B14" in html


def test_a_long_table_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("results.tables.notebook.MOST_ROWS", 4)
    html = html_of(tmp_path, troubled())
    assert html.count("<tr>") == 1 + 4
    assert "2 more rows" in html


def test_names_are_text(tmp_path: Path) -> None:
    cells = [{**cell("<b>x", Problem(size=(8,), kernel=3)), "name": "<script>"}]
    html = html_of(tmp_path, cells, suite="<i>", algorithms=["<b>x"], baseline="<u>")
    assert not re.search("<script>|<i>|<u>|<b>x", html)


def test_an_empty_run_is_shown(tmp_path: Path) -> None:
    assert "holds no cell" in html_of(tmp_path, [], end=None)


def test_selections_are_plain_tables(tmp_path: Path) -> None:
    frame = results.read(write_run(tmp_path, measured(Problem(size=(64, 64), kernel=3))))
    assert isinstance(frame, RunTable)
    for part in (frame[frame["winner"]], frame[["label", "time_s"]], frame.copy()):
        assert type(part) is pd.DataFrame
    assert frame[frame["winner"]].attrs["suite"] == "quick"
