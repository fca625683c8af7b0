"""Sentences about the threads of calls: what runs them here, why, and what would be better."""

from __future__ import annotations

import os
from pathlib import Path

from algos.backend.threads import available

from .environment import usable_cores

#: Processor time that a container may use in a period, both in µs; "max" for no limit.
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def thread_advice() -> list[str]:
    """Return the pool that runs threads here, then one sentence for each thing to change."""
    count, cores, quota = available(), usable_cores(), _quota()
    layer = os.environ.get("NUMBA_THREADING_LAYER")
    told = [
        f"convbench's own pool, up to {count} in a call: threads share work as they go, so that "
        f"none waits for a busy core"
    ]
    if layer:
        told.append(
            f"NUMBA_THREADING_LAYER={layer} has no effect: kernels here use no layer of Numba's; "
            f"unset it"
        )
    if count != cores:
        told.append(
            f"NUMBA_NUM_THREADS asks for {count} threads on {cores} cores; better unset it, or "
            f"set it to {cores}"
        )
    if quota is not None and quota < count:
        told.append(
            f"this container may use {quota:g} cores' time, and stops when it is used up; better "
            f"set NUMBA_NUM_THREADS={max(1, int(quota))}"
        )
    if len(told) == 1:
        told.append("nothing to change")
    return told


def _quota() -> float | None:
    """Return the cores' time that this container may use, or None for no limit."""
    try:
        limit, period = _QUOTA.read_text().split()
        return int(limit) / int(period)
    except (OSError, ValueError):
        return None
