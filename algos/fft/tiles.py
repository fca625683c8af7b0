"""Overlap-save in one sweep: tiles gathered, transformed, multiplied, transformed back, written.

Two tiles travel as one: the second is the imaginary part of the first. A real kernel acts on both
parts in the same way, so the two parts of the product are the two results. Half spectra and their
bookkeeping are not needed.

A tile's rows are transformed as they are read and as they are written (`tiles_rows`). In between, a
few columns at a time are transformed, multiplied with the kernel's spectrum, summed over input
channels and transformed back, while they are in the cache.

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
from algos.simd.copies import clear
from algos.simd.registers import lanes, pointer

from .butterflies import multiply
from .tiles_blocking import Three, TilesBlocking, TilesGeometry, blocking, ordered
from .tiles_rows import read, write
from .transform import restore_columns, transform_columns, transform_row, transform_squares

#: Vectors of columns transformed together: few enough that their columns stay in the cache from the
#: transform to the transform back.
SLAB = 2

_NUMBERS = len(TilesGeometry._fields)


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
        read(x, s, pair, g * s.inputs + c, value, tiles, at, passes[2], factors[2])
        if s.middle_passes:
            _middle(s, tiles, at, passes[1], factors[1], True)
    first = chunk * s.outputs // s.chunks
    for o in range(first, (chunk + 1) * s.outputs // s.chunks):
        channel = g * s.outputs + o
        near = channel * s.inputs * 2 * s.plane
        _multiply(s, tiles, total, spectra, near, passes[0], factors[0], o == first)
        if s.middle_passes:
            _middle(s, total, 0, passes[1], factors[1], False)
        write(y, s, pair, channel, total, 0, bias[channel], passes[2], factors[2])


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
