"""The roofline: least time that the machine's limits allow, and each cell's share of it.

A problem does its multiply-adds and moves its compulsory bytes at the same time. It takes at
least the longer of the two (Williams, Waterman & Patterson, *Roofline*, CACM 52(4), 2009,
doi:10.1145/1498765.1498785). The bandwidth is that of the smallest cache that holds the bytes,
because repeated calls find them there.

Pooling does one operation per sample that a window reads, and good algorithms avoid most of them.
So its arithmetic sets no limit; only its bytes do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

#: Kinds of problem that do multiply-adds; every other kind is pooling.
MULTIPLYING = ("convolution", "inception", "deblur")
#: Columns that `add` fills in.
COLUMNS = ("intensity", "attainable_s", "roofline_percent")


def add(frame: pd.DataFrame, limits: Mapping[str, Any] | None) -> None:
    """Fill in `COLUMNS` of a run's table from the `limits` of its header, else NaN."""
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
    limits: Mapping[str, Any] | None, dtype: str, threads: int, operations: float, size: float
) -> float:
    """Return the least seconds for `operations` on `size` bytes; NaN if unknown."""
    if not limits or dtype not in limits.get("flops", {}) or math.isnan(operations + size):
        return math.nan
    roofs = bandwidths(limits, threads)
    level = fits_in(limits, threads, size)
    return max(operations / peak(limits, dtype, threads), size / roofs[level])


def peak(limits: Mapping[str, Any], dtype: str, threads: int) -> float:
    """Return the peak of `threads` threads, in floating-point operations per second."""
    return _at(limits["flops"][dtype], threads)


def bandwidths(limits: Mapping[str, Any], threads: int) -> dict[str, float]:
    """Return bytes per second by memory level, the highest over all access patterns."""
    return {
        level: max(_at(by_threads, threads) for by_threads in motions.values())
        for level, motions in limits["bandwidth"].items()
    }


def fits_in(limits: Mapping[str, Any], threads: int, size: float) -> str:
    """Return the smallest level that holds `size` bytes; L1 and L2 are per thread."""
    for name, held in limits["caches"].items():
        level = name.removesuffix("d")
        if size <= held * (threads if level in ("L1", "L2") else 1):
            return level
    return "DRAM"


def _at(by_threads: dict[str, float], threads: int) -> float:
    """Return a limit for `threads`; it was measured with one thread and with all."""
    measured = {int(count): value for count, value in by_threads.items()}
    if threads in measured:
        return measured[threads]
    return min(threads * measured[1], measured[max(measured)])
