"""Blocking of `parallel.planes`: runs of columns, blocks of rows and split among threads.

Nothing here is compiled. The order of summation depends on the problem alone; only the split into
blocks depends on the number of threads.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from algos.core.problem import Problem
from algos.simd import registers as simd
from algos.simd.copies import STREAMED_BYTES
from algos.simd.planes import TAPS

__all__ = ["AHEAD", "PlanesGeometry", "blocking", "cost"]

#: Most vectors side by side, by stride: as many as fit the registers with sums and weights. Six,
#: for stride 1, read two weights from the stack and are still faster than five on Zen 4.
WIDEST = {1: 6, 2: 4} if simd.REGISTERS == 32 else {1: 2, 2: 2}
#: Most and fewest output rows of a block. Long blocks are best, since each reads its first rows
#: again; short ones let threads share few planes. Tuned on Zen 4.
MOST_ROWS, LEAST_ROWS = 128, 16
#: Bytes of a plane (the L2 of a Zen 4 core) up to which going down columns is fast although the
#: plane comes from memory. Larger planes go by rows, unless they are streamed.
NEAR_BYTES = 2**20
#: Output rows of a block that is written past the caches, and input rows of prefetch distance.
#: Tuned on Zen 4.
FAR_ROWS = AHEAD = 24
#: Register operations per vector of products with stride 1, and the factor for large planes in
#: memory. With 16 registers, weights are read again for every product. Fitted on Zen 4 and Zen 3.
SLIDING, FAR = (1.1, 1.2) if simd.REGISTERS == 32 else (1.7, 1.5)
#: The factor for planes that continue from the sums in the output. Fitted on Ice Lake.
CONTINUED = 1.6 if simd.FEW_LOADS else 1.0


class PlanesGeometry(NamedTuple):
    """Numbers the compiled kernel works from."""

    #: Groups; output channels of a group; input channels of a group; output channels of all groups.
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
    #: Output rows of a block; blocks of a plane; columns of a run; runs of a block; runs in all; 1
    #: if outputs are written past the caches, else 0.
    rows: int
    blocks: int
    columns: int
    runs: int
    items: int
    streams: int


def _applies_to(problem: Problem) -> bool:
    """Return True for 3 × 3 kernels that reach at most one column beyond the border."""
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
    """Estimate the register operations per vector of products; 1 is ideal.

    Counts the lanes discarded at the right, and the start at the top. With stride 2, splitting
    columns costs extra. So do large planes in memory, which is slow to deliver a run of every row.
    """
    if not _applies_to(problem):
        return math.inf
    v = problem.volume
    lane = simd.lanes_of(problem.itemsize)
    height, width = v.output_size[1:]
    wasted = -(-width // lane) * lane / width * (1 + 0.5 / height)
    is_far = (
        v.compulsory_bytes > STREAMED_BYTES
        and math.prod(v.size[1:]) * problem.itemsize > NEAR_BYTES
        and not _streams(v)
    )
    if v.in_channels // v.groups * v.kernel[0] > 1:
        wasted *= CONTINUED
    return wasted * (FAR if is_far else 1.0) * (SLIDING if v.stride[2] == 1 else 1.5)


def _streams(v: Problem) -> bool:
    """Return True if output rows are written past the caches; each then begins aligned.

    Needs 64-byte registers. Runs of narrower ones are one cache line wide, which is slow from
    memory.
    """
    return (
        simd.REGISTER_BYTES == 64
        and v.compulsory_bytes > STREAMED_BYTES
        and v.stride[2] == 1
        and v.in_channels // v.groups * v.kernel[0] == 1
        and v.output_size[2] * v.itemsize % simd.REGISTER_BYTES == 0
    )


def _block_rows(v: Problem, runs: int, threads: int) -> int:
    """Return the output rows of a block, for planes that are gone down in `runs` runs in all."""
    height = v.output_size[1]
    shared = min(-(-4 * threads // runs), height // LEAST_ROWS) if threads > 1 else 1
    return -(-height // max(-(-height // (FAR_ROWS if _streams(v) else MOST_ROWS)), shared))


def _side_by_side(vectors: int, stride: int) -> int:
    """Return how many of a row's `vectors` go down together; the last run takes the remainder."""

    def cost(run: int) -> float:
        return max(4, run + 0.6) if run else 0

    widths = range(WIDEST[stride], 0, -1)
    return min(widths, key=lambda n: vectors // n * cost(n) + cost(vectors % n))


@lru_cache(maxsize=256)
def blocking(problem: Problem, threads: int) -> np.ndarray:
    """Return the numbers of `PlanesGeometry`; `threads` does not change the order of sums."""
    v = problem.volume
    height, width = v.output_size[1:]
    lane = simd.lanes_of(problem.itemsize)
    columns = _side_by_side(-(-width // lane), v.stride[2]) * lane
    is_streamed = _streams(v)
    runs = -(-width // columns) + is_streamed
    around = v.batch * v.out_channels * v.output_size[0] * runs
    rows = _block_rows(v, around, threads)
    blocks = -(-height // rows)
    shape = PlanesGeometry._make((
        v.groups, v.out_channels // v.groups, v.in_channels // v.groups, v.out_channels, *v.size,
        *v.output_size, v.kernel[0], v.stride[0], v.dilation[0],
        *(before for before, _ in v.padding), v.stride[2], rows, blocks, columns, runs,
        around * blocks, is_streamed,
    ))  # fmt: skip
    return np.array(shape, np.int64)
