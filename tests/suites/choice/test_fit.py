"""The model of times, fitted to planted times; and the times it is fitted to."""

import numpy as np
import pandas as pd
import pytest

import algos
from algos.choice import model
from algos.choice.terms import arithmetic
from algos.core.family import CONVOLUTION
from algos.notation import parse
from suites.cases import everyday
from suites.cases.suite import Case
from suites.choice import blocks
from suites.choice.blocks import timed
from suites.choice.fit import Fit, Table, best_fit, cases_of, regrets, report

RATES = {"parallel": 5e10, "winograd4": 3e10, "fft-fused": 2e10}


def planted(count):
    """Return a table of times that follow the formula, with a smooth factor and 2 % of noise."""
    rng, rows = np.random.default_rng(0), []
    for text, weights in everyday.problems(count, seed=1):
        problem = parse(text)
        if problem.operation != "forward":
            continue
        for name, rate in RATES.items():
            if name == "winograd4" and algos.why_not(problem).get(name):
                continue
            factor = (problem.in_channels / problem.groups) ** -0.1 * rng.normal(1, 0.02)
            seconds = 3e-6 + arithmetic(name, problem) / rate + problem.compulsory_bytes / 2e10
            rows.append((text, weights, 1, name, seconds * factor, 1e-5))
    columns = ["problem", "weights", "threads", "algorithm", "time_s", "prepare_s"]
    return pd.DataFrame(rows, columns=columns)


def test_a_model_says_nothing_of_smaller_problems_than_it_is_fitted_to():
    sizes = [case.problem.compulsory_bytes for case in cases_of(CONVOLUTION)]
    assert model.FEWEST_BYTES <= min(sizes) < 1.1 * model.FEWEST_BYTES


@pytest.mark.slow
def test_planted_times_are_learnt():
    table = Table(planted(240))
    fit = best_fit(table)
    assert set(table.names) == set(RATES)
    found = regrets(table, fit)
    assert np.expm1(np.log1p(found).mean()) < 0.02
    assert "geometric mean" in next(report(table, fit))
    learnt = fit.model()
    problem, threads = table.problems[0]
    i = table.names.index("parallel")
    predicted = learnt.predict(problem, threads)["parallel"].call_s
    assert predicted == pytest.approx(np.exp(table.calls[0, i]), rel=0.15)


@pytest.mark.slow
def test_a_packed_model_predicts_the_same():
    table = Table(planted(120))
    fitted = Fit(table, np.full(table.x.shape[1], 0.1), 1e-2).model()
    again = model._unpacked(model.packed("convolution", fitted), "convolution")
    problem, threads = table.problems[3]
    for name, time in fitted.predict(problem, threads).items():
        assert again.predict(problem, threads)[name].call_s == pytest.approx(time.call_s, rel=1e-4)


def test_a_prediction_is_far_from_no_timed_problem():
    """Without timed problems nearby, what is left is the linear function: no wild numbers."""
    table = Table(planted(120))
    fitted = Fit(table, np.full(table.x.shape[1], 0.1), 1e-2).model()
    far = algos.Problem(size=(40_000, 40_000), kernel=3)
    time = fitted.predict(far, 1)["parallel"].call_s
    assert 0.01 < time < 100


def test_times_are_what_wisdom_and_regret_read(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVBENCH_WISDOM", str(tmp_path))
    monkeypatch.setattr(blocks, "TOO_SLOW", float("inf"))  # a slow moment leaves nobody out
    cases = [
        Case(algos.Problem(size=(24, 24), kernel=5)),
        Case(algos.PoolProblem(size=(9, 9), window=3)),
    ]
    frame = timed(cases, [1])
    assert {"parallel", "fft"} <= set(frame["algorithm"])
    assert "separable" not in set(frame[frame["kind"] == "convolution"]["algorithm"])
    assert (frame["time_s"] > 0).all()
    assert (frame["time_low_s"] <= frame["time_s"]).all()
    assert algos.wisdom(frame) == 2
