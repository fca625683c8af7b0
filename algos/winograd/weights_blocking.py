"""Blocking of `winograd.weights`: rows of tiles, channel blocks and split among threads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from algos.core.problem import Problem
from algos.parallel.channels_blocking import LOAD, TILES, evenly
from algos.simd import registers as simd

from .blocking import covered, last_tile
from .form import Form, volume

#: Most tiles of a row that are laid out and transformed at a time; it bounds a thread's lines.
BAND_TILES = 32
#: Fewest and most bytes of transforms summed before the next rows. The last-level cache bounds them
#: from above. If sums are many, loading them again costs too much for short chunks. Tuned on Zen 4.
CHUNK_BYTES = 4 << 20, 16 << 20
#: Bytes of an item's sums, which should fit L2 (1 MiB on Zen 4) beside its operands.
SUMS_BYTES = 640 * 1024


class WeightsGeometry(NamedTuple):
    """Numbers the compiled kernel works from."""

    #: Points of a tile.
    points: int
    flip: int
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
    #: Slices of the input from one of the output to the next, and the first; rows from tile to
    #: tile, and the first; the first column. The first ones lie in the padding if negative.
    slice_step: int
    slice_first: int
    row_step: int
    row_first: int
    column_first: int
    #: Rows of tiles in a slice; rows of tiles in the batch; chunks that the latter are cut into;
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
    #: The geometry of each tap that is not filtered, in the order of the kernel's taps.
    numbers: tuple[np.ndarray, ...]
    #: `Form.constants`, made once.
    constants: tuple[Any, Any]
    lane: int
    offsets: np.ndarray
    items: int
    transforms: int
    sums: int
    lines: int
    turned: int


@lru_cache(maxsize=256)
def blocking(problem: Problem, form: Form, threads: int) -> WeightsBlocking:
    """Choose the blocking of a form's adjoint; the order of summation does not depend on it."""
    lane = simd.lanes_of(problem.itemsize)
    groups, points = problem.groups, form.points
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
    image_rows, columns = form.tiles(problem)
    out_sizes = volume(problem.output_size)
    all_rows = problem.batch * out_sizes[0] * image_rows
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
    m, taps = form.across
    line = (band * m + taps - 1) * lane
    places = _places(problem, form)
    shape = WeightsGeometry._make((
        points, int(problem.flip), groups, inputs, outputs, *volume(problem.size), *out_sizes,
        *places[0], image_rows, all_rows, chunks, columns, band, line,
        block, input_blocks, input_plane, output_blocks, output_plane, outputs_at, pitch,
        tile, pixels, vectors, last, TILES[last][0],
    ))  # fmt: skip
    return WeightsBlocking(
        shape,
        tuple(np.array(shape._replace(**dict(zip(_PLACES, one, strict=True)))) for one in places),
        form.constants, lane, evenly(summed, block, stretch), items,
        outputs_at + groups * output_blocks * points * output_plane,
        (items if chunks > 1 else threads) * sums,
        threads * 2 * form.size[0] * line, threads * form.taps * lane * lane,
    )  # fmt: skip


#: Fields of `WeightsGeometry` that differ between the taps that are not filtered.
_PLACES = ("slice_step", "slice_first", "row_step", "row_first", "column_first")


def _places(problem: Problem, form: Form) -> Sequence[tuple[int, ...]]:
    """Return the fields `_PLACES` for each tap that is not filtered, in the kernel's order."""
    (deep, down, _), (deep_taps, down_taps, _) = map(volume, (problem.stride, problem.kernel))
    deep_dilation, down_dilation, _ = volume(problem.dilation)
    deep_before, down_before, left = volume(problem.before, 0)
    found = [
        (
            deep, k * deep_dilation - deep_before,
            down * form.down[0], j * down_dilation - down_before, -left,
        )
        for k, j in np.ndindex(deep_taps, down_taps // form.down[1])
    ]  # fmt: skip
    return found[::-1] if problem.flip else found


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


def workspace(problem: Problem, form: Form, threads: int) -> int:
    """Return the elements of the transforms, their sums, and every thread's buffers.

    Where several taps are not filtered, the gradient of one of them is among the buffers.
    """
    blocks, taps = blocking(problem, form, threads), form.sums(problem)
    one = math.prod(problem.kernel_shape) // taps if taps > 1 else 0
    return blocks.transforms + blocks.sums + blocks.lines + blocks.turned + one
