"""Overlap-save in one sweep: tiles gathered, transformed, multiplied, transformed back, written.

Two tiles travel as one: the second is the imaginary part of the first. A real kernel acts on both
parts in the same way, so the two parts of the product are the two results. Half spectra and their
bookkeeping are not needed.

A tile's rows are transformed as they are read and as they are written. Rows of zeros, and rows
whose results would be discarded, are skipped. In between, a few columns at a time are transformed,
multiplied with the kernel's spectrum, summed over input channels and transformed back, while they
are in the cache.

One thread computes a pair of tiles. While a tile fits L2 the bottleneck is arithmetic (see
`transform`). Larger tiles cross L3 four times, and L3 becomes the bottleneck.

Arguments that mean the same in every kernel; indices and lengths count elements:

`x`, `y`: input (N, C, …) and output (N, O, …), contiguous, flat arrays or pointers.
`numbers`: array of a `TilesGeometry`; `s` is that `TilesGeometry`.
`tile`, `tiles`: pointer to complex tiles, each a plane of real parts and, `s.plane` further, one of
    imaginary parts. `tiles` holds one per input channel.
`total`, `totals`: one more such tile for a sum of products.
`at`: index of the tile or row.
`spectra`: the kernels' spectra, [output channel][input channel][plane of real, of imaginary parts].
`passes`, `factors`: pointers to the passes and twiddle factors of `transform.Line`, or one of each
    per axis (outer, middle, row).
`unit`: number of a tile; `pair`: number of a pair, tiles 2·pair and 2·pair + 1.
`channel`: number of the channel within an image; `row`: number of the row within a tile.

Measurements: docs/kernels.md.
"""

from __future__ import annotations

import numpy as np

from algos.backend.compiler import by_ranges, fixed_tuple, kernel, threaded
from algos.core.problem import Problem
from algos.simd import registers as simd
from algos.simd.border import standing
from algos.simd.registers import clear, copy, lanes, pointer

from .butterflies import multiply
from .tiles_blocking import Three, TilesBlocking, TilesGeometry, blocking, ordered
from .transform import (
    restore_columns,
    restore_row,
    restore_squares,
    transform_columns,
    transform_row,
    transform_squares,
)

#: Vectors of columns transformed together: few enough that their columns stay in the cache from the
#: transform to the transform back.
SLAB = 2

_NUMBERS = len(TilesGeometry._fields)


@kernel
def _place(s, unit):
    """Return (image, first stride-1 output along each axis) of tile `unit`."""
    image, rest = unit % s.images, unit // s.images
    third, rest = rest % s.row_tiles, rest // s.row_tiles
    return (
        image, rest // s.middle_tiles * s.outer_step, rest % s.middle_tiles * s.middle_step,
        third * s.row_step,
    )  # fmt: skip


@kernel
def _extend_row(x, s, start, first, begin, end, value, tile, at):
    """Write elements `begin` to `end` − 1 of a row of a tile, which lie beyond the border.

    `start`: index of the input row's first sample.
    `first`: position of the tile row's first element, counted from that sample.
    `value`: pointer to the value where no sample stands. Elements no output reads are zero.
    """
    read = max(begin, min(end, s.row_end - first))
    for k in range(begin, read):
        sample = standing(s.boundary, first + k, s.width)
        tile[at + k] = x[start + sample] if sample >= 0 else value[0]
    clear(tile, at + read, end - read)


@kernel
def _read_extended_row(x, s, unit, channel, row, value, tile, at):
    """Copy a row of a tile as `_read_row` does, where the boundary is not zeros."""
    if unit < s.images * s.outer_tiles * s.middle_tiles * s.row_tiles:
        image, a0, b0, c0 = _place(s, unit)
        a = a0 + row // s.tile_middle - s.outer_before
        b = b0 + row % s.tile_middle - s.middle_before
        first = c0 - s.row_before
        if a < s.outer_end and b < s.middle_end and first < s.row_end:
            a, b = standing(s.boundary, a, s.outer), standing(s.boundary, b, s.middle)
            if a < 0 or b < 0:
                read = min(s.tile_row, s.row_end - first)
                for k in range(read):
                    tile[at + k] = value[0]
                clear(tile, at + read, s.tile_row - read)
                return True
            left = min(max(-first, 0), s.tile_row)
            right = max(left, min(s.tile_row, s.width - first))
            plane = (image * s.groups * s.inputs + channel) * s.outer
            start = ((plane + a) * s.middle + b) * s.width
            _extend_row(x, s, start, first, 0, left, value, tile, at)
            copy(x, start + first + left, tile, at + left, right - left)
            _extend_row(x, s, start, first, right, s.tile_row, value, tile, at)
            return True
    clear(tile, at, s.tile_row)
    return False


