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
is then nothing but an offset into the buffer, and one kernel serves every size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np

from . import simd
from .jit import kernel
from .problem import Problem
from .simd import (
    add_outer,
    clear,
    copy,
    copy_every,
    lanes,
    load,
    load_square,
    prefetch,
    repeat,
    store,
    store_rows,
    transpose,
)

#: Register tiles (M pixels, V vectors of channels). Of those, sums and operands included,
#: that fit the register file, a problem takes the one that wastes least on its sizes.
TILES = ((28, 1), (14, 2), (7, 2), (16, 1)) if simd.REGISTERS == 32 else (
    (6, 2), (12, 1), (7, 1), (4, 2))  # fmt: skip
#: Bytes of L2 that a strip of input, and the sums kept between channel blocks, may each fill.
STRIP_BYTES = 192 * 1024
SUMS_BYTES = 320 * 1024
#: Products summed before the next block of channels is copied in.
BLOCK_TAPS = 576


class Shape(NamedTuple):
    """The numbers that the compiled kernel works from; the fields are `Blocking`'s."""

    groups: int
    block_channels: int
    rows: int
    columns: int
    pitch: int
    phase_rows: int
    channel_size: int
    flat: int
    tile: int
    pixels: int
    vectors: int
    blocks: int
    blocks_per_item: int
    sums: int


