"""Planted steps and trends are found; noise, drift of one run and few runs are not changes."""

import math
import sys

import numpy as np
import pytest

from algos.core.errors import ConvbenchError
from results.verdicts.steps import find, scatter

pytest.importorskip("ruptures")
ERROR = 0.004


def series(*parts: tuple[int, float], scatter: float = ERROR, seed: int = 0) -> np.ndarray:
    """Return log-ratios of (runs, ratio) one after another, with scatter."""
    levels = np.concatenate([np.full(count, math.log(ratio)) for count, ratio in parts])
    return levels + np.random.default_rng(seed).normal(0, scatter, levels.size)


def errors(logs: np.ndarray) -> np.ndarray:
    return np.full(logs.size, ERROR)


def steps(logs: np.ndarray, **options: float) -> list[tuple[int, float]]:
    found = find(logs, errors(logs), **options)
    return [(step.at, round(step.change.middle, 2)) for step in found.steps]


@pytest.mark.parametrize("seed", range(5))
def test_a_step_is_found_where_it_is(seed: int) -> None:
    logs = series((7, 0.5), (6, 0.55), seed=seed)
    ((at, change),) = steps(logs)
    assert at == 7
    assert change == pytest.approx(1.1, abs=0.011)
    (step,) = find(logs, errors(logs)).steps
    assert step.change.low < step.change.middle < step.change.high


@pytest.mark.parametrize("runs", [1, 2, 4, 9])
def test_a_step_in_the_newest_run_is_found_at_once(runs: int) -> None:
    logs = series((runs, 1.0), (1, 1.08))
    assert [at for at, _ in steps(logs)] == [runs]
    assert find(logs, errors(logs)).verdict() == "slower"


def test_several_steps_are_told_apart() -> None:
    assert steps(series((6, 1.0), (5, 1.2), (7, 0.9))) == [(6, 1.2), (11, 0.75)]


def test_a_step_that_was_made_up_for_is_recovered() -> None:
    logs = series((5, 1.0), (4, 1.2), (5, 1.0))
    found = find(logs, errors(logs))
    assert len(found.steps) == 2
    assert found.verdict() == "recovered"


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ([(5, 1.0), (5, 1.2)], "slower"),
        ([(5, 1.0), (5, 0.8)], "faster"),
        ([(5, 1.0), (4, 1.3), (4, 1.1)], "slower"),
        ([(5, 1.0), (4, 0.8), (4, 0.9)], "slower"),
        ([(10, 1.0)], "steady"),
    ],
)
def test_the_verdict_is_on_the_newest_run(parts: list, verdict: str) -> None:
    logs = series(*parts)
    assert find(logs, errors(logs)).verdict() == verdict


def test_noise_is_no_change() -> None:
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(200):
        logs = rng.normal(0, ERROR, int(rng.integers(2, 25)))
        found = find(logs, errors(logs), min_effect=0.0)
        alarms += bool(found.steps or found.creep)
    assert alarms <= 20  # 5 % each at most; ten are expected


def test_scatter_between_runs_is_learned_from_all_series() -> None:
    rng = np.random.default_rng(2)
    many = [rng.normal(0, 6 * ERROR, 20) for _ in range(100)]
    least = scatter((logs, errors(logs)) for logs in many)
    assert least == pytest.approx(6, rel=0.1)
    found = [find(logs, errors(logs), least_scatter=least) for logs in many]
    assert sum(bool(one.steps or one.creep) for one in found) <= 8  # 5 are expected at most
    logs = series((10, 1.0), (10, 1.2), scatter=6 * ERROR)
    assert [step.at for step in find(logs, errors(logs), least_scatter=least).steps] == [10]


def test_few_runs_have_no_scatter_of_their_own() -> None:
    logs = series((4, 1.0), scatter=10 * ERROR)
    assert scatter([(logs, errors(logs))]) == scatter([]) == 1.0


def test_below_the_minimum_effect_is_no_change() -> None:
    logs = series((10, 1.0), (10, 1.015), scatter=0.001)
    assert steps(logs, min_effect=0.02) == []
    assert steps(logs, min_effect=0.01) == [(10, 1.01)] or steps(logs, min_effect=0.01) == [
        (10, 1.02)
    ]


@pytest.mark.parametrize("total", [0.10, -0.10, 0.25])
def test_a_creeping_trend_is_a_trend_and_no_step(total: float) -> None:
    rng = np.random.default_rng(3)
    logs = np.linspace(0, math.log1p(total), 20) + rng.normal(0, ERROR, 20)
    found = find(logs, errors(logs))
    assert not found.steps
    assert found.creep is not None
    assert found.creep.middle == pytest.approx(1 + total, abs=0.02)
    assert found.verdict() == ("creeping slower" if total > 0 else "creeping faster")


def test_small_steps_add_up_to_a_trend() -> None:
    logs = series((8, 1.0), (8, 1.015), (8, 1.03), (8, 1.045), scatter=0.001)
    found = find(logs, np.full(32, 0.001))
    assert not found.steps
    assert found.creep is not None


def test_a_single_disturbed_run_is_no_change() -> None:
    logs = series((6, 1.0), (1, 1.4), (6, 1.0))
    found = find(logs, errors(logs))
    assert found.verdict() == "steady"
    assert found.steps == ()


def test_an_imprecise_run_counts_less() -> None:
    logs, error = series((8, 1.0), (1, 1.1)), np.full(9, ERROR)
    assert find(logs, error).steps
    error[-1] = 0.05
    assert not find(logs, error).steps


@pytest.mark.parametrize(
    ("logs", "error"), [([0.0], [0.01]), ([], []), ([0.0, 0.5, 0.5], [math.nan] * 3)]
)
def test_too_few_runs_say_nothing(logs: list[float], error: list[float]) -> None:
    found = find(np.array(logs), np.array(error))
    assert (found.known, found.verdict()) == (False, "too few runs")


def test_runs_of_one_pass_are_judged_by_their_scatter() -> None:
    logs = series((8, 1.0), (8, 1.1))
    found = find(logs, np.full(16, math.nan))
    assert [step.at for step in found.steps] == [8]


def test_equal_runs_are_steady() -> None:
    assert find(np.zeros(9), np.zeros(9)).verdict() == "steady"


def test_without_ruptures_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ruptures", None)
    with pytest.raises(ConvbenchError, match=r'pip install "ruptures>=1\.1\.9"'):
        find(np.zeros(4), np.full(4, ERROR))
