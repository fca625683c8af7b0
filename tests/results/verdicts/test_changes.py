"""Verdicts on changes between two runs, on simulated passes of known truth."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from results.verdicts.changes import Estimate, cut_alike, judged, shift, welch
from results.verdicts.decide import MIN_PASSES, UNDECIDED
from results.verdicts.statistics import Passes, pass_times

#: Spread of the logarithm of a pass, and samples of a pass.
SPREAD, SAMPLES = 0.008, 20


def passes_of(
    rng: np.random.Generator, seconds: float, passes: int = 8, samples: int = SAMPLES
) -> Passes:
    """Return passes of a cell: each has a level of its own, and samples disturbed upwards."""
    levels = seconds * np.exp(rng.normal(0, SPREAD, passes))
    noise = 1 + rng.exponential(0.05, (passes, samples))
    return {number: list(levels[number] * noise[number]) for number in range(passes)}


def between_runs(before: Passes, after: Passes) -> Estimate:
    """Return the change of a cell between two runs, as a comparison reads it."""
    first, second = map(pass_times, cut_alike(before, after))
    return welch([*first.values()], [*second.values()])


def estimates(effects: list[float], seed: int = 0, passes: int = 8) -> list[Estimate]:
    rng = np.random.default_rng(seed)
    return [
        between_runs(passes_of(rng, 1e-3, passes), passes_of(rng, 1e-3 * (1 + effect), passes))
        for effect in effects
    ]


def verdicts(found: list[Estimate], passes: int = 8, min_effect: float = 0.02) -> list[str]:
    return [change.verdict for change in judged(found, [passes] * len(found), min_effect)]


@pytest.mark.parametrize(
    ("effect", "expected"), [(0.10, "slower"), (1 / 1.10 - 1, "faster"), (0.0, "equivalent")]
)
def test_what_is_clear_is_decided(effect: float, expected: str) -> None:
    found = estimates([effect] * 10, passes=20)
    assert verdicts(found, 20) == [expected] * 10


def test_a_change_on_the_border_is_undecided() -> None:
    assert Counter(verdicts(estimates([0.02] * 40)))[UNDECIDED] >= 38


def test_few_passes_decide_nothing() -> None:
    few = MIN_PASSES - 1
    found = estimates([1.0], passes=few)
    (change,) = judged(found, [few], 0.02)
    assert change.verdict == UNDECIDED
    assert change.doubt == f"fewer than {MIN_PASSES} passes"
    assert change.ratio.middle == pytest.approx(2.0, rel=0.05)


def test_comparisons_of_equals_are_not_red_and_five_percent_are_found() -> None:
    """Forty comparisons of six cells with themselves, and twenty with +5 % in one."""
    red = sum("slower" in verdicts(estimates([0.0] * 6, seed)) for seed in range(40))
    assert red <= 1
    planted = [verdicts(estimates([0.05, *[0.0] * 5], seed, 12), 12) for seed in range(20)]
    assert sum(found[0] == "slower" for found in planted) >= 19
    assert not any("slower" in found[1:] for found in planted)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    found = estimates([0.05] * 400)
    held = sum(one.ratio.low <= 1.05 <= one.ratio.high for one in found)
    assert 0.91 <= held / 400 <= 0.99


def test_more_samples_of_a_pass_are_no_speed_up() -> None:
    """The shortest of 200 samples is shorter than that of 5, on the same machine."""
    rng = np.random.default_rng(0)
    pairs = [(passes_of(rng, 1e-3, 20, 5), passes_of(rng, 1e-3, 20, 200)) for _ in range(20)]
    changes = [between_runs(*pair).mean for pair in pairs]
    assert abs(np.mean(changes)) < 0.003
    shortest = [
        np.mean([math.log(min(s)) for s in side.values()]) for pair in pairs for side in pair
    ]
    assert np.mean(shortest[1::2]) - np.mean(shortest[::2]) < -0.005


def test_a_drifting_run_decides_nothing() -> None:
    rng = np.random.default_rng(0)
    steady = passes_of(rng, 1e-3, 12)
    drifting = {n: [s * (1.0 if n < 6 else 1.3) for s in v] for n, v in steady.items()}
    estimate = between_runs(steady, drifting)
    assert estimate.drift == pytest.approx(math.log(1.3), abs=0.02)
    (change,) = judged([estimate], [12], 0.02)
    assert change.verdict == UNDECIDED


def test_the_shift_is_that_of_most_cells() -> None:
    moved = [one._replace(mean=one.mean + 0.04) for one in estimates([0.0] * 9 + [0.5])]
    assert shift(moved) == pytest.approx(0.04, abs=0.005)


def test_equal_values_have_no_error() -> None:
    assert welch([0.0] * 5, [0.1] * 5) == Estimate(0.1, 0.0, 8.0)
    assert math.isnan(welch([0.0], [0.1, 0.2]).error)
