"""Ranking of the algorithms of a run by the cost of using one for every problem.

The cost of an algorithm on a problem is its time over that of the fastest. A problem without a
time counts as twice the slowest time measured there, as in penalised average runtimes (PAR2, of
the SAT competitions). Otherwise an algorithm could gain by leaving out what it does badly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from results.records.columns import MIN_PASSES
from results.tables.labels import in_order
from results.verdicts.statistics import Interval, pass_ratios

#: Factor over the slowest time of a problem that a missing time counts as.
PENALTY = 2.0


@dataclass(frozen=True)
class Standing:
    """Place of one algorithm; those with overlapping intervals share a `rank`, from 1.

    `cost` is the geometric mean over the problems. Its interval is NaN where a problem has too
    few passes.
    """

    algorithm: str
    rank: int
    cost: Interval
    wins: int
    timed: int


@dataclass(frozen=True)
class Costs:
    """Costs of a run as arrays of shape (groups, algorithms), NaN where no time was measured.

    `error` is the standard error of the logarithm of the cost, over `passes` shared with the
    winner; NaN with fewer than `MIN_PASSES` of them.
    """

    names: list[str]
    cost: np.ndarray
    error: np.ndarray
    passes: np.ndarray
    #: Index of the winner of each group, -1 without one, and whether it is decided: (groups,).
    winner: np.ndarray
    decided: np.ndarray

    def of(self, groups: np.ndarray) -> Costs:
        """Return the costs of some groups that have a winner, by index."""
        kept = groups[self.winner[groups] >= 0]
        return Costs(
            self.names, self.cost[kept], self.error[kept], self.passes[kept],
            self.winner[kept], self.decided[kept],
        )  # fmt: skip


def costs(frame: pd.DataFrame, group: np.ndarray) -> Costs:
    """Return the costs of the run in `frame`; `group` numbers the group of each row from 0."""
    names = in_order(frame["algorithm"])
    place = {name: at for at, name in enumerate(names)}
    shape = (int(group.max(initial=-1)) + 1, len(names))
    times, samples = np.full(shape, math.nan), np.full(shape, None, dtype=object)
    winner, decided = np.full(shape[0], -1), np.zeros(shape[0], dtype=bool)
    columns = (frame[name] for name in ("algorithm", "time_s", "samples", "winner", "decided"))
    for at, name, seconds, taken, won, sure in zip(group, *columns, strict=True):
        times[at, place[name]], samples[at, place[name]] = seconds, dict(enumerate(taken))
        if won:
            winner[at], decided[at] = place[name], sure
    best = times[np.arange(shape[0]), winner] if names else np.full(shape[0], math.nan)
    error, passes = np.full(shape, math.nan), np.zeros(shape, dtype=int)
    for at, name in zip(*np.nonzero(~np.isnan(times) & (winner >= 0)[:, None]), strict=True):
        ratios = np.array([*pass_ratios(samples[at, name], samples[at, winner[at]]).values()])
        passes[at, name] = len(ratios)
        if len(ratios) >= MIN_PASSES:
            error[at, name] = ratios.std(ddof=1) / math.sqrt(len(ratios))
    return Costs(names, times / best[:, None], error, passes, winner, decided)


def ranking(costs: Costs) -> list[Standing]:
    """Return the standing of every algorithm with a time, the cheapest first."""
    if not len(costs.cost):
        return []
    known = ~np.isnan(costs.cost)
    worst = PENALTY * np.nanmax(costs.cost, axis=1, keepdims=True)
    filled = np.where(known, costs.cost, worst)
    found = [
        (name, _mean(filled[:, at], costs.error[known[:, at], at], costs.passes[known[:, at], at]),
         int((costs.winner == at).sum()), int(known[:, at].sum()))
        for at, name in enumerate(costs.names)
        if known[:, at].any()
    ]  # fmt: skip
    standings: list[Standing] = []
    leader = Interval(math.nan, math.nan, math.nan)
    for place, (name, cost, wins, timed) in enumerate(
        sorted(found, key=lambda one: (one[1].middle, one[0])), start=1
    ):
        tied = bool(standings) and cost.low <= leader.high  # False for NaN
        leader = leader if tied else cost
        rank = standings[-1].rank if tied else place
        standings.append(Standing(name, rank, cost, wins, timed))
    return standings


def _mean(cost: np.ndarray, errors: np.ndarray, passes: np.ndarray) -> Interval:
    """Return the geometric mean of `cost` and its 95 % interval.

    The errors of the problems are independent. Their degrees of freedom are pooled as by
    Satterthwaite (1946).
    """
    from scipy.special import stdtrit

    middle, variances = float(np.log(cost).mean()), errors**2
    if np.isnan(variances).any():
        return Interval(math.exp(middle), math.nan, math.nan)
    if not variances.any():
        return Interval(*[math.exp(middle)] * 3)
    free = variances.sum() ** 2 / (variances**2 / (passes - 1)).sum()
    reach = float(stdtrit(free, 0.975)) * math.sqrt(variances.sum()) / len(cost)
    return Interval(*(math.exp(middle + step) for step in (0.0, -reach, reach)))
