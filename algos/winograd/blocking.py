"""Blocking of `winograd.kernels`: tiles, strips, channel blocks and split among threads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from algos.core.problem import Problem
from algos.parallel.channels_blocking import (
    BLOCK_TAPS,
    MANY,
    TILES,
    WEIGHTS_BYTES,
    evenly,
    slowdown,
)
from algos.simd import registers as simd

from .form import Form, volume
from .transforms import NOWHERE

#: Input tiles that one item transforms at a time, approximately. Tuned on Zen 4. On Ice Lake, 14,
#: 28 and 42 are no faster.
STRIP_TILES = 56
#: Bytes of sums (products of transforms) kept until they are transformed back. Tuned on Zen 4 with
#: 1 MiB of L2.
SUMS_BYTES = 128 * 1024


class TilesGeometry(NamedTuple):
    """Numbers the compiled kernel works from."""

    #: Points of a tile.
    points: int
    groups: int
    #: Inputs of one group, which are its channels times the taps summed like channels, `summed`;
    #: then output channels of one group.
    inputs: int
    summed: int
    outputs: int
    #: Elements of a channel of the input, and of a row of it; zeros ahead of a row.
    volume: int
    width: int
    columns_before: int
    #: Elements of a table of places.
    table: int
    out_depth: int
    out_height: int
    out_width: int
    #: Rows of tiles in a slice; rows of tiles in the batch; strips that the latter are cut into;
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
    #: Inputs whose products are summed before those of the next ones.
    inputs_together: int
    #: Blocks of output channels in a group, in an item, and multiplied before the way back.
    blocks: int
    blocks_per_item: int
    blocks_together: int


@dataclass(frozen=True)
class TilesBlocking:
    """Blocking of one problem, and the elements of each buffer that a thread needs."""

    shape: TilesGeometry
    form: Form
    #: `Form.constants`, made once.
    constants: tuple[Any, Any]
    numbers: np.ndarray
    offsets: np.ndarray
    places: np.ndarray
    items: int
    stretch: int
    transforms: int
    sums: int
    outputs: int
    starts: int


@lru_cache(maxsize=256)
def blocking(problem: Problem, form: Form, threads: int) -> TilesBlocking:
    """Choose the blocking of a form; the order of summation does not depend on it."""
    lane, points = simd.lanes_of(problem.itemsize), form.points
    inputs, outputs = _channels(problem, form)
    image_rows, image_columns = form.tiles(problem)
    out_depth, out_height, out_width = volume(problem.output_size)
    all_rows = problem.batch * out_depth * image_rows
    bands = -(-image_columns // STRIP_TILES)
    columns = -(-image_columns // bands)
    strips, tile, blocks_per_item = min(
        (
            (strips, tile, per_item)
            for strips in _strips(all_rows, columns)
            for tile in range(len(TILES))
            for per_item in _shares(-(-outputs // (TILES[tile][1] * lane)), threads)
        ),
        key=lambda choice: _cost(problem, form, threads, bands, columns, *choice),
    )
    (pixels, vectors), last = TILES[tile], last_tile(tile)
    stretch = vectors * lane
    blocks = -(-outputs // stretch)
    pitch = int(covered(-(-all_rows // strips) * columns, tile))
    sums = points * pitch * stretch
    blocks_together = max(1, min(blocks_per_item, SUMS_BYTES // (sums * problem.itemsize)))
    places = _places(problem, form)
    shape = TilesGeometry._make((
        points, problem.groups, inputs, form.sums(problem), outputs,
        math.prod(problem.size), problem.size[-1], problem.before[-1], places.shape[-1],
        out_depth, out_height, out_width, image_rows, all_rows, strips, columns,
        pitch, inputs * pitch + lane, _fold(form, columns, lane),
        tile, pixels, vectors, last, TILES[last][0],
        together(inputs, stretch * problem.itemsize), blocks, blocks_per_item, blocks_together,
    ))  # fmt: skip
    items = problem.groups * bands * strips * -(-blocks // blocks_per_item)
    return TilesBlocking(
        shape, form, form.constants, np.array(shape), evenly(inputs, pitch, stretch),
        places.reshape(-1), items, stretch, *(
            -(-n // lane) * lane for n in (
                points * shape.plane + pixels, blocks_together * sums,
                max(form.outputs * columns + lane, points) * lane, 2 * stretch + sum(form.across),
            )
        ),
    )  # fmt: skip


def _channels(problem: Problem, form: Form) -> tuple[int, int]:
    """Return the inputs and the output channels of a group."""
    inputs, outputs = (n // problem.groups for n in (problem.in_channels, problem.out_channels))
    return inputs * form.sums(problem), outputs


def together(terms: int, nbytes: int) -> int:
    """Return how many of `terms` products are summed at a time; each has `nbytes` of weights.

    The weights have to stay in L1 from tile to tile. The last bits do not depend on the number.
    """
    most = max(1, WEIGHTS_BYTES // nbytes) if simd.FEW_LOADS else BLOCK_TAPS
    return -(-terms // -(-terms // most))


def _places(problem: Problem, form: Form) -> np.ndarray:
    """Return the index in `x`, first channel, of every row of samples of every row of tiles.

    The shape is ``(summed taps, rows of samples)``.
    """
    depth, height, width = volume(problem.size)
    (deep, down, _), (deep_taps, down_taps, _) = map(volume, (problem.stride, problem.kernel))
    deep_dilation, down_dilation, _ = volume(problem.dilation)
    deep_before, down_before, _ = volume(problem.before, 0)
    m, taps = form.down
    k, j, image, z, i, q = np.ogrid[
        :deep_taps, : down_taps // taps, : problem.batch, : volume(problem.output_size)[0],
        : form.tiles(problem)[0], : m + taps - 1,
    ]  # fmt: skip
    slices = z * deep + k * deep_dilation - deep_before
    rows = i * m * down + q + j * down_dilation - down_before
    places = ((image * problem.in_channels * depth + slices) * height + rows) * width
    inside = (slices >= 0) & (slices < depth) & (rows >= 0) & (rows < height)
    places = np.where(inside, places, NOWHERE).reshape(deep_taps * down_taps // taps, -1)
    # A register may hold up to m rows of tiles, so it may read m rows of tiles past the last.
    return np.pad(
        places, [(0, 0), (0, form.across[0] * (m + taps - 1))], constant_values=NOWHERE
    )  # fmt: skip


def _fold(form: Form, columns: int, lane: int) -> int:
    """Return the number of rows of `columns` tiles that one register holds: 1, 2 or 4.

    It divides m, so that each row of tiles takes as many whole vectors of samples.
    """
    m = form.across[0]
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
    problem: Problem, form: Form, threads: int, bands: int, columns: int,
    strips: int, tile: int, per_item: int,
) -> float:  # fmt: skip
    """Estimate the register operations of the busiest thread; weights from memory cost extra."""
    vectors = TILES[tile][1]
    lane, points = simd.lanes_of(problem.itemsize), form.points
    inputs, outputs = _channels(problem, form)
    blocks = -(-outputs // (vectors * lane))
    slices = problem.batch * volume(problem.output_size)[0]
    rows = np.diff(edges(slices * form.tiles(problem)[0], strips))
    registers = -(-rows // _fold(form, columns, lane)) * -(-columns // lane)
    before = INPUT * form.size[0] * inputs * registers
    weights = problem.groups * blocks * vectors * lane * inputs * points * problem.itemsize
    arrivals = -(-rows * columns // TILES[tile][0]) * STREAM + FAR * (weights > FAR_BYTES)
    products = covered(rows * columns, tile) * slowdown(sum(TILES[tile]), math.prod(TILES[tile]))
    each = vectors * inputs * points * (products + arrivals)
    each = each + OUTPUT * form.down[0] * vectors * rows * columns
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


def workspace(problem: Problem, form: Form, threads: int) -> int:
    """Return the elements of the transformed kernel, the packed one, and every thread's buffers."""
    blocks = blocking(problem, form, threads)
    per_thread = blocks.transforms + blocks.sums + blocks.outputs + blocks.starts
    packed = _kernels(blocks) * form.taps
    return transformed(problem, form, threads) + packed + threads * per_thread


def transformed(problem: Problem, form: Form, threads: int) -> int:
    """Return the elements of the transformed kernel."""
    return _kernels(blocking(problem, form, threads)) * form.points


def _kernels(blocks: TilesBlocking) -> int:
    """Return the number of kernels, one for each input and output channel, in whole blocks."""
    s = blocks.shape
    return s.groups * s.blocks * blocks.stretch * s.inputs
