"""Blocking of `winograd.weights`: rows of tiles, channel blocks and split among threads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from algos.core.problem import Problem
from algos.parallel.channels_blocking import LOAD, TILES, evenly
from algos.simd import registers as simd

from .blocking import covered, last_tile
from .form import Form
from .points import TAPS

#: Most tiles of a row that are laid out and transformed at a time; it bounds a thread's lines.
BAND_TILES = 32
#: Fewest and most bytes of transforms summed before the next rows. The last-level cache bounds them
#: from above. If sums are many, loading them again costs too much for short chunks. Tuned on Zen 4.
CHUNK_BYTES = 4 << 20, 16 << 20
#: Bytes of an item's sums, which should fit L2 (1 MiB on Zen 4) beside its operands.
SUMS_BYTES = 640 * 1024


class WeightsGeometry(NamedTuple):
    """Numbers the compiled kernel works from."""

    #: Outputs from tile to tile, m; points of a tile, (m + 2)².
    step: int
    points: int
    flip: int
    groups: int
    #: Input channels of one group, then output channels of one group.
    inputs: int
    outputs: int
    height: int
    width: int
    out_height: int
    out_width: int
    rows_before: int
    columns_before: int
    #: Rows of tiles in an image; rows of tiles in the batch; chunks that the latter are cut into;
    #: tiles per row.
    image_rows: int
    all_rows: int
    chunks: int
    columns: int
    #: Tiles of a band; elements of one of its laid-out rows.
    band: int
    line: int
    #: Input channels of a block; blocks in a group; elements from point to point of a block.
    block: int
    input_blocks: int
    input_plane: int
    #: Blocks of output channels in a group; elements from point to point of a block; index of the
    #: first.
    output_blocks: int
    output_plane: int
    outputs_at: int
    #: Channels of an input block, rounded up to register tiles.
    pitch: int
    #: Index into TILES, pixels and vectors of the register tile; index and pixels of the one for
    #: the last pixels.
    tile: int
    pixels: int
    vectors: int
    last_tile: int
    last_pixels: int


@dataclass(frozen=True)
class WeightsBlocking:
    """Blocking of one problem, and the elements of each buffer, for all threads together."""

    shape: WeightsGeometry
    numbers: np.ndarray
    offsets: np.ndarray
    items: int
    transforms: int
    sums: int
    lines: int
    turned: int


@lru_cache(maxsize=256)
def blocking(problem: Problem, m: int, threads: int) -> WeightsBlocking:
    """Choose the blocking of F(3 × 3, m × m); the order of summation does not depend on it."""
    lane, size = simd.lanes_of(problem.itemsize), m + TAPS - 1
    groups, points = problem.groups, size * size
    inputs, outputs = (n // groups for n in (problem.in_channels, problem.out_channels))
    tile, input_blocks = min(
        ((tile, n) for tile in range(len(TILES)) for n in range(1, -(-inputs // lane) + 1)),
        key=lambda choice: _cost(problem, points, threads, *choice),
    )
    pixels, vectors = TILES[tile]
    last = last_tile(tile)
    stretch = vectors * lane
    block = _block(inputs, input_blocks, lane)
    input_blocks, output_blocks = -(-inputs // block), -(-outputs // stretch)
    image_rows, columns = Form((m, TAPS), (m, TAPS)).tiles(problem)
    all_rows = problem.batch * image_rows
    channels = groups * (input_blocks * block + output_blocks * stretch)
    row = channels * points * columns * problem.itemsize
    items = groups * input_blocks * output_blocks
    pitch = int(covered(min(block, inputs), tile))
    sums = points * pitch * stretch
    least, most = CHUNK_BYTES
    together = max(least, min(most, 2 * items * sums * problem.itemsize))
    chunks = min(all_rows, -(-all_rows * row // together))
    summed = -(-all_rows // chunks) * columns
    # An odd number of cache lines from point to point, so that points fall into different cache
    # sets.
    input_plane, output_plane = ((summed * n // lane | 1) * lane for n in (block, stretch))
    outputs_at = groups * input_blocks * points * input_plane
    band = -(-columns // -(-columns // BAND_TILES))
    line = (band * m + TAPS - 1) * lane
    shape = WeightsGeometry._make((
        m, points, int(problem.flip), groups, inputs, outputs, *problem.size,
        *problem.output_size, *problem.before, image_rows, all_rows, chunks, columns, band, line,
        block, input_blocks, input_plane, output_blocks, output_plane, outputs_at, pitch,
        tile, pixels, vectors, last, TILES[last][0],
    ))  # fmt: skip
    return WeightsBlocking(
        shape, np.array(shape), evenly(summed, block, stretch), items,
        outputs_at + groups * output_blocks * points * output_plane,
        (items if chunks > 1 else threads) * sums,
        threads * 2 * size * line, threads * TAPS * TAPS * lane * lane,
    )  # fmt: skip


def _block(inputs: int, blocks: int, lane: int) -> int:
    """Return the input channels of each of `blocks` blocks, in whole vectors."""
    return -(-inputs // (blocks * lane)) * lane


def _cost(problem: Problem, points: int, threads: int, tile: int, input_blocks: int) -> float:
    """Estimate the register operations of the busiest thread, per tile of the image and point."""
    lane = simd.lanes_of(problem.itemsize)
    pixels, vectors = TILES[tile]
    inputs, outputs = (n // problem.groups for n in (problem.in_channels, problem.out_channels))
    block = min(inputs, _block(inputs, input_blocks, lane))
    output_blocks = -(-outputs // (vectors * lane))
    run = int(covered(block, tile))
    if run * vectors * lane * points * problem.itemsize > SUMS_BYTES and block > lane:
        return math.inf
    items = problem.groups * -(-inputs // block) * output_blocks
    # Loads may be the bottleneck; with 16 registers each broadcast is one of its own.
    loads = max(1, LOAD * (pixels + vectors) / (pixels * vectors))
    if simd.REGISTERS == 32 and not simd.FEW_LOADS:
        loads = 1
    return -(-items // threads) * vectors * (run * loads + 2)


def workspace(problem: Problem, m: int, threads: int) -> int:
    """Return the elements of the transforms, their sums, and every thread's buffers."""
    blocks = blocking(problem, m, threads)
    return blocks.transforms + blocks.sums + blocks.lines + blocks.turned
