"""Eviction of a call's data from the caches, so that the call starts cold.

Reading and writing other memory evicts the data. The calling core goes over twice the size of
the largest cache; the other cores go over twice the size of their second level.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

import numpy as np

from . import environment as machine

#: Size of the memory that is swept, as a multiple of the cache's size.
TIMES = 2


@cache
def sweeper(threads: int) -> Callable[[], None]:
    """Return a function that empties this core's caches, and all cores' if `threads` > 1."""
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
