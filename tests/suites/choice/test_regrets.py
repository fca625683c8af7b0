"""The table of rules on an invented run, with invented choices."""

import pandas as pd
import pytest
from synthetic import cell, write_run

import results
from algos.core.errors import ConvbenchError
from algos.core.problem import Problem
from results.tables.regret import Figures
from suites.choice import regrets
from suites.choice.bars import BARS

FILTER = Problem(size=(512, 512), kernel=63)
LAYER = Problem(size=(28, 28), kernel=3, in_channels=8, out_channels=8)
TIMES = {
    FILTER: {"parallel": 4e-3, "fft": 2e-3},
    LAYER: {"parallel": 1e-3, "im2col": 2e-3},
}


@pytest.fixture
def frame(tmp_path):
    cells = [
        cell(name, problem, samples=[seconds] * 5, prepare_s=0.0)
        for problem, entries in TIMES.items()
        for name, seconds in entries.items()
    ]
    return results.read(write_run(tmp_path, cells, algorithms=["parallel", "fft", "im2col"]))


@pytest.fixture
def choices(monkeypatch):
    """Return a table by problem that decides the automatic choice."""
    chosen = {FILTER: "fft", LAYER: "im2col"}
    monkeypatch.setattr(
        regrets, "automatic", lambda case, threads, seed, use: chosen.get(case.problem, "")
    )
    return chosen


def test_every_rule_has_its_figures(frame, choices):
    found = {rule.title: (own, auto) for rule, own, auto in
             regrets.table_of(frame, regrets.rules_of(frame))}  # fmt: skip
    own, auto = found["always parallel"]
    assert (own.count, own.worst) == (2, pytest.approx(1.0))
    assert auto.worst == pytest.approx(1.0)  # im2col on the layer
    own, auto = found["taps and separability"]
    assert own.worst == 0.0  # the FFT for the filter, parallel for the layer
    own, auto = found["SciPy's rule"]
    assert (own.count, own.worst, auto.worst) == (1, 0.0, 0.0)


def test_a_problem_without_a_choice_is_left_out(frame, choices):
    del choices[LAYER]
    (rule, *_) = regrets.rules_of(frame)
    assert list(rule.chosen.values()) == ["fft"]


def test_a_choice_that_changes_is_found(frame, choices):
    before = regrets.automatic_choices(regrets.cases_of(frame))
    assert regrets.unsteady(frame, before) == 0
    choices[FILTER] = "parallel"
    assert regrets.unsteady(frame, before) == 1


def test_slower_beyond_doubt(frame, choices):
    chosen = regrets.automatic_choices(regrets.cases_of(frame))
    parallel = dict.fromkeys(chosen, "parallel")
    (slower,) = regrets.slower_than(frame, chosen, parallel)
    assert slower.endswith("im2col, not parallel")
    assert regrets.slower_than(frame, parallel, parallel) == []


def test_noise_is_no_slow_down(tmp_path):
    cells = [
        cell("parallel", LAYER, samples=[1.0, 1.3, 0.9, 1.2, 1.0]),
        cell("im2col", LAYER, samples=[1.2, 1.0, 1.1, 1.3, 1.0]),
    ]
    frame = results.read(write_run(tmp_path, cells, algorithms=["parallel", "im2col"]))
    (key,) = regrets.cases_of(frame)
    assert regrets.slower_than(frame, {key: "im2col"}, {key: "parallel"}) == []


def test_a_run_of_one_algorithm_is_refused(tmp_path):
    frame = results.read(write_run(tmp_path, [cell("parallel", LAYER)]))
    with pytest.raises(ConvbenchError, match="two algorithms"):
        regrets.check_cases(frame)


def test_limits_are_told_apart():
    good = Figures(100, 0, 0.049, 0.24, 0.99)
    assert list(BARS["untuned"].missed(good)) == []
    said = list(BARS["tuned"].missed(good))
    assert len(said) == 3
    assert "geometric mean is 4.9%" in said[0]
    assert list(BARS["foreign"].missed(Figures(100, 0, 0.09, 9.0, 1.4))) == []


def test_what_accuracy_rules_out_is_no_missed_choice():
    """F(4, 5) errs more than the default admits; F(4, 3) over eight channels does not."""
    rows = [
        (problem, name)
        for problem in ("mb1_ic8ih20_oc8_kh5", "mb1_ic8ih20_oc8_kh3")
        for name in ("parallel", "winograd4", "torch")
    ]
    frame = pd.DataFrame(rows, columns=["problem", "algorithm"])
    kept = regrets.admitted(frame)
    assert [*zip(kept["problem"], kept["algorithm"], strict=True)] == [
        row for row in rows if row != ("mb1_ic8ih20_oc8_kh5", "winograd4")
    ]