@kernel
def _read_row(x, s, unit, channel, row, tile, at):
    """Copy a row of a tile, with zeros outside the input; return True if it holds any sample.

    Exactly `s.tile_row` elements are written. Nothing outside the input is read.
    """
    if unit < s.images * s.outer_tiles * s.middle_tiles * s.row_tiles:
        image, a0, b0, c0 = _place(s, unit)
        a = a0 + row // s.tile_middle - s.outer_before
        b = b0 + row % s.tile_middle - s.middle_before
        first = c0 - s.row_before
        left = min(max(-first, 0), s.tile_row)
        right = max(left, min(s.tile_row, s.width - first))
        if 0 <= a < s.outer and 0 <= b < s.middle and left < right:
            plane = (image * s.groups * s.inputs + channel) * s.outer
            start = ((plane + a) * s.middle + b) * s.width + first
            clear(tile, at, left)
            copy(x, start + left, tile, at + left, right - left)
            clear(tile, at + right, s.tile_row - right)
            return True
    clear(tile, at, s.tile_row)
    return False


@kernel
def _read(x, s, pair, channel, value, tile, at, passes, factors):
    """Gather a pair of tiles and transform their rows."""
    for row in range(0, s.tile_outer * s.tile_middle, s.rows):
        here = at + row * s.pitch
        is_empty = True
        for r in range(s.rows):
            for part in range(2):
                target = here + r * s.pitch + part * s.plane
                unit = 2 * pair + part
                if s.boundary:
                    held = _read_extended_row(x, s, unit, channel, row + r, value, tile, target)
                else:
                    held = _read_row(x, s, unit, channel, row + r, tile, target)
                if held:
                    is_empty = False
        if not is_empty:
            for r in range(s.rows):
                transform_row(
                    tile, here + r * s.pitch, s.plane, s.tile_row, 1, 1, passes, s.row_passes,
                    factors,
                )  # fmt: skip
            transform_squares(tile, here, s.plane, s.tile_row, s.square_between, s.square_step)


@kernel
def _is_kept(s, a, b):
    """Return True if the stride keeps a row at stride-1 outputs (a, b)."""
    return (
        a % s.outer_stride == 0 and a // s.outer_stride < s.out_outer
        and b % s.middle_stride == 0 and b // s.middle_stride < s.out_middle
    )  # fmt: skip


@kernel
def _keeps(s, unit, row):
    """Return True if a row of a tile is output: not wrapped around, not past the end, kept."""
    if unit >= s.images * s.outer_tiles * s.middle_tiles * s.row_tiles:
        return False
    a, b = row // s.tile_middle, row % s.tile_middle
    if a >= s.outer_step or b >= s.middle_step:
        return False
    _, a0, b0, _ = _place(s, unit)
    return _is_kept(s, a0 + a, b0 + b)


