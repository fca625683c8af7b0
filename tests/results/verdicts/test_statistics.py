"""Statistics of a cell, compared with counting, SciPy, and data of known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest

from results.verdicts.statistics import (
    NOTHING,
    geometric_mean,
    median_interval,
    outer_rank,
    paired_ratios,
    pass_ratios,
    ratio_interval,
    time_interval,
)

times = st.floats(1e-7, 1e3)
samples = st.lists(times, min_size=1, max_size=40)
runs = st.lists(st.lists(st.tuples(times, times), min_size=1, max_size=9), min_size=2, max_size=8)


def sides(entries: list[list[tuple[float, float]]]) -> tuple[dict, dict]:
    """Split passes of pairs into the passes of each side."""
    return (
        {number: [pair[0] for pair in taken] for number, taken in enumerate(entries)},
        {number: [pair[1] for pair in taken] for number, taken in enumerate(entries)},
    )


@pytest.mark.parametrize("count", [*range(1, 60), 200, 1001])
def test_the_rank_is_the_largest_that_keeps_the_confidence(count: int) -> None:
    from scipy.stats import binom

    rank = outer_rank(count)
    outside = 2 * binom.cdf(rank, count, 0.5)
    assert rank == 0 or outside <= 0.05
    assert count < 6 or outside <= 0.05
    deeper = 2 * binom.cdf(rank + 1, count, 0.5)
    assert deeper > 0.05 or rank + 1 >= count / 2


@pytest.mark.parametrize("count", [6, 9, 15, 30])
def test_the_interval_holds_the_median_as_often_as_it_says(count: int) -> None:
    rng = np.random.default_rng(count)
    trials = 1500
    skewed = rng.lognormal(0.0, 0.5, (trials, count))
    found = [median_interval(row) for row in skewed]
    hit = np.mean([entry.low <= 1.0 <= entry.high for entry in found])
    assert hit >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / trials)


@pytest.mark.parametrize("spread", ["normal", "skewed"])
@pytest.mark.parametrize(("passes", "blocks"), [(5, 3), (10, 5)])
def test_the_interval_over_passes_holds_the_truth_as_often_as_it_says(
    passes: int, blocks: int, spread: str
) -> None:
    """The ratio varies by 1 % between passes and 2 % within; the machine by 30 %."""
    rng = np.random.default_rng(passes)
    trials = 1000
    hits = 0
    for _ in range(trials):
        shift = rng.normal(0, 0.01, passes)
        if spread == "skewed":
            shift = rng.gamma(4.0, 0.005, passes) - 0.02
        base, mine = {}, {}
        for number in range(passes):
            drift = np.exp(rng.normal(0, 0.3, blocks))
            base[number] = 3 * drift * np.exp(rng.normal(shift[number], 0.014, blocks))
            mine[number] = drift * np.exp(rng.normal(0, 0.014, blocks))
        found = ratio_interval(base, mine)
        hits += found.low <= 3.0 <= found.high
    # The exact binomial interval of the coverage must overlap the promised 93 to 97 %.
    coverage = binomtest(hits, trials).proportion_ci(0.999)
    assert coverage.low <= 0.97
    assert coverage.high >= 0.93


def test_resampling_passes_promises_too_much() -> None:
    """A bootstrap interval of five passes contains the truth too rarely."""
    rng = np.random.default_rng(5)
    trials = 400
    hits = 0
    for _ in range(trials):
        values = rng.normal(0, 1, 5)
        means = values[rng.integers(0, 5, (500, 5))].mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        hits += low <= 0 <= high
    assert binomtest(hits, trials).proportion_ci(0.999).high < 0.93


def test_a_pass_is_one_number_however_many_samples_it_has() -> None:
    few = {number: [1.0 + number] for number in range(5)}
    many = {number: [1.0 + number] * 100 for number in range(5)}
    assert time_interval(few) == time_interval(many)


def test_one_pass_is_described_by_its_samples_alone() -> None:
    samples = [1.0, 2.0, 3.0]
    assert time_interval({0: samples}) == pytest.approx(median_interval(samples))
    assert ratio_interval({0: [2.0, 4.0, 9.0]}, {0: [1.0, 2.0, 3.0]}).middle == pytest.approx(2.0)


def test_passes_that_miss_a_side_count_for_nothing() -> None:
    above = {0: [2.0], 1: [4.0], 2: [None], 4: [8.0]}
    below = {0: [1.0], 1: [2.0], 2: [3.0], 3: [1.0]}
    assert list(pass_ratios(above, below)) == [0, 1]
    assert ratio_interval(above, below).middle == pytest.approx(2.0)


@given(samples)
def test_the_interval_encloses_the_median_and_stays_within_the_samples(
    values: list[float],
) -> None:
    found = median_interval(values)
    assert min(values) <= found.low <= found.middle <= found.high <= max(values)
    assert found.middle == np.median(values)
    if len(values) < 6:
        assert (found.low, found.high) == (min(values), max(values))


@given(samples, st.randoms(use_true_random=False))
def test_order_and_missing_samples_do_not_matter(values: list[float], random: object) -> None:
    mixed = [*values, math.nan, math.nan]
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert median_interval(mixed) == median_interval(values)


@given(runs)
def test_swapping_the_sides_inverts_the_ratio(entries: list[list[tuple[float, float]]]) -> None:
    above, below = sides(entries)
    ratio, inverse = ratio_interval(above, below), ratio_interval(below, above)
    assume(ratio.low > 0 and ratio.high < math.inf)
    np.testing.assert_allclose(
        ratio, (1 / inverse.middle, 1 / inverse.high, 1 / inverse.low), rtol=1e-9
    )


@given(runs, st.lists(st.floats(1, 10), min_size=40, max_size=40))
def test_blocks_that_something_slowed_are_as_good_as_not_there(
    entries: list[list[tuple[float, float]]], drift: list[float]
) -> None:
    above, below = sides(entries)
    disturbed = (
        {n: [*taken, *(max(taken) * np.array(drift))] for n, taken in side.items()}
        for side in (above, below)
    )
    ratios, slow = pass_ratios(above, below), pass_ratios(*disturbed)
    np.testing.assert_allclose([*slow.values()], [*ratios.values()], rtol=1e-9, atol=1e-9)


@given(runs, st.floats(0.1, 10))
def test_what_slows_a_whole_pass_cancels(
    entries: list[list[tuple[float, float]]], factor: float
) -> None:
    above, below = sides(entries)
    slow = ({n: [factor * t for t in taken] for n, taken in s.items()} for s in (above, below))
    ratios, slowed = pass_ratios(above, below), pass_ratios(*slow)
    np.testing.assert_allclose([*slowed.values()], [*ratios.values()], rtol=1e-9, atol=1e-9)


def test_without_samples_there_is_nothing_to_say() -> None:
    for found in (median_interval([]), median_interval([math.nan]), ratio_interval({0: [1.0]}, {})):
        np.testing.assert_equal(tuple(found), tuple(NOTHING))
    assert math.isnan(geometric_mean([]))
    assert math.isnan(geometric_mean([math.nan]))


@given(samples)
def test_the_geometric_mean_is_the_mean_of_the_logarithms(values: list[float]) -> None:
    expected = math.exp(math.fsum(map(math.log, values)) / len(values))
    assert geometric_mean([*values, math.nan]) == pytest.approx(expected, rel=1e-4)


def test_what_slows_both_alike_leaves_the_ratio_of_pairs():
    rng = np.random.default_rng(1)
    slow = rng.choice([1.0, 1.4], (8, 40))
    above = {at: list(1.05 * row) for at, row in enumerate(slow)}
    below = {at: [*row, None] for at, row in enumerate(slow)}
    ratios = paired_ratios(above, below)
    assert list(ratios) == list(range(8))
    np.testing.assert_allclose([*ratios.values()], math.log(1.05))
    assert paired_ratios({0: [1.0]}, {0: [None], 1: [2.0]}) == {}
