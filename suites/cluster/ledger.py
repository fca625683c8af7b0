"""Ledger: the runs that a cluster writes, one for each kind of host, and what they have already.

All records of a problem are written at once, the cells last. So a problem is in the run as a whole,
or it is measured again: what a kill left of one is removed before the run goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import results
from algos.core.errors import ConvbenchError
from results.records.columns import is_late
from results.records.files import write_whole
from results.records.merge import joined_noise
from results.records.record import Record
from results.records.run import FILE, EndRecord, RunHeader, RunRecords
from suites.cases.suite import Case
from suites.machine import clock
from suites.timing.resume import fingerprint
from suites.timing.schedule import Settings

from .hosts import Host


class Ledger:
    """The run of one kind of host.

    Attributes
    ----------
    done : set of int
        Numbers of the problems that it holds.
    writer : RunWriter or None
        None before the first problem.
    """

    def __init__(self, cases: tuple[Case, ...], settings: Settings) -> None:
        self.cases, self.settings = cases, settings
        self.done: set[int] = set()
        self.writer: results.RunWriter | None = None
        self._noise: dict[str, float] = {}

    def take_up(self, path: Path) -> None:
        """Go on with an earlier run; what it holds of unfinished problems is removed."""
        records = results.read_records(path)
        results.RunWriter.reopen(path).close()  # refused if another process writes it
        cells: dict[int, set[str]] = {}
        for cell in records.cells:
            if not is_late(cell.status, cell.reason):
                cells.setdefault(cell.group, set()).add(cell.algorithm)
        for number, case in enumerate(self.cases):
            wanted = set(case.entrants(self.settings.algorithms))
            if all(wanted <= cells.get(group, set()) for group in self._groups(number)):
                self.done.add(number)
        self._noise = joined_noise([records])
        self._drop_unfinished(path)
        self.writer = results.RunWriter.reopen(path)

    def _drop_unfinished(self, path: Path) -> None:
        kept = {group for number in self.done for group in self._groups(number)}
        lines = (path / FILE).read_text(encoding="utf-8").split("\n")[:-1]
        whole = [
            line for line in lines
            if (record := json.loads(line))["record"] in ("run", "end") or record["group"] in kept
        ]  # fmt: skip
        if len(whole) < len(lines):
            write_whole(path / FILE, "\n".join(whole) + "\n")

    def _groups(self, number: int) -> list[int]:
        """Return the groups of a problem in the run: one for each thread count."""
        return [at * len(self.cases) + number for at in range(len(self.settings.threads))]

    def add(
        self, number: int, host: Host, found: RunRecords, header: RunHeader, folder: Path
    ) -> None:
        """Write what a host measured of a problem."""
        if self.writer is None:
            self.writer = results.RunWriter(folder, self._header(header, found.header, host))
        groups = self._groups(number)
        passes: Iterable[Record] = (
            replace(one, group=groups[one.group], host=host.name) for one in found.passes
        )
        cells: Iterable[Record] = {
            (cell.group, cell.algorithm): replace(cell, group=groups[cell.group])
            for cell in found.cells
        }.values()
        self.writer.append_all([*passes, *cells])
        self.done.add(number)
        self._noise = joined_noise([found], self._noise)

    def _header(self, header: RunHeader, measured: RunHeader, host: Host) -> RunHeader:
        """Return the header of the run: what was asked for, and the machine of a first host."""
        return replace(
            header, environment=measured.environment, limits=measured.limits, timer=measured.timer,
            descriptions=measured.descriptions, problems=fingerprint(self.cases),
            cluster={**(header.cluster or {}), "kind": host.kind, "title": host.title},
        )  # fmt: skip

    @property
    def is_complete(self) -> bool:
        """True if no problem is left."""
        return len(self.done) == len(self.cases)

    def close(self, status: str) -> Path | None:
        """End the run; return its folder, or None if nothing was measured."""
        if self.writer is None:
            return None
        ended = clock.utc().isoformat()
        self.writer.append(
            EndRecord(
                finished=ended, status="complete" if self.is_complete else status,
                noise=self._noise, budget_s=self.settings.budget,
            )
        )  # fmt: skip
        self.writer.close()
        return self.writer.path


def siblings(earlier: Path) -> Iterator[tuple[str, Path]]:
    """Yield the kinds of host and the folders of the runs that one call of the cluster wrote."""
    cluster = results.read_records(earlier).header.cluster
    if not cluster:
        raise ConvbenchError(
            f"run {earlier.name} was measured without a cluster; leave out --cluster to go on"
        )
    for file in sorted(earlier.parent.glob(f"*/{FILE}")):
        known = _cluster_of(file)
        if known.get("session") == cluster.get("session"):
            yield known["kind"], file.parent


def _cluster_of(file: Path) -> dict[str, Any]:
    """Return what the header of a run says of its cluster; empty if the file is damaged."""
    try:
        with file.open(encoding="utf-8") as stream:
            header = json.loads(stream.readline())
    except (OSError, ValueError):
        return {}
    return (header.get("cluster") or {}) if isinstance(header, dict) else {}
