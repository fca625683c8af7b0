"""Time measurement; no other file reads a clock.

Times are wall-clock seconds from `time.perf_counter_ns`. Numba's own events tell how much of
them went to compilation, so that it is never mistaken for work.
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
    """Time that a `stopwatch` block took, in seconds.

    `seconds` is wall-clock time, `compiling` the part that went to compilation, and `cpu` the
    processor time of all cores. `kernels` counts the functions that were compiled.
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
    """Measure a block: after ``with stopwatch() as t: …``, `t` holds the time it took."""
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
    """Return the seconds inside compile events; nested events count once."""
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
    """Return seconds per call, averaged over `loops` consecutive calls."""
    start = time.perf_counter_ns()
    for _ in range(loops):
        function()
    return (time.perf_counter_ns() - start) * 1e-9 / loops


def shortest(function: Callable[[], object], seconds: float) -> float:
    """Call repeatedly for `seconds`, at least once; return the shortest call's seconds."""
    end, found = now() + seconds, per_call(function, 1)
    while now() < end:
        found = min(found, per_call(function, 1))
    return found


def each_call(function: Callable[[], object], loops: int, before: Callable[[], object]) -> float:
    """Return seconds per call; `before` runs ahead of every call and is not counted."""
    total = 0.0
    for _ in range(loops):
        before()
        total += per_call(function, 1)
    return total / loops


def sample(
    function: Callable[[], object], loops: int, before: Callable[[], object] | None = None
) -> float | None:
    """Return seconds per call, or None if Numba compiled during the calls.

    `before`, where given, runs ahead of every call and is not counted.
    """
    with event.install_recorder("numba:compile") as recorder:
        seconds = each_call(function, loops, before) if before else per_call(function, loops)
    return None if recorder.buffer else seconds


#: Least length of a sample, as a multiple of the timer's error.
TIMER_SHARE = 1000


def timer() -> dict[str, float]:
    """Return the timer's errors in seconds: the clock's smallest step, and its overhead."""
    readings = [time.perf_counter_ns() for _ in range(1000)]
    steps = [b - a for a, b in itertools.pairwise(readings) if b > a]
    added = min(per_call(_nothing, 1) for _ in range(100))
    return {"resolution_s": min(steps, default=0) * 1e-9, "overhead_s": added}


def shortest_sample() -> float:
    """Return the length of a sample, in seconds, that makes the timer's error a thousandth."""
    return TIMER_SHARE * sum(timer().values())


def _nothing() -> None:
    pass


def now() -> float:
    """Return the seconds since some fixed moment; for budgets and time-outs."""
    return time.monotonic()


def utc() -> datetime:
    """Return the date and time, for names and records."""
    return datetime.now(UTC)


def days_since(moment: str) -> float:
    """Return the days from `moment`, a time of `utc` in ISO 8601, until now."""
    return (utc() - datetime.fromisoformat(moment)).total_seconds() / 86_400


def settle(seconds: float) -> None:
    """Sleep for `seconds`, so that other processes settle."""
    time.sleep(seconds)
