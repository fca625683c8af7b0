"""Candidates worth timing, and what a finished run teaches."""

import pytest
from synthetic import cell, write_run

import algos
import results
from algos.choice import forget_choices, wisdom
from algos.choice.machine import versions
from algos.core.problem import Problem
from algos.notation import parse
from suites.cases.choosing import automatic, without_wisdom
from suites.cases.suite import Case
from suites.choice import regrets, tuning

PROBLEM = Problem(size=(64, 64), kernel=5, in_channels=8, out_channels=8)
#: Times that no model would predict: im2col far ahead.
TIMES = {"parallel": 4e-3, "fft": 5e-3, "im2col": 1e-5}


@pytest.fixture(autouse=True)
def own_wisdom(monkeypatch, tmp_path):
    monkeypatch.setenv("CONVBENCH_WISDOM", str(tmp_path / "wisdom"))
    forget_choices()
    yield
    forget_choices()


def frame_of(folder, times, passes=5):
    cells = [cell(name, PROBLEM, samples=[t] * passes, prepare_s=0.0) for name, t in times.items()]
    here = {"cpu": "a", "target": versions()["cpu"], "numba": versions()["numba"]}
    return results.read(write_run(folder, cells, algorithms=list(times), environment=here))


def test_all_candidates_race_but_the_plainest():
    names = tuning.racing(Case(PROBLEM), (1,)).algorithms
    assert {"parallel", "im2col", "fft"} <= set(names)
    assert "naive" not in names


def test_a_short_time_is_for_close_ones_and_the_choice():
    case = Case(Problem(size=(512, 512), kernel=3))
    few = set(tuning.racing(case, (1,), short=True).algorithms)
    every = set(tuning.racing(case, (1,)).algorithms)
    assert few <= every
    assert automatic(case, 1) in few


@pytest.mark.parametrize(
    "text",
    ["mb1_ic1ih8_oc1_kh3_tile2",
     "inception_mb1_ic8ih8_ones=4_threes=4_fives=4_pooled=4"],
)  # fmt: skip
def test_what_has_no_choice(text):
    case = Case(parse(text))
    assert not tuning.can_be_tuned(case) or len(tuning.racing(case, (1,)).algorithms) > 1


def test_a_module_has_no_choice():
    case = Case(parse("inception_mb1_ic8ih8_ones=4_threes=4_fives=4_pooled=4"))
    assert not tuning.can_be_tuned(case)
    assert automatic(case, 1) == ""


def test_a_decided_run_changes_the_choice(tmp_path):
    frame = frame_of(tmp_path, TIMES)
    cases = regrets.cases_of(frame)
    before = regrets.automatic_choices(cases)
    assert algos.wisdom(tuning.learnable(frame)) == 1
    after = regrets.automatic_choices(cases)
    (change,) = tuning.changes(frame, before, after)
    assert (change.after, change.after_s) == ("im2col", pytest.approx(1e-5))
    assert change.before != "im2col"
    assert "1 choice changed" in tuning.summary(1, 1, [change])


def test_without_wisdom_the_default_comes_back(tmp_path):
    case = Case(PROBLEM)
    before = automatic(case, 1)
    algos.wisdom(tuning.learnable(frame_of(tmp_path, TIMES)))
    assert automatic(case, 1) == "im2col"
    with without_wisdom():
        assert automatic(case, 1) == before
    assert automatic(case, 1) == "im2col"
    assert len(wisdom.entries()) == 1


def test_too_few_passes_teach_nothing(tmp_path):
    assert len(tuning.learnable(frame_of(tmp_path, TIMES, passes=2))) == 0


def test_an_algorithm_that_left_early_has_an_interval_as_wide_as_noise(tmp_path):
    cells = [
        cell(name, PROBLEM, samples=[1e-3] * passes)
        for name, passes in {"parallel": 5, "im2col": 5, "fft": 1}.items()
    ]
    kept = tuning.learnable(results.read(write_run(tmp_path, cells))).set_index("algorithm")
    assert kept["time_s"]["fft"] == pytest.approx(1e-3)
    assert kept["time_low_s"]["fft"] == pytest.approx(1e-3 / tuning.NOISE)
    assert kept["time_high_s"]["fft"] == pytest.approx(1e-3 * tuning.NOISE)
    assert kept["time_high_s"]["parallel"] == pytest.approx(1e-3)


def test_nothing_timed_teaches_nothing(tmp_path):
    cells = [cell("fft", PROBLEM, status="skipped", reason="no time")]
    assert len(tuning.learnable(results.read(write_run(tmp_path, cells)))) == 0


def test_no_change_is_said():
    assert "no choice is better beyond doubt" in tuning.summary(3, 4, [])
