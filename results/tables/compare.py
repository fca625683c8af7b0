"""Columns of a run's table that compare the cells of a problem: speed-ups, verdicts, winners."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any, NamedTuple

import pandas as pd

from results.records.columns import is_late
from results.records.run import RunHeader
from results.verdicts.decide import (
    MIN_EFFECT,
    MIN_PASSES,
    OUT_OF_THE_RUNNING,
    UNDECIDED,
    Referee,
    judge,
)
from results.verdicts.statistics import Passes, ratio_interval, recentred

from .labels import TOO_EARLY, listed

#: Columns that `compare` fills in from the other cells of a problem, with their empty values.
COMPARED = {
    "label": "", "speedup": math.nan, "speedup_low": math.nan, "speedup_high": math.nan,
    "intensity": math.nan, "attainable_s": math.nan, "roofline_percent": math.nan,
    "verdict": "", "winner": False, "direct_winner": False, "decided": False, "rivals": "",
    "ties": "", "doubt": "",
}  # fmt: skip


class Row(NamedTuple):
    """Values of one row of the table that a comparison needs."""

    at: int
    algorithm: str
    time_s: float
    passes: int
    drift: float
    accuracy: str
    status: str
    reason: str

    @property
    def timed(self) -> bool:
        """True if the row has a time."""
        return not math.isnan(self.time_s)


def compare(
    frame: pd.DataFrame,
    keys: list[int],
    groups: dict[Hashable, dict[str, Passes]],
    header: RunHeader,
) -> None:
    """Fill in the columns that compare the algorithms of a group."""
    baseline = header.baseline or "naive"
    withheld = bool(header.withheld)
    min_effect = MIN_EFFECT if header.min_effect is None else header.min_effect
    referee = judge({} if withheld else groups, baseline, min_effect)
    columns: dict[str, list[Any]] = {
        name: [value] * len(frame) for name, value in COMPARED.items() if name != "label"
    }
    for key, cells in _by_group(frame, keys).items():
        timed = {one.algorithm: one for one in cells if one.timed}
        best = referee.leader(key, groups[key])
        direct = {one.algorithm for one in cells if one.accuracy == "direct"}
        best_direct = referee.leader(key, {n: p for n, p in groups[key].items() if n in direct})
        base = timed.get(baseline)
        for name, mine in timed.items():
            at = mine.at
            if base:
                _against(columns, at, groups[key][baseline], groups[key][name],
                         base.time_s / mine.time_s)  # fmt: skip
                if name != baseline:
                    verdict = referee.verdict(key, name, baseline)
                    if _drifted_apart(mine, base):
                        verdict = UNDECIDED
                    columns["verdict"][at] = "withheld" if withheld else verdict
            columns["direct_winner"][at] = name == best_direct
            if name == best:
                columns["winner"][at] = True
                rivals, ties, doubt = _not_beaten(referee, key, mine, cells, withheld)
                columns["decided"][at] = not rivals
                columns["rivals"][at], columns["ties"][at] = ", ".join(rivals), ", ".join(ties)
                columns["doubt"][at] = doubt
    for column, values in columns.items():
        frame[column] = values


def _by_group(frame: pd.DataFrame, keys: list[int]) -> dict[Hashable, list[Row]]:
    """Return the rows of every group, in the order of the table."""
    fields = [frame[name].tolist() for name in Row._fields if name != "at"]
    found: dict[Hashable, list[Row]] = {}
    for at, (key, *values) in enumerate(zip(keys, *fields, strict=True)):
        found.setdefault(key, []).append(Row(at, *values))
    return found


def _against(
    columns: dict[str, list[Any]], at: int, base: Passes, mine: Passes, speedup: float
) -> None:
    """Fill in the speed-up of a row, with the interval of its shared passes around it."""
    found = recentred(ratio_interval(base, mine), speedup)
    low, high = (found.low, found.high) if found.middle == speedup else (math.nan, math.nan)
    columns["speedup"][at], columns["speedup_low"][at], columns["speedup_high"][at] = (
        speedup, low, high,
    )  # fmt: skip


def _drifted_apart(mine: Row, other: Row) -> bool:
    """Return True if the algorithm with more passes drifts by more than their lead.

    The referee judges the passes that both have.
    """
    if mine.passes == other.passes:
        return False
    longer = max((mine, other), key=lambda row: row.passes)
    return abs(math.log(longer.drift)) > abs(math.log(mine.time_s / other.time_s))


def _not_beaten(
    referee: Referee, key: Hashable, winner: Row, cells: list[Row], withheld: bool
) -> tuple[list[str], list[str], str]:
    """Return the rivals of `winner`, the algorithms equivalent to it, and its doubt."""
    timed = sorted((one for one in cells if one.timed), key=lambda row: row.time_s)
    names = [one.algorithm for one in timed]
    others = [one for one in timed if one is not winner]
    first = winner.algorithm
    standing = {one.algorithm: referee.verdict(key, first, one.algorithm) for one in others}
    open_ = [
        one
        for one in others
        if standing[one.algorithm] == UNDECIDED
        and not referee.beaten(key, one.algorithm, names)
        and not _left_behind(winner, one)
    ]
    apart = [one for one in others if one not in open_ and _drifted_apart(winner, one)]
    # What would take too long is far too slow to win.
    wanting = [
        one.algorithm
        for one in cells
        if is_late(one.status, one.reason) and "would take" not in one.reason
    ]
    doubts = []
    least = min(one.passes for one in [winner, *open_])
    if withheld:
        doubts.append("verdicts are withheld")
    elif open_ and least < MIN_PASSES:
        doubts.append(f"{TOO_EARLY} ({least} of {MIN_PASSES} passes)")
    elif open_:
        adrift = any(referee.drifting(key, first, one.algorithm) for one in open_)
        why = "drifts between early and late passes" if adrift else "is within the noise"
        doubts.append(f"its lead over {_listed(open_)} {why}")
    if apart:
        doubts.append(f"its time drifts by more than its lead over {_listed(apart)}")
    if wanting:
        doubts.append(f"not compared with {listed(wanting)} for want of budget")
    rivals = [one.algorithm for one in others if one in open_ or one in apart]
    ties = [
        one.algorithm
        for one in others
        if standing[one.algorithm] == "equivalent" and one not in apart
    ]
    return [*rivals, *wanting], ties, "; ".join(doubts)


def _listed(rows: list[Row]) -> str:
    return listed([one.algorithm for one in rows])


def _left_behind(winner: Row, other: Row) -> bool:
    """Return True if `other` left the race early, far behind, and `winner` stayed."""
    behind = other.time_s / winner.time_s
    return other.passes < MIN_PASSES <= winner.passes and behind >= OUT_OF_THE_RUNNING


def lacks_budget(frame: pd.DataFrame) -> pd.Series:
    """Mark the rows that have no time because the budget was spent."""
    marks = map(is_late, frame["status"], frame["reason"])
    return pd.Series(list(marks), index=frame.index, dtype=bool)
