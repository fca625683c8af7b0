"""Winograd's minimal filtering F(m × m, r × r) in vector registers, cache blocks and threads.

A thread takes some rows of tiles through three stages. The data between stages stays in its caches:

1. **In.** Every input channel's rows are transformed, Bᵀ X B, with neighbouring tiles in the lanes.
   Of narrow feature maps, several rows of tiles share a register. Pixels are read from the input in
   place; every m-th is shuffled into a vector of its own. The bottleneck is loads and stores that
   straddle cache lines.
2. **Products.** For each of the (m + r − 1)² points: tiles × input channels times input × output
   channels. It uses the register tile of `parallel.channels`, with tiles as its pixels and one tap
   per channel. The bottleneck is the multiply-add units. For feature maps of a few tiles, which use
   each weight only a few times, it is the cache or memory that holds the weights.
3. **Out.** Aᵀ M A with output channels in the lanes, transposed into rows of pixels.

The powers of two in networks fill lanes of output channels for any number of tiles. Lanes of tiles
in every stage would leave a quarter of them empty at 14 × 14 tiles. That costs more than the
transposition of stage 3.

Arguments that mean the same in every kernel; indices and lengths count elements:

`x`, `out`: input (N, C, H, W) and output (N, O, h, w), contiguous, flat arrays or pointers.
`weights`: transformed kernel, [group][block][point][input channel][output channel].
`bias`: one element per output channel.
`numbers`: array of a `TilesGeometry`; `s` is that `TilesGeometry`.
`offsets`: pointer to the offsets of a register tile, one pair per input channel.
`places`: pointer to the index in `x` of every input row of every row of tiles, or NOWHERE.
`transforms`, `sums`, `tiles`, `starts`: a thread's scratch for transforms [point][channel][tile],
    for sums [block][point][tile][output channel], for tiles on their way out, and for biases
    followed by zeros.
`first`, `rows`: first row of tiles, counted over the batch, and number of rows of the strip.
`band`: number of the strip's band of columns.

Measurements: docs/kernels.md.
"""

from __future__ import annotations

from typing import Any

from algos.backend.compiler import by_ranges, fixed_tuple, kernel, threaded
from algos.parallel.channels import finish, run_tile
from algos.simd.copies import clear
from algos.simd.registers import further, lanes, pointer, prefetch

from .blocking import TilesGeometry
from .transforms import (
    INPUT,
    OUTPUT,
    WEIGHTS,
    load_spaced,
    load_windows,
    store_pieces,
    store_spaced,
    store_tile,
    transform,
    transform_square,
)

_NUMBERS = len(TilesGeometry._fields)


def _make_way_in(m: int, taps: int) -> Any:
    """Return the kernel of stage 1 for tiles of m × m outputs of `taps` × `taps` taps."""
    size = m + taps - 1

    @kernel
    def way_in(x, channel, first, rows, band, s, zeros, zero, places, turned, transforms):
        """Transform `rows` rows of tiles of every input channel, Bᵀ X B, point by point.

        A last vector may write past its row of tiles; the next row replaces what it wrote.

        `channel`: number of the group's first input channel, in image 0.
        `zeros`: pointer to zeros, a vector and m more, from `zero` on.
        `turned`: pointer to vectors of scratch, one for each point.
        """
        lane = lanes(transforms)
        left = band * s.columns * m
        run = m // s.fold
        for c in range(s.inputs):
            plane = (channel + c) * s.height * s.width
            for r in range(0, rows, s.fold):
                for t in range(0, s.columns, lane):
                    for q in range(size):
                        i, column = (first + r) * size + q, left + t * m
                        if s.fold == 1:  # too short a run for the hardware prefetcher
                            ahead = plane + s.height * s.width + places[i] + column
                            for k in range(m):
                                prefetch(x, ahead + k * lane)
                        row = load_windows(
                            x, plane, places, i, column, s.columns_before, s.width, zeros, zero,
                            s.fold, run, m, taps,
                        )  # fmt: skip
                        store_spaced(transform(row, m, taps, INPUT), turned, q * size * lane, lane)
                    for k in range(size):
                        column = load_spaced(turned, k * lane, size * lane, size)
                        points = transform(column, m, taps, INPUT)
                        at = k * s.plane + c * s.pitch + r * s.columns + t
                        if s.fold == 1 or s.fold * s.columns == lane:
                            store_spaced(points, transforms, at, size * s.plane)
                        elif s.fold == 2:
                            store_pieces(points, transforms, at, size * s.plane, s.columns, 2)
                        else:
                            store_pieces(points, transforms, at, size * s.plane, s.columns, 4)

    return way_in


