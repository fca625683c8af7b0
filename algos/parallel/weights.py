"""Kernel gradient with output channels in the lanes of vector registers.

An element of the gradient is a sum over all images and output positions, so the innermost loop runs
along positions. A register tile of M scalars of input × V vectors of output gradient receives one
rank-one update per position.

Input and output gradient are first laid out position by position, with the channels of a block side
by side and the input inside its padding. A tap is then an offset for any stride and dilation. Taps
along the last axis lie one position apart, so the M scalars continue from one tap's channels into
the next tap's, and few are wasted.

Cache blocking is that of a matrix product with a long inner dimension. A stretch of positions of
one block of each operand fits L1 and serves all taps.

Arguments that mean the same in every kernel; indices and lengths count elements:

`x`, `g`: laid-out input and output gradient, arrays or pointers. Only `lay_row` and `_lay_out` take
    them as the user gives them.
`offsets`: pointer to each register tile's first scalar, counted from an output position.
`places`: pointer to (kernel plane and row, first and end element of (column, channel)) of each
    tile.
`numbers`: array of a `WeightsGeometry`; `s` is that `WeightsGeometry`.
`sums`: scratch of one thread, [tile][scalar][output channel].
`out`: flat gradient of the kernel, (O, C/groups, d, h, w).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from algos.backend.compiler import apart, by_ranges, fixed_tuple, kernel, threaded
from algos.core.problem import Problem
from algos.simd import registers as simd
from algos.simd.arithmetic import add_outer, transpose
from algos.simd.copies import clear
from algos.simd.registers import (
    lanes,
    load,
    load_part,
    load_square,
    pointer,
    prefetch,
    store,
    store_rows,
)

from .channels_blocking import merged
from .weights_blocking import TILES, WeightsGeometry, blocking, cost, elements

__all__ = ["blocking", "cost", "grad_weight", "lay_row", "workspace_bytes"]

_NUMBERS = len(WeightsGeometry._fields)


def _make_tile(scalars: Any, vectors: int) -> Any:
    """Return the innermost kernel for a register tile of `scalars` × `vectors`."""
    registers = scalars * vectors

    @kernel
    def tile(x, at, row_step, step, g, block, out_width, rows, columns, sums, where):
        """Add sums[where:] += Σ over a stretch of positions of x[at + …:] ⊗ g[block + …:].

        `row_step`, `step`: elements of `x` between output rows and between output columns.
        `out_width`: positions of `g` from row to row.
        `rows`, `columns`: size of the stretch.

        Reads M elements of `x` and V vectors of `g` per position.
        """
        lane = lanes(g)
        total = load(sums, where, registers)
        for r in range(rows):
            source = at + r * row_step
            vector = block + r * out_width * vectors * lane
            for _ in range(columns):
                total = add_outer(total, x, source, g, vector, scalars, vectors)
                source += step
                vector += vectors * lane
        store(sums, where, total)

    return tile


_tile0, _tile1, _tile2, _tile3 = (_make_tile(m, v) for m, v in TILES)


@kernel
def _item(x, g, offsets, places, s, item, sums, out):
    """Compute the gradient of one block of output channels by one block of input channels."""
    lane = lanes(g)
    width = s.vectors * lane
    pair, o = item // s.output_blocks, item % s.output_blocks
    group, c = pair // s.input_blocks, pair % s.input_blocks
    size = s.scalars * width
    clear(sums, 0, s.tiles * size)
    plane = s.out_height * s.out_width
    for image in range(s.images):
        input_block = ((image * s.groups + group) * s.input_blocks + c) * s.image_size
        output_block = (image * s.groups + group) * s.output_blocks + o
        output_block *= s.out_depth * plane * width
        for h in range(s.out_depth):
            for j in range(0, s.out_height, s.rows):
                rows = min(s.rows, s.out_height - j)
                for k in range(0, s.out_width, s.columns):
                    columns = min(s.columns, s.out_width - k)
                    at = input_block + h * s.depth_step + j * s.row_step + k * s.column_step
                    block = output_block + (h * plane + j * s.out_width + k) * width
                    for t in range(s.tiles):
                        start = at + offsets[t]
                        if s.tile == 0:
                            _tile0(x, start, s.row_step, s.column_step, g, block, s.out_width,
                                   rows, columns, sums, t * size)  # fmt: skip
                        elif s.tile == 1:
                            _tile1(x, start, s.row_step, s.column_step, g, block, s.out_width,
                                   rows, columns, sums, t * size)  # fmt: skip
                        elif s.tile == 2:
                            _tile2(x, start, s.row_step, s.column_step, g, block, s.out_width,
                                   rows, columns, sums, t * size)  # fmt: skip
                        else:
                            _tile3(x, start, s.row_step, s.column_step, g, block, s.out_width,
                                   rows, columns, sums, t * size)  # fmt: skip
    _write(sums, places, s, group, c, o, width, out)


@kernel
def _write(sums, places, s, group, c, o, width, out):
    """Write the sums of all tiles of a pair of blocks to their places in the gradient.

    `group`, `c`, `o`: group, input block and output block; `width` is the output channels of a
        block.
    """
    taps = s.kernel_planes * s.kernel_rows * s.kernel_columns
    first_input = c * s.block_channels
    for v in range(min(width, s.outputs - o * width)):
        target = ((group * s.outputs + o * width + v) * s.inputs + first_input) * taps
        for t in range(s.tiles):
            row, first, last = places[3 * t], places[3 * t + 1], places[3 * t + 2]
            source = t * s.scalars * width + v
            n, channel = first // s.block_channels, first % s.block_channels
            for _ in range(first, last):
                if first_input + channel < s.inputs:
                    out[target + channel * taps + row * s.kernel_columns + n] = sums[source]
                source += width
                channel += 1
                if channel == s.block_channels:
                    channel, n = 0, n + 1


@by_ranges
@kernel
def _work(t, first, last, x, g, offsets, places, numbers, sums, out):
    """Compute pairs of blocks `first` to `last` − 1 as thread t."""
    s = WeightsGeometry(*fixed_tuple(numbers, _NUMBERS))
    for item in range(first, last):
        _item(
            pointer(x), pointer(g), pointer(offsets), pointer(places), s, item, pointer(sums[t]),
            pointer(out),
        )  # fmt: skip


@kernel
def _correlate(x, g, offsets, places, numbers, items, sums, out):
    """Compute every pair of blocks, split among as many threads as `sums` has rows."""
    _work(sums.shape[0], items, x, g, offsets, places, numbers, sums, out)


@apart
@kernel
def lay_row(x, source, plane, channels, width, before, count, pitch, target, at, ahead):
    """Lay out one row of a block: target[at + k·pitch + c] = sample k − before of channel c, or 0.

    `x`: pointer; channel c's row is its `width` elements from `source + c·plane` on. Nothing else
        is read.
    `channels`: channels that exist; the rest up to `pitch` become zeros.
    `count`: samples of the row to write.
    `target`: pointer; `count` × `pitch` elements are written from `at` on.
    `ahead`: distance in elements to the row that is prefetched.

    The prefetch is explicit because rows are too short, and channels too many, for the hardware
    prefetcher.
    """
    lane = lanes(target)
    first, last = min(before, count), min(before + width, count)
    last = max(first, last)
    clear(target, at, first * pitch)
    clear(target, at + last * pitch, (count - last) * pitch)
    whole = pitch if pitch % lane > lane // 2 else pitch - pitch % lane
    for c in range(0, whole, lane):
        rows = min(lane, channels - c)
        for k in range(first, last, lane):
            columns = min(lane, last - k)
            start = source + c * plane + k - before
            for r in range(lane):
                prefetch(x, start + r * plane + ahead)
            if rows == lane and columns == lane:
                square = load_square(x, start, plane)
            else:
                square = load_part(x, start, plane, rows, columns)
            store_rows(transpose(square), target, at + k * pitch + c, pitch, columns, 0, pitch - c)
    for c in range(whole, pitch):
        for k in range(first, last):
            inside = c < channels
            target[at + k * pitch + c] = x[source + c * plane + k - before] if inside else 0


@threaded
@kernel
def _lay_out_row(number, x, groups, block, blocks, before, reach, target):
    """Lay out row `number`, counted over images, groups, blocks, planes and rows."""
    depth, height, width = x.shape[2], x.shape[3], x.shape[4]
    per_group = x.shape[1] // groups
    rest, j = number // reach[1], number % reach[1]
    rest, h = rest // reach[0], rest % reach[0]
    rest, b = rest // blocks, rest % blocks
    r, d = j - before[1], h - before[0]
    at = number * reach[2] * block
    if 0 <= r < height and 0 <= d < depth:
        channel = rest * per_group + b * block
        source = ((channel * depth + d) * height + r) * width
        lay_row(
            pointer(x), source, depth * height * width, min(block, per_group - b * block),
            width, before[2], reach[2], block, pointer(target), at, width,
        )  # fmt: skip
    else:
        clear(pointer(target), at, reach[2] * block)


@kernel
def _lay_out(x, groups, block, blocks, before, reach, target):
    """Lay out `x` (N, C, D, H, W) as [image][group][block of channels][position][channel].

    Positions are those of the padded volume of `reach`, whose first sample lies `before` outside.
    There are `blocks` blocks of `block` channels in a group.
    """
    rows = x.shape[0] * groups * blocks * reach[0] * reach[1]
    _lay_out_row(rows, x, groups, block, blocks, before, reach, target)


def workspace_bytes(problem: Problem, threads: int) -> int:
    """Return the bytes of laid-out input and output gradient, and of each thread's sums."""
    x, g, sums = elements(blocking(problem), problem)
    return (x + g + threads * sums) * problem.itemsize


def grad_weight(
    problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
) -> None:
    """Write the gradient of the correlation kernel; `g` must be finite."""
    blocks, v = blocking(problem), merged(problem)
    s = blocks.shape
    sizes = elements(blocks, problem)
    laid_x, laid_g = (simd.aligned(n, x.dtype) for n in sizes[:2])
    width = s.vectors * simd.lanes_of(problem.itemsize)
    laid_x[-s.scalars :] = 0
    _lay_out(
        x.reshape(v.input_shape), v.groups, s.block_channels, s.input_blocks, blocks.before,
        blocks.reach, laid_x,
    )  # fmt: skip
    _lay_out(
        g.reshape(v.output_shape), v.groups, width, s.output_blocks, (0, 0, 0), v.output_size,
        laid_g,
    )  # fmt: skip
    items = s.groups * s.input_blocks * s.output_blocks
    _correlate(
        laid_x, laid_g, blocks.offsets, blocks.places, blocks.numbers, items,
        np.empty((threads, sizes[2]), x.dtype), out.reshape(-1),
    )  # fmt: skip
