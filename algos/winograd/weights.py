"""Kernel gradient by Winograd's minimal filtering, the adjoint of `winograd.kernels`.

Filtering is Y = Aᵀ[(G W Gᵀ) ⊙ (Bᵀ X B)]A, tile by tile, and linear in W. So a gradient dY of the
output gives this gradient of the kernel, summed over tiles and images:

    ``dW = Gᵀ[Σ (A dY Aᵀ) ⊙ (Bᵀ X B)]G``

This is F(3 × 3, m × m) with the same points: (m + 2)² products for 9m². As many rows of tiles as
the last-level cache holds are taken together, in two stages that all threads share:

1. **In.** Rows of a register's width of channels are laid out channel by channel and transformed,
   Bᵀ X B and A dY Aᵀ, with channels in the lanes. The bottleneck is shuffles and stores, or memory
   if the batch comes from there.
2. **Products.** A point's sums over tiles are one matrix product: input channels × tiles times
   tiles × output channels. It uses the register tile of `parallel.channels`, with input channels as
   its pixels and tiles as its taps. The bottleneck is the multiply-add units, or, if a feature map
   has few tiles, loading and storing the sums. After the last rows comes Gᵀ M G with output
   channels in the lanes.

Every sum runs over the tiles in order, for every number of threads and every split of channels. It
has m² times fewer terms than a direct sum, which makes up for the amplification of the transforms.

Arguments that mean the same in every kernel; indices and lengths count elements:

`x`, `g`: input (N, C, H, W) and output gradient (N, O, h, w), flat arrays or pointers.
`numbers`: array of a `WeightsGeometry`; `s` is that `WeightsGeometry`.
`transforms`: scratch shared by all threads. It holds transforms of the input,
    [group][block][point][tile][channel], then from `s.outputs_at` on those of the output gradient.
`lines`: scratch of one thread, two sets of m + 2 laid-out rows of `s.line` elements.
`sums`: scratch for the sums of an item, [point][input channel][output channel].
`offsets`: pointer to the offsets of a register tile, one pair per tile.
`out`: flat gradient of the kernel, (O, C/groups, 3, 3).

Measurements: docs/kernels.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from algos.backend.compiler import apart, by_ranges, fixed_tuple, kernel
from algos.core.problem import Problem
from algos.parallel.channels import finish, run_tile
from algos.parallel.weights import lay_row
from algos.simd import registers as simd
from algos.simd.registers import lanes, pointer

from .blocking import edges
from .points import TAPS
from .transforms import (
    INPUT,
    OUTPUT_TURNED,
    WEIGHTS_TURNED,
    load_spaced,
    store_spaced,
    transform,
    transform_square,
)
from .weights_blocking import WeightsGeometry, blocking

_NUMBERS = len(WeightsGeometry._fields)


def _make_way_in(m: int, taken: Any, which: Any) -> Any:
    """Return the kernel of stage 1 for tiles of `taken` × `taken` samples and matrix `which`."""
    size, overlap = m + TAPS - 1, taken - m

    @kernel
    def way_in(x, start, channels, height, width, rows_before, columns_before, i, columns, band,
               line, lines, target, at, tile_step, plane):  # fmt: skip
        """Transform row of tiles `i` of up to a register's width of channels.

        `x`: the first channel is its `height` × `width` elements from `start` on.
        `channels`: channels that exist; lanes beyond them become zeros.
        `rows_before`, `columns_before`: padding in front; padded samples are zero and are not read.
        `columns`: tiles in the row; `band` of them are laid out at a time.
        `line`: elements of a laid-out row in `lines`.
        `target`: pointer; point p of tile t is the vector from
            ``target[at + t·tile_step + p·plane]`` on.
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
                store_spaced(transform(column, m, TAPS, which), lines, turned + k, line)
            for t in range(count):
                there = at + (first + t) * tile_step
                for q in range(size):
                    here = turned + q * line + t * m * lane
                    points = transform(load_spaced(lines, here, lane, taken), m, TAPS, which)
                    store_spaced(points, target, there + q * size * plane, plane)

    return way_in


_input2, _input4, _input6 = (_make_way_in(m, m + TAPS - 1, INPUT) for m in (2, 4, 6))
_output2, _output4, _output6 = (_make_way_in(m, m, OUTPUT_TURNED) for m in (2, 4, 6))


