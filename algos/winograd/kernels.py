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

A kernel may be filtered along one axis only; tiles are then one row or one column. Taps of other
axes are summed like channels: an *input* is one channel, shifted by one such tap. Its rows are
found by `places`, which has a table for each of these taps.

Arguments that mean the same in every kernel; indices and lengths count elements:

`x`, `out`: input (N, C, D, H, W) and output (N, O, d, h, w), contiguous, flat arrays or pointers.
`weights`: transformed kernel, [group][block][point][input][output channel].
`bias`: one element per output channel.
`numbers`: array of a `TilesGeometry`; `s` is that `TilesGeometry`.
`down`, `across`: F(m, r) along the last axis but one and along the last: three tuples, of lengths
    m, r and m + r − 1. So the compiler knows these numbers, and compiles a kernel for each form.
`offsets`: pointer to the offsets of a register tile, one pair per input.
`places`: pointer to indices in `x`, one for every row of samples of every row of tiles, in the
    first channel, or NOWHERE. Each summed tap has a table of `s.table` of them.
`transforms`, `sums`, `tiles`, `starts`: a thread's scratch for transforms [point][input][tile],
    for sums [block][point][tile][output channel], for tiles on their way out, and for biases
    followed by zeros.
`first`, `rows`: first row of tiles, counted over all slices of the batch, and number of rows of the
    strip.
`band`: number of the strip's band of columns.

