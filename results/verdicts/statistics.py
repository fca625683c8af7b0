"""Statistics of a cell: passes as the unit of error, and intervals for times and ratios.

Samples of one process share its memory layout, its place in the caches and its minute. Even many
of them say little about the next process. A pass is therefore reduced to one number. Passes are
independent repetitions, and the interval of their mean is Student's t.

The number is the logarithm of the shortest sample, or of the ratio of two shortest samples from
the same blocks. Other work on the machine or its host can only lengthen a sample, and it lengthens
many. On a shared 2-core machine, samples of 0.25 ms were either within 2 % of the shortest or half
as long again. The two states alternated within milliseconds. There the ratio of two medians of
30 samples varied by 6 to 8 % between passes. The ratio of two minima of 40 short samples, taken
over seconds, varied by 1 %. J. Chen & J. Revels also recommend the minimum (Robust benchmarking in
noisy environments, arXiv:1608.04295, 2016). Pairing within blocks exposes both sides to the same
noise.

Two versions of one algorithm are another matter: what lengthens a sample of one lengthens the next
of the other by the same factor. There the median of the ratios within blocks is best. In a session
on a shared machine (Zen 3, 31 passes of 40 samples), it varied between passes by 1.4 to 2.1 % for
`im2col`. The ratio of the shortest samples varied by 3.0 to 7.0 %. Different algorithms are slowed
by different factors, and the median gains nothing. It varied by 4.4 % in the middle of 37 pairs of
the headline run, and the ratio of the shortest samples by 4.0 %. On the shared machine, the figures
for 19 pairs were 3.9 and 3.6 %.

Two methods were tried on simulated passes and A/A pairs, and rejected. A bootstrap over passes
and then blocks: its nominal 95 % intervals hold the truth in 83 % of cases with five passes. Order
statistics of the passes: they give no 95 % interval below six passes. A single pass has nothing
but order statistics (David & Nagaraja, Order Statistics, §7.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

#: Samples of a cell in seconds, by pass: one entry per block, None if missing.
Passes = Mapping[int, Sequence[float | None]]

#: Function that gives the logarithm of the ratio of two sets of samples, by pass.
Ratios = Callable[[Passes, Passes], dict[int, float]]

CONFIDENCE = 0.95
#: Error rate of the drift test: passes without drift that it calls drifting. It was 1 to 2 % on
#: 5 to 74 simulated normal passes.
DRIFT_RISK = 0.01
#: Least relative change between early and late passes that counts as drift.
LEAST_DRIFT = 0.05


class Interval(NamedTuple):
    """Median or mean with the ends of its interval, in the unit of the samples."""

    middle: float
    low: float
    high: float


NOTHING = Interval(math.nan, math.nan, math.nan)


@cache
def outer_rank(count: int) -> int:
    """Return the number of samples to drop at each end for a 95 % interval of the median.

    This is the largest k with P(binomial(count, ½) < k + 1) ≤ 2.5 %. For `count` below 6 even
    the extremes fall short, and it is 0.

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
    """Return the median of `samples` and its 95 % interval; NaN samples are left out.

    With fewer than 6 samples the interval is their range. It holds the median with a
    probability of only 1 − 2·½ⁿ: 94 % for 5 samples, 75 % for 3.

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


def pass_times(samples: Passes) -> dict[int, float]:
    """Return the logarithm of the shortest sample by pass; empty passes are left out."""
    known = {number: _logarithms(entries) for number, entries in samples.items()}
    return {number: min(taken) for number, taken in known.items() if taken}


def pass_ratios(above: Passes, below: Passes) -> dict[int, float]:
    """Return by pass the logarithm of ``above / below``, the ratio of the shortest samples.

    Entry i of both was taken in the same block. Blocks and passes that lack a side are left
    out.
    """
    return {
        number: math.log(min(a for a, _ in blocks) / min(b for _, b in blocks))
        for number, blocks in _shared(above, below).items()
    }


def paired_ratios(above: Passes, below: Passes) -> dict[int, float]:
    """Return by pass the median over the blocks of the logarithm of ``above / below``.

    This is for two versions of one algorithm: other work slows both by the same factor. The blocks
    are those of `pass_ratios`.

    >>> paired_ratios({0: [2.0, 9.0, 4.0]}, {0: [2.0, 3.0, 4.0]})
    {0: 0.0}
    """
    return {
        number: float(np.median([math.log(a / b) for a, b in blocks]))
        for number, blocks in _shared(above, below).items()
    }


def mean_interval(values: Sequence[float] | np.ndarray, confidence: float = CONFIDENCE) -> Interval:
    """Return the mean of `values`, one per pass, and its Student interval; infinite for one value.

    Examples
    --------
    >>> [round(end, 3) for end in mean_interval([1.0, 2.0, 3.0])]
    [2.0, -0.484, 4.484]
    """
    from scipy.special import stdtrit

    array = np.asarray(values, dtype=np.float64)
    if not array.size:
        return NOTHING
    middle = float(array.mean())
    if array.size == 1:
        return Interval(middle, -math.inf, math.inf)
    reach = float(stdtrit(array.size - 1, 0.5 + confidence / 2))
    reach *= float(array.std(ddof=1)) / math.sqrt(array.size)
    return Interval(middle, middle - reach, middle + reach)


def time_interval(samples: Passes) -> Interval:
    """Return seconds per call: the geometric mean over the passes, and its 95 % interval.

    With one pass, return the median of its samples and the interval from order statistics. That
    interval describes this process alone.
    """
    times = pass_times(samples)
    return _interval(times, [_logarithms(samples[number]) for number in times])


def ratio_interval(above: Passes, below: Passes, *, ratio: Ratios = pass_ratios) -> Interval:
    """Return ``above / below`` as `time_interval` does; swapped sides give the inverse."""
    ratios = ratio(above, below)
    blocks = _shared(above, below).values()
    logarithms = [[math.log(a / b) for a, b in pairs] for pairs in blocks]
    return _interval(ratios, logarithms)


def recentred(interval: Interval, middle: float) -> Interval:
    """Move `interval` to `middle` and keep its relative width."""
    if not interval.middle > 0:
        return interval
    factor = middle / interval.middle
    return Interval(middle, interval.low * factor, interval.high * factor)


def shared_levels(times: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    """Return one value per algorithm from values by pass, comparable across algorithms.

    The values are logarithms of times. Algorithms leave a race at different passes, and the
    machine's speed differs between passes. So every pass and every algorithm gets a level,
    fitted by least squares. The result is an algorithm's level in the passes shared by most
    algorithms. If all algorithms share all passes, the results are plain means.

    >>> shared_levels({"naive": {0: 3.0, 1: 3.0}, "fft": {0: 1.0, 1: 1.0, 2: 9.0}})
    {'naive': 3.0, 'fft': 1.0}
    """
    means = {name: sum(found.values()) / len(found) for name, found in times.items()}
    if len({frozenset(found) for found in times.values()}) <= 1:
        return means
    numbers = sorted(set().union(*times.values()))
    above = np.array(
        [[times[name].get(at, math.nan) - means[name] for at in numbers] for name in times]
    )
    taken = ~np.isnan(above)
    above = np.where(taken, above, 0.0)
    count = taken.sum(axis=0)
    normal = np.diag(taken.sum(axis=1)) - taken @ (taken / count).T
    levels = np.linalg.pinv(normal, hermitian=True) @ (above - taken * (above.sum(0) / count)).sum(
        1
    )
    by_pass = (above.sum(axis=0) - levels @ taken) / count
    shared = by_pass[count == count.max()].mean()
    return {
        name: round(means[name] + float(level + shared), 12)
        for name, level in zip(times, levels, strict=True)
    }


def group_times(group: Mapping[str, Passes]) -> dict[str, Interval]:
    """Return seconds per call of the algorithms of `group`, comparable across algorithms.

    If all algorithms have the same passes, the intervals are those of `time_interval`. Else
    they are moved to the `shared_levels`.
    """
    times = {name: found for name, samples in group.items() if (found := pass_times(samples))}
    own = {name: time_interval(group[name]) for name in times}
    if len({frozenset(found) for found in times.values()}) <= 1:
        return own
    levels = shared_levels(times)
    return {name: recentred(own[name], math.exp(levels[name])) for name in times}


def drift(values: Sequence[float] | np.ndarray, least: float = 0.0) -> float:
    """Return late minus early `values`, one per pass in order; 0 if the change is within noise.

    The test is the CUSUM of deviations from the mean. By chance alone it moves like a Brownian
    bridge (Ploberger & Krämer, The CUSUM test with OLS residuals, Econometrica 60, 1992). The
    noise is estimated from neighbouring passes, which a change hardly affects (von Neumann,
    1941). Changes below `least` count as none.

    >>> round(drift([0.00, 0.01, 0.00, 0.01, 0.70, 0.71, 0.70, 0.71]), 2), drift([1.0, 1.0, 1.0])
    (0.7, 0.0)
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size < 4:
        return 0.0
    sums = np.abs(np.cumsum(array - array.mean())[:-1])
    noise = math.sqrt(float(np.mean(np.diff(array) ** 2)) / 2)
    if not noise:
        return 0.0
    last = int(sums.argmax()) + 1  # pass before the change
    reach = float(sums[last - 1]) / (noise * math.sqrt(array.size))
    change = float(array[last:].mean() - array[:last].mean())
    by_chance = 2 * math.exp(-2 * reach**2)
    return change if by_chance <= DRIFT_RISK and abs(change) >= least else 0.0


