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
Taps of an axis that is not filtered are computed one after the other.

Arguments that mean the same in every kernel; indices and lengths count elements:

`x`, `g`: input (N, C, D, H, W) and output gradient (N, O, d, h, w), flat arrays or pointers.
`numbers`: array of a `WeightsGeometry`; `s` is that `WeightsGeometry`.
`down`, `across`: F(m, r) along both axes, as in `winograd.kernels`.
`transforms`: scratch shared by all threads. It holds transforms of the input,
    [group][block][point][tile][channel], then from `s.outputs_at` on those of the output gradient.
`lines`: scratch of one thread, two sets of laid-out rows of `s.line` elements, one for each point.
`sums`: scratch for the sums of an item, [point][input channel][output channel].
`offsets`: pointer to the offsets of a register tile, one pair per tile.
`out`: flat gradient of a tap's kernels, (O, C/groups, filtered taps).

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
from .form import Form
from .transforms import (
    INPUT,
    OUTPUT_TURNED,
    WEIGHTS_TURNED,
    load_spaced,
    store_spaced,
    transform,
    transform_tile,
)
from .weights_blocking import WeightsBlocking, WeightsGeometry, blocking

_NUMBERS = len(WeightsGeometry._fields)


def _make_way_in(which: Any) -> Any:
    """Return the kernel of stage 1 for the matrix `which`."""

    @kernel
    def way_in(x, start, channel, channels, height, width, row_step, row_first, column_first, i,
               columns, band, line, down, across, taken_down, taken_across, lines, target, at,
               tile_step, plane):  # fmt: skip
        """Transform row of tiles `i` of up to a register's width of channels.

        `x`: the first channel is its `height` × `width` elements from `start` on.
        `channel`: elements from channel to channel.
        `channels`: channels that exist; lanes beyond them become zeros.
        `row_step`, `row_first`: rows from tile to tile, and the first row of the first tile. Rows
            outside of x are zero and are not read.
        `column_first`: first column of the first tile, not above 0.
        `columns`: tiles in the row; `band` of them are laid out at a time.
        `line`: elements of a laid-out row in `lines`.
        `taken_down`, `taken_across`: tuples as long as a tile has samples along each axis.
        `target`: pointer; point p of tile t is the vector from
            ``target[at + t·tile_step + p·plane]`` on.
        """
        lane, m = lanes(lines), len(across[0])
        points_down, points_across = len(down[2]), len(across[2])
        for first in range(0, columns, band):
            count = min(band, columns - first)
            reach = count * m + len(taken_across) - m
            left = -column_first - first * m
            skip = max(0, -left)
            for q in range(len(taken_down)):
                row = i * row_step + q + row_first
                inside = 0 <= row < height
                lay_row(
                    x, start + row * width + skip, channel, channels,
                    width - skip if inside else 0, max(left, 0), reach, lane, lines, q * line,
                    len(down[0]) * width,
                )  # fmt: skip
            turned = points_down * line
            for k in range(0, reach * lane, lane):
                column = load_spaced(lines, k, line, taken_down)
                store_spaced(transform(column, down[0], down[1], which), lines, turned + k, line)
            for t in range(count):
                there = at + (first + t) * tile_step
                for q in range(points_down):
                    row_of_tile = load_spaced(
                        lines, turned + q * line + t * m * lane, lane, taken_across
                    )
                    points = transform(row_of_tile, across[0], across[1], which)
                    store_spaced(points, target, there + q * points_across * plane, plane)

    return way_in


_way_in_of_input, _way_in_of_output = _make_way_in(INPUT), _make_way_in(OUTPUT_TURNED)


@apart
@kernel
def _transform(x, is_input, s, down, across, item, first, rows, lines, target):
    """Transform one row of tiles of a register's width of channels.

    `item` counts blocks, vectors and the `rows` rows of tiles from `first` on. Neighbouring items
    are neighbouring rows, whose data lie side by side.

    `x`: the input if `is_input`, else the output gradient.
    """
    lane = lanes(lines)
    if is_input:
        inside, blocks, block, start, plane = s.inputs, s.input_blocks, s.block, 0, s.input_plane
        depth, height, width = s.depth, s.height, s.width
    else:
        inside, blocks, block = s.outputs, s.output_blocks, s.vectors * lane
        start, plane = s.outputs_at, s.output_plane
        depth, height, width = s.out_depth, s.out_height, s.out_width
    vectors = block // lane
    item, r = item // rows, item % rows
    item, v = item // vectors, item % vectors
    group, b = item // blocks, item % blocks
    part, i = (first + r) // s.image_rows, (first + r) % s.image_rows
    image, z = part // s.out_depth, part % s.out_depth
    c = b * block + v * lane
    at = start + (group * blocks + b) * s.points * plane + r * s.columns * block + v * lane
    source = ((image * s.groups + group) * inside + c) * depth
    channel = depth * height * width
    if is_input:
        z = z * s.slice_step + s.slice_first
        _way_in_of_input(
            x, (source + z) * height * width, channel, inside - c,
            height if 0 <= z < depth else 0, width, s.row_step, s.row_first, s.column_first, i,
            s.columns, s.band, s.line, down, across, down[2], across[2], lines, target, at, block,
            plane,
        )  # fmt: skip
    else:
        _way_in_of_output(
            x, (source + z) * height * width, channel, inside - c, height, width, len(down[0]), 0,
            0, i, s.columns, s.band, s.line, down, across, down[0], across[0], lines, target, at,
            block, plane,
        )  # fmt: skip