@apart
@kernel
def _transform(x, is_input, s, item, first, rows, lines, target):
    """Transform one row of tiles of a register's width of channels.

    `item` counts blocks, vectors and the `rows` rows of tiles from `first` on. Neighbouring items
    are neighbouring rows, whose data lie side by side.

    `x`: the input if `is_input`, else the output gradient.
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
    elif is_input and s.step == 4:
        _input4(x, source, inside - c, height, width, rows_before, columns_before, i,
                s.columns, s.band, s.line, lines, target, at, block, plane)  # fmt: skip
    elif is_input:
        _input6(x, source, inside - c, height, width, rows_before, columns_before, i,
                s.columns, s.band, s.line, lines, target, at, block, plane)  # fmt: skip
    elif s.step == 2:
        _output2(x, source, inside - c, height, width, rows_before, columns_before, i,
                 s.columns, s.band, s.line, lines, target, at, block, plane)  # fmt: skip
    elif s.step == 4:
        _output4(x, source, inside - c, height, width, rows_before, columns_before, i,
                 s.columns, s.band, s.line, lines, target, at, block, plane)  # fmt: skip
    else:
        _output6(x, source, inside - c, height, width, rows_before, columns_before, i,
                 s.columns, s.band, s.line, lines, target, at, block, plane)  # fmt: skip


def _make_way_out(m: int) -> Any:
    """Return the kernel that ends stage 2 for tiles of m × m outputs."""

    @kernel
    def way_out(sums, at, step, count, flip, target):
        """Transform the sums of `count` input channels, Gᵀ M G.

        `at`: index of the first sums; `step` holds the elements between channels and between
            points.
        `flip`: true to write the taps in reverse order.
        `target`: pointer; [channel][tap][output channel], count · 9 vectors, all overwritten.
        """
        lane = lanes(sums)
        for k in range(count):
            taps = transform_square(sums, at + k * step[0], step[1], m, TAPS, WEIGHTS_TURNED)
            first = k * TAPS * TAPS * lane
            if flip:
                store_spaced(taps, target, first + (TAPS * TAPS - 1) * lane, -lane)
            else:
                store_spaced(taps, target, first, lane)

    return way_out


_way_out2, _way_out4, _way_out6 = (_make_way_out(m) for m in (2, 4, 6))


@apart
@kernel
def _item(transforms, offsets, s, item, chunk, tiles, sums, zeros, turned, out):
    """Multiply one block of input and one of output channels; end with the gradient.

    The gradient is written after the last chunk of rows.

    `chunk`, `tiles`: number of the chunk of rows, and its tiles.
    `zeros`: pointer to a vector of zeros for each vector of a register tile.
    `turned`: pointer to the scratch of `way_out`.
    """
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
        step = -(-s.block // -(-channels // s.pixels))
        for n in range(0, channels, s.pixels):
            tile = s.last_tile if channels - n <= s.last_pixels else s.tile
            run_tile(
                tile, transforms, source + n, offsets, tiles, transforms, near, ahead, step, sums,
                (p * s.pitch + n) * stretch, zeros, chunk == 0,
            )  # fmt: skip
            ahead += tiles * step
    if chunk < s.chunks - 1:
        return
    size = TAPS * TAPS
    for v in range(o * stretch, min((o + 1) * stretch, s.outputs), lane):
        for k in range(0, channels, lane):
            count = min(lane, channels - k)
            at, steps = k * stretch + v - o * stretch, (stretch, s.pitch * stretch)
            if s.step == 2:
                _way_out2(sums, at, steps, count, s.flip, turned)
            elif s.step == 4:
                _way_out4(sums, at, steps, count, s.flip, turned)
            else:
                _way_out6(sums, at, steps, count, s.flip, turned)
            first = ((group * s.outputs + v) * s.inputs + c * s.block + k) * size
            finish(
                turned, 0, size * count, 1, out, first, s.inputs * size, s.outputs - v, 0,
                size * count, 1, size * count, 0,
            )  # fmt: skip


@kernel
def _work(worker, start, end, is_in, chunk, x, g, offsets, numbers, lines, transforms, sums, zeros,
          turned, out):  # fmt: skip
    """Compute items `start` to `end` − 1 of one stage of a chunk of rows, as thread `worker`.

    `is_in` selects stage 1, otherwise stage 2 runs. Stage 1 has the items of `x`, then those of
    `g`.
    """
    s = WeightsGeometry(*fixed_tuple(numbers, _NUMBERS))
    first = chunk * s.all_rows // s.chunks
    rows = (chunk + 1) * s.all_rows // s.chunks - first
    line = pointer(lines[worker])
    if is_in:
        items = rows * s.groups * s.input_blocks * (s.block // lanes(lines))
        for item in range(start, min(end, items)):
            _transform(pointer(x), True, s, item, first, rows, line, pointer(transforms))
        for item in range(max(start, items), end):
            _transform(pointer(g), False, s, item - items, first, rows, line, pointer(transforms))
        return
    for item in range(start, end):
        kept = item if s.chunks > 1 else worker
        _item(
            pointer(transforms), pointer(offsets), s, item, chunk, rows * s.columns,
            pointer(sums[kept]), pointer(zeros), pointer(turned[worker]), pointer(out),
        )  # fmt: skip


_work_shared = by_ranges(_work)


@kernel
def _share(items, is_in, chunk, x, g, offsets, numbers, lines, transforms, sums, zeros, turned,
           out):  # fmt: skip
    """Compute one stage of a chunk of rows, split among as many threads as `lines` has rows."""
    _work_shared(lines.shape[0], items, is_in, chunk, x, g, offsets, numbers, lines, transforms,
                 sums, zeros, turned, out)  # fmt: skip


def grad_weight(
    problem: Problem, m: int, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
) -> None:
    """Write the gradient of the kernel by F(3 × 3, m × m)."""
    blocks = blocking(problem, m, threads)
    s = blocks.shape
    lane = simd.lanes_of(problem.itemsize)
    transforms, sums, lines, turned = (
        simd.aligned(n, x.dtype)
        for n in (blocks.transforms, blocks.sums, blocks.lines, blocks.turned)
    )
    arguments = (
        x.reshape(-1), g.reshape(-1), blocks.offsets, blocks.numbers, lines.reshape(threads, -1),
        transforms, sums.reshape(blocks.items if s.chunks > 1 else threads, -1),
        np.zeros(s.vectors * lane, x.dtype), turned.reshape(threads, -1), out.reshape(-1),
    )  # fmt: skip
    per_row = s.groups * (s.input_blocks * (s.block // lane) + s.output_blocks * s.vectors)
    bounds = edges(s.all_rows, s.chunks)
    for chunk in range(s.chunks):
        rows = bounds[chunk + 1] - bounds[chunk]
        for is_in, items in ((True, rows * per_row), (False, blocks.items)):
            if threads == 1:
                _work(0, 0, items, is_in, chunk, *arguments)
            else:
                _share(items, is_in, chunk, *arguments)
