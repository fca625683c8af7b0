"""Blocking of `parallel.channels`: register tile, strips, channel blocks and split among threads.

Nothing here is compiled. The register tile and the channel blocks depend on the problem alone, and
with them the order of summation. Only the split into items depends on the number of threads.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from algos.core.problem import Problem
from algos.simd import registers as simd

#: Register tiles, (M pixels, V vectors of output channels). The candidates are those whose sums and
#: operands fit the register file; a problem takes the tile that wastes least on its sizes. Where
#: loads are few, wide tiles share each broadcast among more products.
#: ARM has as many registers as AVX-512. There LLVM loads some scalars into vectors ahead of use,
#: and would spill two sums of a 14 × 2 tile. So ARM gets 12 × 2.
TILES = (
    ((6, 2), (12, 1), (7, 1), (4, 2))
    if simd.REGISTERS == 16
    else ((28, 1), (14, 2), (9, 3), (6, 4))
    if simd.FEW_LOADS
    else ((28, 1), (14, 2), (7, 2), (16, 1), (5, 4))
    if simd.REGISTER_BYTES == 64
    else ((28, 1), (12, 2), (7, 2), (16, 1))
)
#: Register tiles, and True if tiles continue from one row into the next. A fifth register tile is
#: for short rows, which it fills.
CHOICES = [(tile, flat) for flat in (False, True) for tile in range(4 if flat else len(TILES))]
#: Products of a tap that take as long as what a register tile costs beside them. Fitted on Zen 4.
#: The other tiles differ little in this, and were tuned without it.
BESIDE_PRODUCTS = 3 if len(TILES) > 4 else 0
#: Neighbouring register tiles that are written to the output together. Most tiles are narrower than
#: a vector, and storing part of a vector is slow.
TOGETHER = 4
#: Time of a load of a register from L1, in that of a product. Measured on Ice Lake and Zen 4.
LOAD = 1.8 if simd.FEW_LOADS else 1.0
#: Factor on the loads of strided layers, whose kernel columns share no cache lines.
STRIDED = 1.2 if simd.FEW_LOADS else 1.0
#: Bytes of L2 that a strip of input may fill, and bytes that the sums kept between channel blocks
#: may fill. Together they take half of the 1 MiB of L2 of a Zen 4 core, where both were tuned.
STRIP_BYTES = 192 * 1024
SUMS_BYTES = 320 * 1024
#: Products (taps × input channels) summed before the next block of channels is copied in. With 32
#: registers it was tuned on Zen 4. With 16, on Zen 3: each broadcast is a separate load, and the
#: block of weights has to leave room in L1 for the input.
BLOCK_TAPS = 576 if simd.REGISTERS == 32 else 144
#: Bytes of packed weights of such a block, in place of BLOCK_TAPS where loads are few. They have to
#: leave room in L1, too. Tuned on Ice Lake (48 KiB of L1).
WEIGHTS_BYTES = 20 * 1024

#: Items per thread from which any split loads the threads evenly.
MANY = 500
#: Products that take as long as the start and the write-out of a vector of sums. Fitted on Ice
#: Lake, on Zen 4, and with 16 registers on Zen 3.
WRITE_OUT = 25 if simd.FEW_LOADS else 6 if simd.REGISTERS == 32 else 22


class ChannelsGeometry(NamedTuple):
    """Numbers the compiled kernel works from; spatial ones come as depth, row, column."""

    groups: int
    #: Input channels of one group, then output channels of one group.
    inputs: int
    outputs: int
    depth: int
    height: int
    width: int
    out_depth: int
    out_height: int
    out_width: int
    depth_stride: int
    row_stride: int
    column_stride: int
    depth_dilation: int
    depth_before: int
    rows_before: int
    columns_before: int
    #: Taps along depth; copies of the input that kernel rows and kernel columns read, normally one
    #: for each phase of the stride; input columns from copy to copy.
    depth_taps: int
    row_phases: int
    column_phases: int
    phase_step: int
    #: Taps of one input channel; input channels copied at a time.
    taps: int
    block_channels: int
    #: Number of distinct sets of kernel rows that lie inside the input for some output row.
    row_classes: int
    #: Strips of an output plane; output rows of the longest strip; output columns of a strip;
    #: elements from row to row of its copy; rows of one phase; elements of one channel.
    strips: int
    rows: int
    columns: int
    pitch: int
    phase_rows: int
    channel_size: int
    #: 1 if tiles continue from one output row into the next, else 0; index into TILES; pixels and
    #: vectors of that tile.
    flat: int
    tile: int
    pixels: int
    vectors: int
    #: Blocks of output channels in a group, blocks in one item of work, and register tiles of sums
    #: kept between channel blocks.
    blocks: int
    blocks_per_item: int
    sums: int
    #: Items of work in all; elements of scratch of one thread (starts, sums and strip together).
    items: int
    room: int


class RegisterTile(NamedTuple):
    """Number of a register tile, its neighbouring outputs, and its output channels."""

    number: int
    pixels: int
    stretch: int


@dataclass(frozen=True)
class ChannelsBlocking:
    """Blocking of one problem: the table for the compiled kernel, and the sizes of its buffers."""

    shape: ChannelsGeometry
    #: Four parts in one array. First `ChannelsGeometry`. Then the class of every output plane and
    #: output row. Then, for every pair of classes, the position of its taps (counted from the end
    #: of `ChannelsGeometry`) and the number of taps per channel. Last, for every pair, its taps
    #: inside the input: (offset into the strip, offset into the weights).
    table: np.ndarray
    #: Output channels of a register tile; elements of the packed kernel.
    stretch: int
    packed: int

    def workspace(self, threads: int) -> int:
        """Return the elements of the packed kernel, and of each thread's scratch."""
        return threads * self.shape.room + self.packed


