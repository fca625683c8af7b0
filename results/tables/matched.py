"""Cells of two runs that ask for the same, and sentences on those without a counterpart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from results.records.columns import GROUP
from results.verdicts.changes import cut_alike
from results.verdicts.statistics import Passes, pass_ratios, pass_times

from .labels import STATUS_WORDS, listed, plural

#: Columns that identify a cell.
KEY = (*GROUP, "algorithm")
#: Problems that a sentence names.
_NAMED = 3

Key = tuple[Any, ...]


class Side(NamedTuple):
    """A cell in one run: its row, its passes, and those of the baseline it is relative to.

    `base` is None where the time itself counts, and empty where the baseline has no time.
    """

    row: Mapping[str, Any]
    passes: Passes
    base: Passes | None = None

    @property
    def values(self) -> dict[int, float]:
        """By pass, the logarithm of the seconds per call, or of the time over the baseline's."""
        if self.base is None:
            return pass_times(self.passes)
        return pass_ratios(self.passes, self.base)

    @property
    def middle(self) -> float:
        """Seconds per call, or time over the baseline's: the geometric mean of all passes."""
        values = [*self.values.values()]
        return math.exp(sum(values) / len(values)) if values else math.nan


Pair = tuple[Side, Side]


def sides(frame: pd.DataFrame, baseline: str = "") -> dict[Key, Side]:
    """Return every cell of a run's table by `KEY`; with a `baseline`, all but the baseline's."""
    rows: list[Any] = frame.to_dict("records")
    passes = {key_of(row): dict(enumerate(row["samples"])) for row in rows}
    if not baseline:
        return {key_of(row): Side(row, passes[key_of(row)]) for row in rows}
    return {
        key_of(row): Side(row, passes[key_of(row)], passes.get((*key_of(row)[:-1], baseline), {}))
        for row in rows
        if row["algorithm"] != baseline
    }


def key_of(row: Mapping[str, Any]) -> Key:
    """Return the values of `KEY`."""
    return tuple(row[name] for name in KEY)


def matched(before: Mapping[Key, Side], after: Mapping[Key, Side]) -> list[Pair]:
    """Return the cells that both runs have a value of, in the order of the first.

    Times are read from as many samples of a pass on either side.
    """
    return [
        _alike(side, after[key])
        for key, side in before.items()
        if key in after and side.values and after[key].values
    ]


def _alike(before: Side, after: Side) -> Pair:
    if before.base is not None:
        return before, after
    first, second = cut_alike(before.passes, after.passes)
    return before._replace(passes=first), after._replace(passes=second)


def broken(before: Mapping[Key, Side], after: Mapping[Key, Side]) -> int:
    """Return the number of cells that worked before and failed after."""
    return sum(
        side.row["status"] == "ok" and key in after and after[key].row["status"] == "failed"
        for key, side in before.items()
    )


def unmatched(
    before: Mapping[Key, Side], after: Mapping[Key, Side], names: tuple[str, str]
) -> list[str]:
    """Return sentences on the cells that `matched` leaves out; failures come first."""
    said: dict[str, list[Mapping[str, Any]]] = {}
    for key in [*before, *(key for key in after if key not in before)]:
        one, other = before.get(key), after.get(key)
        if one is None or other is None:
            there = one or other
            assert there is not None
            said.setdefault(f"only in {names[other is not None]}", []).append(there.row)
        elif missing := _without_value((one, other), names):
            said.setdefault("; ".join(missing), []).append(one.row)
    ordered = sorted(said.items(), key=lambda entry: STATUS_WORDS["failed"] not in entry[0])
    return [f"{why}: {_cells(rows)}" for why, rows in ordered]


def _without_value(pair: Pair, names: tuple[str, str]) -> list[str]:
    """Return clauses on why a cell has no value on a side; empty if it has both."""
    lacking = [(side, name) for side, name in zip(pair, names, strict=True) if not side.values]
    told = []
    for side, name in lacking:
        if (status := side.row["status"]) != "ok":
            reason = f" ({side.row['reason']})" if side.row["reason"] else ""
            told.append((f"{STATUS_WORDS[status]} in ", name, reason))
    if len(told) == 2 and told[0][::2] == told[1][::2]:
        told = [(told[0][0], "both", told[0][2])]
    if told or not lacking:
        return ["".join(parts) for parts in told]
    what = "time" if lacking[0][0].base is None else "pass together with the baseline"
    return [f"no {what} in {listed([name for _, name in lacking])}"]


def _cells(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return ``fft on 64² · 3² and 64² · 5²; naive on 4 problems, among them …``."""
    problems: dict[str, list[str]] = {}
    for row in rows:
        threads = f" with {plural(row['threads'], 'thread')}" if row["threads"] > 1 else ""
        problems.setdefault(row["algorithm"], []).append(f"{row['label']}{threads}")
    parts = []
    for name, labels in problems.items():
        few = listed(labels[:_NAMED])
        more = len(labels) > _NAMED
        parts.append(f"{name} on {f'{len(labels)} problems, among them {few}' if more else few}")
    return "; ".join(parts)
