"""Direct convolution of depthwise layers with their channels last, with channels in the lanes.

Every channel has a kernel of its own, so a vector of channels is multiplied by a vector of weights,
element by element. A register tile holds M neighbouring positions of an output row × V vectors of
channels. For each tap it loads V vectors of weights, which serve all M positions, and M·V vectors
of input, each as the operand of a multiply-add.

Kernel rows outside the input are left out. A position beside the border lacks kernel columns, too.
Such positions are taken one by one, with more vectors of channels side by side.

A band of output rows is computed for one block of channels after the other, so that the rows under
the kernel stay in L1.

Arguments that mean the same in every kernel; indices and lengths count elements:

`x`, `out`: pointers to input and output, both (N, D, H, W, C) and contiguous.
`weights`: pointer to the correlation kernel, [tap][channel]; `bias`: pointer to one element per
    channel.
`s`: a `DepthwiseGeometry`.
`h`, `j`, `k`: plane, row and column of the output.
`planes`, `rows`, `columns`: taps along each axis, from the first to the last − 1, that are added.

Measurements: docs/kernels.md.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from algos.backend.compiler import by_ranges, fixed_tuple, kernel
from algos.core.memory_order import CHANNELS_LAST, in_memory
from algos.core.problem import Problem
from algos.simd import registers as simd
from algos.simd.arithmetic import add_scaled, repeat
from algos.simd.registers import lanes, load, pointer
from algos.simd.window import store_block

#: Register tiles, positions × vectors of channels: the usual one, that of short rows, and those of
#: single positions.
WIDE, SHORT = ((12, 2), (4, 2)) if simd.REGISTERS == 32 else ((6, 2), (3, 2))
ALONE = (1, 4)
#: Bytes of a band's input, for all channels; it stays in L2. Other values changed nothing on Zen 3.
BAND_BYTES = 192 * 1024
#: Items of work for each thread, if there are enough rows and channels.
SHARES = 4


class DepthwiseGeometry(NamedTuple):
    """Numbers the compiled kernel works from; spatial ones come as depth, row, column."""

    channels: int
    depth: int
    height: int
    width: int
    out_depth: int
    out_height: int
    out_width: int
    depth_stride: int
    row_stride: int
    column_stride: int
    depth_dilation: int
    row_dilation: int
    column_dilation: int
    depth_before: int
    rows_before: int
    columns_before: int
    depth_taps: int
    row_taps: int
    column_taps: int
    #: Output columns for which all kernel columns lie inside: from the first to the last − 1.
    inner: int
    outer: int
    #: Vectors of channels of a tile; blocks of channels, and of them in one item; bands of rows.
    vectors: int
    blocks: int
    blocks_per_item: int
    bands: int


_NUMBERS = len(DepthwiseGeometry._fields)


@kernel
def inside(position, stride, before, dilation, taps, size):
    """Return the taps, from the first to the last − 1, that lie inside an axis of `size` samples.

    `position`: of the output along the axis.
    """
    at = position * stride - before
    first = 0 if at >= 0 else -(at // dilation)
    last = -((at - size) // dilation) if at < size else 0
    return first, max(first, min(taps, last))


@kernel
def _rows_inside(s, j):
    """Return the kernel rows of output row `j` that lie inside the input."""
    return inside(j, s.row_stride, s.rows_before, s.row_dilation, s.row_taps, s.height)


def _make_tile(positions: int, vectors: int) -> Any:
    """Return the innermost kernel for a register tile of `positions` × `vectors`."""

    @kernel
    def tile(x, weights, bias, out, s, image, h, j, planes, rows, k, columns, channel):
        """Compute the outputs at columns k … k + positions − 1 for one block of channels.

        `channel`: the block's first channel.
        """
        first = k * s.column_stride - s.columns_before
        step = s.column_stride * s.channels
        total = repeat(load(bias, channel, vectors), positions)
        for p in range(planes[0], planes[1]):
            d = image * s.depth + h * s.depth_stride - s.depth_before + p * s.depth_dilation
            for m in range(rows[0], rows[1]):
                r = d * s.height + j * s.row_stride - s.rows_before + m * s.row_dilation
                at = (r * s.width + first + columns[0] * s.column_dilation) * s.channels + channel
                near = (p * s.row_taps + m) * s.column_taps + columns[0]
                near = near * s.channels + channel
                for n in range(columns[1] - columns[0]):
                    total = add_scaled(
                        total, weights, near + n * s.channels, x,
                        at + n * s.column_dilation * s.channels, step, positions, vectors,
                    )  # fmt: skip
        row = (image * s.out_depth + h) * s.out_height + j
        target = (row * s.out_width + k) * s.channels + channel
        store_block(
            total, out, target, s.channels, positions, vectors * lanes(x), positions, vectors
        )

    return tile


_wide, _short, _single = _make_tile(*WIDE), _make_tile(*SHORT), _make_tile(1, 2)
_alone, _narrow = _make_tile(*ALONE), _make_tile(1, 1)


@kernel
def _inner_row(x, weights, bias, out, s, image, h, j, planes, rows, channel):
    """Compute the inner columns of an output row for a block of two vectors of channels.

    The last tile ends with the last inner column, and may overlap the one before it.
    """
    count, columns = s.outer - s.inner, (0, s.column_taps)
    if count >= WIDE[0]:
        for n in range(0, count, WIDE[0]):
            k = s.inner + min(n, count - WIDE[0])
            _wide(x, weights, bias, out, s, image, h, j, planes, rows, k, columns, channel)
    elif count >= SHORT[0]:
        for n in range(0, count, SHORT[0]):
            k = s.inner + min(n, count - SHORT[0])
            _short(x, weights, bias, out, s, image, h, j, planes, rows, k, columns, channel)
    else:
        for k in range(s.inner, s.outer):
            _single(x, weights, bias, out, s, image, h, j, planes, rows, k, columns, channel)


@kernel
def _outer_position(x, weights, bias, out, s, image, h, j, planes, rows, k, first, last):
    """Compute one position for the channels first … last − 1, at least one vector of them."""
    lane = lanes(x)
    columns = inside(
        k, s.column_stride, s.columns_before, s.column_dilation, s.column_taps, s.width
    )
    wide = ALONE[1] * lane
    if last - first >= wide:
        for c in range(first, last, wide):
            channel = min(c, last - wide)
            _alone(x, weights, bias, out, s, image, h, j, planes, rows, k, columns, channel)
    else:
        for c in range(first, last, lane):
            channel = min(c, last - lane)
            _narrow(x, weights, bias, out, s, image, h, j, planes, rows, k, columns, channel)


@kernel
def _work(_slot, first, last, x, weights, bias, table, out):
    """Compute items `first` to `last` − 1, each some blocks of channels of a band of rows.

    `_slot`: number of this thread. All others are flat arrays; `table` holds the geometry.
    """
    s = DepthwiseGeometry(*fixed_tuple(table, _NUMBERS))
    chunks = -(-s.blocks // s.blocks_per_item)
    wide = s.vectors * lanes(x)
    x_, w_, b_, y_ = pointer(x), pointer(weights), pointer(bias), pointer(out)
    for item in range(first, last):
        rest, chunk = item // chunks, item % chunks
        rest, band = rest // s.bands, rest % s.bands
        image, h = rest // s.out_depth, rest % s.out_depth
        low, high = band * s.out_height // s.bands, (band + 1) * s.out_height // s.bands
        start = chunk * s.blocks_per_item * wide
        end = min(start + s.blocks_per_item * wide, s.channels)
        # The last block ends with the last channel, and may overlap the one before it.
        start = min(start, s.channels - wide)
        planes = inside(h, s.depth_stride, s.depth_before, s.depth_dilation, s.depth_taps, s.depth)
        if s.vectors == 2:
            for c in range(start, end, wide):
                channel = min(c, s.channels - wide)
                for j in range(low, high):
                    rows = _rows_inside(s, j)
                    _inner_row(x_, w_, b_, y_, s, image, h, j, planes, rows, channel)
        for j in range(low, high):
            rows = _rows_inside(s, j)
            for k in range(s.out_width):
                if s.vectors == 1 or not s.inner <= k < s.outer:
                    _outer_position(x_, w_, b_, y_, s, image, h, j, planes, rows, k, start, end)


_work_shared = by_ranges(_work)


@kernel
def _share(threads, items, x, weights, bias, table, out):
    """Compute all `items`, split among `threads` threads."""
    _work_shared(threads, items, x, weights, bias, table, out)


def suits(problem: Problem) -> bool:
    """Return True for depthwise layers whose channels fill a vector."""
    depthwise = problem.groups == problem.in_channels == problem.out_channels
    return depthwise and problem.in_channels >= simd.lanes_of(problem.itemsize)


@lru_cache(maxsize=256)
def _blocking(problem: Problem, threads: int) -> tuple[np.ndarray, int]:
    """Return the geometry of `problem` as an array, and the number of items of work."""
    v, lane = problem.volume, simd.lanes_of(problem.itemsize)
    vectors = 2 if v.in_channels >= 2 * lane else 1
    blocks = -(-v.in_channels // (vectors * lane))
    first = np.arange(v.output_size[2]) * v.stride[2] - v.before[2]
    within = np.flatnonzero((first >= 0) & (first + v.extent[2] <= v.size[2]))
    inner, outer = (int(within[0]), int(within[-1]) + 1) if len(within) else (0, 0)
    row = v.stride[1] * v.size[2] * v.in_channels * v.itemsize
    images = v.batch * v.output_size[0]
    bands = -(-v.output_size[1] * row // BAND_BYTES)
    if threads > 1:
        bands = max(bands, -(-SHARES * threads // images))
    bands = min(bands, v.output_size[1])
    chunks = min(blocks, max(1, -(-SHARES * threads // (images * bands)))) if threads > 1 else 1
    per_item = -(-blocks // chunks)
    shape = DepthwiseGeometry._make((
        v.in_channels, *v.size, *v.output_size, *v.stride, *v.dilation, *v.before, *v.kernel,
        inner, outer, vectors, blocks, per_item, bands,
    ))  # fmt: skip
    return np.array(shape, np.int64), images * bands * -(-blocks // per_item)


def workspace_bytes(problem: Problem, threads: int) -> int:
    """Return the bytes of the kernel in the order of its use."""
    return math.prod(problem.kernel_shape) * problem.itemsize


def prepare(problem: Problem, w: np.ndarray, threads: int) -> tuple[np.ndarray, int, np.ndarray]:
    """Return the geometry, the items of work, and the kernel as [tap][channel]."""
    turned = simd.aligned(w.size, w.dtype)
    turned.reshape(-1, w.shape[0])[...] = w.reshape(w.shape[0], -1).T
    return *_blocking(problem, threads), turned


def forward(
    problem: Problem, x: np.ndarray, prepared: tuple[np.ndarray, int, np.ndarray],
    bias: np.ndarray, out: np.ndarray, threads: int,
) -> None:  # fmt: skip
    """Write the output for `x`, with `prepared` as returned by `prepare`."""
    table, items, turned = prepared
    x, out = (in_memory(array, CHANNELS_LAST).reshape(-1) for array in (x, out))
    if threads == 1:
        _work(0, 0, items, x, turned, bias, table, out)
    else:
        _share(threads, items, x, turned, bias, table, out)
