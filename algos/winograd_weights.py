"""The kernel's gradient by Winograd's minimal filtering, the adjoint of `winograd_kernels`.

Filtering is Y = Aᵀ[(G W Gᵀ) ⊙ (Bᵀ X B)]A, tile by tile, and linear in W; so for a gradient dY of
the output that of the kernel is

    dW = Gᵀ[Σ (A dY Aᵀ) ⊙ (Bᵀ X B)]G, summed over tiles and images,

F(3 × 3, m × m) by the same points: (m + 2)² products for 9m². Rows of tiles are taken together,
as many as the last-level cache holds, in two stages that all threads share:

1. **In.** Rows of a register's width of channels are laid out channel by channel and transformed,
   Bᵀ X B and A dY Aᵀ, channels in the lanes. Bound by shuffles and stores, or by memory where a
   batch comes from there: a quarter of the time at 64 channels, a tenth at 256.
2. **Products.** A point's sums over tiles are one matrix product, input channels × tiles times
   tiles × output channels, with the register tile of `direct_channels`: input channels for its
   pixels, tiles for its taps. Bound by the multiply-add units, at 90 % of their peak; where a
   feature map has few tiles, by the sums that come and go. After the last rows, Gᵀ M G with output
   channels in the lanes.

Every sum runs over the tiles in order, whoever computes it and however channels are cut. It has
m² times fewer terms than a direct one, which makes up for what the transforms amplify: for 56 × 56
positions the error's root mean square is 0.9 times the direct one for m = 2, 1.3 times for m = 4.
"""

from __future__ import annotations

from typing import Any

import numba.np.unsafe.ndarray
import numpy as np

from . import simd
from .direct_channels import finish, run_tile
from .direct_weights import lay_row
from .jit import apart, kernel, threaded
from .problem import Problem
from .simd import lanes, pointer
from .winograd_points import TAPS
from .winograd_simd import (
    INPUT,
    OUTPUT_TURNED,
    WEIGHTS_TURNED,
    load_spaced,
    store_spaced,
    transform,
    transform_square,
)
from .winograd_weights_blocking import Shape, blocking

_NUMBERS = len(Shape._fields)
to_fixed_tuple: Any = numba.np.unsafe.ndarray.to_fixed_tuple


def _make_way_in(m, taken, which):
    size, overlap = m + TAPS - 1, taken - m

    @kernel
    def way_in(x, start, channels, height, width, rows_before, columns_before, i, columns, band,
               line, lines, target, at, tile_step, plane):  # fmt: skip
        """The transforms of row of tiles `i` of up to a register's width of channels.

        The first channel is the `height` × `width` elements of `x` from `start` on. A tile takes
        `taken` rows and columns, `before` of them outside, and its point p is written to
        ``target[at + p·plane]`` on.
        """
        lane = lanes(lines)
        turned = size * line
        for first in range(0, columns, band):
            count = min(band, columns - first)
            reach = count * m + overlap
            left = columns_before - first * m
            skip = max(0, -left)
            for q in range(taken):
                row = i * m + q - rows_before
                inside = 0 <= row < height
                lay_row(
                    x, start + row * width + skip, height * width, channels,
                    width - skip if inside else 0, max(left, 0), reach, lane, lines, q * line,
                    m * width,
                )  # fmt: skip
            for k in range(0, reach * lane, lane):
                column = load_spaced(lines, k, line, taken)
                store_spaced(transform(column, m, which), lines, turned + k, line)
            for t in range(count):
                there = at + (first + t) * tile_step
                for q in range(size):
                    here = turned + q * line + t * m * lane
                    points = transform(load_spaced(lines, here, lane, taken), m, which)
                    store_spaced(points, target, there + q * size * plane, plane)

    return way_in


_input2, _input4 = (_make_way_in(m, m + TAPS - 1, INPUT) for m in (2, 4))
_output2, _output4 = (_make_way_in(m, m, OUTPUT_TURNED) for m in (2, 4))


@apart
@kernel
def _transform(x, is_input, s, item, first, rows, lines, target):
    """One of `rows` rows of tiles from `first` on, of a register's width of channels.

    `x` is the input, or the output's gradient. Rows follow one another: they lie side by side.
    """
    lane = lanes(lines)
    if is_input:
        inside, blocks, block, start, plane = s.inputs, s.input_blocks, s.block, 0, s.input_plane
        height, width, rows_before, columns_before = (
            s.height, s.width, s.rows_before, s.columns_before,
        )  # fmt: skip
    else:
        inside, blocks, block = s.outputs, s.output_blocks, s.vectors * lane
        start, plane = s.outputs_at, s.output_plane
        height, width, rows_before, columns_before = s.out_height, s.out_width, 0, 0
    vectors = block // lane
    item, r = item // rows, item % rows
    item, v = item // vectors, item % vectors
    group, b = item // blocks, item % blocks
    image, i = (first + r) // s.image_rows, (first + r) % s.image_rows
    c = b * block + v * lane
    source = ((image * s.groups + group) * inside + c) * height * width
    at = start + (group * blocks + b) * s.points * plane + r * s.columns * block + v * lane
    if is_input and s.step == 2:
        _input2(x, source, inside - c, height, width, rows_before, columns_before, i,
                s.columns, s.band, s.line, lines, target, at, block, plane)  # fmt: skip
    elif is_input:
        _input4(x, source, inside - c, height, width, rows_before, columns_before, i,
                s.columns, s.band, s.line, lines, target, at, block, plane)  # fmt: skip
    elif s.step == 2:
        _output2(x, source, inside - c, height, width, rows_before, columns_before, i,
                 s.columns, s.band, s.line, lines, target, at, block, plane)  # fmt: skip
    else:
        _output4(x, source, inside - c, height, width, rows_before, columns_before, i,
                 s.columns, s.band, s.line, lines, target, at, block, plane)  # fmt: skip


