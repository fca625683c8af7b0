"""Emptying the caches, so that a call finds nothing of its data near.

What is read and written in between pushes out what was there: on the core that calls twice as
much as its largest cache holds, on others, where there may be threads, twice their second level.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

import numpy as np

from . import environment as machine

#: How many times as large as the cache what is swept is.
TIMES = 2


@cache
def sweeper(threads: int) -> Callable[[], None]:
    """What empties the caches of this core, and of all where `threads` is more than 1."""
    caches = machine.caches()
    memory = np.zeros(TIMES * max(caches.values()) // 8)
    private = memory[: TIMES * caches.get("L2", max(caches.values())) // 8]
    several = threads > 1 and hasattr(os, "sched_setaffinity")

    def sweep() -> None:
        if several:
            allowed = os.sched_getaffinity(0)
            for core in allowed:
                os.sched_setaffinity(0, {core})
                np.add(private, 1, out=private)
            os.sched_setaffinity(0, allowed)
        np.add(memory, 1, out=memory)

    return sweep
