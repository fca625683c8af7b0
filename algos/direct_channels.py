"""Direct convolution with output channels in the lanes of vector registers.

A register tile holds M neighbouring pixels × V vectors of output channels. For every input
channel and tap it takes V vectors of weights, packed so that they lie one after the other,
and M broadcast pixels: M·V fused multiply-adds for M + V loads, which keeps the arithmetic
units and not the loads busy. Around it, the loops of Goto and van de Geijn's matrix product
(ACM TOMS 34(3), 2008, doi:10.1145/1356052.1356053): a thread copies a strip of the input,
some channels at a time, into a buffer that stays in its L2 cache, and runs all tiles of
the strip against all weights of those channels before it goes on to the next.

The copy settles everything irregular: padding becomes zeros, and a strided input is taken
apart into its phases, so that neighbouring outputs always read neighbouring pixels. Each tap
is then nothing but an offset into the buffer, and one kernel serves every size. Taps of which a
whole row of outputs sees zeros alone are left out.

Bound by the multiply-add units: on a 2-core AVX-512 machine (Zen 4, 118 GFLOP/s a core in float32)
110 to 115 on layers of 3 × 3 and 64 channels or more, strided and dilated ones and volumes among
them, 1.9 times that in two threads; 106 where three channels leave few products to a sum.
"""

from __future__ import annotations

from typing import Any

import numba.np.unsafe.ndarray
import numpy as np

from . import simd
from .direct_blocking import TILES, Blocking, Shape, blocking, cost
from .jit import kernel, threaded
from .problem import Problem
from .simd import (
    add_outer,
    clear,
    copy_every,
    further,
    lanes,
    load,
    load_square,
    pointer,
    prefetch,
    repeat,
    store,
    store_lanes,
    store_rows,
    to_boundary,
    transpose,
)  # fmt: skip
from .simd_window import load_inside, split_pairs
from .threads import share

__all__ = ["blocking", "cost", "forward", "prepare", "workspace_bytes"]

_NUMBERS = len(Shape._fields)
to_fixed_tuple: Any = numba.np.unsafe.ndarray.to_fixed_tuple


def _make_tile(pixels, vectors):
    """The innermost kernel, for a register tile of `pixels` × `vectors`."""
    registers = pixels * vectors

    @kernel
    def tile(source, pixel, offsets, taps, weights, block, ahead, sums, at, start, is_first):
        """sums[at:] += Σ_t source[pixel + offsets[2t] + m] · weights[block + offsets[2t + 1]:].

        The first time, the sums start from the V vectors `start`. Weights from `ahead` on,
        one line a tap, are brought near for the tiles that follow.
        """
        lane = lanes(weights)
        if is_first:  # noqa: SIM108 - Numba would not know one type for both
            total = repeat(load(start, 0, vectors), pixels)
        else:
            total = load(sums, at, registers)
        for t in range(taps):
            prefetch(weights, ahead + t * lane)
            total = add_outer(
                total, source, pixel + offsets[2 * t], weights, block + offsets[2 * t + 1],
                pixels, vectors,
            )  # fmt: skip
        store(sums, at, total)

    return tile


_tile0, _tile1, _tile2, _tile3 = (_make_tile(m, v) for m, v in TILES)


@kernel
def run_tile(which, source, pixel, offsets, taps, weights, block, ahead, sums, at, start, is_first):
    """The register tile number `which` of `TILES`."""
    if which == 0:
        _tile0(source, pixel, offsets, taps, weights, block, ahead, sums, at, start, is_first)
    elif which == 1:
        _tile1(source, pixel, offsets, taps, weights, block, ahead, sums, at, start, is_first)
    elif which == 2:
        _tile2(source, pixel, offsets, taps, weights, block, ahead, sums, at, start, is_first)
    else:
        _tile3(source, pixel, offsets, taps, weights, block, ahead, sums, at, start, is_first)


@kernel
def pack_row(x, start, first, width, target, at, count, ahead):
    """target[at + k] = row[first + k] for k < count, zero outside 0 … width − 1.

    `row` is the `width` elements of `x` from `start` on. What lies `ahead` elements further, the
    same row of the next channel as a rule, is brought near: rows of a strip are too short a run
    for the processor to foresee it, which cost up to a tenth of a layer's time.
    """
    lane = lanes(x)
    for k in range(start + first + ahead, start + first + ahead + count, lane):
        prefetch(x, k)
    if count < lane:
        store_lanes(target, at, load_inside(x, start + first, first, width)[0], 0, count)
        return
    for n in range(0, count, lane):
        # The last vector ends at the last element and may overlap the one before it.
        k = min(n, count - lane)
        here = first + k
        if 0 <= here <= width - lane:
            store(target, at + k, load(x, start + here, 1))
        else:
            store(target, at + k, load_inside(x, start + here, here, width))


