"""The statistics of a cell against counting, against SciPy, and on data whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.statistics import (
    NOTHING,
    geometric_mean,
    leads,
    median_interval,
    outer_rank,
    paired_ratio,
)

times = st.floats(1e-7, 1e3)
samples = st.lists(times, min_size=1, max_size=40)
pairs = st.lists(st.tuples(times, times), min_size=1, max_size=40)


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


@pytest.mark.parametrize("count", [6, 12, 25])
def test_the_paired_interval_holds_the_ratio_whatever_the_machine_does(count: int) -> None:
    rng = np.random.default_rng(count)
    trials = 600
    hits, narrower = 0, 0
    for _ in range(trials):
        drift = np.exp(np.cumsum(rng.normal(0, 0.3, count)))  # a machine that wanders
        base = 3.0 * drift * rng.lognormal(0, 0.03, count)
        mine = 1.0 * drift * rng.lognormal(0, 0.03, count)
        ratio = paired_ratio(base, mine)
        hits += ratio.low <= 3.0 <= ratio.high
        unpaired = median_interval(base)
        narrower += ratio.high / ratio.low < unpaired.high / unpaired.low
    assert hits / trials >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / trials)
    assert narrower / trials > 0.95


def test_a_lead_is_seldom_claimed_between_equals() -> None:
    rng = np.random.default_rng(1)
    trials = 800
    for count in (3, 6, 10):
        claimed = sum(
            leads(rng.lognormal(0, 0.03, count), rng.lognormal(0, 0.03, count))
            for _ in range(trials)
        )
        assert claimed / trials < 0.025 + 3 * math.sqrt(0.025 / trials)


def test_a_lead_needs_every_pair_where_pairs_are_few() -> None:
    assert leads([1.0, 1.0, 1.0], [1.2, 1.3, 1.11])
    assert not leads([1.0, 1.0, 1.0], [1.2, 1.3, 1.05])
    assert leads([1.0] * 6, [1.01] * 6)
    assert not leads([1.0], [math.nan])
    assert not leads([], [])


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


@given(pairs)
def test_swapping_the_sides_inverts_the_ratio(entries: list[tuple[float, float]]) -> None:
    above, below = zip(*entries, strict=True)
    ratio, inverse = paired_ratio(above, below), paired_ratio(below, above)
    np.testing.assert_allclose(
        ratio, (1 / inverse.middle, 1 / inverse.high, 1 / inverse.low), rtol=1e-12
    )


@given(pairs, st.lists(st.floats(0.1, 10), min_size=40, max_size=40))
def test_what_slows_a_whole_block_cancels(
    entries: list[tuple[float, float]], drift: list[float]
) -> None:
    above, below = np.array(entries).T
    shared = np.array(drift[: len(entries)])
    np.testing.assert_allclose(
        paired_ratio(above * shared, below * shared), paired_ratio(above, below), rtol=1e-12
    )


@given(pairs, pairs)
@settings(max_examples=50)
def test_a_pair_that_misses_a_side_counts_for_nothing(
    whole: list[tuple[float, float]], broken: list[tuple[float, float]]
) -> None:
    above, below = (list(side) for side in zip(*whole, strict=True))
    torn_above = above + [math.nan for _ in broken]
    torn_below = below + [pair[1] for pair in broken]
    assert paired_ratio(torn_above, torn_below) == paired_ratio(above, below)


def test_without_samples_there_is_nothing_to_say() -> None:
    for found in (median_interval([]), median_interval([math.nan]), paired_ratio([1.0], [])):
        np.testing.assert_equal(tuple(found), tuple(NOTHING))
    assert math.isnan(geometric_mean([]))
    assert math.isnan(geometric_mean([math.nan]))


@given(samples)
def test_the_geometric_mean_is_the_mean_of_the_logarithms(values: list[float]) -> None:
    expected = math.exp(math.fsum(map(math.log, values)) / len(values))
    assert geometric_mean([*values, math.nan]) == pytest.approx(expected, rel=1e-4)
