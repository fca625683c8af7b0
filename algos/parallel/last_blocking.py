"""Blocking of `parallel.last`: register tile, bands of positions, pieces of the sum, split of work.

Nothing here is compiled. The pieces depend on the problem alone, and with them the order of
summation. Only the split into items depends on the number of threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from algos.core.problem import Problem
from algos.simd import registers as simd

#: Output positions of a register tile. Two vectors of sums each and the operands fit the registers,
#: and as many places fit the integer registers.
POSITIONS = 12 if simd.REGISTERS == 32 else 6
#: Products of a piece of the sum. The weights of a piece, for a tile's width of output channels,
#: have to stay in L1. Not tuned; registers of half the size take half of it.
PIECE_TAPS = 576 if simd.REGISTERS == 32 else 288
#: Bytes of sums that are kept between pieces. Bytes of input that a band reads, and of output that
#: it writes, one block of channels after the other. All of them stay in L2.
SUMS_BYTES = 96 * 1024
BAND_BYTES = 64 * 1024
#: Items of work for each thread, if there are enough positions and output channels.
SHARES = 4


class LastGeometry(NamedTuple):
    """Numbers the compiled kernel works from; spatial ones come as depth, row, column."""

    groups: int
    #: Input and output channels of one group.
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
    row_dilation: int
    column_dilation: int
    depth_before: int
    rows_before: int
    columns_before: int
    depth_taps: int
    row_taps: int
    column_taps: int
    #: Vectors of output channels of a register tile, and blocks of output channels in a group.
    vectors: int
    blocks: int
    #: 1 if the taps of a kernel row read neighbouring elements, so that it is one run, else 0.
    is_run: int
    #: Bands of an image, blocks in one item of work, and pieces of the sum.
    bands: int
    blocks_per_item: int
    pieces: int
    #: Most register tiles of a band; elements of scratch of one thread.
    tiles: int
    room: int


class Piece(NamedTuple):
    """Part of the sum: kernel rows, columns and channels, each from the first to the last − 1.

    A piece of several rows has all columns, and one of several columns has all channels.
    """

    row: int
    row_end: int
    column: int
    column_end: int
    channel: int
    channel_end: int


@dataclass(frozen=True)
class LastBlocking:
    """Blocking of one problem, as the compiled kernel takes it."""

    shape: LastGeometry
    #: `LastGeometry`, then every `Piece`.
    table: np.ndarray
    #: Output channels of a register tile; elements of the packed kernel; items of work.
    stretch: int
    packed: int
    items: int


def _evenly(count: int, most: int) -> list[tuple[int, int]]:
    """Return ranges that make up 0 … `count` − 1, as equal as possible, none above `most`."""
    parts = -(-count // most)
    return [(i * count // parts, (i + 1) * count // parts) for i in range(parts)]


def pieces(rows: int, columns: int, channels: int) -> list[Piece]:
    """Return the pieces of a sum over `rows` × `columns` taps and `channels`, in their order."""
    if columns * channels <= PIECE_TAPS:
        ranges = _evenly(rows, PIECE_TAPS // (columns * channels))
        return [Piece(*some, 0, columns, 0, channels) for some in ranges]
    if channels <= PIECE_TAPS:
        some_columns = _evenly(columns, PIECE_TAPS // channels)
        return [Piece(m, m + 1, *some, 0, channels) for m in range(rows) for some in some_columns]
    some_channels = _evenly(channels, PIECE_TAPS)
    return [
        Piece(m, m + 1, n, n + 1, *some)
        for m in range(rows)
        for n in range(columns)
        for some in some_channels
    ]


def vectors_of(problem: Problem) -> int:
    """Return the vectors of output channels of a register tile."""
    return 1 if problem.out_channels // problem.groups <= simd.lanes_of(problem.itemsize) else 2


@lru_cache(maxsize=256)
def blocking(problem: Problem, threads: int) -> LastBlocking:
    """Choose the blocking of `problem`; the order of summation does not depend on `threads`."""
    v, itemsize = problem.volume, problem.itemsize
    lane, vectors = simd.lanes_of(itemsize), vectors_of(problem)
    inputs, outputs = v.in_channels // v.groups, v.out_channels // v.groups
    stretch = vectors * lane
    blocks = -(-outputs // stretch)
    tiles = -(-math.prod(v.output_size) // POSITIONS)
    parts = pieces(v.kernel[0] * v.kernel[1], v.kernel[2], inputs)

    # A band's input is read again for every block of output channels, or for every piece of it.
    share = min(inputs, PIECE_TAPS) if len(parts) > 1 else inputs
    read = math.prod(v.stride) * share * itemsize * POSITIONS
    written = outputs * itemsize * POSITIONS
    most = max(1, min(BAND_BYTES // read, BAND_BYTES // written))
    if len(parts) > 1:
        most = min(most, max(1, SUMS_BYTES // (stretch * itemsize * POSITIONS)))
    bands = -(-tiles // most)
    images = v.batch * v.groups
    if threads > 1:
        bands = min(tiles, max(bands, -(-SHARES * threads // images)))
    chunks = min(blocks, max(1, -(-SHARES * threads // (images * bands)))) if threads > 1 else 1
    per_item = -(-blocks // chunks)
    chunks = -(-blocks // per_item)

    longest = -(-tiles // bands)
    is_run = v.groups == 1 and (v.dilation[2] == 1 or v.kernel[2] == 1)
    zeros = v.kernel[2] * inputs
    kept = longest if len(parts) > 1 else 1
    room = lane + (kept * POSITIONS + 1) * stretch + zeros + lane
    shape = LastGeometry._make((
        v.groups, inputs, outputs, *v.size, *v.output_size, *v.stride, *v.dilation, *v.before,
        *v.kernel, vectors, blocks, int(is_run), bands, per_item, len(parts), longest, room,
    ))  # fmt: skip
    table = np.concatenate((shape, *parts)).astype(np.int64)
    packed = v.groups * blocks * stretch * inputs * math.prod(v.kernel)
    return LastBlocking(shape, table, stretch, packed, images * bands * chunks)
