"""History of a suite: the ratio of every algorithm to the anchor in each run, and its changes.

Runs of unlike machines are never pooled: each machine has a history of its own. Runs with cold
caches are apart from the others, too.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from algos.core.errors import ConvbenchError, closest
from results.records.columns import GROUP, SHAPES, CellRecord
from results.records.differences import MACHINE, clauses, comparable
from results.records.locate import of_suite
from results.records.records import read_records
from results.records.run import RunHeader, RunRecords
from results.verdicts.decide import ERROR_RATE, MIN_EFFECT
from results.verdicts.statistics import pass_ratios
from results.verdicts.steps import Changes, find, scatter

from .labels import plural, problem_labels
from .table import by_cell

#: Verdicts of series, the gravest first.
VERDICTS = (
    "slower", "creeping slower", "creeping faster", "faster", "recovered", "steady", "too few runs",
)  # fmt: skip
SLOWER = VERDICTS[:2]
#: Columns that a label is made of.
_LABELLED = ("batch", "in_channels", "out_channels", "groups", "kind")


@dataclass(frozen=True)
class Series:
    """An algorithm on a problem over the runs of a history.

    `runs` are indices into the runs of the history. `logs` holds the logarithm of time over the
    anchor's time for each of them, and `errors` its standard error from the passes.
    """

    label: str
    problem: str
    threads: int
    algorithm: str
    runs: tuple[int, ...]
    logs: np.ndarray
    errors: np.ndarray
    changes: Changes
    verdict: str


@dataclass(frozen=True)
class History:
    """All runs of a suite on one machine, oldest first, with a series per cell."""

    suite: str
    anchor: str
    min_effect: float
    runs: tuple[RunHeader, ...]
    series: tuple[Series, ...]

    @property
    def machine(self) -> str:
        """Name of the machine: its processor, cores and host."""
        about = self.runs[-1].environment or {}
        cores = about.get("usable_cores") or about.get("cores")
        settings = self.runs[-1].settings or {}
        parts = [about.get("cpu"), plural(cores, "core") if cores else None,
                 about.get("host") and f"host {about['host']}",
                 "cold caches" if settings.get("cold_cache") else None]  # fmt: skip
        return ", ".join(str(part) for part in parts if part) or "a machine that is not known"

    @property
    def slower(self) -> list[Series]:
        """Series whose newest run is the newest of the history, and lies behind a slow-down."""
        newest = len(self.runs) - 1
        return [s for s in self.series if s.verdict in SLOWER and s.runs[-1] == newest]

    def cause(self, series: Series, at: int) -> str:
        """Return what else changed ahead of run number `at` of a series: machine and versions."""
        before, after = (self.runs[series.runs[index]].environment for index in (at - 1, at))
        return "; ".join(clauses(before, after))


def histories(
    folder: str | os.PathLike[str],
    suite: str,
    anchor: str | None = None,
    min_effect: float = MIN_EFFECT,
) -> tuple[list[History], list[str]]:
    """Return the history of `suite` on every machine, that of the newest run first.

    Parameters
    ----------
    folder : path
        Folder of all runs.
    suite : str
        Name of the suite. Runs of other suites are left out.
    anchor : str, optional
        Algorithm that times are divided by. By default the baseline of the newest run.
    min_effect : float
        Relative change that matters.

    Returns
    -------
    list of History
    list of str
        Remarks: runs that were left out, with the reason.

    Raises
    ------
    ConvbenchError
        If no run of the suite can be read, if no run timed the anchor, or if ruptures is missing.
    """
    runs, remarks = _readable(of_suite(folder, suite))
    machines: dict[tuple[str, ...], list[RunRecords]] = {}
    for run in runs:
        machines.setdefault(_machine(run.header), []).append(run)
    chosen = anchor or runs[-1].header.baseline or "naive"
    timed = {name for run in runs for one in run.passes for name in one.samples_s}
    if chosen not in timed:
        raise ConvbenchError(
            f"no run of {suite} timed the anchor {chosen!r}; {closest(chosen, sorted(timed))}"
        )
    by_age = sorted(machines.values(), key=lambda one: runs.index(one[-1]), reverse=True)
    return [_history(suite, chosen, min_effect, one) for one in by_age], remarks


def _readable(paths: Sequence[Path]) -> tuple[list[RunRecords], list[str]]:
    """Return the runs that can be read and hold samples, and remarks on the others."""
    runs, remarks = [], []
    for path in paths:
        try:
            run = read_records(path)
        except ConvbenchError as error:
            remarks.append(f"a run is left out: {error}")
            continue
        if run.passes:
            runs.append(run)
        else:
            remarks.append(f"a run is left out: {path.name} holds no sample")
    if not runs:
        raise ConvbenchError(f"no run of the suite can be used: {remarks[0]}")
    return runs, remarks


def _machine(header: RunHeader) -> tuple[str, ...]:
    """Return what identifies the machine of a run; runs that share it form a history."""
    about = header.environment or {}
    facts = [json.dumps(comparable(name, about.get(name)), sort_keys=True) for name in MACHINE]
    return (*facts, str(bool((header.settings or {}).get("cold_cache"))))


def _history(suite: str, anchor: str, min_effect: float, runs: Sequence[RunRecords]) -> History:
    found: dict[tuple[Any, ...], list[tuple[int, float, float]]] = {}
    cells: dict[tuple[Any, ...], CellRecord] = {}
    for number, run in enumerate(runs):
        for cell, log, error in _ratios(run, anchor):
            key = (*cell.asked, cell.algorithm)
            found.setdefault(key, []).append((number, log, error))
            cells[key] = cell
    labels = dict(zip(cells, _labels(list(cells.values())), strict=True))
    long = sum(len(points) > 1 for points in found.values())
    columns = {key: list(zip(*points, strict=True)) for key, points in found.items()}
    values = {key: (np.array(logs), np.array(errors)) for key, (_, logs, errors) in columns.items()}
    least = scatter(values.values())
    series = []
    for key, cell in cells.items():
        changes = find(*values[key], min_effect, ERROR_RATE / max(long, 1), least)
        numbers = tuple(int(number) for number in columns[key][0])
        series.append(
            Series(labels[key], cell.problem, cell.threads, cell.algorithm, numbers, *values[key],
                   changes, changes.verdict(min_effect))
        )  # fmt: skip
    series.sort(key=_gravity)
    return History(suite, anchor, min_effect, tuple(run.header for run in runs), tuple(series))


def _ratios(run: RunRecords, anchor: str) -> list[tuple[CellRecord, float, float]]:
    """Return every cell timed beside the anchor: log-ratio by passes, and its standard error."""
    samples = by_cell(run.passes, "samples_s")
    cells = {(cell.group, cell.algorithm): cell for cell in run.cells}
    found = []
    for (group, name), cell in cells.items():
        reference = cells.get((group, anchor))
        if name == anchor or reference is None or {cell.status, reference.status} != {"ok"}:
            continue
        passes = pass_ratios(samples.get((group, name), {}), samples.get((group, anchor), {}))
        ratios = np.array([*passes.values()])
        if ratios.size:
            several = ratios.size > 1
            error = float(ratios.std(ddof=1)) / math.sqrt(ratios.size) if several else math.nan
            found.append((cell, float(ratios.mean()), error))
    return found


def _labels(cells: Sequence[CellRecord]) -> list[str]:
    rows = [
        {
            **dict(zip(GROUP, cell.asked, strict=True)),
            **{name: getattr(cell, name) for name in _LABELLED},
            **{name: _size(getattr(cell, field)) for name, (field, _) in SHAPES.items()},
        }
        for cell in cells
    ]  # fmt: skip
    return problem_labels(pd.DataFrame(rows)) if rows else []


def _size(numbers: Sequence[int]) -> str:
    return "x".join(map(str, numbers))


def _gravity(series: Series) -> tuple[int, float]:
    """Return a sort key: the gravest verdict first, then the largest change."""
    levels = series.changes.levels
    return VERDICTS.index(series.verdict), -abs(float(levels[-1] - levels[0]))
