"""A run as a table: one row per cell, with its measurements and statistics."""

from __future__ import annotations

import math
import os
from collections.abc import Hashable, Sequence
from typing import Any

import pandas as pd

from results.records.checks import check_groups
from results.records.columns import (
    AXES,
    COUNTED,
    DEFINED,
    DTYPES,
    GROUP,
    SHAPES,
    CellRecord,
    axis_column,
    described,
)
from results.records.records import read_records
from results.records.run import PassRecord, RunRecords
from results.verdicts.statistics import (
    NOTHING,
    Interval,
    Passes,
    group_times,
    pass_times,
    time_drift,
)

from . import roofline
from .compare import COMPARED, compare
from .disturbance import disturbance
from .labels import in_order, problem_labels

#: Type of every column of `read`, in order; see `results.records.columns`.
COLUMNS = DTYPES
_RECORDED = tuple(one.name for one in DEFINED if one.recorded)
_OPTIONAL = tuple(one.name for one in DEFINED if one.recorded and one.dtype == "float64")
_DTYPES: Any = {name: kind for name, kind in COLUMNS.items() if kind != "object"}
#: Columns of `samples_of_run` that identify a cell.
SAMPLE_KEYS = ("label", *GROUP, "kind", "algorithm")


def read(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Return the run at `path` as a table with one row per cell.

    Parameters
    ----------
    path : path
        A run's folder, or its ``records.jsonl``.

    Returns
    -------
    pandas.DataFrame
        Columns in this order. A value that was not measured is NaN:

        {columns}

        ``attrs`` holds the run record (``id``, ``suite``, ``baseline``, ``environment``, …). It
        also holds ``path``, the folder of the run, and ``noise``, the counts of other work.
        The ``status`` is ``complete``, ``interrupted``, ``out of budget`` or ``unfinished``.
        The ``disturbance`` has a ``level`` (``quiet``, ``note`` or ``distrust``) and
        ``sentences``; see `results.tables.disturbance`.

    Raises
    ------
    ConvbenchError
        If `path` holds no run, or a line of its records cannot be understood.

    Examples
    --------
    >>> frame = read("results/runs/20261120-104212-quick")  # doctest: +SKIP
    >>> frame[frame["winner"]].groupby("algorithm").size()  # doctest: +SKIP
    """
    return tabulate_run(read_records(path))


read.__doc__ = str(read.__doc__).replace("{columns}", described(" " * 8))


def tabulate_run(run: RunRecords) -> pd.DataFrame:
    """Return the table of `read` from records already read."""
    check_groups(run)
    samples, loads = by_cell(run.passes, "samples_s"), by_cell(run.passes, "load_s")
    # A later record of a cell (it failed later, or the run was resumed) replaces the earlier.
    cells = {(cell.group, cell.algorithm): cell for cell in run.cells}
    groups: dict[Hashable, dict[str, Passes]] = {}
    for (group, name), cell in cells.items():
        known = samples.get((group, name), {}) if cell.status == "ok" else {}
        groups.setdefault(group, {})[name] = known
    times = {group: group_times(members) for group, members in groups.items()}
    rows = [
        _row(cell, samples.get(key, {}), loads.get(key, {}), times[key[0]].get(key[1], NOTHING))
        for key, cell in cells.items()
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame = frame.astype(_DTYPES)
    frame["label"] = problem_labels(frame)
    compare(frame, [group for group, _ in cells], groups, run.header)
    roofline.add(frame, run.header.limits)
    frame = frame.astype(_DTYPES)
    frame.attrs.update({name: _shared(value) for name, value in run.header.as_json().items()})
    frame.attrs.update(status=run.status, path=str(run.path), budget_s=run.budget_s)
    frame.attrs["noise"] = _Shared((run.end.noise if run.end else None) or {})
    frame.attrs["disturbance"] = _Shared(disturbance(frame))
    return frame


class _Shared(dict[str, Any]):
    """Dictionary that copies of a table share; pandas copies attributes with every selection."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _Shared:
        return self


def _shared(value: Any) -> Any:
    return _Shared(value) if isinstance(value, dict) else value


def samples_of_run(run: RunRecords) -> pd.DataFrame:
    """Return the samples of `run`, one row per sample; see `results.samples`."""
    cells = {(cell.group, cell.algorithm): cell for cell in run.cells}
    frame = tabulate_run(run)
    asked = frame[list(SAMPLE_KEYS)].to_dict("records")
    taken = by_cell(run.passes, "samples_s")
    rows = []
    for keys, place, cell in zip(asked, cells, cells.values(), strict=True):
        if cell.status != "ok":
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


def by_cell(passes: list[PassRecord], what: str) -> dict[tuple[int, str], dict[int, Any]]:
    """Return ``{(group, algorithm): {pass: entry}}`` from field `what` of pass records."""
    found: dict[tuple[int, str], dict[int, Any]] = {}
    for record in passes:
        for name, entry in getattr(record, what).items():
            found.setdefault((record.group, name), {})[record.number] = entry
    return found


def _row(
    cell: CellRecord, samples: Passes, loads: dict[int, float], time: Interval
) -> dict[str, Any]:
    samples = samples if cell.status == "ok" else {}
    work = 2 * cell.multiply_adds if cell.flops is None else cell.flops  # older records lack it
    row: dict[str, Any] = {name: getattr(cell, name) for name in _RECORDED}
    row.update({name: math.nan if row[name] is None else float(row[name]) for name in _OPTIONAL})
    row.update(_shapes(cell))
    counts = cell.counters or {}
    row.update({name: counts.get(name, math.nan) for name in COUNTED})
    kept = tuple(
        tuple(math.nan if s is None else float(s) for s in samples.get(number, ()))
        for number in range(max(samples, default=-1) + 1)
    )
    row.update(
        name=cell.name or "",
        time_s=time.middle,
        time_low_s=time.low,
        time_high_s=time.high,
        flops=float(work),
        gflops=work / time.middle / 1e9 if work else math.nan,
        load_s=next((loads[n] for n in sorted(loads) if loads[n] is not None), math.nan),
        passes=len(pass_times(samples)),
        drift=time_drift(samples) if time.middle > 0 else math.nan,
        blocks=sum(not math.isnan(sample) for entries in kept for sample in entries),
        samples=kept,
        **COMPARED,
    )
    return row


def _shapes(cell: CellRecord) -> dict[str, Any]:
    """Return the size columns: each as text, and as one number per axis."""
    found: dict[str, Any] = {}
    for name, (field, _) in SHAPES.items():
        size: Sequence[int] = getattr(cell, field)
        numbers = dict(zip(AXES, reversed(size), strict=False))
        found[name] = "x".join(map(str, size))
        found |= {axis_column(name, axis): numbers.get(axis, 1) for axis in AXES}
    return found


def folded_reasons(frame: pd.DataFrame) -> list[tuple[str, str, int, str]]:
    """Return the reasons for missing times, as (algorithms, status, count, reason).

    The gravest come first. A reason opens with ``": "``. Reasons that differ only in numbers
    are merged into one, which opens with ``", for example: "``. Algorithms that share a reason
    share an entry.
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