@kernel
def _write_row(y, s, unit, channel, row, tile, at, offset):
    """Write the outputs of a row of a tile, plus the number `offset`."""
    image, a0, b0, c0 = _place(s, unit)
    a = (a0 + row // s.tile_middle) // s.outer_stride
    b = (b0 + row % s.tile_middle) // s.middle_stride
    plane = (image * s.groups * s.outputs + channel) * s.out_outer
    start = ((plane + a) * s.out_middle + b) * s.out_width
    first = (c0 + s.row_stride - 1) // s.row_stride
    last = min((c0 + s.row_step + s.row_stride - 1) // s.row_stride, s.out_width)
    if s.row_stride == 1 and offset == 0:
        copy(tile, at, y, start + first, max(last - first, 0))
        return
    for k in range(first, last):
        y[start + k] = tile[at + k * s.row_stride - c0] + offset


@kernel
def _write(y, s, pair, channel, tile, at, offset, passes, factors):
    """Transform back those rows of a pair of tiles that are output, and write them."""
    for row in range(0, s.tile_outer * s.tile_middle, s.rows):
        here = at + row * s.pitch
        is_wanted = False
        for r in range(s.rows):
            if _keeps(s, 2 * pair, row + r) or _keeps(s, 2 * pair + 1, row + r):
                is_wanted = True
        if not is_wanted:
            continue
        restore_squares(tile, here, s.plane, s.tile_row, s.square_between, s.square_step)
        for r in range(s.rows):
            wanted = _keeps(s, 2 * pair, row + r), _keeps(s, 2 * pair + 1, row + r)
            place = here + r * s.pitch
            if wanted[0] or wanted[1]:
                restore_row(tile, place, s.plane, s.tile_row, 1, 1, passes, s.row_passes, factors)
            for part in range(2):
                if wanted[part]:
                    _write_row(
                        y, s, 2 * pair + part, channel, row + r, tile, place + part * s.plane,
                        offset,
                    )  # fmt: skip


@kernel
def _middle(s, tile, at, passes, factors, forward):
    """Transform along the middle axis, or back if not `forward`."""
    slab = SLAB * lanes(tile)
    for a in range(s.tile_outer):
        start = at + a * s.tile_middle * s.pitch
        for v in range(0, s.tile_row, slab):
            width = min(slab, s.tile_row - v)
            if forward:
                transform_columns(
                    tile, start + v, s.plane, s.tile_middle, s.pitch, width, passes,
                    s.middle_passes, factors,
                )  # fmt: skip
            else:
                restore_columns(
                    tile, start + v, s.plane, s.tile_middle, s.pitch, width, passes,
                    s.middle_passes, factors,
                )  # fmt: skip


@kernel
def _multiply(s, tiles, total, spectra, near, passes, factors, is_first):
    """Compute total = Σ tiles · spectra over a group's inputs, a few columns at a time.

    Columns are transformed on the way in, if `is_first`, and the sums are transformed back.

    `near`: index into `spectra` of the first input channel's spectrum.
    """
    lane = lanes(tiles)
    slab, step, size = SLAB * lane, s.tile_middle * s.pitch, 2 * s.plane
    for b in range(s.tile_middle):
        for v in range(0, s.tile_row, slab):
            at, width = b * s.pitch + v, min(slab, s.tile_row - v)
            for c in range(s.inputs):
                if is_first:
                    transform_columns(
                        tiles, c * size + at, s.plane, s.tile_outer, step, width, passes,
                        s.outer_passes, factors,
                    )  # fmt: skip
                for a in range(s.tile_outer):
                    for here in range(at + a * step, at + a * step + width, lane):
                        x, w = c * size + here, near + c * size + here
                        if c == 0:
                            multiply(total, here, tiles, x, s.plane, spectra, w, s.plane, 0)
                        else:
                            multiply(total, here, tiles, x, s.plane, spectra, w, s.plane, 1)
            restore_columns(
                total, at, s.plane, s.tile_outer, step, width, passes, s.outer_passes, factors
            )


@kernel
def _item(x, spectra, bias, value, y, s, item, tiles, total, passes, factors):
    """Compute a pair of tiles for one group's input channels and a chunk of its output channels.

    `bias`: pointer to one element per output channel.
    `value`: pointer to the value beyond the border.
    """
    chunk, rest = item % s.chunks, item // s.chunks
    g, pair = rest % s.groups, rest // s.groups
    for c in range(s.inputs):
        at = c * 2 * s.plane
        _read(x, s, pair, g * s.inputs + c, value, tiles, at, passes[2], factors[2])
        if s.middle_passes:
            _middle(s, tiles, at, passes[1], factors[1], True)
    first = chunk * s.outputs // s.chunks
    for o in range(first, (chunk + 1) * s.outputs // s.chunks):
        channel = g * s.outputs + o
        near = channel * s.inputs * 2 * s.plane
        _multiply(s, tiles, total, spectra, near, passes[0], factors[0], o == first)
        if s.middle_passes:
            _middle(s, total, 0, passes[1], factors[1], False)
        _write(y, s, pair, channel, total, 0, bias[channel], passes[2], factors[2])


@by_ranges
@kernel
def _work(worker, start, end, x, spectra, bias, value, y, numbers, tiles, totals, passes, factors):
    """Compute items `start` to `end` − 1 as thread `worker`."""
    first, second, third = passes
    first_factors, second_factors, third_factors = factors
    s = TilesGeometry(*fixed_tuple(numbers, _NUMBERS))
    for item in range(start, end):
        _item(
            pointer(x), pointer(spectra), pointer(bias), pointer(value), pointer(y), s, item,
            pointer(tiles[worker]), pointer(totals[worker]),
            (pointer(first), pointer(second), pointer(third)),
            (pointer(first_factors), pointer(second_factors), pointer(third_factors)),
        )  # fmt: skip


@kernel
def _convolve(x, spectra, bias, value, y, numbers, items, tiles, totals, passes, factors):
    """Compute all items, split among as many threads as `tiles` has rows."""
    _work(
        tiles.shape[0], items, x, spectra, bias, value, y, numbers, tiles, totals, passes, factors
    )


@kernel
def _spectrum(w, at, kernel_size, dilation, s, tile, target, passes, factors):
    """Compute the spectrum of one correlation kernel: its taps lie before the origin.

    `w`: pointer to the kernels; this one begins at `at`.
    `kernel_size`, `dilation`: per axis, in the order outer, middle, row.
    `target`: index into `tile` of the spectrum, 2·s.plane elements, all overwritten.
    """
    clear(tile, target, 2 * s.plane)
    scale = 1.0 / (s.tile_outer * s.tile_middle * s.tile_row)
    for p in range(kernel_size[0]):
        a = (s.tile_outer - p * dilation[0]) % s.tile_outer
        for m in range(kernel_size[1]):
            b = (s.tile_middle - m * dilation[1]) % s.tile_middle
            row = target + (a * s.tile_middle + b) * s.pitch
            for n in range(kernel_size[2]):
                c = (s.tile_row - n * dilation[2]) % s.tile_row
                tap = w[at + (p * kernel_size[1] + m) * kernel_size[2] + n]
                tile[row + c] = tap * scale
    for row in range(0, s.tile_outer * s.tile_middle, s.rows):
        here = target + row * s.pitch
        for r in range(s.rows):
            transform_row(
                tile, here + r * s.pitch, s.plane, s.tile_row, 1, 1, passes[2], s.row_passes,
                factors[2],
            )  # fmt: skip
        transform_squares(tile, here, s.plane, s.tile_row, s.square_between, s.square_step)
    if s.middle_passes:
        _middle(s, tile, target, passes[1], factors[1], True)
    for b in range(s.tile_middle):
        transform_columns(
            tile, target + b * s.pitch, s.plane, s.tile_outer, s.tile_middle * s.pitch,
            s.tile_row, passes[0], s.outer_passes, factors[0],
        )  # fmt: skip


@threaded
@kernel
def _spectrum_of(n, w, kernel_size, dilation, numbers, spectra, passes, factors):
    """Compute the spectrum of kernel number n."""
    first, second, third = passes
    first_factors, second_factors, third_factors = factors
    taps = kernel_size[0] * kernel_size[1] * kernel_size[2]
    s = TilesGeometry(*fixed_tuple(numbers, _NUMBERS))
    _spectrum(
        pointer(w), n * taps, kernel_size, dilation, s, pointer(spectra), n * 2 * s.plane,
        (pointer(first), pointer(second), pointer(third)),
        (pointer(first_factors), pointer(second_factors), pointer(third_factors)),
    )  # fmt: skip


@kernel
def _spectra(w, kernel_size, dilation, numbers, spectra, passes, factors):
    """Compute the spectra of all kernels in the flat array `w`, split among threads."""
    kernels = w.size // (kernel_size[0] * kernel_size[1] * kernel_size[2])
    _spectrum_of(kernels, w, kernel_size, dilation, numbers, spectra, passes, factors)


def buffers(blocks: TilesBlocking) -> tuple[int, int]:
    """Return the elements that a thread needs for the tiles of all inputs, and for a product."""
    s = blocks.shape
    alone = s.inputs == 1 and s.outputs == s.chunks
    return s.inputs * 2 * s.plane, 0 if alone else 2 * s.plane


def workspace(problem: Problem, tile: Three, threads: int) -> int:
    """Return the bytes of the kernel's spectra and of every thread's tiles."""
    tiles = threads * sum(buffers(blocking(problem, tile, threads)))
    return spectra_bytes(problem, tile, threads) + tiles * problem.itemsize


def spectra_bytes(problem: Problem, tile: Three, threads: int) -> int:
    """Return the bytes of the kernel's spectra."""
    shape = blocking(problem, tile, threads).shape
    return problem.out_channels * shape.inputs * 2 * shape.plane * problem.itemsize


def prepare(problem: Problem, tile: Three, w: np.ndarray, threads: int) -> np.ndarray:
    """Return the spectra of the correlation kernels `w`, in the order the transform leaves."""
    blocks, v = blocking(problem, tile, threads), problem.volume
    spectra = simd.aligned(w.shape[0] * w.shape[1] * 2 * blocks.shape.plane, w.dtype)
    _spectra(
        w.reshape(-1), ordered(problem, v.kernel), ordered(problem, v.dilation), blocks.numbers,
        spectra, blocks.passes, blocks.factors,
    )  # fmt: skip
    return spectra


def forward(
    problem: Problem, tile: Three, x: np.ndarray, spectra: np.ndarray, bias: np.ndarray,
    out: np.ndarray, threads: int,
) -> None:  # fmt: skip
    """Write the output for `x`, with `spectra` as returned by `prepare`."""
    blocks = blocking(problem, tile, threads)
    items = blocks.pairs * blocks.shape.groups * blocks.shape.chunks
    tiles, totals = (
        simd.aligned(threads * size, x.dtype).reshape(threads, size) for size in buffers(blocks)
    )
    _convolve(
        x.reshape(-1), spectra, bias, blocks.value, out.reshape(-1), blocks.numbers, items, tiles,
        totals if totals.size else tiles, blocks.passes, blocks.factors,
    )  # fmt: skip