Measurements: docs/kernels.md.
"""

from __future__ import annotations

from algos.backend.compiler import apart, by_ranges, fixed_tuple, kernel, threaded
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
    transform_tile,
)

_NUMBERS = len(TilesGeometry._fields)


@kernel
def _way_in(
    x, channel, first, rows, band, s, down, across, zeros, zero, places, turned, transforms
):
    """Transform `rows` rows of tiles of every input, Bᵀ X B, point by point.

    A last vector may write past its row of tiles; the next row replaces what it wrote.

    `channel`: number of the group's first input channel, in image 0.
    `zeros`: pointer to zeros, a vector and the samples of a tile's row more, from `zero` on.
    `turned`: pointer to vectors of scratch, one for each point.
    """
    lane = lanes(transforms)
    height, width = len(down[2]), len(across[2])
    left = band * s.columns * len(across[0])
    run = len(across[0]) // s.fold
    for c in range(s.inputs):
        plane = (channel + c // s.summed) * s.volume
        table = c % s.summed * s.table
        for r in range(0, rows, s.fold):
            for t in range(0, s.columns, lane):
                column = left + t * len(across[0])
                for q in range(height):
                    i = table + (first + r) * height + q
                    if s.fold == 1:  # too short a run for the hardware prefetcher
                        ahead = plane + s.volume + places[i] + column
                        for k in range(len(across[0])):
                            prefetch(x, ahead + k * lane)
                    row = load_windows(
                        x, plane, places, i, height, column, s.columns_before, s.width, zeros, zero,
                        s.fold, run, across[0], across[1],
                    )  # fmt: skip
                    points = transform(row, across[0], across[1], INPUT)
                    store_spaced(points, turned, q * width * lane, lane)
                for k in range(width):
                    tile = load_spaced(turned, k * lane, width * lane, down[2])
                    points_down = transform(tile, down[0], down[1], INPUT)
                    at = k * s.plane + c * s.pitch + r * s.columns + t
                    if s.fold == 1 or s.fold * s.columns == lane:
                        store_spaced(points_down, transforms, at, width * s.plane)
                    elif s.fold == 2:
                        store_pieces(points_down, transforms, at, width * s.plane, s.columns, 2)
                    else:
                        store_pieces(points_down, transforms, at, width * s.plane, s.columns, 4)


@kernel
def _way_out(sums, base, block, group, first, rows, band, s, down, across, bias, tiles, out):
    """Transform the sums of one block of output channels, Aᵀ M A, and write them with the bias.

    `base`: index of the block's sums, which are [point][tile][output channel].
    `block`, `group`: numbers of the block and of its group.
    `bias`: pointer to the biases of the block.
    """
    lane = lanes(sums)
    stretch = s.vectors * lane
    m, pitch = len(down[0]), s.columns * len(across[0])
    for v in range(s.vectors):
        o = block * stretch + v * lane
        for r in range(rows):
            part, i = (first + r) // s.image_rows, (first + r) % s.image_rows
            image, z = part // s.out_depth, part % s.out_depth
            for t in range(s.columns):
                at = base + (r * s.columns + t) * stretch + v * lane
                y = transform_tile(sums, at, s.pitch * stretch, down, across, OUTPUT)
                store_tile(
                    y, tiles, t * len(across[0]) * lane, pitch * lane, bias, v * lane, across[0]
                )
            plane = ((image * s.groups + group) * s.outputs + o) * s.out_depth + z
            plane = (plane * s.out_height + i * m) * s.out_width + band * pitch
            finish(
                tiles, 0, m * pitch, 1, out, plane, s.out_depth * s.out_height * s.out_width,
                s.outputs - o, 0, min(pitch, s.out_width - band * pitch),
                min(m, s.out_height - i * m), pitch, s.out_width,
            )  # fmt: skip


@apart
@kernel
def _products(transforms, tiles, weights, offsets, panel, first, last, s, zeros, sums):
    """Multiply transforms of `tiles` tiles, summed over inputs, for some blocks.

    `first`, `last`: first block of output channels and one past the last.
    `panel`: index in `weights` of the group's first block.
    `zeros`: pointer to zeros, the vectors of a register tile, that sums start from.
    """
    stretch = s.vectors * lanes(weights)
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
def _item(x, weights, bias, offsets, places, out, s, down, across, item, transforms, sums, tiles,
          starts):  # fmt: skip
    """Compute one strip of rows of tiles, for some blocks of output channels of one group."""
    stretch = s.vectors * lanes(weights)
    clear(starts, stretch, stretch + len(across[0]) + len(across[1]))
    chunks = -(-s.blocks // s.blocks_per_item)
    bands = -(-s.out_width // (s.columns * len(across[0])))
    item, chunk = item // chunks, item % chunks
    item, band = item // bands, item % bands
    g, strip = item // s.strips, item % s.strips
    first = strip * s.all_rows // s.strips
    rows = (strip + 1) * s.all_rows // s.strips - first
    _way_in(x, g * (s.inputs // s.summed), first, rows, band, s, down, across, starts, stretch,
            places, tiles, transforms)  # fmt: skip
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
            _way_out(sums, base, b, g, first, rows, band, s, down, across, starts, tiles, out)


@by_ranges
@kernel
def _work(t, first, last, x, weights, bias, offsets, places, out, numbers, down, across, transforms,
          sums, tiles, starts):  # fmt: skip
    """Compute items `first` to `last` − 1 as thread t."""
    s = TilesGeometry(*fixed_tuple(numbers, _NUMBERS))
    for item in range(first, last):
        _item(
            pointer(x), pointer(weights), pointer(bias), pointer(offsets), pointer(places),
            pointer(out), s, down, across, item, pointer(transforms[t]), pointer(sums[t]),
            pointer(tiles[t]), pointer(starts[t]),
        )  # fmt: skip


@kernel
def forward(x, weights, bias, offsets, places, out, numbers, down, across, items, transforms, sums,
            tiles, starts):  # fmt: skip
    """Compute all items, split among as many threads as `transforms` has rows."""
    _work(transforms.shape[0], items, x, weights, bias, offsets, places, out, numbers, down, across,
          transforms, sums, tiles, starts)  # fmt: skip


@threaded
@kernel
def _transform_block(b, packed, inputs, stretch, down, across, target):
    """Transform block number b of output channels, G W Gᵀ; arguments as in `transform_weights`."""
    lane = lanes(packed)
    taps = len(down[1]) * len(across[1])
    source, found = pointer(packed[b]), pointer(target[b])
    for c in range(inputs):
        for v in range(0, stretch, lane):
            points = transform_tile(source, c * taps * stretch + v, stretch, down, across, WEIGHTS)
            store_spaced(points, found, c * stretch + v, inputs * stretch)


@kernel
def transform_weights(packed, inputs, stretch, down, across, target):
    """Transform every block of output channels, G W Gᵀ, split among threads.

    `packed`: blocks as `parallel.channels_packing` packs them, (blocks, inputs · taps · stretch),
        [input][tap][output channel].
    `stretch`: output channels of a block.
    `target`: array (blocks, points · inputs · stretch), [point][input][output channel].
    """
    _transform_block(packed.shape[0], packed, inputs, stretch, down, across, target)
