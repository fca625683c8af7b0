"""Direct convolution with neighbouring pixels in the lanes of vector registers.

Meant for images and depthwise layers, where an output channel sums few input channels. Kernels of
3×3 on small maps go to `parallel.planes` instead. A register tile holds R output rows × V vectors
of one channel. An input row is read once per kernel column, at any shift, and serves every output
row of the tile that it reaches. That gives up to R multiply-adds for one load, without im2col and
without a copy. Columns outside the image are masked. Rows outside it are replaced by a row of
zeros. So the inner loop has no border.

A strip, R output rows of one channel, is finished before the next begins. It adds one run of kernel
rows after the other; between runs its sums stay in the output, in L1. Everything irregular is
settled once per run: where rows begin, and the split of a strided row into its column phases.

Kernel columns are taken from right to left. The first loads of a tile then lie beyond the last
stores, also modulo 4 KiB, the only part of an address that the processor compares at first. While a
strip is summed, the rows below it are prefetched. A long single row is folded into rows that
overlap, so that it slides like an image.

Arguments that mean the same in every kernel; indices and lengths count elements:

`x`, `out`: pointers to the input (N, C, D, H, W) and to the output (N, O, D, H, W), both
    contiguous.
`weights`: pointer to the kernel as `prepare` orders it, [output channel][input channel][depth
    tap][run][column][row].
`bias`: pointer to one element per output channel.
`table`: the array `RowsBlocking.table`; `s` is the `RowsGeometry` at its head.
`offsets`: pointer to the shift of every kernel column.
`parts`: pointer to (first input row, taps, first column, columns) of every run of kernel rows.
`starts`: pointer to the index in `x` of each row under the tile, ROWS + taps − 1 of them.

Measurements and rejected variants: docs/kernels.md.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from algos.backend.compiler import by_ranges, fixed_tuple, kernel
from algos.core.arrays import read_only
from algos.core.problem import Problem
from algos.simd.copies import clear
from algos.simd.registers import distance, lanes, pointer, prefetch, splat, store
from algos.simd.window import add_window, load_block, split_pairs, store_block

from .rows_blocking import (
    MOST_TAPS,
    NARROW,
    ROWS,
    WIDE,
    RowsBlocking,
    RowsGeometry,
    blocking,
    cost,
    folded,
    tap_order,
)

__all__ = ["blocking", "cost", "folded", "forward", "prepare", "tap_order", "workspace_bytes"]

_NUMBERS = len(RowsGeometry._fields)


def _make_run(taps: int, vectors: int, least: Any) -> Any:
    """Return the innermost kernel for runs of `taps` kernel rows and tiles `vectors` wide.

    It stops when `least` vectors or fewer are left.
    """
    registers = ROWS * vectors

    @kernel
    def run(x, starts, low, high, weights, at, offsets, first, columns, bias, o, done, out, target,
            pitch, rows, k, width, below, step):  # fmt: skip
        """Add one run of kernel rows to output columns k … width; return the first column left.

        `low`, `high`: first column of a row that exists and one past the last, counted from
            `starts`. Others count as zero and are not read.
        `first`, `columns`: first kernel column of the run, and their number. Tap m of its n-th
            column is ``weights[at + taps·n + m]``.
        `done`: nonzero if ``out[target:]`` already holds sums; otherwise they start from
            ``bias[o]``.
        `pitch`, `rows`: distance and number of output rows; at most ROWS.
        `below`, `step`: index in `x` of the first row to prefetch, and the distance between such
            rows.
        """
        stretch = vectors * lanes(out)
        while width - k > least * lanes(out):
            if done:
                total = load_block(out, target + k, pitch, rows, width - k, ROWS, vectors)
            else:
                total = splat(bias, o, registers)
            left, right = k + offsets[first], k + offsets[first + columns - 1] + stretch
            if low <= left and right <= high:
                for n in range(columns - 1, -1, -1):
                    total = add_window(
                        total, weights, at + taps * n, x, starts, k + offsets[first + n], low,
                        high, taps, ROWS, vectors, 1,
                    )  # fmt: skip
            else:
                for n in range(columns - 1, -1, -1):
                    total = add_window(
                        total, weights, at + taps * n, x, starts, k + offsets[first + n], low,
                        high, taps, ROWS, vectors, 0,
                    )  # fmt: skip
            store_block(total, out, target + k, pitch, rows, width - k, ROWS, vectors)
            for r in range(ROWS):
                for n in range(k, k + stretch, lanes(out)):
                    prefetch(x, below + r * step + n)
            k += stretch
        return k

    return run


#: Wide tiles are used while more than half of one is filled; narrow ones finish the row.
_wide1, _wide2, _wide3, _wide4, _wide5 = (
    _make_run(taps, WIDE, WIDE // 2) for taps in range(1, MOST_TAPS + 1)
)
_narrow1, _narrow2, _narrow3, _narrow4, _narrow5 = (
    _make_run(taps, NARROW, 0) for taps in range(1, MOST_TAPS + 1)
)


@kernel(inline="always")
def _add_run(taps, x, starts, low, high, weights, at, offsets, first, columns, bias, o, done, out,
             target, pitch, rows, width, below, step):  # fmt: skip
    """Add one run of kernel rows to a strip: wide tiles first, then narrow ones.

    The arguments are those of the kernel that `_make_run` returns.
    """
    if taps == 1:
        k = _wide1(x, starts, low, high, weights, at, offsets, first, columns, bias, o, done, out,
                   target, pitch, rows, 0, width, below, step)  # fmt: skip
        _narrow1(x, starts, low, high, weights, at, offsets, first, columns, bias, o, done, out,
                 target, pitch, rows, k, width, below, step)  # fmt: skip
    elif taps == 2:
        k = _wide2(x, starts, low, high, weights, at, offsets, first, columns, bias, o, done, out,
                   target, pitch, rows, 0, width, below, step)  # fmt: skip
        _narrow2(x, starts, low, high, weights, at, offsets, first, columns, bias, o, done, out,
                 target, pitch, rows, k, width, below, step)  # fmt: skip
    elif taps == 3:
        k = _wide3(x, starts, low, high, weights, at, offsets, first, columns, bias, o, done, out,
                   target, pitch, rows, 0, width, below, step)  # fmt: skip
        _narrow3(x, starts, low, high, weights, at, offsets, first, columns, bias, o, done, out,
                 target, pitch, rows, k, width, below, step)  # fmt: skip
    elif taps == 4:
        k = _wide4(x, starts, low, high, weights, at, offsets, first, columns, bias, o, done, out,
                   target, pitch, rows, 0, width, below, step)  # fmt: skip
        _narrow4(x, starts, low, high, weights, at, offsets, first, columns, bias, o, done, out,
                 target, pitch, rows, k, width, below, step)  # fmt: skip
    else:
        k = _wide5(x, starts, low, high, weights, at, offsets, first, columns, bias, o, done, out,
                   target, pitch, rows, 0, width, below, step)  # fmt: skip
        _narrow5(x, starts, low, high, weights, at, offsets, first, columns, bias, o, done, out,
                 target, pitch, rows, k, width, below, step)  # fmt: skip


@kernel
def _pack_rows(x, plane, r, rows, first, s, target):
    """Copy `rows` rows of a plane from row r on, `s.row_step` apart, from column `first` on.

    The copy is [row][column phase][column]. Samples outside the plane become zeros and are not
    read.

    `plane`: index in `x` of the plane's first element.
    `target`: pointer to the scratch of one thread; rows × phases × phase_pitch elements are
        written.
    """
    stride, count = s.column_stride, s.phase_pitch
    for q in range(rows):
        at = q * s.phases * count
        row = r + q * s.row_step
        source = plane + row * s.pitch + first
        # A row outside the plane counts as a row without columns, so the copy is all zeros.
        width = s.width if 0 <= row < s.height else 0
        if stride == 2:
            for m in range(0, count, lanes(x)):
                even, odd = split_pairs(x, source + 2 * m, first + 2 * m, width)
                store(target, at + m, (even,))
                if s.phases == 2:
                    store(target, at + count + m, (odd,))
        else:
            for b in range(s.phases):
                for m in range(count):
                    column = b + m * stride
                    inside = 0 <= first + column < width
                    target[at + b * count + m] = x[source + column] if inside else 0


@kernel(inline="always")
def _strip(x, weights, bias, offsets, parts, out, s, channel, target, o, h, j, k, buffer, starts):
    """Compute one strip: up to ROWS output rows j, j + tile_step, … in a band of columns from k.

    `channel`: number of the first input channel, counted over images.
    `target`: index in `out` of the strip's first output; `o` is the output channel and `h` the
        plane.
    `buffer`: pointer to `s.buffer` elements of scratch; its first row is zero unless rows are
        packed.
    """
    height, step = s.height, s.row_step
    rows = ROWS
    while j + (rows - 1) * s.tile_step >= s.out_height:
        rows -= 1
    pitch, width = s.tile_step * s.out_width, min(s.band, s.out_width - k)
    # Columns are counted from the strip's leftmost tap.
    first = k * s.column_stride - s.columns_before
    packed = s.phases * s.phase_pitch
    zeros = distance(x, buffer)
    at = o * s.inputs * s.depth_taps * s.taps
    done = np.int64(0)
    for c in range(channel, channel + s.inputs):
        for p in range(s.depth_taps):
            d = h * s.depth_stride + p * s.depth_dilation - s.depth_before
            if d < 0 or d >= s.depth:
                at += s.taps
                continue
            plane = c * s.channel + d * s.plane
            for part in range(0, 4 * s.parts, 4):
                r = j * s.row_stride + parts[part] - s.rows_before
                taps, column, columns = parts[part + 1], parts[part + 2], parts[part + 3]
                here = taps + ROWS - 1
                if r + (here - 1) * step < 0 or r >= height:
                    at += taps * columns
                    continue
                if s.column_stride > 1:
                    _pack_rows(x, plane, r, here, first, s, buffer)
                    source, low, high = buffer, 0, packed
                    below = below_step = 0
                    for q in range(here):
                        starts[q] = q * packed
                else:
                    source, low, high = x, -first, s.width - first
                    below_step = step * s.pitch
                    below = plane + r * s.pitch + here * below_step + first + s.columns_before
                    for q in range(here):
                        row = r + q * step
                        inside = 0 <= row < height
                        starts[q] = plane + row * s.pitch + first if inside else zeros
                _add_run(
                    taps, source, starts, low, high, weights, at, offsets, column, columns, bias,
                    o, done, out, target, pitch, rows, width, below, below_step,
                )  # fmt: skip
                at += taps * columns
                done += 1
    if not done:  # every tap lies in the padding
        for r in range(rows):
            for n in range(width):
                out[target + r * pitch + n] = bias[o]


@kernel(allocates=True)
def _work(_slot, item, last, x, weights, bias, table, out):
    """Compute strips `item` to `last` − 1; the arguments are flat arrays.

    `_slot`: number of this thread.
    """
    s = RowsGeometry(*fixed_tuple(table, _NUMBERS))
    room = np.empty(s.buffer, weights.dtype)
    places = np.empty(ROWS + MOST_TAPS, np.int64)
    clear(pointer(room), 0, s.phase_pitch)
    offsets = pointer(table[_NUMBERS:])
    parts = pointer(table[table.size - 4 * s.parts :])
    per_plane = s.tiles * s.bands
    while item < last:
        plane, place = item // per_plane, item % per_plane
        image, h = plane // s.out_depth, plane % s.out_depth
        b, o = image // s.outputs, image % s.outputs
        channel = (b * s.groups + o // (s.outputs // s.groups)) * s.inputs
        end = min(last - item + place, per_plane)
        item += end - place
        # A division costs as much as a vector of products, so the strips are counted without one.
        t, k = place // s.bands, place % s.bands * s.band
        phase = t % s.tile_step
        first = (t - phase) * ROWS
        for _ in range(place, end):
            j = first + phase
            if j < s.out_height:
                _strip(
                    pointer(x), pointer(weights), pointer(bias), offsets, parts, pointer(out), s,
                    channel, (plane * s.out_height + j) * s.out_width + k, o, h, j, k,
                    pointer(room), pointer(places),
                )  # fmt: skip
            k += s.band
            if k >= s.out_width:
                k, phase = 0, phase + 1
                if phase == s.tile_step:
                    phase, first = 0, first + ROWS * s.tile_step
    room[0] = places[0] = 0  # used after the last pointer into them, so that Numba keeps them


_work_shared = by_ranges(_work)


@kernel
def _share(threads, strips, x, weights, bias, table, out):
    """Compute all `strips`, split among `threads` threads."""
    _work_shared(threads, strips, x, weights, bias, table, out)


def workspace_bytes(problem: Problem, threads: int) -> int:
    """Bytes of packed kernel, of each thread's scratch, and of the copies that folding makes."""
    blocks, fold = blocking(problem, threads), folded(problem)
    elements = threads * blocks.shape.buffer + math.prod(problem.kernel_shape)
    if fold != problem:
        elements += fold.batch * fold.in_channels * blocks.shape.channel
        whole = math.prod(fold.output_shape)
        elements += whole if whole != math.prod(problem.output_shape) else 0
    return elements * problem.itemsize


