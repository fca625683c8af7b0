"""How `direct_planes` cuts a problem up: runs of columns, blocks of rows, threads.

Nothing here is compiled. The order of summation depends on the problem alone; only the split into
blocks looks at the threads.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from . import simd
from .problem import Problem
from .simd_planes import TAPS

__all__ = ["AHEAD", "Shape", "cost", "cut"]

#: Vectors side by side, at most, by stride: their sums and the weights fit the registers.
WIDEST = {1: 6, 2: 4} if simd.REGISTERS == 32 else {1: 2, 2: 2}
#: Rows of a block, at most and at least: where planes are few, threads share them by blocks.
MOST_ROWS, LEAST_ROWS = 128, 16
#: Bytes of a plane that may be gone down, the columns of a run first, even if from memory and not
#: streamed; larger ones go by rows.
NEAR_BYTES = 2**20
#: Rows of a block of what is written past the caches, and rows that are asked for ahead of use.
FAR_ROWS = AHEAD = 24


class Shape(NamedTuple):
    """The numbers that the compiled kernel works from."""

    #: Output channels of a group, its input channels, output channels of all.
    groups: int
    group: int
    inputs: int
    outputs: int
    depth: int
    height: int
    width: int
    out_depth: int
    out_height: int
    out_width: int
    depth_taps: int
    depth_stride: int
    depth_dilation: int
    depth_before: int
    rows_before: int
    columns_before: int
    stride: int
    #: Output rows of a block, blocks of a plane, columns of a run, runs of a block, runs in all,
    #: and whether they are written past the caches.
    rows: int
    blocks: int
    columns: int
    runs: int
    items: int
    streams: int


def _applies_to(problem: Problem) -> bool:
    """Whether the kernel is one of 3 × 3 and of no more than a column beyond the border."""
    v = problem.volume
    before = v.padding[2][0]
    # The middle column of the last output's taps lies inside.
    last = (v.output_size[2] - 1) * v.stride[2] - before + 1
    return (
        v.kernel[1:] == (TAPS, TAPS)
        and v.stride[1:] in ((1, 1), (2, 2))
        and v.dilation[1:] == (1, 1)
        and before <= 1
        and last < v.size[2]
    )


def cost(problem: Problem) -> float:
    """Estimated register operations per vector of products, 1 at best.

    Beside what is thrown away at the right, and starting at the top; with stride 2 columns are
    taken apart. Memory is slow to give a run of every row of a large plane.
    """
    if not _applies_to(problem):
        return math.inf
    v = problem.volume
    lane = simd.lanes_of(problem.itemsize)
    height, width = v.output_size[1:]
    wasted = -(-width // lane) * lane / width * (1 + 0.5 / height)
    is_far = (
        v.compulsory_bytes > simd.STREAMED_BYTES
        and math.prod(v.size[1:]) * problem.itemsize > NEAR_BYTES
        and not _streams(v)
    )
    return wasted * (1.2 if is_far else 1.0) * (1.1 if v.stride[2] == 1 else 1.5)


def _streams(v: Problem) -> bool:
    """Whether rows of the output are written past the caches; they then begin on boundaries.

    Runs of narrower registers are a cache line wide, for which memory is slow.
    """
    return (
        simd.REGISTER_BYTES == 64
        and v.compulsory_bytes > simd.STREAMED_BYTES
        and v.stride[2] == 1
        and v.in_channels // v.groups * v.kernel[0] == 1
        and v.output_size[2] * v.itemsize % simd.REGISTER_BYTES == 0
    )


def _block_rows(v: Problem, runs: int, threads: int) -> int:
    """Rows of a block, where planes are gone down in so many `runs` in all."""
    height = v.output_size[1]
    shared = min(-(-4 * threads // runs), height // LEAST_ROWS) if threads > 1 else 1
    return -(-height // max(-(-height // (FAR_ROWS if _streams(v) else MOST_ROWS)), shared))


def _side_by_side(vectors: int, stride: int) -> int:
    """How many of a row's `vectors` go down together; the last run is of those that are left."""

    def cost(run: int) -> float:
        return max(4, run + 0.6) if run else 0

    widths = range(WIDEST[stride], 0, -1)
    return min(widths, key=lambda n: vectors // n * cost(n) + cost(vectors % n))


@lru_cache(maxsize=256)
def cut(problem: Problem, threads: int) -> np.ndarray:
    """The numbers of `Shape`; the order of summation does not depend on `threads`."""
    v = problem.volume
    height, width = v.output_size[1:]
    lane = simd.lanes_of(problem.itemsize)
    columns = _side_by_side(-(-width // lane), v.stride[2]) * lane
    is_streamed = _streams(v)
    runs = -(-width // columns) + is_streamed
    around = v.batch * v.out_channels * v.output_size[0] * runs
    rows = _block_rows(v, around, threads)
    blocks = -(-height // rows)
    shape = Shape._make((
        v.groups, v.out_channels // v.groups, v.in_channels // v.groups, v.out_channels, *v.size,
        *v.output_size, v.kernel[0], v.stride[0], v.dilation[0],
        *(before for before, _ in v.padding), v.stride[2], rows, blocks, columns, runs,
        around * blocks, is_streamed,
    ))  # fmt: skip
    return np.array(shape, np.int64)
