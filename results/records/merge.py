"""Joining runs: shards of one suite, measured on one machine, become one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

from algos.core.errors import ConvbenchError

from .columns import CellRecord
from .differences import clauses
from .run import EndRecord, PassRecord, RunHeader, RunRecords, names_of

#: Settings that may differ between shards: what each of them measures, and for how long.
FREE = ("algorithms", "budget", "seed", "elastic", "needed")
#: Entries of an end record's noise that are no counts.
RATES = ("other_cores", "steal", "mhz")
#: Statuses from the one that counts most. A wrong result anywhere is one of the joined run.
_GRAVEST = ("failed", "ok", "refused", "skipped", "unsupported")


def merged(runs: Sequence[RunRecords]) -> RunRecords:
    """Return one run with the cells and passes of `runs`.

    Passes over a problem that several runs have are numbered on: the runs become one with more
    passes.

    Raises
    ------
    ConvbenchError
        If a run is given twice, or if suite, machine, versions or settings differ.
    """
    if len(runs) < 2:
        raise ConvbenchError("one run was given, and joining takes two or more")
    for one, other in combinations(zip(names_of(runs), runs, strict=True), 2):
        _check_shards(one, other)
    groups: dict[tuple[Any, ...], int] = {}
    cells: dict[tuple[int, str], CellRecord] = {}
    passes: list[PassRecord] = []
    for run in runs:
        numbers = {cell.group: groups.setdefault(cell.asked, len(groups)) for cell in run.cells}
        for cell in {(cell.group, cell.algorithm): cell for cell in run.cells}.values():
            own = replace(cell, group=numbers[cell.group])
            place = own.group, own.algorithm
            cells[place] = min(cells.get(place, own), own, key=_gravity)
        made = dict.fromkeys(numbers.values(), 0)
        for record in passes:
            if record.group in made:
                made[record.group] = max(made[record.group], record.number + 1)
        passes += [
            replace(record, group=number, number=made[number] + record.number)
            for record in run.passes
            for number in [numbers[record.group]]
        ]
    return RunRecords(Path(), _header(runs), [*cells.values()], passes, _end(runs))


def _check_shards(one: tuple[str, RunRecords], other: tuple[str, RunRecords]) -> None:
    """Raise an error unless two named runs are shards of one suite on one machine."""
    before, after = (
        {"suite": run.header.suite, "baseline": run.header.baseline,
         "min_effect": run.header.min_effect, **(run.header.environment or {}),
         **{k: v for k, v in (run.header.settings or {}).items() if k not in FREE}}
        for _, run in (one, other)
    )  # fmt: skip
    if found := [*clauses(before, after)]:
        raise ConvbenchError(
            f"runs {one[0]} and {other[0]} cannot be joined: {'; '.join(found)}. Runs of "
            f"different suites, machines, versions or settings are never mixed; see them side by "
            f"side with `convbench compare`"
        )


def _gravity(cell: CellRecord) -> int:
    return _GRAVEST.index(cell.status)


def _header(runs: Sequence[RunRecords]) -> RunHeader:
    headers = [run.header for run in runs]

    def union(name: str) -> list[Any] | None:
        lists = [getattr(header, name) or [] for header in headers]
        return [*dict.fromkeys(entry for one in lists for entry in one)] or None

    descriptions = {
        name: about for header in headers for name, about in (header.descriptions or {}).items()
    }
    return replace(
        headers[0], id=None, words=None, problems=None, descriptions=descriptions or None,
        command=" && ".join(header.command for header in headers if header.command),
        started=max((header.started for header in headers if header.started), default=None),
        budget_s=sum(header.budget_s or 0.0 for header in headers),
        withheld=next((header.withheld for header in headers if header.withheld), None),
        algorithms=union("algorithms"), peers=union("peers"), own=union("own"),
        threads=union("threads"),
    )  # fmt: skip


def _end(runs: Sequence[RunRecords]) -> EndRecord:
    """Return an end record: complete if all runs are.

    Counts of other work are added up. Of shares and frequencies, the largest is kept.
    """
    status = next((run.status for run in runs if run.status != "complete"), "complete")
    return EndRecord(status=status, noise=joined_noise(runs))


def joined_noise(
    runs: Sequence[RunRecords], known: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Return the counts of other work of `runs` beside those that are `known`."""
    noise = dict(known or {})
    for run in runs:
        for name, value in ((run.end.noise if run.end else None) or {}).items():
            if isinstance(value, int | float):
                before = noise.get(name, 0)
                noise[name] = max(before, value) if name in RATES else before + value
    return noise
