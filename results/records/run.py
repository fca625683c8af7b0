"""Records of a run as a whole: its header, its passes, its end, and all of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar, Self

from algos.core.errors import ConvbenchError

from .columns import GROUP_NUMBER, CellRecord
from .fields import Anything, Field, ListOf, Number, Seconds, TableOf, Text, Whole, shown
from .record import Record, entries, entry

#: Version of the format. A reader refuses others.
SCHEMA = 2
#: Name of the result file in the folder of a run.
FILE = "records.jsonl"


@dataclass(frozen=True)
class Limits:
    """Peak and bandwidths of the machine, as `suites.machine.limits` measures them."""

    def wrong(self, value: Any) -> str | None:
        """Check that every entry that `results.tables.roofline` reads is present."""
        if value is None:
            return None
        rates = TableOf(Number(1.0, 1e20))
        parts: dict[str, Field] = {
            "caches": TableOf(Whole(1)),
            "flops": TableOf(rates),
            "bandwidth": TableOf(TableOf(rates)),
        }
        if clause := TableOf(Anything()).wrong(value):
            return clause
        for name, kind in parts.items():
            if clause := kind.wrong(value.get(name)):
                return f"{name}: {clause}"
        bandwidths = value["bandwidth"]
        wanted = {level.removesuffix("d") for level in value["caches"]} | {"DRAM"}
        if missing := wanted - {level for level, motions in bandwidths.items() if motions}:
            return f"bandwidth: that of {min(missing)} is missing"
        motions = [rate for level in bandwidths.values() for rate in level.values()]
        for by_threads in [*value["flops"].values(), *motions]:
            if "1" not in by_threads or not all(n.isdecimal() and len(n) < 6 for n in by_threads):
                return f"{shown(by_threads)} is out of range, expected rates by number of threads"
        return None


_NAMES = ListOf(Text())
_TABLE = TableOf(Anything(), optional=True)


@dataclass(frozen=True, kw_only=True)
class RunHeader(Record):
    """The first line: the options of a run, and the machine. None where it is not known."""

    kind_of_record: ClassVar[str] = "run"

    schema: int = entry(Whole(), default=SCHEMA)
    id: str | None = entry(Text(), default=None)
    suite: str | None = entry(Text(), default=None)
    title: str | None = entry(Text(), default=None)
    question: str | None = entry(Text(), default=None)
    baseline: str | None = entry(Text(), default=None)
    #: The command line as one text; its `words` apart, without the program.
    command: str | None = entry(Text(), default=None)
    words: Sequence[str] | None = entry(_NAMES, default=None)
    #: Time of the start, by ISO 8601.
    started: str | None = entry(Text(), default=None)
    algorithms: Sequence[str] | None = entry(_NAMES, default=None)
    #: Algorithms of other libraries, and algorithms from the user's files.
    peers: Sequence[str] | None = entry(_NAMES, default=None)
    own: Sequence[str] | None = entry(_NAMES, default=None)
    #: By algorithm: what it ``does``, its ``source`` file, its ``paper``.
    descriptions: Mapping[str, Any] | None = entry(_TABLE, default=None)
    threads: Sequence[int] | None = entry(ListOf(Whole(1, 65536)), default=None)
    seed: int | None = entry(Whole(-(2**64), 2**64), default=None)
    #: Effect that a verdict must show, as a share of the time.
    min_effect: float | None = entry(Number(0, 100), default=None)
    budget_s: float | None = entry(Number(0, 1e9, optional=True), default=None)
    settings: Mapping[str, Any] | None = entry(_TABLE, default=None)
    #: Fingerprint of the problems, to compare runs.
    problems: int | None = entry(Whole(0, 2**32), default=None)
    environment: Mapping[str, Any] | None = entry(_TABLE, default=None)
    #: Resolution and overhead of the clock.
    timer: Mapping[str, float] | None = entry(_TABLE, default=None)
    limits: Mapping[str, Any] | None = entry(Limits(), default=None)
    #: Reason to show no verdicts.
    withheld: str | None = entry(Text(), default=None)
    #: Of a run of a cluster: its ``session``, its ``address``, and the ``kind`` of its hosts.
    cluster: Mapping[str, Any] | None = entry(_TABLE, default=None)
    #: Fields of other versions, kept as they are.
    others: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Self:
        """Return the header of a checked line."""
        known = {"record", *(one.key for one in entries(cls))}
        others = {name: value for name, value in line.items() if name not in known}
        return cls(**cls._known(line), others=others)

    def as_json(self) -> dict[str, Any]:
        """Return the line, with the fields of other versions."""
        return {**super().as_json(), **self.others}


@dataclass(frozen=True, kw_only=True)
class PassRecord(Record):
    """One pass over one group: the samples of its algorithms, by name."""

    kind_of_record: ClassVar[str] = "pass"

    group: int = entry(GROUP_NUMBER)
    #: Number of the pass, from 0.
    number: int = entry(Whole(0, 1_000_000), key="pass")
    #: Seconds per call, one entry per block; None where a sample is missing.
    samples_s: Mapping[str, Sequence[float | None]] = entry(TableOf(ListOf(Seconds())))
    #: Seconds to make the cell ready in a fresh process.
    load_s: Mapping[str, float | None] = entry(
        TableOf(Number(0, 1e9, optional=True)), default_factory=dict
    )
    #: Name of the host that measured it, in a run of a cluster.
    host: str | None = entry(Text(optional=True), default=None)
    #: Seconds of the budget spent so far.
    spent_s: float = entry(Number(-1e9, 1e9), default=0.0)


@dataclass(frozen=True, kw_only=True)
class EndRecord(Record):
    """The last line: the status of the run, and the other work that the machine did."""

    kind_of_record: ClassVar[str] = "end"

    status: str = entry(Text(), default="complete")
    #: Time of the end, by ISO 8601.
    finished: str | None = entry(Text(), default=None)
    #: Counts of other work during the run; see `suites.machine.noise`.
    noise: Mapping[str, Any] | None = entry(_TABLE, default=None)
    #: Seconds allowed in all when it ended: more than in the header if it was resumed with more.
    budget_s: float | None = entry(Number(0, 1e9, optional=True), default=None)


@dataclass(frozen=True)
class RunRecords:
    """The records of one run as they were written."""

    #: Folder of the run.
    path: Path
    #: The ``run`` record.
    header: RunHeader
    #: The ``cell`` records, in order.
    cells: list[CellRecord]
    #: The ``pass`` records, in order.
    passes: list[PassRecord]
    #: The last record; None if the run was killed or is still going.
    end: EndRecord | None

    @property
    def status(self) -> str:
        """``complete``, ``interrupted``, ``out of budget``, or ``unfinished`` without an end."""
        return self.end.status if self.end else "unfinished"

    @property
    def budget_s(self) -> float | None:
        """Seconds allowed in all; more than the header says if the run was resumed with more."""
        return (self.end.budget_s if self.end else None) or self.header.budget_s


def names_of(runs: Sequence[RunRecords]) -> tuple[str, ...]:
    """Return a name for each run: its id, or its path where ids are shared.

    Raises `ConvbenchError` if a run is given twice.
    """
    found = tuple(run.header.id or str(run.path) for run in runs)
    for (name, run), (_, other) in combinations(zip(found, runs, strict=True), 2):
        if run.path.resolve() == other.path.resolve() and run.header.id == other.header.id:
            raise ConvbenchError(f"run {name} was given twice; give each run once")
    return found if len(set(found)) == len(found) else tuple(str(run.path) for run in runs)
