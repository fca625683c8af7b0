"""Parsing of a result file: every field is checked for its type and range.

A file is checked once, here. Code that reads the records afterwards need not expect damage.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from algos.core.errors import ConvbenchError

from .columns import GROUP, CellRecord
from .fields import Anything, TableOf, shown
from .record import Record, entries
from .run import FILE, SCHEMA, EndRecord, PassRecord, RunHeader, RunRecords

#: Classes of records by the ``record`` field of their lines.
CLASSES: dict[str, type[Record]] = {
    one.kind_of_record: one for one in (RunHeader, CellRecord, PassRecord, EndRecord)
}
OneRecord = TypeVar("OneRecord", bound=Record)
REMEDY = "restore the file from a copy, or measure again"


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
    ends = _of_kind(records, EndRecord)
    return RunRecords(
        file.parent,
        RunHeader.from_json(header),
        _of_kind(records, CellRecord),
        _of_kind(records, PassRecord),
        ends[-1] if ends else None,
    )


def check_groups(run: RunRecords) -> None:
    """Check that cells share a group if and only if they ask for the same computation.

    An audit is exempt: it has several groups for the same problem.
    """
    asked: dict[int, tuple[Any, ...]] = {}
    group_of: dict[tuple[Any, ...], int] = {}
    for at, cell in enumerate(run.cells, start=1):
        where = f"{run.path / FILE}, cell record {at}"
        key = cell.asked
        known = asked.setdefault(cell.group, key)
        first = group_of.setdefault(key, cell.group)
        if known != key:
            name, was, now = next(
                (name, a, b) for name, a, b in zip(GROUP, known, key, strict=True) if a != b
            )
            raise ConvbenchError(
                f"{where}: {name} {shown(now)} is not that of group {cell.group}, which is "
                f"{shown(was)}; {REMEDY}"
            )
        if first != cell.group and run.header.suite != "audit":
            raise ConvbenchError(
                f"{where}: group {cell.group} asks for the same as group {first}; {REMEDY}"
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
    known = entries(CLASSES[record["record"]])
    for one in known:
        if one.key not in record:
            if one.optional:
                continue
            _fail(file, number, f"the {record['record']} has no {one.key!r}")
        if clause := one.kind.wrong(record[one.key]):
            _fail(file, number, f"{one.key} {clause}")
    others = record.keys() - {one.key for one in known}
    for name in sorted(others, key=repr):
        if clause := TableOf(Anything()).wrong({name: record[name]}):
            _fail(file, number, clause)


def _check_passes(file: Path, records: list[tuple[int, dict[str, Any]]]) -> None:
    """Check pass numbers against the number of passes; some lines may have been lost."""
    passes = [(number, line["pass"]) for number, line in records if line["record"] == "pass"]
    most = 2 * len({one for _, one in passes}) + 5
    for number, one in passes:
        if one > most:
            met = f"pass {one} is out of range, expected 0 to {most}"
            _fail(file, number, f"{met} in a file of {len(passes)} pass records")


def _of_kind(records: list[tuple[int, dict[str, Any]]], kind: type[OneRecord]) -> list[OneRecord]:
    """Return the lines of one kind as records."""
    wanted = kind.kind_of_record
    return [kind.from_json(line) for _, line in records if line["record"] == wanted]