@kernel
def _pack_strided(x, start, first, stride, width, target, at, count, phases, phase_size, ahead):
    """As `pack_row`, of every `stride`-th element, for `phases` neighbouring firsts.

    Phase b begins at ``target[at + b·phase_size]``.
    """
    lane = lanes(x)
    for k in range(start + first + ahead, start + first + ahead + count * stride, lane):
        prefetch(x, k)
    if stride == 2 and count >= lane:
        for n in range(0, count, lane):
            k = min(n, count - lane)
            here = first + 2 * k
            even, odd = split_pairs(x, start + here, here, width)
            store(target, at + k, (even,))
            if phases == 2:
                store(target, at + phase_size + k, (odd,))
        return
    for b in range(phases):
        here, there = first + b, at + b * phase_size
        left = min(count, max(0, -(here // stride)))
        right = min(count, max(left, -((here - width) // stride)))
        clear(target, there, left)
        copy_every(x, start + here + left * stride, stride, target, there + left, right - left)
        clear(target, there + right, count - right)


@kernel
def _pack(x, plane, channels, s, h, j, k, rows, target):
    """Copy what output rows j … j + rows − 1 of plane h need from `channels` channels.

    The buffer is [channel][depth tap][row phase][column phase][row][column].
    """
    phase_size = s.phase_rows * s.pitch
    first = k * s.column_stride - s.columns_before
    ahead = s.depth * s.height * s.width
    for c in range(channels):
        at = c * s.channel_size
        for p in range(s.depth_taps):
            d = h * s.depth_stride + p * s.depth_dilation - s.depth_before
            for a in range(s.row_phases):
                for i in range(s.phase_rows - s.rows + rows):
                    r = (j + i) * s.row_stride + a - s.rows_before
                    start = (((plane + c) * s.depth + d) * s.height + r) * s.width
                    # A row outside the input is one of width 0: nothing but zeros.
                    width = s.width if 0 <= d < s.depth and 0 <= r < s.height else 0
                    row = at + i * s.pitch
                    if s.column_stride == 1:
                        pack_row(x, start, first, width, target, row, s.pitch, ahead)
                    else:
                        _pack_strided(
                            x, start, first, s.column_stride, width, target, row, s.pitch,
                            s.column_phases, phase_size, ahead,
                        )  # fmt: skip
                at += s.column_phases * phase_size


@kernel
def finish(sums, at, pixels, vectors, out, plane, plane_size, outputs, start, width, rows, pitch,
            out_width):  # fmt: skip
    """Write one tile of sums, channels along lanes, to `out`, pixels along lanes.

    The tile's pixels are the positions start … start + pixels − 1 of a run of `rows` rows of
    `pitch` positions, of which the first `width` are outputs and the rest is left out.
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
    """One strip of one output plane, for some blocks of output channels of one group."""
    lane = lanes(weights)
    stretch = s.vectors * lane
    chunks = -(-s.blocks // s.blocks_per_item)
    bands = -(-s.out_width // s.columns)
    item, chunk = item // chunks, item % chunks
    item, band = item // bands, item % bands
    item, strip = item // s.strips, item % s.strips
    image, h = item // s.out_depth, item % s.out_depth
    g = image % s.groups
    j, k = strip * s.out_height // s.strips, band * s.columns
    rows, columns = (strip + 1) * s.out_height // s.strips - j, min(s.columns, s.out_width - k)
    first_block = chunk * s.blocks_per_item
    last_block = min(first_block + s.blocks_per_item, s.blocks)
    runs, run = (1, (rows - 1) * s.pitch + columns) if s.flat else (rows, columns)
    tiles = -(-run // s.pixels)
    plane_size = s.out_depth * s.out_height * s.out_width
    starts = s.out_depth + s.out_height + 2 * classes[h] * s.row_classes
    for c in range(0, s.inputs, s.block_channels):
        channels = min(s.block_channels, s.inputs - c)
        is_last = c + channels == s.inputs
        _pack(x, image * s.inputs + c, channels, s, h, j, k, rows, pixels)
        for block in range(first_block, last_block):
            o = block * stretch
            for v in range(stretch):
                start[v] = bias[g * s.outputs + o + v] if o + v < s.outputs else 0
            near = ((g * s.blocks + block) * s.inputs + c) * s.taps * stretch
            ahead = near + s.inputs * s.taps * stretch
            plane = (image * s.outputs + o) * plane_size
            plane += (h * s.out_height + j) * s.out_width + k
            for r in range(runs):
                found = starts + 2 * classes[s.out_depth + j + r]
                inside, taps = further(classes, classes[found]), channels * classes[found + 1]
                for t in range(tiles):
                    at = 0
                    if s.sums > 1:
                        at = ((block - first_block) * runs + r) * tiles + t
                    at *= s.pixels * stretch
                    position = r * s.pitch + t * s.pixels
                    run_tile(
                        s.tile, pixels, position, inside, taps, weights, near, ahead, sums, at,
                        start, c == 0,
                    )  # fmt: skip
                    ahead += taps * lane
                    if is_last:
                        finish(
                            sums, at, s.pixels, s.vectors, out, plane, plane_size,
                            s.outputs - o, position, columns,
                            rows if s.flat else r + 1, s.pitch, s.out_width,
                        )  # fmt: skip


@kernel(allocates=True)
def _work(worker, workers, x, weights, bias, table, out):
    """Every item that falls to one of `workers`."""
    s = Shape(*to_fixed_tuple(table, _NUMBERS))
    classes = further(pointer(table), _NUMBERS)
    lane = lanes(weights)
    stretch = s.vectors * lane
    room = np.empty(s.room, weights.dtype)
    start = further(pointer(room), to_boundary(pointer(room), 0))
    sums = further(start, stretch)
    pixels = further(sums, (s.sums * s.pixels + lane) * stretch)
    for item in range(worker * s.items // workers, (worker + 1) * s.items // workers):
        _item(
            pointer(x), pointer(weights), pointer(bias), pointer(out), s, classes, item, pixels,
            sums, start,
        )  # fmt: skip
    room[0] = 0  # a use after the last pointer into it, so that Numba keeps it


_work_shared = threaded(_work)


@kernel
def _share(workers, x, weights, bias, table, out):
    """Every item, split evenly among `workers` threads."""
    _work_shared(workers, workers, x, weights, bias, table, out)


@kernel
def _pack_blocks(first, last, w, groups, stretch, packed):
    """Blocks `first` to `last` of `pack_weights`."""
    outputs, taps = w.shape[0] // groups, w.shape[1]
    blocks = -(-outputs // stretch)
    lane = lanes(w)
    flat = w.reshape(w.size)
    target = packed.reshape(packed.size)
    for i in range(first, last):
        o = i // blocks * outputs + i % blocks * stretch
        end = (i // blocks + 1) * outputs
        base = i * taps * stretch
        for v in range(0, stretch, lane):
            whole, count = 0, min(lane, stretch - v)
            if o + v + lane <= end:
                for t in range(0, taps - lane + 1, lane):
                    turned = transpose(load_square(flat, (o + v) * taps + t, taps))
                    store_rows(turned, target, base + t * stretch + v, stretch, lane, 0, count)
                    whole = t + lane
            for t in range(whole, taps):
                for m in range(v, v + count):
                    inside = o + m < end
                    target[base + t * stretch + m] = flat[(o + m) * taps + t] if inside else 0


@threaded
@kernel
def _pack_one(block, w, groups, stretch, packed):
    _pack_blocks(block, block + 1, w, groups, stretch, packed)


@kernel
def _share_packing(blocks, w, groups, stretch, packed):
    _pack_one(blocks, w, groups, stretch, packed)


def pack_weights(
    w: np.ndarray, groups: int, stretch: int, packed: np.ndarray, threads: int
) -> None:
    """`w` (O, K) to [group][block of `stretch` channels][K][channel], short blocks with zeros."""
    blocks = groups * -(-(w.shape[0] // groups) // stretch)
    if threads == 1:
        _pack_blocks(0, blocks, w, groups, stretch, packed)
        return
    with share(threads):
        _share_packing(blocks, w, groups, stretch, packed)


def workspace_bytes(problem: Problem, threads: int) -> int:
    """Packed kernel, and per thread a strip of input and the sums kept."""
    cut = blocking(problem, threads)
    return (threads * cut.shape.room + cut.packed) * problem.itemsize


def prepare(problem: Problem, w: np.ndarray, threads: int) -> tuple[Blocking, np.ndarray]:
    """The blocking, and the correlation kernel `w` in the order in which tiles read it."""
    cut = blocking(problem, threads)
    packed = simd.aligned(cut.packed, w.dtype)
    pack_weights(w.reshape(w.shape[0], -1), cut.shape.groups, cut.stretch, packed, threads)
    return cut, packed


def forward(
    problem: Problem, x: np.ndarray, prepared: tuple[Blocking, np.ndarray], bias: np.ndarray,
    out: np.ndarray, threads: int,
) -> None:  # fmt: skip
    """Write the output for `x`."""
    cut, packed = prepared
    arguments = x.ravel(), packed, bias, cut.table, out.ravel()
    if threads == 1:
        _work(0, 1, *arguments)
    else:
        _share(threads, *arguments)
