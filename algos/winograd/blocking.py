"""Blocking of `winograd.kernels`: tiles, strips, channel blocks and split among threads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from algos.core.problem import Problem
from algos.parallel.channels_blocking import MANY, TILES, WEIGHTS_BYTES, evenly, slowdown
from algos.simd import registers as simd

from .transforms import NOWHERE

#: Input tiles that one item transforms at a time, approximately. Tuned on Zen 4. On Ice Lake, 14,
#: 28 and 42 are no faster.
STRIP_TILES = 56
#: Bytes of sums (products of transforms) kept until they are transformed back. Tuned on Zen 4 with
#: 1 MiB of L2.
SUMS_BYTES = 128 * 1024


class TilesGeometry(NamedTuple):
    """Numbers the compiled kernel works from."""

    #: Outputs from tile to tile, m; taps r; points of a tile, (m + r − 1)².
    step: int
    taps: int
    points: int
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
    #: Rows of tiles in an image; rows of tiles in the batch; strips that the latter are cut into;
    #: columns of tiles in a strip.
    image_rows: int
    all_rows: int
    strips: int
    columns: int
    #: Tiles of the largest strip, rounded up to register tiles; elements from plane to plane of
    #: their transforms.
    pitch: int
    plane: int
    #: Rows of tiles that share a register on the way in.
    fold: int
    #: Index into TILES, pixels and vectors of the register tile; index and pixels of the one for
    #: the last pixels.
    tile: int
    pixels: int
    vectors: int
    last_tile: int
    last_pixels: int
    #: Input channels whose products are summed before those of the next ones.
    inputs_together: int
    #: Blocks of output channels in a group, in an item, and multiplied before the way back.
    blocks: int
    blocks_per_item: int
    blocks_together: int


@dataclass(frozen=True)
class TilesBlocking:
    """Blocking of one problem, and the elements of each buffer that a thread needs."""

    shape: TilesGeometry
    numbers: np.ndarray
    offsets: np.ndarray
    places: np.ndarray
    items: int
    stretch: int
    transforms: int
    sums: int
    outputs: int
    starts: int


def tile_size(problem: Problem, m: int) -> int:
    """Return the samples along one axis that m outputs depend on, m + r − 1."""
    return m + problem.kernel[0] - 1


def tiles(problem: Problem, m: int) -> tuple[int, int]:
    """Return (rows, columns) of tiles of m × m outputs in one image; the last may be ragged."""
    rows, columns = problem.output_size
    return -(-rows // m), -(-columns // m)


@lru_cache(maxsize=256)
def blocking(problem: Problem, m: int, threads: int) -> TilesBlocking:
    """Choose the blocking of F(m × m, r × r); the order of summation does not depend on it."""
    lane, size = simd.lanes_of(problem.itemsize), tile_size(problem, m)
    inputs, outputs = (n // problem.groups for n in (problem.in_channels, problem.out_channels))
    image_rows, image_columns = tiles(problem, m)
    all_rows = problem.batch * image_rows
    bands = -(-image_columns // STRIP_TILES)
    columns = -(-image_columns // bands)
    strips, tile, blocks_per_item = min(
        (
            (strips, tile, per_item)
            for strips in _strips(all_rows, columns)
            for tile in range(len(TILES))
            for per_item in _shares(-(-outputs // (TILES[tile][1] * lane)), threads)
        ),
        key=lambda choice: _cost(problem, m, threads, bands, columns, *choice),
    )
    (pixels, vectors), last = TILES[tile], last_tile(tile)
    stretch = vectors * lane
    blocks = -(-outputs // stretch)
    pitch = int(covered(-(-all_rows // strips) * columns, tile))
    sums = size * size * pitch * stretch
    together = max(1, min(blocks_per_item, SUMS_BYTES // (sums * problem.itemsize)))
    shape = TilesGeometry._make((
        m, problem.kernel[0], size * size, problem.groups, inputs, outputs, *problem.size,
        *problem.output_size,
        *problem.before, image_rows, all_rows, strips, columns, pitch, inputs * pitch + lane,
        _fold(m, columns, lane), tile, pixels, vectors, last, TILES[last][0],
        inputs_together(inputs, stretch * problem.itemsize), blocks, blocks_per_item, together,
    ))  # fmt: skip
    items = problem.groups * bands * strips * -(-blocks // blocks_per_item)
    return TilesBlocking(
        shape, np.array(shape), evenly(inputs, pitch, stretch),
        _places(problem, m), items, stretch, *(
            -(-n // lane) * lane for n in (
                size * size * shape.plane + pixels, together * sums,
                max(m * m * columns + lane, size * size) * lane, 2 * stretch + m,
            )
        ),
    )  # fmt: skip


def inputs_together(inputs: int, nbytes: int) -> int:
    """Return how many of `inputs` channels are summed at a time; each has `nbytes` of weights.

    Where loads are few, the weights have to stay in L1 from tile to tile.
    """
    parts = -(-inputs * nbytes // WEIGHTS_BYTES) if simd.FEW_LOADS else 1
    return -(-inputs // parts)


def _places(problem: Problem, m: int) -> np.ndarray:
    """Return the index in `x`, first channel, of every input row of every row of tiles."""
    height, width = problem.size
    size = tile_size(problem, m)
    images, tiles_down, q = np.ogrid[: problem.batch, : tiles(problem, m)[0], :size]
    rows = tiles_down * m + q - problem.before[0]
    places = (images * problem.in_channels * height + rows) * width
    # A register may hold up to m rows of tiles, so it may read m rows of tiles past the last.
    places = np.where((rows >= 0) & (rows < height), places, NOWHERE).reshape(-1, size)
    return np.pad(places, [(0, m), (0, 0)], constant_values=NOWHERE).reshape(-1)


def _fold(m: int, columns: int, lane: int) -> int:
    """Return the number of rows of `columns` tiles that one register holds: 1, 2 or 4.

    It divides m, so that each row of tiles takes as many whole vectors of samples.
    """
    halves = [rows for rows in (2, 4) if m % rows == 0 and rows * columns <= lane]
    return max(halves, default=1)


def _strips(all_rows: int, columns: int) -> list[int]:
    """Return the numbers of strips to try, most first.

    At equal cost the first is taken: small strips suit the cache best.
    """
    most = min(all_rows, max(1, STRIP_TILES // columns))
    return sorted({-(-all_rows // rows) for rows in range(1, most + 1)}, reverse=True)


def _shares(blocks: int, threads: int) -> list[int]:
    """Return the numbers of output channel blocks that an item may hold."""
    return sorted({-(-blocks // chunks) for chunks in range(1, min(blocks, 2 * threads) + 1)})


def last_tile(tile: int) -> int:
    """Return the register tile for the remainder: the next narrower one of as many vectors."""
    pixels, vectors = TILES[tile]
    narrower = [k for k, (m, v) in enumerate(TILES) if v == vectors and m < pixels]
    return max(narrower, key=lambda k: TILES[k][0], default=tile)


def covered(tiles: Any, tile: int) -> Any:
    """Round `tiles` up to whole register tiles; the last of them may be the narrower one."""
    pixels, last = TILES[tile][0], TILES[last_tile(tile)][0]
    left = tiles % pixels
    return tiles - left + np.where(left > last, pixels, np.minimum(left, 1) * last)


def _cost(
    problem: Problem, m: int, threads: int, bands: int, columns: int,
    strips: int, tile: int, per_item: int,
) -> float:  # fmt: skip
    """Estimate the register operations of the busiest thread; weights from memory cost extra."""
    vectors = TILES[tile][1]
    lane, size = simd.lanes_of(problem.itemsize), tile_size(problem, m)
    inputs, outputs = (n // problem.groups for n in (problem.in_channels, problem.out_channels))
    blocks = -(-outputs // (vectors * lane))
    rows = np.diff(edges(problem.batch * tiles(problem, m)[0], strips))
    registers = -(-rows // _fold(m, columns, lane)) * -(-columns // lane)
    before = INPUT * size * inputs * registers
    weights = problem.groups * blocks * vectors * lane * inputs * size * size * problem.itemsize
    arrivals = -(-rows * columns // TILES[tile][0]) * STREAM + FAR * (weights > FAR_BYTES)
    products = covered(rows * columns, tile) * slowdown(sum(TILES[tile]), math.prod(TILES[tile]))
    each = vectors * inputs * size * size * (products + arrivals)
    each = each + OUTPUT * m * vectors * rows * columns
    chunks = np.diff([*range(0, blocks, per_item), blocks])
    if rows.size * bands * problem.groups > MANY * threads:
        whole = before.sum() * chunks.size + each.sum() * blocks
        return float(whole) * bands * problem.groups / threads
    items = np.repeat(before[:, None] + each[:, None] * chunks, bands, axis=0)
    done = np.append(0, np.cumsum(np.tile(items.reshape(-1), problem.groups)))
    return float(np.diff(done[edges(done.size - 1, threads)]).max())


def edges(count: int, parts: int) -> np.ndarray:
    """Return where each of `parts` nearly equal parts of `count` things begins, and the end."""
    return np.arange(parts + 1) * count // parts


#: Products of a vector that take as long as: one row of a vector of tiles on the way in; one row of
#: a tile on the way out; the arrival of a vector of weights at a register tile; the same per strip,
#: if the weights exceed FAR_BYTES. Fitted on Zen 4; the last with 16 registers on Zen 3.
INPUT, OUTPUT, STREAM, FAR = 70.0, 40.0, 0.5, 2.0 if simd.REGISTERS == 32 else 6.0
#: Bytes of weights that no longer stay in a last-level cache of 32 MiB.
FAR_BYTES = 16 << 20


def workspace(problem: Problem, m: int, threads: int) -> int:
    """Return the elements of the transformed kernel, the packed one, and every thread's buffers."""
    blocks = blocking(problem, m, threads)
    per_thread = blocks.transforms + blocks.sums + blocks.outputs + blocks.starts
    packed = _kernels(blocks) * problem.kernel[0] ** 2
    return transformed(problem, m, threads) + packed + threads * per_thread


def transformed(problem: Problem, m: int, threads: int) -> int:
    """Return the elements of the transformed kernel."""
    return _kernels(blocking(problem, m, threads)) * tile_size(problem, m) ** 2


def _kernels(blocks: TilesBlocking) -> int:
    """Return the number of kernels, one for each pair of channels, padded to whole blocks."""
    s = blocks.shape
    return s.groups * s.blocks * blocks.stretch * s.inputs
