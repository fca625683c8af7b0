"""Direct convolution with output channels in the lanes of vector registers.

A register tile holds M neighbouring pixels × V vectors of output channels. For every input channel
and tap it loads V vectors of packed weights and broadcasts M pixels. That is M·V fused
multiply-adds for M + V loads. Tiles are chosen so that the multiply-add units are the bottleneck,
not the loads.

Cache blocking follows the matrix product of Goto and van de Geijn (ACM TOMS 34(3), 2008,
doi:10.1145/1356052.1356053). A thread copies a strip of the input, one block of channels at a time,
into scratch that stays in its L2 cache. All tiles of the strip then meet all weights of those
channels before the next block is copied.

The copy (`channels_packing`) removes every irregularity. Padding becomes zeros. A strided input is
split into its phases, so neighbouring outputs always read neighbouring pixels. Each tap is then an
offset into the scratch, and one kernel serves every size. Taps for which a whole output row sees
only zeros are skipped.

Arguments that mean the same in every kernel; indices and lengths count elements:

`x`, `out`: pointers to the input (N, C, D, H, W) and to the output (N, O, D, H, W), both
    contiguous.
`weights`: pointer to the packed kernel, [group][block of channels][input channel][tap][channel].
`table`: the array `ChannelsBlocking.table`.
`s`: the `ChannelsGeometry` at its head.
`sums`: pointer to the scratch for sums of tiles, [tile][pixel][output channel of the tile].
`_slot`, `first`, `last`: number of this thread; its items are `first` to `last` − 1.

Measurements: docs/kernels.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from algos.backend.compiler import by_ranges, fixed_tuple, kernel
from algos.core.problem import Problem
from algos.simd import registers as simd
from algos.simd.arithmetic import add_outer, repeat, transpose
from algos.simd.registers import (
    further,
    lanes,
    load,
    load_square,
    pointer,
    prefetch,
    store,
    store_rows,
    to_boundary,
)

from .channels_blocking import (
    TILES,
    TOGETHER,
    ChannelsBlocking,
    ChannelsGeometry,
    blocking,
    cost,
)
from .channels_packing import pack_strip, packed_kernel, strip_of

__all__ = ["blocking", "cost", "forward", "prepare", "workspace_bytes"]

_NUMBERS = len(ChannelsGeometry._fields)
#: True if a tile prefetches beside its products. With 16 registers the few products of a tap do not
#: hide a prefetch. So a tile prefetches before its first product, at most a line for every
#: `TAPS_PER_LINE` taps. Tuned on Zen 4 and 3.
BESIDE, TAPS_PER_LINE = simd.REGISTERS == 32, 16


def _make_tile(pixels: int, vectors: int) -> Any:
    """Return the innermost kernel for a register tile of `pixels` × `vectors`."""
    registers = pixels * vectors

    @kernel
    def tile(source, pixel, offsets, taps, weights, block, ahead, step, sums, at, start,
             is_first):  # fmt: skip
        """Add the products of `taps` taps to one tile of sums.

        Pixel m gets ``Σ_t source[pixel + offsets[2t] + m] · weights[block + offsets[2t + 1]:]``.

        `source`: pointer to the strip of input; `pixel` is the index of the tile's first pixel.
        `offsets`: pointer to `taps` pairs (offset into the strip, offset into the weights).
        `block`: index into `weights` of the block of output channels.
        `ahead`: index into `weights` of what is prefetched for the tiles that follow, `step`
            elements per tap. The next tile continues where this one ends.
        `at`: index into `sums` of this tile's M × V vectors.
        `start`: pointer to V vectors that the sums start from if `is_first`; otherwise `sums` is
            read.

        Reads M elements of `source` and V vectors of `weights` at each offset.
        """
        lane = lanes(weights)
        if is_first:  # noqa: SIM108 - Numba would not know one type for both
            total = repeat(load(start, 0, vectors), pixels)
        else:
            total = load(sums, at, registers)
        if not BESIDE:
            line = simd.LINE_VECTORS * lane
            for k in range(0, min(taps * step, taps // TAPS_PER_LINE * line), line):
                prefetch(weights, ahead + k)
        for t in range(taps):
            if BESIDE:
                prefetch(weights, ahead + t * step)
            total = add_outer(
                total, source, pixel + offsets[2 * t], weights, block + offsets[2 * t + 1],
                pixels, vectors,
            )  # fmt: skip
        store(sums, at, total)

    return tile


_tiles = [_make_tile(m, v) for m, v in TILES]
#: Where there are four, the last stands for a fifth that is never asked for.
_tile0, _tile1, _tile2, _tile3, _tile4 = (*_tiles, _tiles[-1])[:5]


@kernel
def run_tile(
    which, source, pixel, offsets, taps, weights, block, ahead, step, sums, at, start, is_first
):  # fmt: skip
    """Run register tile number `which` of `TILES`; the other arguments are those of the tile."""
    if which == 0:
        _tile0(source, pixel, offsets, taps, weights, block, ahead, step, sums, at, start, is_first)
    elif which == 1:
        _tile1(source, pixel, offsets, taps, weights, block, ahead, step, sums, at, start, is_first)
    elif which == 2:
        _tile2(source, pixel, offsets, taps, weights, block, ahead, step, sums, at, start, is_first)
    elif which == 3:
        _tile3(source, pixel, offsets, taps, weights, block, ahead, step, sums, at, start, is_first)
    else:
        _tile4(source, pixel, offsets, taps, weights, block, ahead, step, sums, at, start, is_first)


@kernel
def finish(sums, at, pixels, vectors, out, plane, plane_size, outputs, start, width, rows, pitch,
            out_width):  # fmt: skip
    """Transpose one tile of sums and write it to `out`: channels in the lanes become pixels.

    The tile's pixels are the positions start … start + pixels − 1 of a run of `rows` rows of
    `pitch` positions. Of each row the first `width` positions are outputs; the rest is skipped.

    `sums`: pointer to the tile at `at`, [pixel][output channel]. Pixels are read in whole vectors,
        so up to a vector's number of pixels less one past the last.
    `pixels`, `vectors`: size of the tile.
    `out`: pointer to the output; `plane` is the index of the run's first output for the first
        channel.
    `plane_size`: elements from one output channel to the next.
    `outputs`: output channels left from the tile's first on; channels beyond are not written.
    `out_width`: elements from one output row to the next.
    """
    lane = lanes(sums)
    stretch = vectors * lane
    for v in range(vectors):
        channels = min(lane, outputs - v * lane)
        if channels <= 0:
            break
        for m in range(0, pixels, lane):
            turned = transpose(load_square(sums, at + m * stretch + v * lane, stretch))
            row, column = (start + m) // pitch, (start + m) % pitch
            done, count = 0, min(lane, pixels - m)
            while done < count and row < rows:
                piece = min(count - done, width - column)
                if piece > 0:
                    target = plane + v * lane * plane_size + row * out_width + column - done
                    store_rows(turned, out, target, plane_size, channels, done, done + piece)
                done += pitch - column if column + count - done >= width else piece
                row, column = row + 1, 0


@kernel
def _item(x, weights, bias, out, s, classes, item, pixels, sums, start):
    """Compute one strip of one output plane, for some blocks of output channels of one group.

    `bias`: pointer to one element per output channel.
    `classes`: pointer to the part of the table after `ChannelsGeometry`.
    `pixels`: pointer to the scratch for the strip.
    `start`: pointer to the scratch for one tile width of biases.
    """
    lane = lanes(weights)
    stretch = s.vectors * lane
    image, h, j, k, rows, columns, first_block, last_block = strip_of(item, s)
    g = image % s.groups
    runs, run = (1, (rows - 1) * s.pitch + columns) if s.flat else (rows, columns)
    tiles = -(-run // s.pixels)
    plane_size = s.out_depth * s.out_height * s.out_width
    starts = s.out_depth + s.out_height + 2 * classes[h] * s.row_classes
    for c in range(0, s.inputs, s.block_channels):
        channels = min(s.block_channels, s.inputs - c)
        is_last = c + channels == s.inputs
        pack_strip(x, image * s.inputs + c, channels, s, h, j, k, rows, pixels)
        for block in range(first_block, last_block):
            o = block * stretch
            for v in range(stretch):
                start[v] = bias[g * s.outputs + o + v] if o + v < s.outputs else 0
            near = ((g * s.blocks + block) * s.inputs + c) * s.taps * stretch
            # The next weights: those of the next block, or of the first for the next channels.
            ahead = near + s.inputs * s.taps * stretch
            if block == last_block - 1 and not is_last:
                ahead = (g * s.blocks + first_block) * s.inputs + c + channels
                ahead *= s.taps * stretch
            step, end = -(-stretch // (runs * tiles)), ahead + channels * s.taps * stretch
            plane = (image * s.outputs + o) * plane_size
            plane += (h * s.out_height + j) * s.out_width + k
            for r in range(runs):
                found = starts + 2 * classes[s.out_depth + j + r]
                inside, taps = further(classes, classes[found]), channels * classes[found + 1]
                for t in range(tiles):
                    near_tiles = t % TOGETHER
                    at = near_tiles
                    if channels < s.inputs:
                        at = ((block - first_block) * runs + r) * tiles + t
                    at *= s.pixels * stretch
                    position = r * s.pitch + t * s.pixels
                    run_tile(
                        s.tile, pixels, position, inside, taps, weights, near, ahead, step, sums,
                        at, start, c == 0,
                    )  # fmt: skip
                    ahead = min(ahead + taps * step, end)
                    if is_last and (near_tiles == TOGETHER - 1 or t == tiles - 1):
                        before = near_tiles * s.pixels
                        finish(
                            sums, at - before * stretch, before + s.pixels, s.vectors, out, plane,
                            plane_size, s.outputs - o, position - before, columns,
                            rows if s.flat else r + 1, s.pitch, s.out_width,
                        )  # fmt: skip


@kernel(allocates=True)
def _work(_slot, first, last, x, weights, bias, table, out):
    """Compute some items; `x`, `weights`, `bias` and `out` are flat arrays."""
    s = ChannelsGeometry(*fixed_tuple(table, _NUMBERS))
    classes = further(pointer(table), _NUMBERS)
    lane = lanes(weights)
    stretch = s.vectors * lane
    room = np.empty(s.room, weights.dtype)
    start = further(pointer(room), to_boundary(pointer(room), 0))
    sums = further(start, stretch)
    pixels = further(sums, (s.sums * s.pixels + lane) * stretch)
    for item in range(first, last):
        _item(
            pointer(x), pointer(weights), pointer(bias), pointer(out), s, classes, item, pixels,
            sums, start,
        )  # fmt: skip
    room[0] = 0  # use the array after the last pointer into it, so that Numba keeps it alive


_work_shared = by_ranges(_work)


@kernel
def _share(threads, items, x, weights, bias, table, out):
    """Compute all `items`, split among `threads` threads."""
    _work_shared(threads, items, x, weights, bias, table, out)


def workspace_bytes(problem: Problem, threads: int) -> int:
    """Bytes of the packed kernel and, per thread, of a strip of input and the sums kept."""
    return blocking(problem, threads).workspace(threads) * problem.itemsize


def prepare(problem: Problem, w: np.ndarray, threads: int) -> tuple[ChannelsBlocking, np.ndarray]:
    """Return the blocking, and the correlation kernel `w` packed in the order of its use."""
    blocks = blocking(problem, threads)
    return blocks, packed_kernel(w, blocks, threads)


def forward(
    problem: Problem, x: np.ndarray, prepared: tuple[ChannelsBlocking, np.ndarray],
    bias: np.ndarray, out: np.ndarray, threads: int,
) -> None:  # fmt: skip
    """Write the output for `x`, with `prepared` as returned by `prepare`."""
    blocks, packed = prepared
    arguments = blocks.shape.items, x.ravel(), packed, bias, blocks.table, out.ravel()
    if threads == 1:
        _work(0, 0, *arguments)
    else:
        _share(threads, *arguments)
