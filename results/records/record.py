"""Base of the records of a result file: frozen dataclasses that read and write lines of JSON.

A field made by `entry` knows its type and range in the file. A record has one class; its fields
are the only list of what a line of its kind holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Any, ClassVar, Self

from .fields import Field, Number


@dataclass(frozen=True)
class Entry:
    """One field of a record: its attribute, its key in the file, its type and range.

    An optional entry may be missing from a line, because older versions did not write it.
    `column` describes the entry in the table of a run: pandas type, unit and meaning.
    """

    name: str
    key: str
    kind: Field
    optional: bool
    column: tuple[str, str, str] | None

    def read(self, value: Any) -> Any:
        """Return the value of a checked line; JSON has no infinity, so it is spelled "inf"."""
        return math.inf if value == "inf" and isinstance(self.kind, Number) else value


def entry(
    kind: Field,
    *,
    key: str = "",
    required: bool = False,
    column: tuple[str, str, str] | None = None,
    **default: Any,
) -> Any:
    """Return a dataclass field that a line of the file holds; see `Entry`.

    `default` is ``default=`` or ``default_factory=``. Without one, or if `required`, every line
    must hold the field.
    """
    known = {"kind": kind, "key": key, "required": required, "column": column}
    return field(metadata={"entry": known}, **default)


def entries(record: Any) -> tuple[Entry, ...]:
    """Return the entries of a class of records, in order."""
    return _entries(record)  # apart: to mypy, a class is not the hashable that `cache` demands


@cache
def _entries(record: Any) -> tuple[Entry, ...]:
    found = []
    for one in fields(record):
        if known := one.metadata.get("entry"):
            given = one.default is not MISSING or one.default_factory is not MISSING
            optional = given and not known["required"]
            key = known["key"] or one.name
            found.append(Entry(one.name, key, known["kind"], optional, known["column"]))
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Record:
    """A line of the result file."""

    #: Value of the line's ``record`` field.
    kind_of_record: ClassVar[str]
    #: True if None is written as null, where the type of the field has one.
    writes_null: ClassVar[bool] = False

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Self:
        """Return the record of a checked line; fields that the class does not know are left."""
        return cls(**cls._known(line))

    @classmethod
    def _known(cls, line: Mapping[str, Any]) -> dict[str, Any]:
        return {one.name: one.read(line[one.key]) for one in entries(cls) if one.key in line}

    def as_json(self) -> dict[str, Any]:
        """Return the line; None is left out, or null where `writes_null` allows it."""
        line: dict[str, Any] = {"record": self.kind_of_record}
        for one in entries(type(self)):
            value = getattr(self, one.name)
            if value is not None or (self.writes_null and one.kind.wrong(None) is None):
                line[one.key] = value
        return line
