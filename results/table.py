"""A run as a tidy table: one row a cell, with its statistics beside what was measured."""

from __future__ import annotations

import math
import os
from collections.abc import Hashable
from typing import Any

import pandas as pd

from . import roofline
from .checks import RunRecords, check_groups
from .columns import AXES, COUNTED, DEFINED, DTYPES, GROUP, SHAPES, axis_column, described
from .decide import MIN_EFFECT, MIN_PASSES, OUT_OF_THE_RUNNING, UNDECIDED, Referee, judge
from .disturbance import disturbance
from .labels import in_order, listed, problem_labels
from .records import read_records
from .statistics import (
    NOTHING,
    Interval,
    Passes,
    group_times,
    pass_times,
    ratio_interval,
    recentred,
    time_drift,
)

#: Type of every column of `read`, in order; see `results.columns`.
COLUMNS = DTYPES
_OPTIONAL = tuple(one.name for one in DEFINED if one.field and one.dtype == "float64")
_DTYPES: Any = {name: kind for name, kind in COLUMNS.items() if kind != "object"}
#: Columns of `samples_of_run` that tell the cells apart.
SAMPLE_KEYS = ("label", *GROUP, "kind", "algorithm")
#: What only the other cells of a problem can tell, until `_compare` fills it in.
_COMPARED = {
    "label": "", "speedup": math.nan, "speedup_low": math.nan, "speedup_high": math.nan,
    "intensity": math.nan, "attainable_s": math.nan, "roofline_percent": math.nan,
    "verdict": "", "winner": False, "decided": False, "rivals": "", "ties": "", "doubt": "",
}  # fmt: skip


def read(path: str | os.PathLike[str]) -> pd.DataFrame:
    """The run at `path` as a table with one row a cell.

    Parameters
    ----------
    path : path
        A run's folder, or its ``records.jsonl``.

    Returns
    -------
    pandas.DataFrame
        Columns, in this order; NaN where something was not measured:

        {columns}

        ``attrs`` holds the run record (``id``, ``suite``, ``baseline``, ``environment``, …) and
        ``status`` (``complete``, ``interrupted``, ``out of budget`` or ``unfinished``),
        ``path``, and what else the machine did: ``noise``, as counted, and ``disturbance``, its
        ``level`` (``quiet``, ``note`` or ``distrust``) and ``sentences``: `results.disturbance`.

    Raises
    ------
    ConvbenchError
        If there is no run at `path` or a line of it cannot be understood.

    Examples
    --------
    >>> frame = read("results/runs/20261120-104212-quick")  # doctest: +SKIP
    >>> frame[frame["winner"]].groupby("algorithm").size()  # doctest: +SKIP
    """
    return tabulate_run(read_records(path))


read.__doc__ = str(read.__doc__).replace("{columns}", described(" " * 8))


