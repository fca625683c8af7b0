"""Resuming an interrupted run: the check that it is the same run, and the results it has."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import replace
from typing import Any

from algos.core.errors import ConvbenchError
from results.records.columns import CellRecord, is_late
from results.records.differences import differences
from results.records.run import PassRecord, RunHeader, RunRecords
from results.verdicts.decide import MIN_PASSES, looks

from .cell import Cell, Group, work_of
from .schedule import Run


def check_same(records: RunRecords, header: RunHeader) -> None:
    """Raise `ConvbenchError` if the run to resume differs from the present `header`.

    A larger budget is not a difference: it lets a run go on that had too little. Nor is an estimate
    of what it needs.
    """
    written = RunHeader.from_json(json.loads(json.dumps(header.as_json())))
    before = records.header.settings or {}
    free = ["needed"]
    if (header.budget_s or 0.0) >= (records.header.budget_s or math.inf):
        free += ["budget", "elastic"]
    kept = {name: before[name] for name in free if name in before}
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
    known = {
        (cell.group, cell.algorithm): cell
        for cell in records.cells
        if not is_late(cell.status, cell.reason)
    }
    by_group: dict[int, list[PassRecord]] = {}
    for record in records.passes:
        by_group.setdefault(record.group, []).append(record)
    for group in run.groups:
        mine = by_group.get(group.number, [])
        places = [(group.number, cell.algorithm) for cell in group.cells]
        told = [known[place] for place in places if place in known]
        unknown = len(told) < len(places)
        if unknown or (not mine and any(result.status == "ok" for result in told)):
            continue  # it was interrupted, or came too late: all of it is measured again
        for cell, result in zip(group.cells, told, strict=True):
            _restore(cell, result, mine)
        _pace(run, group, mine)
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
        cell.work = work_of(cell.case.problem, cell.entrant)
        for one in passes:
            if cell.algorithm in one.samples_s:
                cell.samples[one.number] = list(one.samples_s[cell.algorithm])


def _pace(run: Run, group: Group, passes: list[PassRecord]) -> None:
    """Restore the number of blocks in a pass over `group`, and what a pass takes.

    The run is lean again if a cell left the race before the fewest passes. The last pass may have
    been interrupted, so it tells nothing of that.
    """
    if not passes:
        return
    group.blocks = max(len(samples) for samples in passes[0].samples_s.values())
    if not run.settings.cold_cache:  # the time to empty caches is not known
        group.blocks = max(group.blocks, run.blocks_of(group, group.alive))
    for cell in group.alive:
        if cell.samples:
            last = cell.samples[max(cell.samples)]
            cell.seconds = cell.loading + cell.loops * sum(sample or 0.0 for sample in last)
    whole = [one for one in passes[1:-1] if one.number < MIN_PASSES]
    if any(cell.algorithm not in one.samples_s for one in whole for cell in group.alive):
        run.lean = True
