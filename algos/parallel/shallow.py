"""Direct convolution of few input channels with neighbouring pixels in the lanes of registers.

This is for the first layers of networks, where each sum has few products. A register tile holds R
output channels × V vectors of pixels. For every input channel and tap it loads V vectors of pixels
and broadcasts R packed weights: R·V fused multiply-adds for R + V loads. All taps are summed in
registers, and each sum is written once to its place, without a transposition.

The input is copied strip by strip as in `parallel.channels`, but all channels at a time. The kernel
is packed as there. So arguments have the same meanings as there.

Measurements: docs/kernels.md.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from algos.backend.compiler import by_ranges, fixed_tuple, kernel
from algos.core.problem import Problem
from algos.simd import registers as simd
from algos.simd.arithmetic import add_outer, spread
from algos.simd.registers import further, pointer, to_boundary
from algos.simd.window import store_block

from .channels_blocking import (
    ChannelsBlocking,
    ChannelsGeometry,
    RegisterTile,
    blocked,
    merged,
    slowdown,
)
from .channels_packing import pack_strip, packed_kernel, strip_of

_NUMBERS = len(ChannelsGeometry._fields)
#: Register tiles: output channels × vectors of pixels. A problem takes the one that wastes least.
TILES = (
    ((8, 3), (13, 2))
    if simd.REGISTERS == 32
    else ((6, 2), (4, 3) if simd.REGISTER_BYTES == 32 else (4, 2))
)
#: Most products of a sum. The weights of a register tile then fit L1 beside the input.
MOST_TAPS = 576
#: Products that take as long as the start and the write-out of a vector of sums. Fitted on Ice Lake
#: and on Zen 3.
WRITE_OUT = 8 if simd.FEW_LOADS else 3
#: Most kernel columns for which the strip is copied once per column. All vectors are then aligned,
#: for a load of 64 bytes that straddles two cache lines counts twice. More copies do not fit L1.
COPIES = 3 if simd.FEW_LOADS else 0


def _make_tile(rows: int, columns: int) -> Any:
    """Return the innermost kernel for a register tile of `rows` × `columns`."""

    @kernel
    def tile(source, pixel, offsets, taps, weights, block, bias, o, outputs, out, target,
             plane_size, count):  # fmt: skip
        """Compute and write the sums of one tile, starting from the bias.

        `source`: pointer to the strip of input; `pixel` is the index of the tile's first pixel.
        `offsets`: pointer to `taps` pairs (offset into the strip, offset into the weights).
        `block`: index into `weights` of the block of output channels.
        `bias`: pointer to one element per output channel, read from `o` on.
        `outputs`, `count`: output channels and pixels of the tile that exist; others are not
            written.
        `target`: index into `out` of the first pixel of the first output channel; `plane_size` is
            the distance between channels.

        Reads V vectors of `source` and R elements of `weights` at each offset.
        """
        total = spread(bias, o, outputs, rows, columns)
        for t in range(taps):
            total = add_outer(
                total, weights, block + offsets[2 * t + 1], source, pixel + offsets[2 * t],
                rows, columns,
            )  # fmt: skip
        store_block(total, out, target, plane_size, outputs, count, rows, columns)

    return tile


_tile0, _tile1 = (_make_tile(r, v) for r, v in TILES)


@kernel
def _item(x, weights, bias, out, s, classes, item, pixels):
    """Compute one strip of one output plane, for some blocks of output channels of one group.

    `bias`: pointer to one element per output channel.
    `classes`: pointer to the part of the table after `ChannelsGeometry`.
    `pixels`: pointer to the scratch for the strip.
    """
    stretch = TILES[0][0] if s.tile == 0 else TILES[1][0]
    image, h, j, k, rows, columns, first_block, last_block = strip_of(item, s)
    g = image % s.groups
    plane_size = s.out_depth * s.out_height * s.out_width
    starts = s.out_depth + s.out_height + 2 * classes[h] * s.row_classes
    pack_strip(x, image * s.inputs, s.inputs, s, h, j, k, rows, pixels)
    for block in range(first_block, last_block):
        o = block * stretch
        near = (g * s.blocks + block) * s.inputs * s.taps * stretch
        plane = (image * s.outputs + o) * plane_size + (h * s.out_height + j) * s.out_width + k
        for r in range(rows):
            found = starts + 2 * classes[s.out_depth + j + r]
            inside, taps = further(classes, classes[found]), s.inputs * classes[found + 1]
            for t in range(0, columns, s.pixels):
                work = (
                    pixels, r * s.pitch + t, inside, taps, weights, near, bias, g * s.outputs + o,
                    min(stretch, s.outputs - o), out, plane + r * s.out_width + t, plane_size,
                    columns - t,
                )  # fmt: skip
                if s.tile == 0:
                    _tile0(*work)
                else:
                    _tile1(*work)


@kernel(allocates=True)
def _work(_slot, first, last, x, weights, bias, table, out):
    """Compute some items; `x`, `weights`, `bias` and `out` are flat arrays."""
    s = ChannelsGeometry(*fixed_tuple(table, _NUMBERS))
    classes = further(pointer(table), _NUMBERS)
    room = np.empty(s.room, weights.dtype)
    for item in range(first, last):
        _item(
            pointer(x), pointer(weights), pointer(bias), pointer(out), s, classes, item,
            further(pointer(room), to_boundary(pointer(room), 0)),
        )  # fmt: skip
    room[0] = 0  # use the array after the last pointer into it, so that Numba keeps it alive


_work_shared = by_ranges(_work)


@kernel
def _share(threads, items, x, weights, bias, table, out):
    """Compute all `items`, split among `threads` threads."""
    _work_shared(threads, items, x, weights, bias, table, out)


def _waste(problem: Problem, tile: int) -> float:
    """Return the sums computed per sum needed with this register tile, weighed by its loads."""
    rows, columns = TILES[tile]
    wide = columns * simd.lanes_of(problem.itemsize)
    outputs, width = problem.out_channels // problem.groups, merged(problem).output_size[2]
    lost = -(-outputs // rows) * rows / outputs * -(-width // wide) * wide / width
    return lost * slowdown(rows + columns, rows * columns)


def cost(problem: Problem) -> float:
    """Estimate the register operations per vector of products; inf if a sum has too many.

    Counts the discarded sums, the start and the write-out of a tile, and the copy of the input.
    """
    if problem.taps > MOST_TAPS:
        return math.inf
    outputs = problem.out_channels // problem.groups
    best = min(_waste(problem, tile) for tile in range(len(TILES)))
    return best * (1 + WRITE_OUT / problem.taps) + 4 / (outputs * math.prod(problem.kernel))


@lru_cache(maxsize=256)
def blocking(problem: Problem, threads: int) -> ChannelsBlocking:
    """Choose the blocking of `problem`; the order of summation does not depend on `threads`."""
    number = min(range(len(TILES)), key=lambda tile: _waste(problem, tile))
    rows, columns = TILES[number]
    tile = RegisterTile(number, columns * simd.lanes_of(problem.itemsize), rows)
    v = merged(problem)
    return blocked(v, threads, tile, math.inf, False, v.kernel[2] <= COPIES)


def workspace_bytes(problem: Problem, threads: int) -> int:
    """Bytes of the packed kernel and, per thread, of a strip of input."""
    return blocking(problem, threads).workspace(threads) * problem.itemsize


def prepare(problem: Problem, w: np.ndarray, threads: int) -> tuple[ChannelsBlocking, np.ndarray]:
    """Return the blocking, and the correlation kernel `w` packed in the order of its use."""
    blocks = blocking(problem, threads)
    return blocks, packed_kernel(w, blocks, threads)


def forward(
    problem: Problem, x: np.ndarray, prepared: tuple[ChannelsBlocking, np.ndarray],
    bias: np.ndarray, out: np.ndarray, threads: int,
) -> None:  # fmt: skip
    """Write the output for `x`, with `prepared` as returned by `prepare`."""
    blocks, packed = prepared
    arguments = blocks.shape.items, x.ravel(), packed, bias, blocks.table, out.ravel()
    if threads == 1:
        _work(0, 0, *arguments)
    else:
        _share(threads, *arguments)