_way_in2, _way_in4, _way_in45, _way_in6 = (
    _make_way_in(2, 3), _make_way_in(4, 3), _make_way_in(4, 5), _make_way_in(6, 3)
)  # fmt: skip


def _make_way_out(m: int, taps: int) -> Any:
    """Return the kernel of stage 3 for tiles of m × m outputs of `taps` × `taps` taps."""

    @kernel
    def way_out(sums, base, block, group, first, rows, band, s, bias, tiles, out):
        """Transform the sums of one block of output channels, Aᵀ M A, and write them with the bias.

        `base`: index of the block's sums, which are [point][tile][output channel].
        `block`, `group`: numbers of the block and of its group.
        `bias`: pointer to the biases of the block.
        """
        lane = lanes(sums)
        stretch = s.vectors * lane
        pitch = s.columns * m
        for v in range(s.vectors):
            o = block * stretch + v * lane
            for r in range(rows):
                image, i = (first + r) // s.image_rows, (first + r) % s.image_rows
                for t in range(s.columns):
                    at = base + (r * s.columns + t) * stretch + v * lane
                    y = transform_square(sums, at, s.pitch * stretch, m, taps, OUTPUT)
                    store_tile(y, tiles, t * m * lane, pitch * lane, bias, v * lane, m)
                plane = (image * s.groups + group) * s.outputs + o
                plane = (plane * s.out_height + i * m) * s.out_width + band * pitch
                finish(
                    tiles, 0, m * pitch, 1, out, plane, s.out_height * s.out_width,
                    s.outputs - o, 0, min(pitch, s.out_width - band * pitch),
                    min(m, s.out_height - i * m), pitch, s.out_width,
                )  # fmt: skip

    return way_out


_way_out2, _way_out4, _way_out45, _way_out6 = (
    _make_way_out(2, 3), _make_way_out(4, 3), _make_way_out(4, 5), _make_way_out(6, 3)
)  # fmt: skip


