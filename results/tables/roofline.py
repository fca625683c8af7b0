"""The roofline: what the machine's limits allow each problem, and how near a cell comes.

A problem has its multiply-adds to do and its compulsory bytes to move, and can do both at
once: it takes at least the longer of the two (Williams, Waterman & Patterson, *Roofline*,
CACM 52(4), 2009, doi:10.1145/1498765.1498785). The bandwidth is that of the cache which the
bytes fit in, since repeated calls find them there.

Pooling compares and adds, one operation for a sample that a window reads, and the better
algorithms read no sample once a window. Its arithmetic bounds nothing; its bytes alone do.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

#: Kinds of problem whose work is multiply-adds; every other kind pools.
MULTIPLYING = ("convolution", "inception")
#: Columns that `add` fills in.
COLUMNS = ("intensity", "attainable_s", "roofline_percent")


def add(frame: pd.DataFrame, limits: dict[str, Any] | None) -> None:
    """Fill in `COLUMNS` of a run's table, by the `limits` of its header; NaN without them."""
    frame["intensity"] = frame["flops"] / frame["compulsory_bytes"]
    work = frame["flops"].where(frame["kind"].isin(MULTIPLYING), 0.0)
    asked = (frame["dtype"], frame["threads"], work, frame["compulsory_bytes"])
    least = [
        attainable(limits, str(dtype), int(threads), float(operations), float(size))
        for dtype, threads, operations, size in zip(*asked, strict=True)
    ]
    frame["attainable_s"] = np.array(least, dtype=float)
    frame["roofline_percent"] = 100 * frame["attainable_s"] / frame["time_s"]


def attainable(
    limits: dict[str, Any] | None, dtype: str, threads: int, operations: float, size: float
) -> float:
    """Seconds below which `operations` on `size` bytes cannot be done; NaN where not known."""
    if not limits or dtype not in limits.get("flops", {}) or math.isnan(operations + size):
        return math.nan
    roofs = bandwidths(limits, threads)
    level = fits_in(limits, threads, size)
    return max(operations / peak(limits, dtype, threads), size / roofs[level])


def peak(limits: dict[str, Any], dtype: str, threads: int) -> float:
    """Floating-point operations per second that `threads` threads can do."""
    return _at(limits["flops"][dtype], threads)


def bandwidths(limits: dict[str, Any], threads: int) -> dict[str, float]:
    """Bytes per second of every level: the most it gave, whatever was done with it."""
    return {
        level: max(_at(by_threads, threads) for by_threads in motions.values())
        for level, motions in limits["bandwidth"].items()
    }


def fits_in(limits: dict[str, Any], threads: int, size: float) -> str:
    """The smallest level that holds `size` bytes; every thread has an L1 and an L2 of its own."""
    for name, held in limits["caches"].items():
        level = name.removesuffix("d")
        if size <= held * (threads if level in ("L1", "L2") else 1):
            return level
    return "DRAM"


def _at(by_threads: dict[str, float], threads: int) -> float:
    """A limit that was measured with one thread and with all, for a count between."""
    measured = {int(count): value for count, value in by_threads.items()}
    if threads in measured:
        return measured[threads]
    return min(threads * measured[1], measured[max(measured)])