def tabulate_run(run: RunRecords) -> pd.DataFrame:
    """The table of `read` from records already read."""
    check_groups(run)
    samples, loads = _by_cell(run.passes, "samples_s"), _by_cell(run.passes, "load_s")
    # A cell described again (it failed later, or a run was taken up anew) replaces the earlier.
    cells = {(cell["group"], cell["algorithm"]): cell for cell in run.cells}
    groups: dict[Hashable, dict[str, Passes]] = {}
    for (group, name), cell in cells.items():
        known = samples.get((group, name), {}) if cell["status"] == "ok" else {}
        groups.setdefault(group, {})[name] = known
    times = {group: group_times(members) for group, members in groups.items()}
    rows = [
        _row(cell, samples.get(key, {}), loads.get(key, {}), times[key[0]].get(key[1], NOTHING))
        for key, cell in cells.items()
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame = frame.astype(_DTYPES)
    frame["label"] = problem_labels(frame)
    _compare(frame, [group for group, _ in cells], groups, run.header)
    roofline.add(frame, run.header.get("limits"))
    frame = frame.astype(_DTYPES)
    frame.attrs.update(run.header)
    frame.attrs.update(status=run.status, path=str(run.path))
    frame.attrs["noise"] = (run.end or {}).get("noise") or {}
    frame.attrs["disturbance"] = disturbance(frame)
    return frame


def samples_of_run(run: RunRecords) -> pd.DataFrame:
    """Return every sample of `run` in a row of its own; see `results.samples`."""
    cells = {(cell["group"], cell["algorithm"]): cell for cell in run.cells}
    frame = tabulate_run(run)
    asked = frame[list(SAMPLE_KEYS)].to_dict("records")
    taken = _by_cell(run.passes, "samples_s")
    rows = []
    for keys, place, cell in zip(asked, cells, cells.values(), strict=True):
        if cell["status"] != "ok":
            continue
        index = 0
        for number, samples in sorted(taken.get(place, {}).items()):
            for block, seconds in enumerate(samples):
                if seconds is None:
                    continue
                rows.append({**keys, "pass": number, "block": block, "sample_index": index,
                             "seconds": float(seconds)})  # fmt: skip
                index += 1
    types: Any = {
        **{name: COLUMNS[name] for name in SAMPLE_KEYS},
        "pass": "int64", "block": "int64", "sample_index": "int64", "seconds": "float64",
    }  # fmt: skip
    long = pd.DataFrame(rows, columns=list(types)).astype(types)
    long.attrs.update(frame.attrs)
    return long


def _by_cell(passes: list[dict[str, Any]], what: str) -> dict[tuple[int, str], dict[int, Any]]:
    """``{(group, algorithm): {pass: entry}}`` of what pass records hold by algorithm."""
    found: dict[tuple[int, str], dict[int, Any]] = {}
    for record in passes:
        for name, entry in record.get(what, {}).items():
            found.setdefault((record["group"], name), {})[record["pass"]] = entry
    return found


def _row(
    cell: dict[str, Any], samples: Passes, loads: dict[int, float], time: Interval
) -> dict[str, Any]:
    samples = samples if cell["status"] == "ok" else {}
    work = cell.get("flops", 2 * cell["multiply_adds"])  # older records leave it out
    row = {name: cell.get(name) for name in COLUMNS}
    row.update(_shapes(cell))
    row.update(
        {name: math.nan if cell.get(name) is None else float(cell[name]) for name in _OPTIONAL}
    )
    counts = cell.get("counters") or {}
    row.update({name: counts.get(name, math.nan) for name in COUNTED})
    kept = tuple(
        tuple(math.nan if s is None else float(s) for s in samples.get(number, ()))
        for number in range(max(samples, default=-1) + 1)
    )
    row.update(
        name=cell.get("name") or "",
        time_s=time.middle,
        time_low_s=time.low,
        time_high_s=time.high,
        kind=cell.get("kind", "convolution"),
        flops=float(work),
        gflops=work / time.middle / 1e9 if work else math.nan,
        load_s=next((loads[n] for n in sorted(loads) if loads[n] is not None), math.nan),
        passes=len(pass_times(samples)),
        drift=time_drift(samples) if time.middle > 0 else math.nan,
        blocks=sum(not math.isnan(sample) for entries in kept for sample in entries),
        samples=kept,
        **_COMPARED,
    )
    return row


def _shapes(cell: dict[str, Any]) -> dict[str, Any]:
    """Sizes along the axes: as text, and a number for each axis."""
    found: dict[str, Any] = {}
    for name, (field, _) in SHAPES.items():
        numbers = dict(zip(AXES, reversed(cell[field]), strict=False))
        found[name] = "x".join(str(number) for number in cell[field])
        found |= {axis_column(name, axis): numbers.get(axis, 1) for axis in AXES}
    return found


def _compare(
    frame: pd.DataFrame, keys: list[int], groups: dict[Hashable, dict[str, Passes]], header: Any
) -> None:
    """Fill in what comes from comparing the algorithms of a group."""
    baseline = str(header.get("baseline", "naive"))
    withheld = bool(header.get("withheld"))
    referee = judge({} if withheld else groups, baseline, header.get("min_effect", MIN_EFFECT))
    columns: dict[str, list[Any]] = {
        name: [value] * len(frame) for name, value in _COMPARED.items() if name != "label"
    }
    keys_of_rows = pd.Series(keys, index=frame.index, dtype=object)
    for key, rows in frame.groupby(keys_of_rows, sort=False):
        cells = rows.set_index("algorithm")
        timed = cells[cells["time_s"].notna()]
        best = referee.leader(key, groups[key])
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
    """Return True if the longer measured of two drifts by more than lies between them.

    What both took part in is up to the referee.
    """
    longer = max((mine, other), key=lambda name: timed["passes"][name])
    if timed["passes"][mine] == timed["passes"][other]:
        return False
    lead = abs(math.log(timed["time_s"][mine] / timed["time_s"][other]))
    return abs(math.log(timed["drift"][longer])) > lead


def _not_beaten(
    referee: Referee, key: Hashable, winner: str, cells: pd.DataFrame, withheld: bool
) -> tuple[list[str], list[str], str]:
    """Algorithms that `winner` may not have beaten, those equivalent to it, and why not."""
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
        doubts.append(f"not decided yet ({least} of {MIN_PASSES} passes)")
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
    """Return True if `name` left a race early, far behind, and `winner` went on."""
    passes = timed["passes"]
    behind = timed["time_s"][name] / timed["time_s"][winner]
    return bool(passes[name] < MIN_PASSES <= passes[winner] and behind >= OUT_OF_THE_RUNNING)


def lacks_budget(frame: pd.DataFrame) -> pd.Series:
    """Rows without a time because the budget was spent, not because they are slow or unable."""
    too_slow = frame["reason"].str.contains("--call-limit", regex=False)
    return (frame["status"] == "skipped") & ~too_slow


def folded_reasons(frame: pd.DataFrame) -> list[tuple[str, str, int, str]]:
    """Why cells have no time: (algorithms, status, count, reason), the gravest first.

    A reason opens with ``": "``. Those that differ in their numbers alone are folded into one,
    which then opens with ``", for example: "``; so are those that several algorithms share.
    """
    grave = {"failed": 0, "refused": 1, "skipped": 2, "unsupported": 3}
    rest = frame[frame["status"] != "ok"]
    if rest.empty:
        return []
    key = rest["reason"].str.replace(r"\d+(?:[.,×x]\d+)*", "#", regex=True)
    folded = []
    for (status, _), group in rest.groupby([rest["status"], key], sort=False):
        distinct = group["reason"].unique()
        reason = f": {distinct[0] or 'no reason was recorded'}"
        if len(distinct) > 1:
            reason = f", for example{reason}"
        names = ", ".join(in_order(group["algorithm"]))
        folded.append((names, str(status), len(group), reason))
    return sorted(folded, key=lambda entry: (grave[entry[1]], -entry[2], entry[0]))
