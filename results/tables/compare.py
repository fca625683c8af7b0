"""Columns of a run's table that compare the cells of a problem: speed-ups, verdicts, winners."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import pandas as pd

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
    keys_of_rows = pd.Series(keys, index=frame.index, dtype=object)
    for key, rows in frame.groupby(keys_of_rows, sort=False):
        cells = rows.set_index("algorithm")
        timed = cells[cells["time_s"].notna()]
        best = referee.leader(key, groups[key])
        direct = set(rows["algorithm"][rows["accuracy"] == "direct"])
        best_direct = referee.leader(key, {n: p for n, p in groups[key].items() if n in direct})
        for at, name in zip(rows.index, rows["algorithm"], strict=True):
            if name not in timed.index:
                continue
            if baseline in timed.index:
                _against(columns, at, groups[key][baseline], groups[key][name],
                         timed["time_s"][baseline] / timed["time_s"][name])  # fmt: skip
                if name != baseline:
                    verdict = referee.verdict(key, name, baseline)
                    if _drifted_apart(timed, name, baseline):
                        verdict = UNDECIDED
                    columns["verdict"][at] = "withheld" if withheld else verdict
            columns["direct_winner"][at] = name == best_direct
            if name == best:
                columns["winner"][at] = True
                rivals, ties, doubt = _not_beaten(referee, key, name, cells, withheld)
                columns["decided"][at] = not rivals
                columns["rivals"][at], columns["ties"][at] = ", ".join(rivals), ", ".join(ties)
                columns["doubt"][at] = doubt
    for column, values in columns.items():
        frame[column] = values


def _against(
    columns: dict[str, list[Any]], at: Any, base: Passes, mine: Passes, speedup: float
) -> None:
    """Fill in the speed-up of a row, with the interval of its shared passes around it."""
    found = recentred(ratio_interval(base, mine), speedup)
    low, high = (found.low, found.high) if found.middle == speedup else (math.nan, math.nan)
    columns["speedup"][at], columns["speedup_low"][at], columns["speedup_high"][at] = (
        speedup, low, high,
    )  # fmt: skip


def _drifted_apart(timed: pd.DataFrame, mine: str, other: str) -> bool:
    """Return True if the algorithm with more passes drifts by more than their lead.

    The referee judges the passes that both have.
    """
    longer = max((mine, other), key=lambda name: timed["passes"][name])
    if timed["passes"][mine] == timed["passes"][other]:
        return False
    lead = abs(math.log(timed["time_s"][mine] / timed["time_s"][other]))
    return abs(math.log(timed["drift"][longer])) > lead


def _not_beaten(
    referee: Referee, key: Hashable, winner: str, cells: pd.DataFrame, withheld: bool
) -> tuple[list[str], list[str], str]:
    """Return the rivals of `winner`, the algorithms equivalent to it, and its doubt."""
    timed = cells[cells["time_s"].notna()].sort_values("time_s", kind="stable")
    others = [str(name) for name in timed.index if name != winner]
    standing = {name: referee.verdict(key, winner, name) for name in others}
    ties = [name for name, verdict in standing.items() if verdict == "equivalent"]
    open_ = [
        name
        for name, verdict in standing.items()
        if verdict == UNDECIDED
        and not _beaten(referee, key, name, timed)
        and not _left_behind(timed, winner, name)
    ]
    apart = [name for name in others if name not in open_ and _drifted_apart(timed, winner, name)]
    predicted = cells["reason"].str.contains("would take", regex=False)  # far too slow to win
    wanting = [str(name) for name in cells.index[lacks_budget(cells) & ~predicted]]
    doubts = []
    few = [name for name in [winner, *open_] if timed["passes"][name] < MIN_PASSES]
    if withheld:
        doubts.append("verdicts are withheld")
    elif open_ and few:
        least = int(timed.loc[few, "passes"].min())
        doubts.append(f"{TOO_EARLY} ({least} of {MIN_PASSES} passes)")
    elif open_:
        adrift = any(referee.drifting(key, winner, name) for name in open_)
        why = "drifts between early and late passes" if adrift else "is within the noise"
        doubts.append(f"its lead over {listed(open_)} {why}")
    if apart:
        doubts.append(f"its time drifts by more than its lead over {listed(apart)}")
    if wanting:
        doubts.append(f"not compared with {listed(wanting)} for want of budget")
    order = [name for name in others if name in {*open_, *apart}]
    return [*order, *wanting], [name for name in ties if name not in apart], "; ".join(doubts)


def _beaten(referee: Referee, key: Hashable, name: str, timed: pd.DataFrame) -> bool:
    return any(referee.verdict(key, name, str(other)) == "slower" for other in timed.index)


def _left_behind(timed: pd.DataFrame, winner: str, name: str) -> bool:
    """Return True if `name` left the race early, far behind, and `winner` stayed."""
    passes = timed["passes"]
    behind = timed["time_s"][name] / timed["time_s"][winner]
    return bool(passes[name] < MIN_PASSES <= passes[winner] and behind >= OUT_OF_THE_RUNNING)


def lacks_budget(frame: pd.DataFrame) -> pd.Series:
    """Mark the rows that have no time because the budget was spent."""
    too_slow = frame["reason"].str.contains("--call-limit", regex=False)
    return (frame["status"] == "skipped") & ~too_slow
