"""The one file that reads a clock.

Times are wall-clock seconds from `time.perf_counter_ns`; what was compiled meanwhile is read
from Numba's own events, so that compilation is never mistaken for work.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from algos.backend.compiler import event


@dataclass
class Elapsed:
    """What a `stopwatch` block took: seconds, those that went to compiling, those of all cores.

    `kernels` is how many functions were compiled.
    """

    seconds: float = 0.0
    compiling: float = 0.0
    cpu: float = 0.0
    kernels: int = 0

    @property
    def working(self) -> float:
        """Seconds apart from compilation."""
        return max(self.seconds - self.compiling, 0.0)


@contextmanager
def stopwatch() -> Iterator[Elapsed]:
    """``with stopwatch() as t: …``; afterwards `t` holds what the block took."""
    elapsed = Elapsed()
    with event.install_recorder("numba:compile") as recorder:
        start, cpu = time.perf_counter_ns(), time.process_time_ns()
        try:
            yield elapsed
        finally:
            elapsed.seconds = (time.perf_counter_ns() - start) * 1e-9
            elapsed.cpu = (time.process_time_ns() - cpu) * 1e-9
    elapsed.compiling = _outermost(recorder.buffer)
    elapsed.kernels = sum(entry.is_start for _, entry in recorder.buffer)


def _outermost(buffer: list[tuple[float, Any]]) -> float:
    """Seconds inside compile events; one compilation may set off others within it."""
    total, depth, began = 0.0, 0, 0.0
    for moment, entry in buffer:
        if entry.is_start:
            if depth == 0:
                began = moment
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                total += moment - began
    return total


def per_call(function: Callable[[], object], loops: int) -> float:
    """Seconds per call over `loops` calls in a row."""
    start = time.perf_counter_ns()
    for _ in range(loops):
        function()
    return (time.perf_counter_ns() - start) * 1e-9 / loops


def shortest(function: Callable[[], object], seconds: float) -> float:
    """Seconds of the shortest of as many calls as begin within `seconds`, at least one."""
    end, found = now() + seconds, per_call(function, 1)
    while now() < end:
        found = min(found, per_call(function, 1))
    return found


def each_call(function: Callable[[], object], loops: int, before: Callable[[], object]) -> float:
    """Seconds per call, `before` done ahead of every one and not counted."""
    total = 0.0
    for _ in range(loops):
        before()
        total += per_call(function, 1)
    return total / loops


def sample(
    function: Callable[[], object], loops: int, before: Callable[[], object] | None = None
) -> float | None:
    """As `per_call`, or `each_call` where there is something to do `before` each.

    None where Numba compiled meanwhile, which says nothing about the work.
    """
    with event.install_recorder("numba:compile") as recorder:
        seconds = each_call(function, loops, before) if before else per_call(function, loops)
    return None if recorder.buffer else seconds


#: How many times as long as what the timer is off by a sample is at the least.
TIMER_SHARE = 1000


def timer() -> dict[str, float]:
    """What a timing may be off by, in seconds: the clock's smallest step, and what it adds."""
    readings = [time.perf_counter_ns() for _ in range(1000)]
    steps = [b - a for a, b in itertools.pairwise(readings) if b > a]
    added = min(per_call(_nothing, 1) for _ in range(100))
    return {"resolution_s": min(steps, default=0) * 1e-9, "overhead_s": added}


def shortest_sample() -> float:
    """Seconds of a sample of which the timer is a thousandth."""
    return TIMER_SHARE * sum(timer().values())


def _nothing() -> None:
    pass


def now() -> float:
    """Seconds since some fixed moment; for budgets and time-outs."""
    return time.monotonic()


def utc() -> datetime:
    """The date and time, for names and records."""
    return datetime.now(UTC)


def days_since(moment: str) -> float:
    """Days from `moment`, as `utc` wrote it in ISO 8601, to now."""
    return (utc() - datetime.fromisoformat(moment)).total_seconds() / 86_400


def settle(seconds: float) -> None:
    """Leave the machine alone until idle thread pools have stopped spinning."""
    time.sleep(seconds)