def _make_way_out(m):
    @kernel
    def way_out(sums, at, step, count, flip, target):
        """Gᵀ M G of `count` input channels: [channel][tap][output channel] in `target`."""
        lane = lanes(sums)
        for k in range(count):
            taps = transform_square(sums, at + k * step[0], step[1], m, WEIGHTS_TURNED)
            first = k * TAPS * TAPS * lane
            if flip:
                store_spaced(taps, target, first + (TAPS * TAPS - 1) * lane, -lane)
            else:
                store_spaced(taps, target, first, lane)

    return way_out


_way_out2, _way_out4 = _make_way_out(2), _make_way_out(4)


@apart
@kernel
def _item(transforms, offsets, s, item, chunk, tiles, sums, zeros, turned, out):
    """Products of one block of input and one of output channels; the gradient after the last."""
    lane = lanes(transforms)
    stretch = s.vectors * lane
    pair, o = item // s.output_blocks, item % s.output_blocks
    group, c = pair // s.input_blocks, pair % s.input_blocks
    channels = min(s.block, s.inputs - c * s.block)
    for p in range(s.points):
        source = (pair * s.points + p) * s.input_plane
        near = s.outputs_at + (group * s.output_blocks + o) * s.points * s.output_plane
        near += p * s.output_plane
        ahead = source + s.input_plane
        for n in range(0, channels, s.pixels):
            tile = s.last_tile if channels - n <= s.last_pixels else s.tile
            run_tile(
                tile, transforms, source + n, offsets, tiles, transforms, near, ahead, sums,
                (p * s.pitch + n) * stretch, zeros, chunk == 0,
            )  # fmt: skip
            ahead += tiles * lane
    if chunk < s.chunks - 1:
        return
    size = TAPS * TAPS
    for v in range(o * stretch, min((o + 1) * stretch, s.outputs), lane):
        for k in range(0, channels, lane):
            count = min(lane, channels - k)
            at, step = k * stretch + v - o * stretch, (stretch, s.pitch * stretch)
            if s.step == 2:
                _way_out2(sums, at, step, count, s.flip, turned)
            else:
                _way_out4(sums, at, step, count, s.flip, turned)
            first = ((group * s.outputs + v) * s.inputs + c * s.block + k) * size
            finish(
                turned, 0, size * count, 1, out, first, s.inputs * size, s.outputs - v, 0,
                size * count, 1, size * count, 0,
            )  # fmt: skip


@kernel
def _work(worker, is_in, chunk, x, g, offsets, numbers, lines, transforms, sums, zeros, turned,
          out):  # fmt: skip
    """Of one stage of a chunk of rows what falls to one of as many workers as there are `lines`."""
    workers = lines.shape[0]
    s = Shape(*to_fixed_tuple(numbers, _NUMBERS))
    first = chunk * s.all_rows // s.chunks
    rows = (chunk + 1) * s.all_rows // s.chunks - first
    line = pointer(lines[worker])
    if is_in:
        items = rows * s.groups * s.input_blocks * (s.block // lanes(lines))
        for item in range(worker * items // workers, (worker + 1) * items // workers):
            _transform(pointer(x), True, s, item, first, rows, line, pointer(transforms))
        items = rows * s.groups * s.output_blocks * s.vectors
        for item in range(worker * items // workers, (worker + 1) * items // workers):
            _transform(pointer(g), False, s, item, first, rows, line, pointer(transforms))
        return
    items = s.groups * s.input_blocks * s.output_blocks
    for item in range(worker * items // workers, (worker + 1) * items // workers):
        kept = item if s.chunks > 1 else worker
        _item(
            pointer(transforms), pointer(offsets), s, item, chunk, rows * s.columns,
            pointer(sums[kept]), pointer(zeros), pointer(turned[worker]), pointer(out),
        )  # fmt: skip


_work_shared = threaded(_work)


@kernel
def _share(is_in, chunk, x, g, offsets, numbers, lines, transforms, sums, zeros, turned, out):
    _work_shared(lines.shape[0], is_in, chunk, x, g, offsets, numbers, lines, transforms, sums,
                 zeros, turned, out)  # fmt: skip


def grad_weight(
    problem: Problem, m: int, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
) -> None:
    """Write the gradient of the kernel by F(3 × 3, m × m)."""
    cut = blocking(problem, m, threads)
    s = cut.shape
    lane = simd.lanes_of(problem.itemsize)
    transforms, sums, lines, turned = (
        simd.aligned(n, x.dtype) for n in (cut.transforms, cut.sums, cut.lines, cut.turned)
    )
    arguments = (
        x.reshape(-1), g.reshape(-1), cut.offsets, cut.numbers, lines.reshape(threads, -1),
        transforms, sums.reshape(cut.items if s.chunks > 1 else threads, -1),
        np.zeros(s.vectors * lane, x.dtype), turned.reshape(threads, -1), out.reshape(-1),
    )  # fmt: skip
    for chunk in range(s.chunks):
        for is_in in (True, False):
            if threads == 1:
                _work(0, is_in, chunk, *arguments)
            else:
                _share(is_in, chunk, *arguments)
