"""How the kernels of `winograd` cut a problem up: tiles, strips, channel blocks, threads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from . import simd
from .direct_blocking import TILES
from .problem import Problem
from .winograd_points import TAPS

#: Input tiles that one item transforms at a time, about.
STRIP_TILES = 56
#: Bytes of sums (products of transforms) that are kept until they are transformed back.
SUMS_BYTES = 256 * 1024


class Shape(NamedTuple):
    """The numbers that the compiled kernel works from."""

    #: Outputs from tile to tile, m, and points (m + 2)².
    step: int
    points: int
    groups: int
    #: Channels of one group.
    inputs: int
    outputs: int
    height: int
    width: int
    out_height: int
    out_width: int
    rows_before: int
    columns_before: int
    #: Rows of tiles in an image, in a whole batch, and in a strip; columns of tiles in a strip.
    image_rows: int
    all_rows: int
    rows: int
    columns: int
    #: Tiles of a strip rounded up to register tiles; from plane to plane of their transforms.
    pitch: int
    plane: int
    #: Elements of one row of the buffers that input rows are transformed in.
    line: int
    #: Which of TILES, its pixels and vectors.
    tile: int
    pixels: int
    vectors: int
    #: Blocks of output channels in a group, in an item, and multiplied before the way back.
    blocks: int
    blocks_per_item: int
    blocks_together: int


@dataclass(frozen=True)
class Blocking:
    """How one problem is cut up, and the elements of each buffer that a thread needs."""

    shape: Shape
    numbers: np.ndarray
    offsets: np.ndarray
    items: int
    stretch: int
    lines: int
    transforms: int
    sums: int
    outputs: int


def tiles(problem: Problem, m: int) -> tuple[int, int]:
    """(rows, columns) of tiles of m × m outputs in one image; the last may be ragged."""
    rows, columns = problem.output_size
    return -(-rows // m), -(-columns // m)


@lru_cache(maxsize=256)
def blocking(problem: Problem, m: int, threads: int) -> Blocking:
    """The blocking of F(m × m, 3 × 3); the order of summation depends on nothing in it."""
    lane, size = simd.lanes_of(problem.itemsize), m + TAPS - 1
    inputs, outputs = (n // problem.groups for n in (problem.in_channels, problem.out_channels))
    image_rows, image_columns = tiles(problem, m)
    all_rows = problem.batch * image_rows
    bands = -(-image_columns // STRIP_TILES)
    columns = -(-image_columns // bands)
    rows, tile, blocks_per_item = min(
        (
            (rows, tile, per_item)
            for rows in range(1, min(all_rows, max(1, STRIP_TILES // columns)) + 1)
            for tile in range(len(TILES))
            for per_item in _shares(-(-outputs // (TILES[tile][1] * lane)), threads)
        ),
        key=lambda choice: _cost(problem, m, threads, all_rows, bands, columns, *choice),
    )
    pixels, vectors = TILES[tile]
    stretch = vectors * lane
    blocks = -(-outputs // stretch)
    pitch = -(-rows * columns // pixels) * pixels
    sums = size * size * pitch * stretch
    together = max(1, min(blocks_per_item, SUMS_BYTES // (sums * problem.itemsize)))
    # The way in reads the vectors of a last, incomplete group of `lane` tiles, and two more.
    line = -(-columns // lane) * lane * m + max(m, lane)
    shape = Shape._make((
        m, size * size, problem.groups, inputs, outputs, *problem.size, *problem.output_size,
        *problem.before, image_rows, all_rows, rows, columns, pitch, inputs * pitch + lane, line,
        tile, pixels, vectors, blocks, blocks_per_item, together,
    ))  # fmt: skip
    items = problem.groups * bands * -(-all_rows // rows) * -(-blocks // blocks_per_item)
    return Blocking(
        shape, np.array(shape), np.arange(inputs, dtype=np.int64) * pitch, items, stretch,
        2 * size * line, size * size * shape.plane + pixels, together * sums,
        (m * m * columns + lane) * lane,
    )  # fmt: skip


def _shares(blocks: int, threads: int) -> list[int]:
    """Blocks of output channels that an item may hold."""
    return sorted({-(-blocks // chunks) for chunks in range(1, min(blocks, 2 * threads) + 1)})


def _cost(
    problem: Problem, m: int, threads: int, all_rows: int, bands: int, columns: int,
    rows: int, tile: int, per_item: int,
) -> float:  # fmt: skip
    """Register operations that the busiest thread needs; weights not in a cache cost extra."""
    pixels, vectors = TILES[tile]
    lane, size = simd.lanes_of(problem.itemsize), m + TAPS - 1
    inputs, outputs = (n // problem.groups for n in (problem.in_channels, problem.out_channels))
    blocks = -(-outputs // (vectors * lane))
    items = problem.groups * bands * -(-all_rows // rows) * -(-blocks // per_item)
    products = -(-rows * columns // pixels) * (pixels * vectors + STREAM * vectors)
    products *= inputs * per_item * size * size
    before = INPUT * size * inputs * rows * -(-columns // lane)
    after = OUTPUT * m * per_item * vectors * rows * columns
    return -(-items // threads) * (products + before + after)


#: Cycles for one row of sixteen tiles on the way in, and one row of a tile on the way out, and
#: for a vector of weights to arrive.
INPUT, OUTPUT, STREAM = 50.0, 40.0, 2.0


def workspace(problem: Problem, m: int, threads: int) -> int:
    """Elements of the transformed kernel, the packed one, and every thread's buffers."""
    cut = blocking(problem, m, threads)
    size = m + TAPS - 1
    kernel = cut.shape.groups * cut.shape.blocks * cut.stretch * cut.shape.inputs
    per_thread = cut.lines + cut.transforms + cut.sums + cut.outputs + 2 * cut.stretch
    return kernel * (size * size + TAPS * TAPS) + threads * per_thread
