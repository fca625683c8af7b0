"""Regret of choices, on invented runs whose times are known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import cell, write_run

import convbench
import results
from algos.core.errors import ConvbenchError
from algos.core.problem import Problem
from results.figures.regret import draw_regret
from results.figures.style import rc_context
from results.tables.regret import auto_sentences, chosen_by_auto, figures, key_of, regret
from results.tables.summary import verdicts

SMALL, LARGE = Problem(size=(64, 64), kernel=3), Problem(size=(512, 512), kernel=3)
#: Seconds by problem and algorithm.
TIMES = {
    SMALL: {"parallel": 1.0, "fft": 2.0, "torch": 0.1},
    LARGE: {"parallel": 5.0, "fft": 4.0},
}


def frame_of(folder: Path, auto: dict[Problem, str], **changes: Any) -> pd.DataFrame:
    """Return a run of `TIMES` in which the automatic choice was `auto`."""
    cells = [
        cell(
            name, problem, samples=[seconds * drift for drift in (1.0, 1.2, 1.1)],
            auto=auto.get(problem) == name, prepare_s=3.0 if name == "fft" else 0.0,
        )
        for problem, entries in TIMES.items()
        for name, seconds in entries.items()
    ]  # fmt: skip
    names = ["parallel", "fft", "torch"]
    return results.read(write_run(folder, cells, algorithms=names, peers=["torch"], **changes))


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    return frame_of(tmp_path, {SMALL: "parallel", LARGE: "parallel"})


def keys(frame: pd.DataFrame) -> list[Any]:
    return [key_of(row) for _, row in frame[frame["algorithm"] == "fft"].iterrows()]


def test_the_choice_of_a_run_is_recorded(frame: pd.DataFrame) -> None:
    assert frame["auto"].dtype == bool
    assert chosen_by_auto(frame) == dict.fromkeys(keys(frame), "parallel")


def test_regret_is_the_time_over_the_fastest_of_ours(frame: pd.DataFrame) -> None:
    table = regret(frame, chosen_by_auto(frame))
    assert list(table["best"]) == ["parallel", "fft"]  # no peer
    assert list(table["regret"]) == pytest.approx([0.0, 0.25])
    assert list(table["regret_low"]) == pytest.approx([0.0, 0.25])


def test_a_call_that_prepares_costs_its_preparation(frame: pd.DataFrame) -> None:
    chosen = dict.fromkeys(keys(frame), "fft")
    table = regret(frame, chosen, use="once")
    assert list(table["best"]) == ["parallel", "parallel"]
    assert list(1 + table["regret"]) == pytest.approx(
        [(2.2 + 3) / 1.1 * 1.0, (4.4 + 3) / 5.5], rel=0.05
    )
    assert table["regret_low"].isna().all()


def test_a_rule_may_know_some_algorithms_alone(frame: pd.DataFrame) -> None:
    large = keys(frame)[1]
    (best,) = regret(frame, {large: "parallel"}, among=("parallel",))["best"]
    assert best == "parallel"


def test_a_choice_without_a_time_has_no_regret(frame: pd.DataFrame) -> None:
    table = regret(frame, dict.fromkeys(keys(frame), "winograd4"))
    assert table["regret"].isna().all()
    assert list(table["best"]) == ["parallel", "fft"]
    about = figures(table)
    assert (about.count, about.missing) == (0, 2)
    assert math.isnan(about.worst)


def test_figures_are_geometric() -> None:
    about = figures(pd.DataFrame({"regret": [0.0, 3.0]}))
    assert (about.mean, about.worst) == (pytest.approx(1.0), 3.0)


def test_sentences_tell_distance_and_call(frame: pd.DataFrame) -> None:
    far, call, learn = auto_sentences(frame)
    assert far.startswith('algorithm="auto" takes the fastest in 1 of 2 problems')
    assert "1.25× at worst" in far
    assert f"parse_descriptor('{LARGE}'), w, algorithm='fft', threads=1)(x)" in call
    assert f'convbench.wisdom(convbench.read("{frame.attrs["id"]}"))' in learn
    assert {far, call, learn} <= set(verdicts(frame))


def test_a_hit_everywhere_needs_no_remedy(tmp_path: Path) -> None:
    (said,) = auto_sentences(frame_of(tmp_path, {SMALL: "parallel", LARGE: "fft"}))
    assert said == 'algorithm="auto" takes the fastest in 2 of 2 problems.'


def test_what_accuracy_rules_out_is_no_missed_choice_but_is_named(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, {SMALL: "parallel", LARGE: "parallel"})
    frame["ruled_out"] = frame["algorithm"] == "fft"
    found = regret(frame, chosen_by_auto(frame))
    assert list(found["regret"]) == [0, 0]
    hits, faster = auto_sentences(frame)
    assert hits == 'algorithm="auto" takes the fastest in 2 of 2 problems.'
    assert faster.startswith('accuracy="fast" admits a faster algorithm in 1 problem (fft 1.25× as')


def test_one_problem_has_a_sentence_of_its_own(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, {LARGE: "parallel"})
    first, call = auto_sentences(frame[frame["problem"] == str(LARGE)])
    assert "takes parallel" in first
    assert "1.25× the time of fft" in first
    assert call.endswith("algorithm='fft', threads=1)(x)")


def test_a_run_that_does_not_know_the_choice_says_nothing(tmp_path: Path) -> None:
    assert auto_sentences(frame_of(tmp_path, {})) == []


def test_the_line_of_python_runs(tmp_path: Path) -> None:
    layer = Problem(size=(9, 9), kernel=3, bias=True)
    cells = [
        cell(name, layer, samples=[seconds] * 3, threads=2, auto=name == "parallel")
        for name, seconds in (("parallel", 5.0), ("im2col", 4.0))
    ]
    _, call = auto_sentences(results.read(write_run(tmp_path, cells)))
    assert "threads=2" in call
    names = {
        "convbench": convbench,
        "x": np.ones((1, 1, 9, 9), "float32"),
        "w": np.ones((1, 1, 3, 3), "float32"),
        "bias": np.ones(1, "float32"),
    }
    np.testing.assert_allclose(eval(call.partition(": ")[2], names), 10 * np.ones((1, 1, 7, 7)))


@pytest.mark.parametrize("auto", [3, "yes", None])
def test_a_damaged_mark_is_refused(tmp_path: Path, auto: Any) -> None:
    folder = write_run(tmp_path, [cell("fft")])
    file = folder / "records.jsonl"
    text = file.read_text().replace('"auto":false', f'"auto":{"null" if auto is None else 3}')
    assert text != file.read_text()
    file.write_text(text)
    with pytest.raises(ConvbenchError, match=r"auto .* true or false"):
        results.read(folder)


def test_the_figure_names_the_worst(frame: pd.DataFrame) -> None:
    with rc_context():
        sheet = draw_regret(frame, "")
        assert sheet is not None
        (axes,) = sheet.axes
        assert "fft 1.25×" in axes.texts[0].get_text()
        assert "geometric mean 1.12×" in axes.get_title(loc="left")


def test_no_figure_without_choices(tmp_path: Path) -> None:
    with rc_context():
        assert draw_regret(frame_of(tmp_path, {}), "") is None


def test_a_layout_that_the_caller_did_not_choose_is_no_regret(tmp_path: Path) -> None:
    cells = [
        cell(name, SMALL, samples=[seconds, seconds, seconds], auto=name == "parallel")
        for name, seconds in {"parallel": 2.0, "fft": 4.0, "parallel@channels_last": 1.0}.items()
    ]
    path = write_run(tmp_path, cells, algorithms=["parallel", "fft", "parallel@channels_last"])
    frame = results.read(path)
    (row,) = regret(frame, chosen_by_auto(frame)).to_dict("records")
    assert (row["best"], row["regret"]) == ("parallel", 0.0)
    said = auto_sentences(frame)
    assert said[0] == 'algorithm="auto" takes parallel, the fastest of these.'
    assert "@" not in " ".join(said)
    both = frame[frame["algorithm"] != "fft"]
    assert auto_sentences(both) == []  # there was one algorithm to choose