def time_drift(samples: Passes) -> float:
    """Return the time of late passes over that of early ones; 1 without a significant drift."""
    times = [found for _, found in sorted(pass_times(samples).items())]
    return math.exp(drift(times, math.log1p(LEAST_DRIFT)))


def _interval(passes: Mapping[int, float], logarithms: Sequence[list[float]]) -> Interval:
    if len(passes) == 1:
        return Interval(*(math.exp(end) for end in median_interval(logarithms[0])))
    with np.errstate(over="ignore"):
        return Interval(*(float(np.exp(end)) for end in mean_interval([*passes.values()])))


def geometric_mean(values: Sequence[float] | np.ndarray) -> float:
    """Return the geometric mean of positive `values` without NaN; NaN if none is left.

    >>> geometric_mean([2.0, 8.0])
    4.0
    """
    array = np.asarray(values, dtype=np.float64)
    array = array[~np.isnan(array)]
    return round(float(np.exp(np.mean(np.log(array)))), 12) if array.size else math.nan


def _logarithms(entries: Sequence[float | None]) -> list[float]:
    return [math.log(entry) for entry in entries if entry is not None and entry == entry]


def _shared(above: Passes, below: Passes) -> dict[int, list[tuple[float, float]]]:
    """Return by pass the pairs of samples of blocks that have both; passes without are left out."""
    found = {
        number: [
            (a, b)
            for a, b in zip(above[number], below[number], strict=False)
            if a is not None and b is not None and a == a and b == b
        ]
        for number in sorted(above.keys() & below.keys())
    }
    return {number: pairs for number, pairs in found.items() if pairs}
