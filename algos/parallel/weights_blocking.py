"""Blocking of `parallel.weights`: register tile, channel blocks, stretches of positions.

Nothing here is compiled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from algos.core.problem import Problem
from algos.simd import registers as simd

from .channels_blocking import LOAD, merged
from .channels_blocking import TILES as FORWARD_TILES

#: Register tiles, (scalars, vectors of output channels).
TILES = FORWARD_TILES[:4]
#: Most input channels of a block; the same for kernels of fewer than FEW_TAPS taps, where more
#: channels must reuse a stretch. Tuned on Zen 4.
BLOCK_CHANNELS, BLOCK_CHANNELS_FEW_TAPS, FEW_TAPS = 16, 64, 4
#: Bytes of output gradient in a stretch of positions: half of a 32 KiB L1.
STRETCH_BYTES = 16 * 1024


class WeightsGeometry(NamedTuple):
    """Numbers the compiled kernel works from; spatial ones come as depth, row, column."""

    images: int
    groups: int
    inputs: int
    outputs: int
    kernel_planes: int
    kernel_rows: int
    kernel_columns: int
    out_depth: int
    out_height: int
    out_width: int
    #: Elements of laid-out input between neighbouring output positions along each axis.
    depth_step: int
    row_step: int
    column_step: int
    #: Elements of laid-out input of one image and one block.
    image_size: int
    #: Channels of a block; blocks of input channels and of output channels in a group.
    block_channels: int
    input_blocks: int
    output_blocks: int
    #: Output rows and columns of a stretch.
    rows: int
    columns: int
    #: Register tiles of a pair of blocks; index into TILES; scalars and vectors of that tile.
    tiles: int
    tile: int
    scalars: int
    vectors: int


@dataclass(frozen=True)
class WeightsBlocking:
    """Blocking of one problem.

    `offsets` holds, for each register tile, the index of its first scalar, counted from an output
    position. `places` holds the kernel plane and row of the tile, and the elements of (column,
    channel) it covers.
    """

    shape: WeightsGeometry
    numbers: np.ndarray
    offsets: np.ndarray
    places: np.ndarray
    reach: tuple[int, int, int]
    before: tuple[int, int, int]
    waste: float


def _runs(v: Problem, block: int) -> list[tuple[int, int]]:
    """Return (first column tap, taps) of each run of scalars without a gap, for a block."""
    if v.dilation[2] == 1:
        return [(0, v.kernel[2])]
    return [(n, 1) for n in range(v.kernel[2])]


@lru_cache(maxsize=256)
def blocking(problem: Problem) -> WeightsBlocking:
    """Choose the blocking with the register tile that wastes least."""
    v = merged(problem)
    lane = simd.lanes_of(problem.itemsize)
    inputs, outputs = v.in_channels // v.groups, v.out_channels // v.groups
    most = BLOCK_CHANNELS if math.prod(v.kernel) >= FEW_TAPS else BLOCK_CHANNELS_FEW_TAPS
    input_blocks = -(-inputs // most)
    block = -(-inputs // input_blocks)
    runs = _runs(v, block)

    def waste(tile: int) -> float:
        scalars, vectors = TILES[tile]
        lanes_used = outputs / (-(-outputs // (vectors * lane)) * vectors * lane)
        covered = sum(-(-taps * block // scalars) * scalars for _, taps in runs)
        loads = LOAD * (scalars + vectors) / (scalars * vectors)
        return covered * input_blocks / (v.kernel[2] * inputs) / lanes_used * max(0.9, loads)

    tile = min(range(len(TILES)), key=waste)
    scalars, vectors = TILES[tile]
    steps = (v.reach[1] * v.reach[2] * block, v.reach[2] * block, block)
    offsets, places = [], []
    for p in range(v.kernel[0]):
        for m in range(v.kernel[1]):
            base = p * v.dilation[0] * steps[0] + m * v.dilation[1] * steps[1]
            for n, taps in runs:
                for first in range(0, taps * block, scalars):
                    offsets.append(base + n * v.dilation[2] * block + first)
                    begin = n * block + first
                    end = n * block + min(first + scalars, taps * block)
                    places.append((p * v.kernel[1] + m, begin, end))
    positions = max(1, STRETCH_BYTES // (vectors * lane * problem.itemsize))
    columns = min(v.output_size[2], positions)
    shape = WeightsGeometry._make((
        v.batch, v.groups, inputs, outputs, *v.kernel, *v.output_size,
        *(step * s for step, s in zip(steps, v.stride, strict=True)), math.prod(v.reach) * block,
        block, input_blocks, -(-outputs // (vectors * lane)), max(1, positions // columns),
        columns, len(offsets), tile, scalars, vectors,
    ))  # fmt: skip
    reach_depth, reach_rows, reach_columns = v.reach
    before_depth, before_rows, before_columns = (sides[0] for sides in v.padding)
    return WeightsBlocking(
        shape, np.array(shape), np.array(offsets, np.int64),
        np.array(places, np.int64).reshape(-1), (reach_depth, reach_rows, reach_columns),
        (before_depth, before_rows, before_columns), waste(tile),
    )  # fmt: skip


@lru_cache(maxsize=256)
def cost(problem: Problem) -> float:
    """Estimate the register operations per vector of products, packing included; 1 is ideal."""
    s = blocking(problem).shape
    lane = simd.lanes_of(problem.itemsize)
    taps = math.prod(problem.kernel)
    packing = 4 / (s.outputs * taps) + 4 / (s.inputs * taps)
    return blocking(problem).waste + lane * packing / 4


def elements(blocks: WeightsBlocking, problem: Problem) -> tuple[int, int, int]:
    """Return the elements of laid-out input and output gradient, and of one thread's sums."""
    s = blocks.shape
    width = s.vectors * simd.lanes_of(problem.itemsize)
    x = s.images * s.groups * s.input_blocks * s.image_size + s.scalars
    positions = s.out_depth * s.out_height * s.out_width
    g = s.images * s.groups * s.output_blocks * positions * width
    return x, g, s.tiles * s.scalars * width