@lru_cache(maxsize=256)
def merged(problem: Problem) -> Problem:
    """Return the problem as a volume, with a single row if the layer is pointwise.

    A pointwise layer reads one pixel per output, so its rows can be joined.
    """
    v = problem.volume
    pointwise = {*v.kernel, *v.stride} == {1} and not any(map(sum, v.padding))
    return replace(v, size=(1, 1, math.prod(v.size))) if pointwise else v


def _phases(kernel_size: int, dilation: int, stride: int) -> tuple[int, int]:
    """Return (number of stride phases the taps fall into, largest shift within a phase)."""
    positions = [m * dilation for m in range(kernel_size)]
    return max(p % stride for p in positions) + 1, max(p // stride for p in positions)


def evenly(taps: int, step: int, stretch: int) -> np.ndarray:
    """Return the tile offsets of taps that lie `step` apart, for a tile of `stretch` channels."""
    return (np.arange(taps)[:, None] * (step, stretch)).astype(np.int64).reshape(-1)


def _classes(v: Problem, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct sets of taps inside the input along an axis, and the set of each output.

    The sets are rows of truth values; the second array indexes them.
    """
    taps = np.arange(v.kernel[axis]) * v.dilation[axis] - v.before[axis]
    at = np.arange(v.output_size[axis])[:, None] * v.stride[axis] + taps
    inside = (at >= 0) & (at < v.size[axis])
    # Each set is a run of taps, identified by its first tap and its length.
    runs = inside.argmax(1) * (taps.size + 1) + inside.sum(1)
    _, first, which = np.unique(runs, return_index=True, return_inverse=True)
    return inside[first], which


def _offsets(
    tap: np.ndarray, plane_sets: np.ndarray, row_sets: np.ndarray, stretch: int,
    channels: np.ndarray, start: int,
) -> np.ndarray:  # fmt: skip
    """List, for every pair of plane set and row set, where its taps begin and how many there are.

    The taps themselves follow. The first is at `start` plus twice the number of pairs.
    """
    starts, found = [], []
    start += 2 * len(plane_sets) * len(row_sets)
    for planes, rows in itertools.product(plane_sets, row_sets):
        inside = np.broadcast_to(planes[:, None, None] & rows[:, None], tap.shape)
        places = np.flatnonzero(inside) * stretch
        found.append((channels + np.stack((tap[inside], places), 1)).reshape(-1))
        starts += [start, places.size]
        start += found[-1].size
    return np.concatenate((starts, *found))


def slowdown(loads: float, products: int) -> float:
    """Return the time that a register tile's loads take, in that of its products, or 1 if less.

    `loads`: broadcasts and vectors of a tap. Its two offsets count as two with 16 registers, and
    as one with 32, where they are short beside the others.
    """
    if simd.REGISTERS == 32 and not simd.FEW_LOADS:
        return 1
    offsets = 2 if simd.REGISTERS == 16 else 1
    return max(1, LOAD * (loads + offsets) / products)


def waste(problem: Problem, tile: int, flat: bool) -> float:
    """Return the sums computed per sum needed with this register tile; the surplus is discarded."""
    v = merged(problem)
    pixels, vectors = TILES[tile]
    stretch = vectors * simd.lanes_of(problem.itemsize)
    outputs = v.out_channels // v.groups
    lanes_waste = -(-outputs // stretch) * stretch / outputs
    loads = (pixels + vectors) * (STRIDED if v.stride[2] > 1 else 1)
    lanes_waste *= slowdown(loads, pixels * vectors)
    rows, columns = v.output_size[1:]
    if flat:
        pitch = columns + _phases(v.kernel[2], v.dilation[2], v.stride[2])[1]
        run = (min(rows, 8) - 1) * pitch + columns
        return lanes_waste * -(-run // pixels) * pixels / (min(rows, 8) * columns)
    return lanes_waste * -(-columns // pixels) * pixels / columns


def cost(problem: Problem) -> float:
    """Estimate the register operations per vector of products; 1 is ideal.

    Counts the discarded sums, the start and the write-out of a tile, and the copy of the input.
    """
    best = min(waste(problem, *choice) for choice in CHOICES)
    outputs = problem.out_channels // problem.groups
    taps = math.prod(problem.kernel)
    return best * (1 + WRITE_OUT / problem.taps) + 4 / (outputs * taps)


def _overhead(tile: int) -> float:
    """Return the time of a register tile over that of its products."""
    return 1 + BESIDE_PRODUCTS / math.prod(TILES[tile])


@lru_cache(maxsize=256)
def blocking(problem: Problem, threads: int) -> ChannelsBlocking:
    """Choose the blocking of `problem`; the order of summation does not depend on `threads`."""
    number, flat = min(CHOICES, key=lambda choice: waste(problem, *choice) * _overhead(choice[0]))
    pixels, vectors = TILES[number]
    tile = RegisterTile(number, pixels, vectors * simd.lanes_of(problem.itemsize))
    taps = BLOCK_TAPS
    if simd.FEW_LOADS:
        taps = WEIGHTS_BYTES // (tile.stretch * problem.itemsize)
    return blocked(merged(problem), threads, tile, taps, flat)


def blocked(
    v: Problem, threads: int, register_tile: RegisterTile, block_taps: float, flat: bool,
    aligned: bool = False,
) -> ChannelsBlocking:  # fmt: skip
    """Return the blocking of a volume for one register tile.

    `block_taps`: products summed before the next block of channels is copied in, approximately.
    `flat`: true if tiles continue from one output row into the next.
    `aligned`: true if each kernel column reads a copy of the input of its own. Vectors of pixels
        are then as well aligned for every tap as for the first.
    """
    tile, pixels, stretch = register_tile
    itemsize = v.itemsize
    lane = simd.lanes_of(itemsize)
    inputs, outputs = v.in_channels // v.groups, v.out_channels // v.groups
    taps = math.prod(v.kernel)
    blocks_of_channels = max(1, round(inputs * taps / block_taps))
    block_channels = -(-inputs // min(inputs, blocks_of_channels))
    is_split = block_channels < inputs
    blocks = -(-outputs // stretch)

    out_depth, out_rows, out_columns = v.output_size
    (row_phases, row_shift), (column_phases, column_shift) = (
        _phases(v.kernel[i], v.dilation[i], v.stride[i]) for i in (1, 2)
    )
    phase_step = 1
    if aligned:
        column_phases, column_shift, phase_step = v.kernel[2], 0, v.dilation[2]
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
    strips, blocks_per_item = _split(
        v.batch * v.groups * out_depth * -(-out_columns // columns), out_rows,
        max(1, min(room, out_rows)), row_shift, blocks, threads,
    )  # fmt: skip
    rows = -(-out_rows // strips)

    phase_rows = rows + row_shift
    channel_size = math.prod(phases) * phase_rows * pitch
    line = 64 // itemsize
    channel_size = (-(-channel_size // line) | 1) * line
    (plane_sets, planes), (row_sets, rows_of) = _classes(v, 0), _classes(v, 1)
    if flat:  # tiles continue from row to row
        row_sets, rows_of = np.ones((1, v.kernel[1]), bool), np.zeros(out_rows, np.int64)
    p, m, n = np.ogrid[: v.kernel[0], : v.kernel[1], : v.kernel[2]]
    row, column = m * v.dilation[1], n * v.dilation[2]
    copy, shift = (n, 0) if aligned else (column % v.stride[2], column // v.stride[2])
    phase = (p * row_phases + row % v.stride[1]) * column_phases + copy
    tap = (phase * phase_rows + row // v.stride[1]) * pitch + shift
    offsets = _offsets(
        tap, plane_sets, row_sets, stretch,
        np.arange(block_channels)[:, None, None] * (channel_size, taps * stretch),
        planes.size + rows_of.size,
    )  # fmt: skip
    tiles = -(-((rows - 1) * pitch + columns) // pixels) if flat else rows * -(-columns // pixels)
    kept = tiles * blocks_per_item if is_split else TOGETHER
    items = v.batch * v.groups * out_depth * strips * -(-out_columns // columns)
    items *= -(-blocks // blocks_per_item)
    # A tile may read `pixels` elements past the strip. `finish` may read a vector's number of
    # pixels past the last tile of sums. The first vector is aligned. All three need this room.
    room = block_channels * channel_size + pixels + (kept * pixels + lane + 1) * stretch + lane
    shape = ChannelsGeometry._make((
        v.groups, inputs, outputs, *v.size, *v.output_size, *v.stride, v.dilation[0],
        *v.before, *phases, phase_step, taps, block_channels, len(row_sets), strips, rows, columns,
        pitch, phase_rows, channel_size, int(flat), tile, pixels, stretch // lane, blocks,
        blocks_per_item, kept, items, room,
    ))  # fmt: skip
    table = np.concatenate((shape, planes, rows_of, offsets)).astype(np.int64)
    return ChannelsBlocking(shape, table, stretch, v.groups * blocks * stretch * inputs * taps)


def _split(
    planes: int, height: int, most: int, shift: int, blocks: int, threads: int
) -> tuple[int, int]:
    """Return (strips, channel blocks per item) that load `threads` threads most evenly.

    The cost of an item is its rows times its blocks, plus the rows it copies.
    """
    fewest = -(-height // most)
    ideal = planes * (height * blocks + 0.1 * (height + fewest * shift)) / threads
    best, least = (fewest, blocks), math.inf
    if planes * fewest > MANY * threads:
        return best
    for chunks in range(1, min(blocks, 2 * threads) + 1):
        per_item = -(-blocks // chunks)
        share = np.diff([*range(0, blocks, per_item), blocks])
        for strips in range(fewest, min(height, fewest + 2 * threads) + 1):
            rows = np.diff(np.arange(strips + 1) * height // strips)[:, None]
            items = np.tile((rows * share + 0.1 * (rows + shift)).reshape(-1), planes)
            done = np.append(0, np.cumsum(items))
            cost = np.diff(done[np.arange(threads + 1) * items.size // threads]).max()
            if cost < least * 0.999:
                best, least = (strips, per_item), cost
            if cost < ideal * 1.02:
                return best
    return best