def prepare(problem: Problem, w: np.ndarray, threads: int) -> tuple[RowsBlocking, np.ndarray]:
    """Return the blocking, and the correlation kernel `w` in the order of its use."""
    blocks = blocking(problem, threads)
    return blocks, w.reshape(-1, blocks.order.size).take(blocks.order, axis=1).reshape(-1)


def forward(
    problem: Problem, x: np.ndarray, prepared: tuple[RowsBlocking, np.ndarray], bias: np.ndarray,
    out: np.ndarray, threads: int,
) -> None:  # fmt: skip
    """Write the output for `x`, with `prepared` as returned by `prepare`."""
    blocks, weights = prepared
    if not blocks.is_folded:
        _run(blocks, x, weights, bias, out, threads)
        return
    s = blocks.shape
    shape = (*out.shape[:2], s.out_height * s.out_width)
    y = out if math.prod(shape) == out.size else np.empty(shape, out.dtype)
    _run(blocks, _padded_row(problem, s.channel, x), weights, bias, y, threads)
    if y is not out:
        out[...] = y[:, :, : out.shape[-1]].reshape(out.shape)


def _run(
    blocks: RowsBlocking, x: np.ndarray, weights: np.ndarray, bias: np.ndarray, out: np.ndarray,
    threads: int,
) -> None:  # fmt: skip
    """Run the kernel on flat arrays, in this thread alone or shared among `threads`."""
    arguments = blocks.shape.items, x.ravel(), weights, bias, blocks.table, out.ravel()
    if threads == 1:
        _work(0, 0, *arguments)
    else:
        _share(threads, *arguments)


def _padded_row(problem: Problem, count: int, x: np.ndarray) -> np.ndarray:
    """Return the rows of `x` (N, C, …, W) with zeros around them, `count` samples each."""
    before = problem.padding[-1][0]
    stop = min(before + problem.size[-1], count)
    row = np.empty((*x.shape[:2], count), x.dtype)
    row[:, :, :before] = 0
    row[:, :, before:stop] = x.reshape(*x.shape[:2], -1)[:, :, : stop - before]
    row[:, :, stop:] = 0
    return read_only(row)
