"""Verdicts on changes: the same cell measured twice, in two runs or by two revisions in turns.

Two runs share no pass: their sessions differ in hour, temperature and neighbours. A change between
them is a difference of two means of logarithms of times by pass. Its error is Welch's, which
assumes no equal variances (Welch, Biometrika 34, 1947). In one session the two sides alternate, and
a change is the mean of one log-ratio per pass (`results.verdicts.statistics.pass_ratios`).

Claims are those of `results.verdicts.decide`, with the same minimum effect and fewest passes. The
false discovery rate over all cells of a comparison is held at 5 % (Benjamini & Hochberg, 1995).

A difference between two sessions moves all cells together. No number of passes shows it as an
error. So the `shift` that most cells share is a result of its own, and may be taken out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .decide import ERROR_RATE, MIN_PASSES, UNDECIDED, claim_of, margin
from .statistics import CONFIDENCE, Interval, Passes, drift

#: Fewest cells whose median tells a shift of a session from a change of a few cells.
FEWEST_FOR_SHIFT = 8


class Estimate(NamedTuple):
    """A change as the logarithm of ``after / before``, and its standard error.

    `drift` is the change between early and late passes of either side.
    """

    mean: float
    error: float
    freedom: float
    drift: float = 0.0

    @property
    def ratio(self) -> Interval:
        """``after / before`` with its 95 % interval; above 1 the time has grown."""
        from scipy.special import stdtrit

        if math.isnan(self.error):
            return Interval(math.exp(self.mean), math.nan, math.nan)
        reach = float(stdtrit(self.freedom, 0.5 + CONFIDENCE / 2)) * self.error
        return Interval(*(math.exp(self.mean + side) for side in (0.0, -reach, reach)))


class Change(NamedTuple):
    """The verdict on one cell, the ratio of its times, and the reason for no verdict."""

    verdict: str
    ratio: Interval
    doubt: str = ""


def cut_alike(before: Passes, after: Passes) -> tuple[Passes, Passes]:
    """Return passes cut to the number of samples that both runs have.

    The shortest of many samples is shorter than that of few.
    """
    most = min(_samples(before), _samples(after))
    return _cut(before, most), _cut(after, most)


def welch(before: Sequence[float], after: Sequence[float]) -> Estimate:
    """Return the difference of two means of values by pass, with Welch's standard error.

    Examples
    --------
    >>> change = welch([0.00, 0.01, 0.02], [0.10, 0.11, 0.12])
    >>> round(change.mean, 2), round(change.error, 4), round(change.freedom, 1)
    (0.1, 0.0082, 4.0)
    """
    first, second = (np.asarray(side, dtype=np.float64) for side in (before, after))
    mean = float(second.mean() - first.mean())
    moved = abs(drift(first)) + abs(drift(second))
    if min(first.size, second.size) < 2:
        return Estimate(mean, math.nan, math.nan, moved)
    one, other = (float(side.var(ddof=1)) / side.size for side in (first, second))
    if one + other == 0:
        return Estimate(mean, 0.0, float(first.size + second.size - 2), moved)
    parts = one**2 / (first.size - 1) + other**2 / (second.size - 1)
    return Estimate(mean, math.sqrt(one + other), (one + other) ** 2 / parts, moved)


def shift(estimates: Sequence[Estimate]) -> float:
    """Return the median of the changes: what most cells share, as a logarithm."""
    return float(np.median([estimate.mean for estimate in estimates]))


def judged(estimates: Sequence[Estimate], passes: Sequence[int], min_effect: float) -> list[Change]:
    """Return the change of every cell; all cells are one family of tests.

    Parameters
    ----------
    estimates : sequence of Estimate
    passes : sequence of int
        Passes of each cell. Of its two sides, the one with fewer passes counts.
    min_effect : float
        The relative difference that matters.
    """
    from scipy.stats import false_discovery_control

    tested = [
        (at, estimate)
        for at, (estimate, count) in enumerate(zip(estimates, passes, strict=True))
        if count >= MIN_PASSES
    ]
    early = f"fewer than {MIN_PASSES} passes"
    found = [Change(UNDECIDED, one.ratio, early) for one in estimates]
    if not tested:
        return found
    claims = [claim_of(-one.mean, one.error, one.freedom, min_effect) for _, one in tested]
    adjusted = false_discovery_control([p for _, p in claims])
    for (at, one), (verdict, _), p in zip(tested, claims, adjusted, strict=True):
        if p > ERROR_RATE:
            found[at] = Change(UNDECIDED, one.ratio, "within the noise")
        elif one.drift > margin(-one.mean, verdict, min_effect):
            found[at] = Change(UNDECIDED, one.ratio, "drifts between early and late passes")
        else:
            found[at] = Change(verdict, one.ratio)
    return found


def _samples(side: Passes) -> int:
    """Return the samples in the middle pass of a cell, by number of samples."""
    counts = [sum(s is not None and s == s for s in entries) for entries in side.values()]
    return int(np.median([count for count in counts if count] or [0]))


def _cut(side: Passes, most: int) -> Passes:
    return {
        number: [s for s in entries if s is not None and s == s][:most]
        for number, entries in side.items()
    }
