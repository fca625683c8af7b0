"""Assignment of this process's threads to cores."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: True if the system lets a process choose its cores.
CAN_BE_CHOSEN = hasattr(os, "sched_setaffinity")


def keep(cores: Collection[int]) -> None:
    """Keep all threads of this process on `cores`."""
    for thread in _threads():
        _keep(thread, cores)


@contextmanager
def apart() -> Iterator[None]:
    """Give the calling thread and each thread of a pool its own core inside this block.

    A pool starts its threads one after another, one for each core except the caller's.
    """
    cores = sorted(os.sched_getaffinity(0)) if CAN_BE_CHOSEN else []
    if len(cores) < 2:
        yield
        return
    caller = threading.get_native_id()
    others = [thread for thread in _threads() if thread != caller]
    for number, thread in enumerate(others):
        _keep(thread, {cores[1 + number % (len(cores) - 1)]})
    _keep(caller, {cores[0]})
    try:
        yield
    finally:
        keep(cores)


def _threads() -> list[int]:
    """Return the numbers of this process's threads, in order of creation."""
    return sorted(int(thread.name) for thread in Path("/proc/self/task").iterdir())


def _keep(thread: int, cores: Collection[int]) -> None:
    with suppress(ProcessLookupError):  # it has ended
        os.sched_setaffinity(thread, cores)