@kernel
def _way_out(sums, at, step, count, flip, down, across, target):
    """Transform the sums of `count` input channels, Gᵀ M G.

    `at`: index of the first sums; `step` holds the elements between channels and between points.
    `flip`: true to write the taps in reverse order.
    `target`: pointer; [channel][tap][output channel], a vector for each tap, all overwritten.
    """
    lane, size = lanes(sums), len(down[1]) * len(across[1])
    for k in range(count):
        taps = transform_tile(sums, at + k * step[0], step[1], down, across, WEIGHTS_TURNED)
        first = k * size * lane
        if flip:
            store_spaced(taps, target, first + (size - 1) * lane, -lane)
        else:
            store_spaced(taps, target, first, lane)


@apart
@kernel
def _item(transforms, offsets, s, down, across, item, chunk, tiles, sums, zeros, turned, out):
    """Multiply one block of input and one of output channels; end with the gradient.

    The gradient is written after the last chunk of rows.

    `chunk`, `tiles`: number of the chunk of rows, and its tiles.
    `zeros`: pointer to a vector of zeros for each vector of a register tile.
    `turned`: pointer to the scratch of `_way_out`.
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
    size = len(down[1]) * len(across[1])
    for v in range(o * stretch, min((o + 1) * stretch, s.outputs), lane):
        for k in range(0, channels, lane):
            count = min(lane, channels - k)
            at, steps = k * stretch + v - o * stretch, (stretch, s.pitch * stretch)
            _way_out(sums, at, steps, count, s.flip, down, across, turned)
            first = ((group * s.outputs + v) * s.inputs + c * s.block + k) * size
            finish(
                turned, 0, size * count, 1, out, first, s.inputs * size, s.outputs - v, 0,
                size * count, 1, size * count, 0,
            )  # fmt: skip


@kernel
def _work(worker, start, end, is_in, chunk, x, g, offsets, numbers, down, across, lines, transforms,
          sums, zeros, turned, out):  # fmt: skip
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
            _transform(
                pointer(x), True, s, down, across, item, first, rows, line, pointer(transforms)
            )
        for item in range(max(start, items), end):
            _transform(
                pointer(g), False, s, down, across, item - items, first, rows, line,
                pointer(transforms),
            )  # fmt: skip
        return
    for item in range(start, end):
        kept = item if s.chunks > 1 else worker
        _item(
            pointer(transforms), pointer(offsets), s, down, across, item, chunk, rows * s.columns,
            pointer(sums[kept]), pointer(zeros), pointer(turned[worker]), pointer(out),
        )  # fmt: skip


_work_shared = by_ranges(_work)


@kernel
def _share(items, is_in, chunk, x, g, offsets, numbers, down, across, lines, transforms, sums,
           zeros, turned, out):  # fmt: skip
    """Compute one stage of a chunk of rows, split among as many threads as `lines` has rows."""
    _work_shared(lines.shape[0], items, is_in, chunk, x, g, offsets, numbers, down, across, lines,
                 transforms, sums, zeros, turned, out)  # fmt: skip


def grad_weight(
    problem: Problem, form: Form, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
) -> None:
    """Write the gradient of the kernel by the adjoint of a form.

    Each tap of an axis that is not filtered has a gradient of its own, from the samples it meets.
    """
    blocks = blocking(problem, form, threads)
    s = blocks.shape
    transforms, sums, lines, turned = (
        simd.aligned(n, x.dtype)
        for n in (blocks.transforms, blocks.sums, blocks.lines, blocks.turned)
    )
    scratch = (
        lines.reshape(threads, -1), transforms,
        sums.reshape(blocks.items if s.chunks > 1 else threads, -1),
        np.zeros(s.vectors * blocks.lane, x.dtype), turned.reshape(threads, -1),
    )  # fmt: skip
    each = out.reshape(problem.out_channels, -1, len(blocks.numbers), form.taps)
    is_only = len(blocks.numbers) == 1
    one = out if is_only else np.empty(each[:, :, 0].shape, x.dtype)
    for number, numbers in enumerate(blocks.numbers):
        given = (
            x.reshape(-1), g.reshape(-1), blocks.offsets, numbers, *blocks.constants, *scratch,
            one.reshape(-1),
        )  # fmt: skip
        _sum(blocks, threads, given)
        if not is_only:
            each[:, :, number] = one


def _sum(blocks: WeightsBlocking, threads: int, given: tuple[Any, ...]) -> None:
    """Compute all chunks of rows, one stage after the other."""
    s = blocks.shape
    vectors = s.input_blocks * (s.block // blocks.lane) + s.output_blocks * s.vectors
    bounds = edges(s.all_rows, s.chunks)
    for chunk in range(s.chunks):
        rows = bounds[chunk + 1] - bounds[chunk]
        for is_in, items in ((True, rows * s.groups * vectors), (False, blocks.items)):
            if threads == 1:
                _work(0, 0, items, is_in, chunk, *given)
            else:
                _share(items, is_in, chunk, *given)