@kernel
def _products(transforms, tiles, weights, offsets, panel, first, last, s, zeros, sums):
    """Multiply transforms of `tiles` tiles, summed over input channels, for some blocks.

    `first`, `last`: first block of output channels and one past the last.
    `panel`: index in `weights` of the group's first block.
    `zeros`: pointer to zeros, the vectors of a register tile, that sums start from.
    """
    lane = lanes(weights)
    stretch = s.vectors * lane
    for p in range(s.points):
        for b in range(first, last):
            near = panel + (b * s.points + p) * s.inputs * stretch
            ahead = near + s.inputs * stretch
            step = -(-stretch // -(-tiles // s.pixels))
            at = ((b - first) * s.points + p) * s.pitch * stretch
            for c in range(0, s.inputs, s.inputs_together):
                channels = min(s.inputs_together, s.inputs - c)
                for t in range(0, tiles, s.pixels):
                    tile = s.last_tile if tiles - t <= s.last_pixels else s.tile
                    run_tile(
                        tile, transforms, p * s.plane + t, further(offsets, 2 * c), channels,
                        weights, near, ahead, step, sums, at + t * stretch, zeros, c == 0,
                    )  # fmt: skip
                    ahead += channels * step


@kernel
def _item(x, weights, bias, offsets, places, out, s, item, transforms, sums, tiles, starts):
    """Compute one strip of rows of tiles, for some blocks of output channels of one group."""
    stretch = s.vectors * lanes(weights)
    clear(starts, stretch, stretch + s.step)
    chunks = -(-s.blocks // s.blocks_per_item)
    bands = -(-s.out_width // (s.columns * s.step))
    item, chunk = item // chunks, item % chunks
    item, band = item // bands, item % bands
    g, strip = item // s.strips, item % s.strips
    first = strip * s.all_rows // s.strips
    rows = (strip + 1) * s.all_rows // s.strips - first
    if s.step == 2:
        _way_in2(x, g * s.inputs, first, rows, band, s, starts, stretch, places, tiles, transforms)
    elif s.step == 6:
        _way_in6(x, g * s.inputs, first, rows, band, s, starts, stretch, places, tiles, transforms)
    elif s.taps == 3:
        _way_in4(x, g * s.inputs, first, rows, band, s, starts, stretch, places, tiles, transforms)
    else:
        _way_in45(x, g * s.inputs, first, rows, band, s, starts, stretch, places, tiles, transforms)
    panel = g * s.blocks * s.points * s.inputs * stretch
    last_block = min((chunk + 1) * s.blocks_per_item, s.blocks)
    for begin in range(chunk * s.blocks_per_item, last_block, s.blocks_together):
        end = min(begin + s.blocks_together, last_block)
        _products(transforms, rows * s.columns, weights, offsets, panel, begin, end, s,
                  further(starts, stretch), sums)  # fmt: skip
        for b in range(begin, end):
            o = b * stretch
            for v in range(stretch):
                starts[v] = bias[g * s.outputs + o + v] if o + v < s.outputs else 0
            base = (b - begin) * s.points * s.pitch * stretch
            if s.step == 2:
                _way_out2(sums, base, b, g, first, rows, band, s, starts, tiles, out)
            elif s.step == 6:
                _way_out6(sums, base, b, g, first, rows, band, s, starts, tiles, out)
            elif s.taps == 3:
                _way_out4(sums, base, b, g, first, rows, band, s, starts, tiles, out)
            else:
                _way_out45(sums, base, b, g, first, rows, band, s, starts, tiles, out)


@by_ranges
@kernel
def _work(t, first, last, x, weights, bias, offsets, places, out, numbers, transforms, sums, tiles,
          starts):  # fmt: skip
    """Compute items `first` to `last` − 1 as thread t."""
    s = TilesGeometry(*fixed_tuple(numbers, _NUMBERS))
    for item in range(first, last):
        _item(
            pointer(x), pointer(weights), pointer(bias), pointer(offsets), pointer(places),
            pointer(out), s, item, pointer(transforms[t]), pointer(sums[t]),
            pointer(tiles[t]), pointer(starts[t]),
        )  # fmt: skip


@kernel
def forward(x, weights, bias, offsets, places, out, numbers, items, transforms, sums, tiles,
            starts):  # fmt: skip
    """Compute all items, split among as many threads as `transforms` has rows."""
    _work(transforms.shape[0], items, x, weights, bias, offsets, places, out, numbers, transforms,
          sums, tiles, starts)  # fmt: skip


@kernel
def _transform_block(packed, first, inputs, stretch, step, taps, target, at):
    """Transform one block of output channels, G W Gᵀ, from [channel][tap] to [point][channel].

    `packed`: pointer, read from `first` on.
    `target`: pointer, written from `at` on.
    `stretch`: output channels of a block, innermost in both.
    `step`, `taps`: m and r.
    """
    lane = lanes(packed)
    for c in range(inputs):
        for v in range(0, stretch, lane):
            here, there = first + c * taps * taps * stretch + v, at + c * stretch + v
            if step == 2:
                points = transform_square(packed, here, stretch, 2, 3, WEIGHTS)
                store_spaced(points, target, there, inputs * stretch)
            elif step == 6:
                wide = transform_square(packed, here, stretch, 6, 3, WEIGHTS)
                store_spaced(wide, target, there, inputs * stretch)
            elif taps == 3:
                more = transform_square(packed, here, stretch, 4, 3, WEIGHTS)
                store_spaced(more, target, there, inputs * stretch)
            else:
                most = transform_square(packed, here, stretch, 4, 5, WEIGHTS)
                store_spaced(most, target, there, inputs * stretch)


@threaded
@kernel
def _transform_one(b, packed, inputs, stretch, step, taps, target):
    """Transform block number b."""
    _transform_block(
        pointer(packed), b * packed.shape[1], inputs, stretch, step, taps, pointer(target),
        b * target.shape[1],
    )  # fmt: skip


@kernel
def transform_weights(packed, inputs, stretch, step, taps, target):
    """Transform every block, G W Gᵀ, split among threads.

    `packed`: blocks as `parallel.channels_packing` packs them, (blocks, inputs · r² · stretch).
    `target`: array (blocks, points · inputs · stretch).
    """
    _transform_one(packed.shape[0], packed, inputs, stretch, step, taps, target)
