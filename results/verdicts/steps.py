"""Steps and creeping trends in a series of ratios, one ratio per run.

A ratio is the time of an algorithm over that of the anchor in the same run, so the speed of the
machine on that day cancels. Its logarithm has a standard error from the passes of its run.

**Steps** are change points of the mean by PELT (Killick, Fearnhead & Eckley, JASA 107, 2012,
doi:10.1080/01621459.2012.737745), by the library ruptures. A step must lower the squared deviations
by more than a penalty. In units of the noise, a step placed anywhere without a cause lowers them by
a χ² with one degree of freedom. The penalty is its quantile at the error rate, shared among the
n − 1 places (Bonferroni).

**Noise** is that within runs, from their passes. Runs may scatter by more, as processes are laid
out anew. From five runs on, the differences of neighbouring runs show that scatter; their median is
hardly affected by steps. It is taken over all series of a history, because one has few differences.
Judged by its own scatter alone, 8 to 14 % of simulated series without changes had one at a risk of
5 %.

**A creeping trend** is a straight line that explains the series better than steps do, or a sum of
steps that are too small alone. It needs a monotone trend (Kendall's τ) and a total change beyond
the minimum effect.

A single run that differs from the runs on both sides is a disturbance, not a change.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from algos.core.errors import ConvbenchError

from .decide import ERROR_RATE, MIN_EFFECT
from .statistics import Interval

#: Runs from which on the scatter between runs is estimated.
FEWEST_FOR_SCATTER = 5
#: Least standard error of a logarithm of a ratio. Smaller ones come from too few passes.
LEAST_ERROR = 0.001
#: Median of |d| for normal d of variance one.
_MEDIAN = 0.6745


@dataclass(frozen=True)
class Step:
    """A change of level: the index of the first run after it, and new level over old."""

    at: int
    change: Interval


@dataclass(frozen=True)
class Changes:
    """Steps of a series, or its creeping trend: last value over first.

    `levels` are the logarithms of the fitted ratios, one per run. `known` is False where the
    runs are too few, or their noise is not known.
    """

    levels: np.ndarray
    steps: tuple[Step, ...] = ()
    creep: Interval | None = None
    known: bool = True

    def verdict(self, min_effect: float = MIN_EFFECT) -> str:
        """Return the state of the newest run in a word or two.

        It is "slower" if the newest level is slower than that ahead of an earlier slow-down, which
        no later step made up for. Otherwise it is "faster" if it is faster than the first level. A
        trend is "creeping slower" or "creeping faster".
        """
        if not self.known:
            return "too few runs"
        if self.creep:
            return f"creeping {'slower' if self.creep.middle > 1 else 'faster'}"
        since = [
            (step.change.middle > 1, self.levels[-1] - self.levels[step.at - 1])
            for step in self.steps
        ]
        border = math.log1p(min_effect)
        if any(slower and change >= border for slower, change in since):
            return "slower"
        if self.steps and self.levels[-1] - self.levels[0] <= -border:
            return "faster"
        return "recovered" if self.steps else "steady"


def find(
    logs: np.ndarray,
    errors: np.ndarray,
    min_effect: float = MIN_EFFECT,
    risk: float = ERROR_RATE,
    least_scatter: float = 1.0,
) -> Changes:
    """Return the changes in a series of runs.

    Parameters
    ----------
    logs : (n,) array
        Logarithm of the ratio of each run. The oldest run comes first.
    errors : (n,) array
        Standard error of each, from the passes of its run. NaN if it is not known.
    min_effect : float
        Relative change that matters. Smaller ones are not reported.
    risk : float
        Probability of a false change. It is that of the whole series.
    least_scatter : float
        Scatter of other series of the same runs, by `scatter`. That of this series counts if it is
        larger.

    Raises
    ------
    ConvbenchError
        If ruptures is not installed.

    Examples
    --------
    >>> found = find(np.log([1.0, 1.0, 1.1, 1.1]), np.full(4, 0.005))  # doctest: +SKIP
    >>> [(step.at, round(step.change.middle, 2)) for step in found.steps]  # doctest: +SKIP
    [(2, 1.1)]
    """
    from scipy.stats import chi2

    count, border = logs.size, math.log1p(min_effect)
    weights = _weights(logs, errors, least_scatter)
    if count < 2 or weights is None:
        return Changes(np.full(count, logs.mean() if count else 0.0), known=False)
    penalty = float(chi2.isf(risk / (count - 1), 1))
    everything = np.arange(count)
    edges = _edges(logs, weights, penalty)
    trending = bool(edges) and _trending(logs, risk)
    line, total = _line(logs, weights)
    by_line = _deviation(logs, weights, line) + penalty
    by_steps = _deviation(logs, weights, _levels(logs, weights, everything, edges))
    by_steps += penalty * len(edges)
    if trending and by_line < by_steps and abs(total.middle) >= border:
        return Changes(line, creep=_ratio(total))
    kept = np.delete(everything, _lone(edges, count))
    if kept.size < count:
        edges = [int(kept[at]) for at in _edges(logs[kept], weights[kept], penalty)]
    parts = [kept[(kept >= a) & (kept < b)] for a, b in pairwise([0, *edges, count])]
    changes = [_change(logs, weights, *pair) for pair in pairwise(parts)]
    steps = zip(edges, changes, strict=True)
    large = tuple(Step(at, _ratio(one)) for at, one in steps if abs(one.middle) >= border)
    levels = _levels(logs, weights, kept, edges)
    if trending and not large:
        total = _change(logs, weights, parts[0], parts[-1])
        if abs(total.middle) >= border:
            return Changes(levels, creep=_ratio(total))
    return Changes(levels, large)


def scatter(series: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
    """Return the scatter between runs over the noise within them, at least 1.

    `series` are pairs of `logs` and `errors` as `find` takes them. Those of fewer than
    `FEWEST_FOR_SCATTER` runs do not count.
    """
    apart = [
        np.abs(np.diff(logs)) / np.hypot(own[1:], own[:-1])
        for logs, errors in series
        if logs.size >= FEWEST_FOR_SCATTER
        for own in [_within(errors)]
    ]
    return max(1.0, float(np.median(np.concatenate(apart))) / _MEDIAN) if apart else 1.0


def _within(errors: np.ndarray) -> np.ndarray:
    """Return the noise within each run.

    A run counts with its own noise, but never with less than is typical: an error from few passes
    may be small by chance.
    """
    known = errors[~np.isnan(errors)]
    typical = max(float(np.median(known)) if known.size else 0.0, LEAST_ERROR)
    return np.maximum(np.where(np.isnan(errors), typical, errors), typical)


def _weights(logs: np.ndarray, errors: np.ndarray, least_scatter: float) -> np.ndarray | None:
    """Return the inverse of the variance of each run; None if the noise is not known."""
    if np.isnan(errors).all() and logs.size < FEWEST_FOR_SCATTER:
        return None
    weights: np.ndarray = 1 / (_within(errors) * max(least_scatter, scatter([(logs, errors)]))) ** 2
    return weights


def _edges(logs: np.ndarray, weights: np.ndarray, penalty: float) -> list[int]:
    """Return the index of the first run after every change of level, by PELT."""
    try:
        import ruptures
    except ImportError:
        raise ConvbenchError(
            "change points are found by the library ruptures, which is not installed; "
            'run: pip install "ruptures>=1.1.9", or pip install -e ".[history]"'
        ) from None

    class WeightedMean(ruptures.base.BaseCost):
        """Weighted squared deviations from the mean of a segment."""

        model, min_size = "", 1

        def fit(self, signal: np.ndarray) -> Any:
            self.signal = signal
            return self

        def error(self, start: int, end: int) -> float:
            part, mass = logs[start:end], weights[start:end]
            return float(mass @ (part - mass @ part / mass.sum()) ** 2)

    search = ruptures.Pelt(custom_cost=WeightedMean(), min_size=1, jump=1).fit(logs)
    return [int(at) for at in search.predict(pen=penalty)[:-1]]


def _lone(edges: list[int], count: int) -> list[int]:
    """Return the runs that are a level of their own, with runs on both sides."""
    return [a for a, b in pairwise([0, *edges, count]) if b - a == 1 and 0 < a < count - 1]


def _trending(logs: np.ndarray, risk: float) -> bool:
    """Return True if the series rises or falls by more than chance, by Kendall's τ."""
    from scipy.stats import kendalltau

    return bool(kendalltau(np.arange(logs.size), logs).pvalue <= risk)


