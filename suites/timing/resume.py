"""Resuming an interrupted run: the check that it is the same run, and the results it has."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import replace
from typing import Any

from algos.core.errors import ConvbenchError
from results.records.columns import CellRecord
from results.records.differences import differences
from results.records.run import PassRecord, RunHeader, RunRecords
from results.verdicts.decide import looks

from .cell import Cell, Group, performer_of
from .schedule import Run


def check_same(records: RunRecords, header: RunHeader) -> None:
    """Raise `ConvbenchError` if the run to resume differs from the present `header`.

    A larger budget is not a difference: it lets a run go on that had too little.
    """
    written = RunHeader.from_json(json.loads(json.dumps(header.as_json())))
    if is_extended(records, header):
        before = records.header.settings or {}
        kept = {name: before[name] for name in ("budget", "elastic") if name in before}
        written = replace(written, settings={**(written.settings or {}), **kept})
    found = list(differences(records.header, written))
    if found:
        raise ConvbenchError(
            f"run {records.header.id} cannot be taken up: {'; '.join(found)}. "
            f"Runs of different machines, versions or settings are never mixed; start a new one"
        )


def is_extended(records: RunRecords, header: RunHeader) -> bool:
    """Return True if the present `header` has a larger budget than the run to resume had."""
    return (header.budget_s or 0.0) > (records.budget_s or math.inf)


def fingerprint(cases: Any) -> int:
    """Return a number that identifies `cases` and their order."""
    return zlib.crc32(json.dumps([case.as_words() for case in cases]).encode())


def take_up(run: Run, records: RunRecords) -> None:
    """Set `run` to the state in which `records` ended, so that nothing is measured twice."""
    known = {(cell.group, cell.algorithm): cell for cell in records.cells}
    by_group: dict[int, list[PassRecord]] = {}
    for record in records.passes:
        by_group.setdefault(record.group, []).append(record)
    for group in run.groups:
        mine = by_group.get(group.number, [])
        told = [known.get((group.number, cell.algorithm)) for cell in group.cells]
        unknown = any(record is None for record in told)
        if not mine and (unknown or any(record.status == "ok" for record in told if record)):
            continue  # it was interrupted: all of it is measured again
        for cell, result in zip(group.cells, told, strict=True):
            if result is not None:
                _restore(cell, result, mine)
        _pace(group, mine)
        run.mark_done(group, [record.number for record in mine] or [0])
    run.spent = max((record.spent_s for record in records.passes), default=0.0)
    reached = max((record.number for record in records.passes), default=0)
    for done in looks(reached):
        run.referee.look({group.number: group.samples() for group in run.groups}, done)
    run.first = reached


def _restore(cell: Cell, record: CellRecord, passes: list[PassRecord]) -> None:
    """Restore the result of `cell`, and its samples if it can still be timed."""
    cell.outcome = record.outcome
    cell.reported, cell.auto, cell.ruled_out = record.status, record.auto, record.ruled_out
    cell.loops, cell.once = record.loops, record.once_s or 0.0
    if cell.alive:
        cell.work = performer_of(cell.case.problem, cell.algorithm).work(cell.case.problem)
        for one in passes:
            if cell.algorithm in one.samples_s:
                cell.samples[one.number] = list(one.samples_s[cell.algorithm])


def _pace(group: Group, passes: list[PassRecord]) -> None:
    """Restore the number of blocks in a pass over `group`, and its approximate duration."""
    if not passes:
        return
    group.blocks = max(len(samples) for samples in passes[0].samples_s.values())
    for cell in group.cells:
        samples = passes[-1].samples_s.get(cell.algorithm, [])
        cell.seconds = cell.loops * sum(sample or 0.0 for sample in samples)
