"""Events of a run: records to keep, and news to display."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from results.records.record import Record
from suites.cases.suite import Case

from .cell import Group


@dataclass(frozen=True)
class Progress:
    """The state of a run: its pass (from 0), the present cell, seconds left, comparisons."""

    number: int
    text: str
    left: float
    decided: int
    undecided: int


@dataclass(frozen=True)
class Settled:
    """A group whose comparisons are all decided; `winner` is its fastest algorithm."""

    group: Group
    winner: str


@dataclass(frozen=True)
class FilteredImage:
    """The filtered output of a case, kept in `path` as an array file."""

    case: Case
    path: Path


@dataclass(frozen=True)
class LeftOut:
    """A budget too short for all cells: `count` cells that are far behind leave the race."""

    count: int
    needed: float  # seconds of a run that keeps them


Event = Record | Progress | Settled | FilteredImage | LeftOut
