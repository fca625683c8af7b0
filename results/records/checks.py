"""Parsing of a result file: every field is checked for its type and range.

A file is checked once, here. Code that reads the records afterwards need not expect damage.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from algos.core.errors import ConvbenchError

from .columns import GROUP, GROUP_NUMBER, cell_fields
from .fields import Anything, Field, ListOf, Number, Seconds, TableOf, Text, Whole, shown

SCHEMA = 2
FILE = "records.jsonl"
REMEDY = "restore the file from a copy, or measure again"


@dataclass(frozen=True)
class RunRecords:
    """The records of one run as they were written."""

    #: Folder of the run.
    path: Path
    #: The ``run`` record.
    header: dict[str, Any]
    #: The ``cell`` records, in order.
    cells: list[dict[str, Any]]
    #: The ``pass`` records, in order.
    passes: list[dict[str, Any]]
    #: The last record; None if the run was killed or is still going.
    end: dict[str, Any] | None

    @property
    def status(self) -> str:
        """``complete``, ``interrupted``, ``out of budget``, or ``unfinished`` without an end."""
        return str(self.end.get("status", "complete")) if self.end else "unfinished"


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
        for name, field in parts.items():
            if clause := field.wrong(value.get(name)):
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
#: Fields by kind of record: name, type, and True if an older record may lack the field.
FIELDS: dict[str, tuple[tuple[str, Field, bool], ...]] = {
    "run": (
        *((name, Text(), True)
          for name in ("id", "suite", "title", "question", "baseline", "command", "started")),
        *((name, _NAMES, True) for name in ("algorithms", "peers", "words")),
        ("threads", ListOf(Whole(1, 65536)), True),
        ("seed", Whole(-(2**64), 2**64), True),
        ("min_effect", Number(0, 100), True),
        ("budget_s", Number(0, 1e9, optional=True), True),
        *((name, TableOf(Anything(), optional=True), True)
          for name in ("settings", "environment", "timer")),
        ("limits", Limits(), True),
    ),
    "cell": tuple(cell_fields()),
    "pass": (
        ("group", GROUP_NUMBER, False),
        ("pass", Whole(0, 1_000_000), False),
        ("samples_s", TableOf(ListOf(Seconds())), False),
        ("load_s", TableOf(Number(0, 1e9, optional=True)), True),
        ("spent_s", Number(-1e9, 1e9), True),
    ),
    "end": (
        ("status", Text(), True),
        ("finished", Text(), True),
        ("noise", TableOf(Anything(), optional=True), True),
    ),
}  # fmt: skip


def checked(file: Path, lines: Iterable[tuple[int, bytes]]) -> RunRecords:
    """Return the records of `lines`, each given with its line number in `file`.

    Raises `ConvbenchError`, which names file, line and field of the first fault.
    """
    records = [(number, _parse(file, number, line)) for number, line in lines]
    if not records:
        raise ConvbenchError(f"{file} holds no record; the run ended before it began, delete it")
    header = records[0][1]
    _check_header(file, records[0][0], header)
    for number, record in records[1:]:
        kind = record.get("record")
        if not isinstance(kind, str) or kind not in ("cell", "pass", "end"):
            raise ConvbenchError(
                f"{file}, line {number}: a record of kind {shown(kind)} was met, "
                f"expected 'cell', 'pass' or 'end'; was the file edited by hand?"
            )
        _check_fields(file, number, record)
    _check_passes(file, records)
    by_kind = {
        kind: [record for _, record in records if record["record"] == kind] for kind in FIELDS
    }
    end = by_kind["end"][-1] if by_kind["end"] else None
    return RunRecords(file.parent, header, by_kind["cell"], by_kind["pass"], end)


def check_groups(run: RunRecords) -> None:
    """Check that cells share a group if and only if they ask for the same computation.

    An audit is exempt: it has several groups for the same problem.
    """
    asked: dict[int, tuple[Any, ...]] = {}
    group_of: dict[tuple[Any, ...], int] = {}
    for at, cell in enumerate(run.cells, start=1):
        where = f"{run.path / FILE}, cell record {at}"
        key = tuple(cell.get(name) or "" for name in GROUP)
        known = asked.setdefault(cell["group"], key)
        first = group_of.setdefault(key, cell["group"])
        if known != key:
            name, was, now = next(
                (name, a, b) for name, a, b in zip(GROUP, known, key, strict=True) if a != b
            )
            raise ConvbenchError(
                f"{where}: {name} {shown(now)} is not that of group {cell['group']}, which is "
                f"{shown(was)}; {REMEDY}"
            )
        if first != cell["group"] and run.header.get("suite") != "audit":
            raise ConvbenchError(
                f"{where}: group {cell['group']} asks for the same as group {first}; {REMEDY}"
            )


def _fail(file: Path, number: int, clause: str) -> NoReturn:
    raise ConvbenchError(f"{file}, line {number}: {clause}; {REMEDY}")


def _parse(file: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line, parse_constant=_refuse)
    except RecursionError:
        _fail(file, number, "brackets are nested too deep")
    except ValueError as error:
        _fail(file, number, f"not a line of JSON ({error})")
    if not isinstance(record, dict):
        _fail(file, number, "expected one JSON object a line")
    return record


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _check_header(file: Path, number: int, header: dict[str, Any]) -> None:
    if header.get("record") != "run":
        met = shown(header.get("record"))
        _fail(file, number, f"expected the record that opens a run, met {met}")
    schema = header.get("schema")
    if schema != SCHEMA or isinstance(schema, bool | float):
        later = isinstance(schema, int) and not isinstance(schema, bool) and schema > SCHEMA
        remedy = "update convbench" if later else "run again"
        raise ConvbenchError(
            f"{file}, line {number}: written in format {shown(schema)}, "
            f"this convbench reads format {SCHEMA}; {remedy}"
        )
    _check_fields(file, number, header)


def _check_fields(file: Path, number: int, record: dict[str, Any]) -> None:
    """Check the known fields; other fields must not be nested too deep to be copied."""
    known = FIELDS[record["record"]]
    for name, field, optional in known:
        if name not in record:
            if optional:
                continue
            _fail(file, number, f"the {record['record']} has no {name!r}")
        if clause := field.wrong(record[name]):
            _fail(file, number, f"{name} {clause}")
    others = record.keys() - {name for name, _, _ in known}
    for name in sorted(others, key=repr):
        if clause := TableOf(Anything()).wrong({name: record[name]}):
            _fail(file, number, clause)


def _check_passes(file: Path, records: list[tuple[int, dict[str, Any]]]) -> None:
    """Check pass numbers against the number of passes; some lines may have been lost."""
    passes = list(_of_kind(records, "pass"))
    most = 2 * len({record["pass"] for _, record in passes}) + 5
    for number, record in passes:
        if record["pass"] > most:
            met = f"pass {record['pass']} is out of range, expected 0 to {most}"
            _fail(file, number, f"{met} in a file of {len(passes)} pass records")


def _of_kind(
    records: list[tuple[int, dict[str, Any]]], kind: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    return ((number, record) for number, record in records if record["record"] == kind)