def _make_tile(pixels, vectors):
    """The innermost kernel, for a register tile of `pixels` × `vectors`."""
    registers = pixels * vectors

    @kernel
    def tile(source, pixel, offsets, taps, weights, block, ahead, sums, at, start, is_first):
        """sums[at:] += Σ_t source[pixel + offsets[t] + m] · weights[block + t·V·lanes:].

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
                total, source, pixel + offsets[t], 1, weights, block + t * vectors * lane,
                pixels, vectors,
            )  # fmt: skip
        store(sums, at, total)

    return tile


_tile0, _tile1, _tile2, _tile3 = (_make_tile(m, v) for m, v in TILES)


@kernel
def _run_tile(
    which, source, pixel, offsets, taps, weights, block, ahead, sums, at, start, is_first
):
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
def _pack_row(x, start, first, stride, width, target, at, count):
    """target[at + k] = row[first + k·stride] for k < count, zero outside 0 … width − 1.

    `row` is the `width` elements of `x` from `start` on.
    """
    left = 0 if first >= 0 else min(count, (-first + stride - 1) // stride)
    right = count if first + (count - 1) * stride < width else max(
        left, (width - first + stride - 1) // stride)  # fmt: skip
    clear(target, at, left)
    if stride == 1:
        copy(x, start + first + left, target, at + left, right - left)
    else:
        copy_every(x, start + first + left * stride, stride, target, at + left, right - left)
    clear(target, at + right, count - right)


@kernel
def _pack(x, plane, channels, size, s, h, j, k, rows, stride, dilation, before, phases, target):
    """Copy what output rows j … j + rows − 1 of plane h need from `channels` channels.

    The buffer is [channel][depth tap][row phase][column phase][row][column].
    """
    depth, height, width = size
    depth_taps, row_phases, column_phases = phases
    phase_size = s.phase_rows * s.pitch
    for c in range(channels):
        at = c * s.channel_size
        for p in range(depth_taps):
            d = h * stride[0] + p * dilation[0] - before[0]
            for a in range(row_phases):
                for b in range(column_phases):
                    for i in range(s.phase_rows - s.rows + rows):
                        r = (j + i) * stride[1] + a - before[1]
                        first = k * stride[2] + b - before[2]
                        inside = 0 <= d < depth and 0 <= r < height
                        start = ((plane + c) * depth + d) * height * width + r * width
                        # A row outside the input is one of width 0: nothing but zeros.
                        _pack_row(
                            x, start, first, stride[2], width if inside else 0,
                            target, at + i * s.pitch, s.pitch,
                        )  # fmt: skip
                    at += phase_size


@kernel
def _finish(sums, at, pixels, vectors, out, plane, plane_size, outputs, start, width, rows, pitch,
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
def _item(x, packed, bias, offsets, out, size, stride, dilation, before, phases, s, item, pixels,
          sums, start):  # fmt: skip
    """One strip of one output plane, for some blocks of output channels of one group."""
    inputs, outputs = x.shape[1] // s.groups, out.shape[1] // s.groups
    out_depth, out_height, out_width = out.shape[2], out.shape[3], out.shape[4]
    lane = lanes(packed)
    stretch = s.vectors * lane
    tile_sums = s.pixels * stretch
    chunks = -(-s.blocks // s.blocks_per_item)
    bands, strips = -(-out_width // s.columns), -(-out_height // s.rows)
    item, chunk = item // chunks, item % chunks
    item, band = item // bands, item % bands
    item, strip = item // strips, item % strips
    item, h = item // out_depth, item % out_depth
    b, g = item // s.groups, item % s.groups
    j, k = strip * s.rows, band * s.columns
    rows, columns = min(s.rows, out_height - j), min(s.columns, out_width - k)
    first_block = chunk * s.blocks_per_item
    last_block = min(first_block + s.blocks_per_item, s.blocks)
    runs, run = (1, (rows - 1) * s.pitch + columns) if s.flat else (rows, columns)
    tiles = -(-run // s.pixels)
    taps = offsets.size // s.block_channels
    plane_size = out_depth * out_height * out_width
    flat_x, flat_out = x.reshape(x.size), out.reshape(out.size)
    for c in range(0, inputs, s.block_channels):
        channels = min(s.block_channels, inputs - c)
        is_last = c + channels == inputs
        _pack(
            flat_x, b * x.shape[1] + g * inputs + c, channels, size, s, h, j, k, rows, stride,
            dilation, before, phases, pixels,
        )  # fmt: skip
        for block in range(first_block, last_block):
            o = block * stretch
            weights = ((g * s.blocks + block) * inputs + c) * taps * stretch
            plane = (b * out.shape[1] + g * outputs + o) * plane_size
            plane += (h * out_height + j) * out_width + k
            for v in range(stretch):
                start[v] = bias[g * outputs + o + v] if o + v < outputs else 0
            ahead = weights + inputs * taps * stretch
            for r in range(runs):
                for t in range(tiles):
                    at = 0
                    if s.sums > 1:
                        at = ((block - first_block) * runs + r) * tiles + t
                    at *= tile_sums
                    position = r * s.pitch + t * s.pixels
                    _run_tile(
                        s.tile, pixels, position, offsets, channels * taps, packed, weights,
                        ahead, sums, at, start, c == 0,
                    )  # fmt: skip
                    ahead += channels * taps * lane
                    if is_last:
                        _finish(
                            sums, at, s.pixels, s.vectors, flat_out, plane, plane_size,
                            outputs - o, position, columns,
                            rows if s.flat else r + 1, s.pitch, out_width,
                        )  # fmt: skip


@kernel(parallel=True)
def _forward(x, packed, bias, offsets, out, size, stride, dilation, before, phases, s, items,
             pixels, sums, starts):  # fmt: skip
    """Every item, split evenly among as many threads as there are buffers."""
    workers = pixels.shape[0]
    for worker in numba.prange(workers):
        t = np.int64(worker)
        for item in range(t * items // workers, (t + 1) * items // workers):
            _item(
                x, packed, bias, offsets, out, size, stride, dilation, before, phases, s, item,
                pixels[t], sums[t], starts[t],
            )  # fmt: skip


@kernel(parallel=True)
def _pack_weights(w, groups, stretch, packed):
    """`w` (O, K) to [group][block of `stretch` channels][K][channel], short blocks with zeros."""
    outputs, taps = w.shape[0] // groups, w.shape[1]
    blocks = -(-outputs // stretch)
    lane = lanes(w)
    flat = w.reshape(w.size)
    target = packed.reshape(packed.size)
    for item in numba.prange(groups * blocks):
        i = np.int64(item)
        o = i // blocks * outputs + i % blocks * stretch
        last = min((i // blocks + 1) * outputs, o + stretch)
        base = i * taps * stretch
        for v in range(0, stretch, lane):
            whole = 0
            if o + v + lane <= last:
                for t in range(0, taps - lane + 1, lane):
                    turned = transpose(load_square(flat, (o + v) * taps + t, taps))
                    store_rows(turned, target, base + t * stretch + v, stretch, lane, 0, lane)
                    whole = t + lane
            for t in range(whole, taps):
                for m in range(v, v + lane):
                    inside = o + m < last
                    target[base + t * stretch + m] = flat[(o + m) * taps + t] if inside else 0


@dataclass(frozen=True)
class Blocking:
    """How one problem is cut up: what the compiled kernel needs to know, and its buffers."""

    shape: Shape
    phases: tuple[int, int, int]
    offsets: np.ndarray
    items: int
    buffer: int
    sums: int


@lru_cache(maxsize=256)
def _merged(problem: Problem) -> Problem:
    """The problem as a volume; one row where each output depends on a single pixel."""
    v = problem.volume
    pointwise = {*v.kernel, *v.stride} == {1} and not any(map(sum, v.padding))
    return replace(v, size=(1, 1, math.prod(v.size))) if pointwise else v


def _phases(kernel_size: int, dilation: int, stride: int) -> tuple[int, int]:
    """(phases of a strided axis that taps fall in, largest shift within a phase)."""
    positions = [m * dilation for m in range(kernel_size)]
    return max(p % stride for p in positions) + 1, max(p // stride for p in positions)


def waste(problem: Problem, tile: int, flat: bool) -> float:
    """Sums computed per sum needed, with this register tile; the rest is thrown away."""
    v = _merged(problem)
    pixels, vectors = TILES[tile]
    stretch = vectors * simd.lanes_of(problem.itemsize)
    outputs = v.out_channels // v.groups
    lanes_waste = -(-outputs // stretch) * stretch / outputs
    rows, columns = v.output_size[1:]
    if flat:
        pitch = columns + _phases(v.kernel[2], v.dilation[2], v.stride[2])[1]
        run = (min(rows, 8) - 1) * pitch + columns
        return lanes_waste * -(-run // pixels) * pixels / (min(rows, 8) * columns)
    return lanes_waste * -(-columns // pixels) * pixels / columns


@lru_cache(maxsize=256)
def blocking(problem: Problem, threads: int) -> Blocking:
    """The blocking for `problem`; the order of summation does not depend on `threads`."""
    v = _merged(problem)
    itemsize = problem.itemsize
    lane = simd.lanes_of(itemsize)
    choices = [(tile, flat) for flat in (False, True) for tile in range(len(TILES))]
    tile, flat = min(choices, key=lambda choice: waste(problem, *choice))
    pixels, vectors = TILES[tile]
    inputs, outputs = v.in_channels // v.groups, v.out_channels // v.groups
    taps = math.prod(v.kernel)
    blocks_of_channels = max(1, round(inputs * taps / BLOCK_TAPS))
    block_channels = -(-inputs // min(inputs, blocks_of_channels))
    is_split = block_channels < inputs
    stretch = vectors * lane
    blocks = -(-outputs // stretch)

    out_depth, out_rows, out_columns = v.output_size
    (row_phases, row_shift), (column_phases, column_shift) = (
        _phases(v.kernel[i], v.dilation[i], v.stride[i]) for i in (1, 2)
    )
    phases = (v.kernel[0], row_phases, column_phases)
    planes = block_channels * math.prod(phases)
    per_element = planes * itemsize
    widest = STRIP_BYTES // (per_element * (row_shift + 1)) - column_shift
    columns = out_columns if flat else min(out_columns, max(pixels, widest // pixels * pixels))
    pitch = columns + column_shift
    if not flat:
        pitch = -(-columns // pixels) * pixels + column_shift
    room = STRIP_BYTES // (per_element * pitch) - row_shift
    if is_split:
        room = min(room, SUMS_BYTES // (itemsize * blocks * stretch * pitch))
    rows, blocks_per_item = _split(
        v.batch * v.groups * out_depth * -(-out_columns // columns), out_rows,
        max(1, min(room, out_rows)), row_shift, blocks, threads,
    )  # fmt: skip

    phase_rows = rows + row_shift
    channel_size = math.prod(phases) * phase_rows * pitch
    line = 64 // itemsize
    channel_size = (-(-channel_size // line) | 1) * line
    p, m, n = np.ogrid[: v.kernel[0], : v.kernel[1], : v.kernel[2]]
    row, column = m * v.dilation[1], n * v.dilation[2]
    phase = (p * row_phases + row % v.stride[1]) * column_phases + column % v.stride[2]
    tap = (phase * phase_rows + row // v.stride[1]) * pitch + column // v.stride[2]
    offsets = (np.arange(block_channels)[:, None] * channel_size + tap.reshape(-1)).reshape(-1)
    tiles = -(-((rows - 1) * pitch + columns) // pixels) if flat else rows * -(-columns // pixels)
    kept = tiles * blocks_per_item if is_split else 1
    shape = Shape(
        v.groups, block_channels, rows, columns, pitch, phase_rows, channel_size, int(flat), tile,
        pixels, vectors, blocks, blocks_per_item, kept,
    )  # fmt: skip
    items = v.batch * v.groups * out_depth * -(-out_rows // rows) * -(-out_columns // columns)
    items *= -(-blocks // blocks_per_item)
    # A tile may read past the strip, and `_finish` past the last tile of sums, by this much.
    return Blocking(
        shape, phases, offsets.astype(np.int64), items, block_channels * channel_size + pixels,
        kept * pixels * stretch + lane * stretch,
    )  # fmt: skip


def _split(
    planes: int, height: int, most: int, shift: int, blocks: int, threads: int
) -> tuple[int, int]:
    """(rows per strip, channel blocks per item) that keep `threads` threads equally busy.

    The cost of an item is its rows times its blocks, plus the rows it copies.
    """
    best, least = (most, blocks), math.inf
    for chunks in range(1, min(blocks, 2 * threads) + 1):
        per_item = -(-blocks // chunks)
        fewest = -(-height // most)
        for strips in range(fewest, min(height, fewest + 2 * threads) + 1):
            rows = -(-height // strips)
            items = planes * -(-height // rows) * -(-blocks // per_item)
            cost = -(-items // threads) * (rows * per_item + 0.1 * (rows + shift))
            if cost < least * 0.999:
                best, least = (rows, per_item), cost
    return best


def workspace_bytes(problem: Problem, threads: int) -> int:
    """Packed kernel, and per thread a strip of input and the sums kept."""
    cut = blocking(problem, threads)
    per_thread = cut.buffer + cut.sums
    return (threads * per_thread + _packed_size(problem, cut)) * problem.itemsize


def _packed_size(problem: Problem, cut: Blocking) -> int:
    s = cut.shape
    stretch = s.vectors * simd.lanes_of(problem.itemsize)
    return s.groups * s.blocks * stretch * problem.taps


def prepare(problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
    """The correlation kernel `w` in the order in which the register tiles read it."""
    cut = blocking(problem, threads)
    packed = simd.aligned(_packed_size(problem, cut), w.dtype)
    stretch = cut.shape.vectors * simd.lanes_of(problem.itemsize)
    _pack_weights(w.reshape(w.shape[0], -1), cut.shape.groups, stretch, packed)
    return packed


def forward(
    problem: Problem, x: np.ndarray, packed: np.ndarray, bias: np.ndarray, out: np.ndarray,
    threads: int,
) -> None:  # fmt: skip
    """Write the output for `x`."""
    v = _merged(problem)
    cut = blocking(problem, threads)
    _forward(
        x.reshape(v.input_shape), packed, bias, cut.offsets, out.reshape(v.output_shape),
        v.size, v.stride, v.dilation, tuple(p for p, _ in v.padding), cut.phases, cut.shape,
        cut.items, np.empty((threads, cut.buffer), x.dtype), np.empty((threads, cut.sums), x.dtype),
        np.empty((threads, cut.shape.vectors*simd.REGISTER_BYTES//x.itemsize), x.dtype),
    )  # fmt: skip
