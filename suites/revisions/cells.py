"""Cells of a comparison of revisions: one problem × algorithm × thread count, with two sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from results.records.columns import GROUP
from results.records.run import EndRecord, PassRecord, RunHeader, RunRecords
from results.tables.matched import Key
from suites.cases.suite import Case
from suites.timing.cell import Cell, describe, memory_allowed, obstacle
from suites.truth.families import instance_of

#: The two sides, by their names in verdicts.
BEFORE, AFTER = SIDES = ("before", "after")
#: Seconds of a call above which a cell is left out.
CALL_LIMIT = 2.0


@dataclass
class TwoSided:
    """A cell of both revisions: its sides by name, and the files of its operands."""

    number: int
    sides: dict[str, Cell]
    arrays: Sequence[str]
    blocks: int = 1

    @property
    def one(self) -> Cell:
        """Either side, for what both share."""
        return self.sides[BEFORE]

    @property
    def alive(self) -> bool:
        """True if both sides can be timed."""
        return all(cell.alive for cell in self.sides.values())

    @property
    def label(self) -> str:
        """Name of the cell in a line of text."""
        problem = self.one.case.problem
        return f"{problem.name or describe(self.one.case)['problem']} {self.one.algorithm}"

    @property
    def key(self) -> Key:
        """Its key in the table of a comparison."""
        known = {**describe(self.one.case), "threads": self.one.threads}
        return (*(known[name] for name in GROUP), self.one.algorithm)

    @property
    def block_seconds(self) -> float:
        """Approximate seconds of a block: two samples of each side."""
        return 2 * sum(cell.sampling for cell in self.sides.values())

    def calibrate(self) -> None:
        """Choose the calls of a sample, counted and uncounted, the same for both sides.

        The shortest call of either side decides. A side without warm-up may take 7 % longer.
        """
        once = min(cell.once for cell in self.sides.values())
        for cell in self.sides.values():
            cell.once = once
            cell.loops = max(1, round(cell.sample / max(once, 1e-9)))

    def samples(self) -> dict[str, dict[int, list[float | None]]]:
        """Return seconds per call by side and pass; entry i of both sides is of one block."""
        return {name: cell.samples for name, cell in self.sides.items()}

    def forget(self) -> None:
        """Drop all samples, ahead of another measurement."""
        for cell in self.sides.values():
            cell.samples = {}


def two_sided(
    cases: Sequence[Case], algorithms: tuple[str, ...], threads: Sequence[int], seed: int,
    folder: Path,
) -> list[TwoSided]:  # fmt: skip
    """Return the cells that the present algorithms can compute, their operands saved in `folder`.

    Pipelines, such as modules as a whole, are left out.
    """
    found: list[TwoSided] = []
    memory = memory_allowed()
    for at, case in enumerate(cases):
        if case.problem.family.is_pipeline:
            continue
        able = [
            (name, count)
            for count in threads
            for name in case.entrants(algorithms)
            if obstacle(case.problem, name, count, memory) is None
        ]
        arrays = _saved(case, seed, folder / f"case-{at}") if able else []
        for name, count in able:
            group = at * len(threads) + threads.index(count)
            sides = {side: Cell(case, name, count, group) for side in SIDES}
            found.append(TwoSided(len(found), sides, arrays))
    return found


def _saved(case: Case, seed: int, folder: Path) -> list[str]:
    """Save the operands of a case, and return their paths."""
    folder.mkdir()
    paths = []
    for at, array in enumerate(instance_of(case, seed).arrays):
        paths.append(str(folder / f"{at}.npy"))
        np.save(paths[-1], array)
    return paths


def records(
    cells: Sequence[TwoSided], side: str, header: RunHeader, status: str = "complete"
) -> RunRecords:
    """Return what was measured of one side as the records of a run."""
    of_group: dict[int, list[Cell]] = {}
    for cell in cells:
        of_group.setdefault(cell.one.number, []).append(cell.sides[side])
    passes = [
        PassRecord(group=group, number=number, samples_s=taken)
        for group, members in of_group.items()
        for number in sorted({number for cell in members for number in cell.samples})
        if (taken := {c.algorithm: c.samples[number] for c in members if c.samples.get(number)})
    ]
    written = [cell.sides[side].record(str(header.suite)) for cell in cells]
    return RunRecords(Path(side), header, written, passes, EndRecord(status=status))
