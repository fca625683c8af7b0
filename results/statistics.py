"""The statistics of a cell: medians and paired ratios, with intervals that assume no distribution.

Timings are skewed, bounded below and never normal, so every interval here comes from order
statistics: the number of samples below the true median is binomial(n, ½) whatever the
distribution, and the interval between the k-th smallest and the k-th largest sample holds the
median with a probability that can be counted (David & Nagaraja, Order Statistics, §7.1).
The samples of one run share their process and their hour; the intervals describe this run and
not the spread from run to run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

CONFIDENCE = 0.95
#: The fewest samples whose extremes hold the median with `CONFIDENCE`: 1 − 2·½⁶ = 0.969.
ENOUGH = 6
#: With fewer pairs than `ENOUGH`, a lead counts once it is this large in every single pair.
CLEAR_LEAD = 1.10


class Interval(NamedTuple):
    """A median and the ends of its interval, in the unit of the samples."""

    middle: float
    low: float
    high: float


NOTHING = Interval(math.nan, math.nan, math.nan)


@cache
def outer_rank(count: int) -> int:
    """Samples to leave out at either end so that the rest spans a 95 % interval of the median.

    The largest k with P(binomial(count, ½) < k + 1) ≤ 2.5 %; 0, the extremes, where even those
    fall short (`count` below 6).

    >>> [outer_rank(n) for n in (1, 5, 6, 9, 20)]
    [0, 0, 0, 1, 5]
    """
    rank, tail = 0, 1
    while True:
        tail += math.comb(count, rank + 1)
        if 2 * tail > (1 - CONFIDENCE) * 2**count or rank + 1 >= count / 2:
            return rank
        rank += 1


def median_interval(samples: Sequence[float] | np.ndarray) -> Interval:
    """The median of `samples` and its 95 % interval; NaN samples are left out.

    With fewer than 6 samples the interval is their range, which holds the median with a
    probability of 1 − 2·½ⁿ only (94 % of 5, 75 % of 3; a single sample is its own range).

    Parameters
    ----------
    samples : (n,) array, any unit

    Examples
    --------
    >>> median_interval([3.0, 1.0, 2.0])
    Interval(middle=2.0, low=1.0, high=3.0)
    """
    values = np.asarray(samples, dtype=np.float64)
    values = np.sort(values[~np.isnan(values)])
    if not values.size:
        return NOTHING
    outer = outer_rank(values.size)
    return Interval(float(np.median(values)), float(values[outer]), float(values[-1 - outer]))


def paired_ratio(
    above: Sequence[float] | np.ndarray, below: Sequence[float] | np.ndarray
) -> Interval:
    """The median of ``above[i] / below[i]`` and its 95 % interval, from logarithms.

    Entry i of both was taken in the same block, so what slows the whole machine for a while
    slows both and cancels. Pairs with a NaN on either side are left out. The logarithm makes
    the ratio and its reciprocal tell the same: swapping the arguments inverts the result.

    Parameters
    ----------
    above, below : (blocks,) arrays of positive times; the longer is cut to the shorter

    Examples
    --------
    >>> [round(r, 3) for r in paired_ratio([2.0, 4.0, 9.0], [1.0, 2.0, 3.0])]
    [2.0, 2.0, 3.0]
    """
    logarithms = _log_ratios(above, below)
    return Interval(*(float(np.exp(value)) for value in median_interval(logarithms)))


def leads(faster: Sequence[float] | np.ndarray, slower: Sequence[float] | np.ndarray) -> bool:
    """Whether the samples of `faster` are below those of `slower` beyond doubt.

    True where the 95 % interval of the paired ratio lies above 1. With fewer than 6 pairs
    no such interval exists; then every pair must show a lead of 10 % or more.
    """
    ratio = paired_ratio(slower, faster)
    pairs = int(np.count_nonzero(~np.isnan(_log_ratios(slower, faster))))
    return ratio.low > (1.0 if pairs >= ENOUGH else CLEAR_LEAD)


def geometric_mean(values: Sequence[float] | np.ndarray) -> float:
    """The geometric mean of positive `values`, NaN left out; NaN where there are none.

    >>> geometric_mean([2.0, 8.0])
    4.0
    """
    array = np.asarray(values, dtype=np.float64)
    array = array[~np.isnan(array)]
    return round(float(np.exp(np.mean(np.log(array)))), 12) if array.size else math.nan


def _log_ratios(
    above: Sequence[float] | np.ndarray, below: Sequence[float] | np.ndarray
) -> np.ndarray:
    blocks = min(len(above), len(below))
    first = np.asarray(above, dtype=np.float64)[:blocks]
    second = np.asarray(below, dtype=np.float64)[:blocks]
    return np.log(first) - np.log(second)
