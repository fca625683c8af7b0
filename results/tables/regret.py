"""Regret of a choice of algorithms: its time over that of the fastest, minus 1.

Both times come from the same interleaved passes. The fastest is the fastest of our algorithms that
were timed and that the default accuracy admits, so noise can only make a regret look larger. It
takes the arrays as the problem has them, because a choice does not change the caller's layout. The
module knows no rule of choice: it is given the choices.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from results.records.entrants import as_given
from results.verdicts.statistics import Passes, geometric_mean, ratio_interval, recentred

from .best import call
from .labels import GROUP, lead_text, plural, time_text

#: Values of the columns `GROUP` of a problem at one thread count.
Key = tuple[Any, ...]

#: Columns of `regret`, beside those of `GROUP`.
COLUMNS = (
    "label", "kind", "chosen", "best", "chosen_s", "best_s", "regret", "regret_low", "regret_high"
)  # fmt: skip
_NUMBERS = COLUMNS[4:]


@dataclass(frozen=True)
class Figures:
    """Regrets of a choice over many problems.

    `count` problems have a regret; in `missing` others the chosen algorithm has no time. `mean`
    is the geometric mean of the times over the fastest, minus 1; `percentile` is the 95th.
    """

    count: int
    missing: int
    mean: float
    percentile: float
    worst: float


def key_of(row: Mapping[str, Any] | pd.Series) -> Key:
    """Return the key of the problem and thread count of a row."""
    return tuple(row[name] for name in GROUP)


def chosen_by_auto(frame: pd.DataFrame) -> dict[Key, str]:
    """Return the algorithm that the automatic choice took, by problem and thread count.

    A problem is absent if its choice is unknown, or was not among the algorithms of the run.
    """
    return {key_of(row): str(row["algorithm"]) for _, row in frame[frame["auto"]].iterrows()}


def regret(
    frame: pd.DataFrame,
    chosen: Mapping[Key, str],
    *,
    use: str = "prepared",
    among: Collection[str] | None = None,
) -> pd.DataFrame:
    """Return the regret of each choice, one row per problem and thread count.

    Parameters
    ----------
    frame : DataFrame of `results.read`
    chosen : mapping
        Name of the chosen algorithm by `key_of`. Problems that are absent are left out.
    use : {"prepared", "once"}
        Time that counts. The time of a call is "prepared"; "once" adds that of preparing the
        kernel.
    among : collection of str, optional
        Algorithms among which the fastest is sought. By default all of ours that the default
        accuracy of the automatic choice admits.

    Returns
    -------
    DataFrame
        The columns of `GROUP` and `COLUMNS`. Times are in seconds and NaN if the chosen algorithm
        has none. ``regret_low`` and ``regret_high`` are the ends of a 95 % interval.
    """
    rows = []
    for key, cells in _cells(frame).items():
        if key not in chosen:
            continue
        name, preparing = chosen[key], use == "once"
        times = {
            one.algorithm: one.time_s + preparing * one.prepare_s
            for one in cells
            if one.ours and not math.isnan(one.time_s)
            and (not one.ruled_out if among is None else one.algorithm in among)
        }  # fmt: skip
        row = dict(zip(GROUP, key, strict=True)) | {
            "label": cells[0].label, "kind": cells[0].kind, "chosen": name, "best": "",
            **dict.fromkeys(_NUMBERS, math.nan),
        }  # fmt: skip
        if times:
            best = min(times, key=lambda one: times[one])
            row |= {"best": best, "best_s": times[best]}
            if name in times:
                samples = {one.algorithm: one.samples for one in cells}
                row |= _against(times[name], times[best], samples[name], samples[best], use)
        rows.append(row)
    return pd.DataFrame(rows, columns=[*GROUP, *COLUMNS])


class _Cell(NamedTuple):
    """The values of a row that a regret needs."""

    algorithm: str
    time_s: float
    prepare_s: float
    samples: Sequence[Any]
    label: str
    kind: str
    ours: bool
    ruled_out: bool


def _cells(frame: pd.DataFrame) -> dict[Key, list[_Cell]]:
    """Return the rows of a run by `key_of`, those in the problem's own layout.

    An unknown time of preparing counts as none.
    """
    frame = as_given(frame)
    peers = set(frame.attrs.get("peers") or [])
    names = ("algorithm", "time_s", "prepare_s", "samples", "label", "kind", "ruled_out")
    found: dict[Key, list[_Cell]] = {}
    for *key, name, time, prepare, samples, label, kind, ruled_out in zip(
        *(frame[column] for column in (*GROUP, *names)), strict=True
    ):
        seconds = 0.0 if math.isnan(prepare) else float(prepare)
        cell = _Cell(
            str(name), float(time), seconds, samples, str(label), kind, name not in peers, ruled_out
        )
        found.setdefault(tuple(key), []).append(cell)
    return found


def _against(
    chosen_s: float, best_s: float, mine: Sequence[Any], others: Sequence[Any], use: str
) -> dict[str, float]:
    """Return the times and the regret, with an interval from passes for prepared kernels."""
    ratio = chosen_s / best_s
    found = {"chosen_s": chosen_s, "regret": ratio - 1}
    if use != "prepared":
        return found
    between = recentred(ratio_interval(_passes(mine), _passes(others)), ratio)
    return found | {"regret_low": between.low - 1, "regret_high": between.high - 1}


def _passes(samples: Sequence[Any]) -> Passes:
    return {number: taken for number, taken in enumerate(samples) if len(taken)}


def figures(table: pd.DataFrame) -> Figures:
    """Return the figures of a table of `regret`.

    >>> figures(pd.DataFrame({"regret": [0.0, 0.21, math.nan]}))
    Figures(count=2, missing=1, mean=0.1, percentile=0.1995, worst=0.21)
    """
    known = table["regret"].dropna().to_numpy(dtype=float)
    missing = len(table) - len(known)
    if not len(known):
        return Figures(0, missing, math.nan, math.nan, math.nan)
    found = geometric_mean(1 + known) - 1, np.percentile(known, 95), known.max()
    return Figures(len(known), missing, *(round(float(value), 12) for value in found))


def auto_sentences(frame: pd.DataFrame) -> list[str]:
    """Return sentences on the automatic choice in a run, and the call of the fastest.

    Empty if the run does not know the choices, or timed one algorithm alone.
    """
    frame = as_given(frame)
    found = regret(frame, chosen_by_auto(frame))
    found = found[found["regret"].notna()]
    if found.empty or frame["algorithm"].nunique() < 2:
        return []
    if len(found) == 1:
        row = found.iloc[0]
        if row["chosen"] == row["best"]:
            said = [f'algorithm="auto" takes {row["best"]}, the fastest of these.']
        else:
            said = [
                f'algorithm="auto" takes {row["chosen"]}: {time_text(row["chosen_s"])} a call, '
                f"{lead_text(1 + row['regret'])} the time of {row['best']}."
            ]
        return [*said, *_ruled_out(frame), _call(row)]
    hits = int((found["chosen"] == found["best"]).sum())
    about = figures(found)
    text = f'algorithm="auto" takes the fastest in {hits} of {plural(len(found), "problem")}'
    groups = int(frame[frame["time_s"].notna()].groupby(list(GROUP)).ngroups)
    if untold := groups - len(found):
        text += f" (in {untold} more it takes an algorithm that has no time here)"
    if hits == len(found):
        return [f"{text}.", *_ruled_out(frame)]
    worst = found.sort_values("regret", kind="stable").iloc[-1]
    threads = (
        f", {plural(int(worst['threads']), 'thread')}" if found["threads"].nunique() > 1 else ""
    )
    text += (
        f"; its time is {lead_text(1 + about.mean)} the fastest's in the geometric mean, and "
        f"{lead_text(1 + about.worst)} at worst ({worst['label']}{threads}: {worst['chosen']}; "
        f"the fastest is {worst['best']})."
    )
    return [text, *_ruled_out(frame), _call(worst), *_learn(frame)]


def _ruled_out(frame: pd.DataFrame) -> list[str]:
    """Return a sentence on faster algorithms whose errors exceed the default accuracy."""
    leads: list[tuple[float, str, str]] = []
    for cells in _cells(frame).values():
        timed = [one for one in cells if one.ours and not math.isnan(one.time_s)]
        admitted = [one.time_s for one in timed if not one.ruled_out]
        if admitted and (first := min(timed, key=lambda one: one.time_s)).ruled_out:
            leads.append((min(admitted) / first.time_s, first.algorithm, first.label))
    if not leads:
        return []
    lead, name, label = max(leads)
    return [
        f'accuracy="fast" admits a faster algorithm in {plural(len(leads), "problem")} '
        f"({name} {lead_text(lead)} as fast in {label}); its errors exceed the default accuracy."
    ]


def _call(row: pd.Series) -> str:
    """Return the line of Python that calls the fastest on the operands of a row of `regret`."""
    return f"To call the fastest: {call(row.to_dict() | {'algorithm': row['best']})}"


def _learn(frame: pd.DataFrame) -> list[str]:
    """Return the line of Python that makes the automatic choice take the winners of a run."""
    if not frame.attrs.get("id"):
        return []
    return [
        f'To make algorithm="auto" take the winners: '
        f'convbench.wisdom(convbench.read("{frame.attrs["id"]}"))'
    ]
