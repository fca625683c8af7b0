"""Calls timed in turns, and a table of their times.

Every round gives each call its turn, in a random order, so that a change of the machine's speed
meets all of them. A call is read by its shortest time, as a pass of a run is.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from suites.machine import clock
from suites.machine.environment import cpu_name, usable_cores

Calls = Mapping[str, Callable[[], Any]]


@dataclass(frozen=True)
class Times:
    """Seconds of a call: the shortest and the median of its turns."""

    shortest: float
    median: float


def in_turns(calls: Calls, rounds: int, seed: int = 0) -> dict[str, Times]:
    """Time each of `calls` once in each of `rounds` rounds, after one call that does not count."""
    order, rng = list(calls), random.Random(seed)
    for call in calls.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in order}
    for _ in range(rounds):
        rng.shuffle(order)
        for name in order:
            with clock.stopwatch() as t:
                calls[name]()
            taken[name].append(t.seconds)
    return {name: Times(min(one), statistics.median(one)) for name, one in taken.items()}


def heading(threads: int) -> str:
    """Return a line with the date, the processor and the number of threads."""
    today = clock.utc().date().isoformat()
    return f"{today}, {cpu_name()}, {usable_cores()} cores, {threads} thread(s)"


def parser(purpose: str) -> argparse.ArgumentParser:
    """Return a parser of the options that all measurements share."""
    found = argparse.ArgumentParser(description=purpose)
    found.add_argument("--rounds", type=int, default=100, help="turns of every call")
    found.add_argument("--threads", type=int, default=1)
    found.add_argument("--quick", action="store_true", help="small arrays, to try the script")
    return found


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table.

    >>> print(table(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(
        f"|{'|'.join(cells)}|" if cells == lines[1] else f"| {' | '.join(cells)} |"
        for cells in lines
    )


def milliseconds(seconds: float) -> str:
    """Return a time in milliseconds, with three digits."""
    return f"{seconds * 1e3:.3g} ms"
