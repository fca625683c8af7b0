"""Direct convolution of pointwise layers with neighbouring pixels in the lanes of registers.

A 1 × 1 layer is a matrix product whose operands already lie in memory as needed. Nothing is copied
or transposed, and each sum is written once, when it is complete. A register tile holds R output
channels × V vectors of pixels. For every input channel it loads V vectors of pixels and broadcasts
R packed weights: R·V fused multiply-adds for R + V loads. It runs over all input channels and then
writes its sums to their place.

A band of pixels stays in L2 while every block of output channels uses it. During that time the next
band is prefetched, one line per input channel. At the start of a tile its output lines are
prefetched too. Channels lie far apart, so the hardware prefetcher cannot predict these lines.

Arguments that mean the same in every kernel; indices and lengths count elements:

`x`, `out`: input (N, C, pixels) and output (N, O, pixels), flat, or pointers to them.
`weights`: packed kernel, [group][block of ROWS outputs][input][output].
`inputs`, `outputs`: channels of a group; `pixels` is also the distance between channels.

Measurements: docs/kernels.md.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from algos.backend.compiler import by_ranges, kernel
from algos.core.problem import Problem
from algos.simd import registers as simd
from algos.simd.arithmetic import add_outer, spread
from algos.simd.registers import lanes, pointer, prefetch, to_boundary
from algos.simd.window import store_block

from .channels_blocking import merged
from .channels_packing import pack_weights

#: Register tile: output channels × vectors of pixels. With 16 registers, a tile two vectors wide
#: reads less of the input from L2 per product. SSE needs one more register per product.
ROWS, COLUMNS = (
    (8, 3) if simd.REGISTERS == 32 else (6, 2) if simd.REGISTER_BYTES == 32 else (4, 2)
)  # fmt: skip
#: Bytes of L2 that a band of the input may fill. Tuned on Zen 4 with 1 MiB of L2.
BAND_BYTES = 192 * 1024
#: True if lines are prefetched beside the products of a tile. With 16 registers there are too few
#: of them to hide it, so lines are prefetched before the tile.
BESIDE = simd.REGISTERS == 32


@kernel
def tile(x, at, ahead, lines, inputs, pixels, weights, block, bias, o, rows, out, target):
    """Compute and write the sums of one tile, starting from the bias.

    `at`: index into `x` of the tile's first pixel, for the first input channel.
    `ahead`: index into `x` from which a line of each of `lines` input channels is prefetched if
        `BESIDE`.
    `block`: index into `weights` of this block of output channels.
    `bias`: pointer to one element per output channel, read from `o` on; `rows` channels exist.
    `target`: index into `out` of the first pixel of the first output channel.

    Reads V vectors of each input channel; writes V vectors of each of `rows` output channels.
    """
    lane = lanes(x)
    total = spread(bias, o, rows, ROWS, COLUMNS)
    if not BESIDE:
        for r in range(rows):
            for k in range(0, (COLUMNS + 1) * lane, simd.LINE_VECTORS * lane):
                prefetch(out, target + r * pixels + k)
    for c in range(inputs):
        if BESIDE:
            if c < lines:
                prefetch(x, ahead + c * pixels)
            if c < ROWS * (COLUMNS + 1):
                prefetch(out, target + c // (COLUMNS + 1) * pixels + c % (COLUMNS + 1) * lane)
        total = add_outer(total, weights, block + c * ROWS, x, at + c * pixels, ROWS, COLUMNS)
    store_block(total, out, target, pixels, rows, COLUMNS * lane, ROWS, COLUMNS)


@kernel
def _work(
    _slot, first_unit, last_unit, x, weights, bias, out, images, groups, inputs, outputs, pixels,
    bands,
):  # fmt: skip
    """Compute some units of work, each a block of output channels of one band.

    `_slot`: number of this thread; its units are `first_unit` to `last_unit` − 1.
    `images`, `groups`, `bands`: counts; the units of work are all combinations with the blocks.
    """
    wide = COLUMNS * lanes(x)
    # Loads that straddle cache lines take twice as long. So from the second tile on, tiles begin
    # at a boundary, and the second may overlap the first, unless that takes one tile more.
    second = wide
    if pixels % lanes(x) == 0:
        second -= (wide - to_boundary(pointer(x), 0)) % lanes(x)
    if (pixels - second - 1) // wide > (pixels - 1) // wide - 1:
        second = wide
    blocks, tiles = -(-outputs // ROWS), -(-pixels // wide)
    for unit in range(first_unit, last_unit):
        rest, block = unit // blocks, unit % blocks
        image, band = rest // bands, rest % bands
        group, o = image % groups, block * ROWS
        first, last = band * tiles // bands, (band + 1) * tiles // bands
        start, band_size = image * inputs * pixels, (last - first) * wide
        for t in range(first, last):
            # The last tile ends with the last pixel, and may overlap the one before it.
            at = min(second + (t - 1) * wide, pixels - wide) if t else 0
            # Prefetch the next band line by line, each line for all channels.
            step = simd.LINE_VECTORS * lanes(x)
            near = (block * (last - first) + t - first) * step
            ahead = start + last * wide + near
            lines = inputs if near < band_size else 0
            if not BESIDE:
                for c in range(lines):
                    prefetch(x, ahead + c * pixels)
            tile(
                pointer(x), start + at, ahead, lines, inputs, pixels,
                pointer(weights), (group * blocks + block) * inputs * ROWS,
                pointer(bias), group * outputs + o, min(ROWS, outputs - o),
                pointer(out), (image * outputs + o) * pixels + at,
            )  # fmt: skip


_work_shared = by_ranges(_work)


@kernel
def _share(
    threads, units, x, weights, bias, out, images, groups, inputs, outputs, pixels, bands
):  # fmt: skip
    """Compute all `units`, split among `threads` threads."""
    _work_shared(
        threads, units, x, weights, bias, out, images, groups, inputs, outputs, pixels, bands
    )


def cost(problem: Problem) -> float:
    """Estimate the register operations per vector of products: the discarded sums; inf if unfit."""
    v = merged(problem)
    wide = COLUMNS * simd.lanes_of(problem.itemsize)
    outputs, pixels = v.out_channels // v.groups, v.size[2]
    if v.size != v.output_size or {*v.kernel, *v.stride, *v.size[:2]} != {1} or pixels < wide:
        return math.inf
    return -(-outputs // ROWS) * ROWS / outputs * -(-pixels // wide) * wide / pixels


@lru_cache(maxsize=256)
def _sizes(problem: Problem, threads: int) -> tuple[int, tuple[int, ...]]:
    """Return the elements of the packed kernel, and the sizes that `_work` takes."""
    v = merged(problem)
    inputs, outputs, pixels = v.in_channels // v.groups, v.out_channels // v.groups, v.size[2]
    wide = COLUMNS * simd.lanes_of(problem.itemsize)
    tiles = -(-pixels // wide)
    bands = -(-tiles * wide * inputs * problem.itemsize // BAND_BYTES)
    bands = min(tiles, max(threads, bands))
    packed = v.groups * -(-outputs // ROWS) * ROWS * inputs
    return packed, (v.batch, v.groups, inputs, outputs, pixels, bands)


def workspace_bytes(problem: Problem, threads: int) -> int:
    """Return the bytes of the packed kernel."""
    return _sizes(problem, threads)[0] * problem.itemsize


def prepare(problem: Problem, w: np.ndarray, threads: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return the packed kernel, and the sizes that `_work` takes.

    The kernel is laid out as [group][block of ROWS outputs][input][output].
    """
    elements, sizes = _sizes(problem, threads)
    packed = simd.aligned(elements, w.dtype)
    pack_weights(w.reshape(w.shape[0], -1), problem.groups, ROWS, packed, threads)
    return packed, sizes


def forward(
    problem: Problem, x: np.ndarray, prepared: tuple[np.ndarray, tuple[int, ...]],
    bias: np.ndarray, out: np.ndarray, threads: int,
) -> None:  # fmt: skip
    """Write the output for `x`, with `prepared` as returned by `prepare`."""
    packed, sizes = prepared
    images, groups, _, outputs, _, bands = sizes
    units = images * groups * bands * -(-outputs // ROWS)
    arguments = units, x.ravel(), packed, bias, out.ravel(), *sizes
    if threads == 1:
        _work(0, 0, *arguments)
    else:
        _share(threads, *arguments)
