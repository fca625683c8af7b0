"""Types and ranges of the fields of a record, checked once, when a file is read.

Every type has one method: ``wrong`` returns None for an accepted value, else a clause that states
the fault. Bounds lie far beyond any real run. They keep a damaged number from overflowing, and
from making a loop endless.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from algos.core.errors import closest

#: Most levels of nesting. Copying the attributes of a table recurses once per level.
DEEPEST = 8
#: Characters of a damaged value that an error message shows.
SHOWN = 60


class Field(Protocol):
    """Type and range of one field."""

    def wrong(self, value: Any) -> str | None:
        """Return None if `value` is accepted, else a clause for an error message."""


@dataclass(frozen=True)
class Text:
    """Text of at most `most` characters that can be written to a file."""

    most: int = 20_000
    optional: bool = False

    def wrong(self, value: Any) -> str | None:
        """Refuse half a surrogate pair too: JSON can encode it, UTF-8 cannot."""
        if value is None and self.optional:
            return None
        if not isinstance(value, str):
            return _mistyped(value, "text")
        if len(value) > self.most:
            return _out_of_range(value, f"at most {self.most} characters")
        if any("\ud800" <= sign <= "\udfff" for sign in value):
            return f"{shown(value)} holds signs that no file can"
        return None


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    def wrong(self, value: Any) -> str | None:
        """Name the word that was probably meant."""
        if not isinstance(value, str):
            return _mistyped(value, "text")
        if value in self.words:
            return None
        return f"{shown(value)} is not known; {closest(value[:SHOWN], list(self.words))}"


@dataclass(frozen=True)
class Whole:
    """A whole number from `least` to `most`."""

    least: int = 0
    most: int = 2**40
    optional: bool = False

    def wrong(self, value: Any) -> str | None:
        """Refuse True and False too, which Python counts among the whole numbers."""
        if value is None and self.optional:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            return _mistyped(value, "a whole number")
        if not self.least <= value <= self.most:
            return _out_of_range(value, f"{self.least} to {self.most}")
        return None


@dataclass(frozen=True)
class Number:
    """A number from `least` to `most`; `infinite` also admits infinity, which JSON spells "inf"."""

    least: float = 0.0
    most: float = 1e30
    optional: bool = False
    infinite: bool = False

    def wrong(self, value: Any) -> str | None:
        """Refuse NaN too, which lies in no range."""
        if (value is None and self.optional) or (value == "inf" and self.infinite):
            return None
        if not isinstance(value, int | float) or isinstance(value, bool):
            return _mistyped(value, "a number")
        if not self.least <= value <= self.most:
            return _out_of_range(value, f"{self.least:g} to {self.most:g}")
        return None


@dataclass(frozen=True)
class Truth:
    """True or False."""

    def wrong(self, value: Any) -> str | None:
        """Refuse 0 and 1 too, which JSON tells apart."""
        return None if isinstance(value, bool) else _mistyped(value, "true or false")


@dataclass(frozen=True)
class Seconds:
    """A sample: seconds per call, or None where it is missing."""

    def wrong(self, value: Any) -> str | None:
        """Refuse zero too: it has no logarithm."""
        if value is None or not Number(1e-12, 1e9).wrong(value):
            return None
        return f"sample {shown(value)} is not a time in seconds, 1e-12 to 1e+09"


@dataclass(frozen=True)
class ListOf:
    """A list of `least` to `most` entries of one type."""

    entry: Field
    least: int = 0
    most: int = 1_000_000

    def wrong(self, value: Any) -> str | None:
        """Name the first entry that is wrong."""
        if not isinstance(value, list):
            return _mistyped(value, "a list")
        if not self.least <= len(value) <= self.most:
            return _out_of_range(value, f"{self.least} to {self.most} entries")
        return _first(self.entry, ((f"entry {at}", one) for at, one in enumerate(value)))


@dataclass(frozen=True)
class TableOf:
    """Values of one type by name."""

    entry: Field
    optional: bool = False

    def wrong(self, value: Any) -> str | None:
        """Name the first value that is wrong."""
        if value is None and self.optional:
            return None
        if not isinstance(value, dict):
            return _mistyped(value, "an object")
        names = _first(Text(), ((f"name {at}", one) for at, one in enumerate(value)))
        return names or _first(self.entry, ((shown(name), one) for name, one in value.items()))


@dataclass(frozen=True)
class Anything:
    """Any value that JSON can hold, in at most `DEEPEST` levels."""

    def wrong(self, value: Any, left: int = DEEPEST) -> str | None:
        """Look at every level."""
        if isinstance(value, str):
            return Text(1_000_000).wrong(value)
        if value is None or isinstance(value, bool):
            return None
        if isinstance(value, int | float):
            return Number(-1e300, 1e300).wrong(value)
        if not left:
            return f"it is nested deeper than {DEEPEST} levels"
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        return next((clause for part in parts if (clause := self.wrong(part, left - 1))), None)


def shown(value: Any) -> str:
    """Return `value` for an error message, cut to `SHOWN` characters."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # thousands of digits or levels
        return f"a value of type {type(value).__name__} too long to show"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _mistyped(value: Any, expected: str) -> str:
    return f"{shown(value)} is not of the expected type, {expected}"


def _out_of_range(value: Any, expected: str) -> str:
    return f"{shown(value)} is out of range, expected {expected}"


def _first(field: Field, entries: Iterable[tuple[str, Any]]) -> str | None:
    """Return the name and clause of the first wrong entry, or None."""
    for name, value in entries:
        if clause := field.wrong(value):
            return f"{name}: {clause}"
    return None