def _change(
    logs: np.ndarray, weights: np.ndarray, before: np.ndarray, after: np.ndarray
) -> Interval:
    """Return the difference of the means of two segments, given by the numbers of their runs."""
    change = np.average(logs[after], weights=weights[after])
    change -= np.average(logs[before], weights=weights[before])
    error = math.sqrt(1 / weights[after].sum() + 1 / weights[before].sum())
    return _normal(float(change), error)


def _levels(
    logs: np.ndarray, weights: np.ndarray, kept: np.ndarray, edges: list[int]
) -> np.ndarray:
    """Return the mean of the segment of each run; runs that are not `kept` do not count."""
    levels = np.empty(logs.size)
    for a, b in pairwise([0, *edges, logs.size]):
        part = kept[(kept >= a) & (kept < b)]
        levels[a:b] = np.average(logs[part], weights=weights[part])
    return levels


def _line(logs: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, Interval]:
    """Return the straight line through the series, and its total change."""
    at = np.arange(logs.size, dtype=float)
    at -= np.average(at, weights=weights)
    spread = float(weights @ at**2)
    slope = float(weights @ (at * logs)) / spread
    line = np.average(logs, weights=weights) + slope * at
    length = logs.size - 1
    return line, _normal(slope * length, length / math.sqrt(spread))


def _deviation(logs: np.ndarray, weights: np.ndarray, levels: np.ndarray) -> float:
    return float(weights @ (logs - levels) ** 2)


def _normal(middle: float, error: float) -> Interval:
    """Return the 95 % interval of a normal estimate."""
    from scipy.special import ndtri

    reach = float(ndtri(0.975)) * error
    return Interval(middle, middle - reach, middle + reach)


def _ratio(logs: Interval) -> Interval:
    return Interval(*(math.exp(end) for end in logs))
