"""Events of a run: the records to keep, and news for whoever watches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suites.cases.suite import Case

from .cell import Group


@dataclass(frozen=True)
class Progress:
    """Where a run stands: its pass (from 0), what is measured, seconds left, comparisons."""

    number: int
    text: str
    left: float
    decided: int
    undecided: int


@dataclass(frozen=True)
class Settled:
    """Nothing is left to decide about a group; `winner` is its fastest."""

    group: Group
    winner: str


@dataclass(frozen=True)
class FilteredImage:
    """The filtered output of a case, left in `path` as an array file."""

    case: Case
    path: Path


@dataclass(frozen=True)
class LeftOut:
    """The budget is too short for all: `count` cells that are far behind leave the race."""

    count: int
    needed: float  # seconds that keeping them would take, in all


Event = dict[str, Any] | Progress | Settled | FilteredImage | LeftOut
