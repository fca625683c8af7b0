"""Blocking of `fft.tiles`: the numbers its kernel works from, passes and twiddle factors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from algos.core.boundary import BOUNDARIES
from algos.core.problem import Problem
from algos.simd import registers as simd

from .transform import factors, passes

Three = tuple[int, int, int]


class TilesGeometry(NamedTuple):
    """Numbers the compiled kernel works from.

    The axes are called outer, middle and row. Of an image, rows are transformed first and columns
    last. So its columns are the outer axis, and the middle axis has size 1. Of a signal, the outer
    axis has size 1 too.
    """

    images: int
    groups: int
    #: Input channels of one group, then output channels of one group.
    inputs: int
    outputs: int
    outer: int
    middle: int
    width: int
    out_outer: int
    out_middle: int
    out_width: int
    outer_stride: int
    middle_stride: int
    row_stride: int
    outer_before: int
    middle_before: int
    row_before: int
    #: Along each axis: samples of a tile, stride-1 outputs from tile to tile, and tiles.
    tile_outer: int
    tile_middle: int
    tile_row: int
    outer_step: int
    middle_step: int
    row_step: int
    outer_tiles: int
    middle_tiles: int
    row_tiles: int
    #: Elements from row to row, and from the plane of real parts to that of imaginary parts.
    pitch: int
    plane: int
    #: Rows read or written at a time; rows of the squares that are transposed, and their distance.
    rows: int
    square_step: int
    square_between: int
    #: Passes of the transform along each axis.
    outer_passes: int
    middle_passes: int
    row_passes: int
    #: Chunks that a group's output channels are split into, so that every thread has one.
    chunks: int
    #: Number of the boundary, and along each axis the end of the positions that outputs read.
    boundary: int
    outer_end: int
    middle_end: int
    row_end: int


@dataclass(frozen=True, eq=False)
class TilesBlocking:
    """Geometry, passes and twiddle factors; the last two are given for each of the three axes.

    The factors are computed when they are first used: predicting memory needs none of them.
    """

    shape: TilesGeometry
    numbers: np.ndarray
    passes: tuple[np.ndarray, ...]
    lines: tuple[tuple[int, int], ...]
    dtype: str
    #: Value beyond the border of a constant boundary, one element.
    value: np.ndarray

    @cached_property
    def factors(self) -> tuple[np.ndarray, ...]:
        """Twiddle factors of each axis."""
        return tuple(factors(length, stop, self.dtype) for length, stop in self.lines)

    @property
    def pairs(self) -> int:
        """Pairs of tiles over all images."""
        s = self.shape
        return -(-s.images * s.outer_tiles * s.middle_tiles * s.row_tiles // 2)


def ordered(problem: Problem, values: Any) -> tuple[Any, Any, Any]:
    """Return one value per axis of the volume as (outer, middle, row)."""
    first, second, row = values
    return (second, first, row) if problem.axes == 2 else (first, second, row)


@lru_cache(maxsize=256)
def blocking(problem: Problem, tile: Three, threads: int) -> TilesBlocking:
    """Return the plan for tiles of size `tile`, whose axes are in the order of the volume's."""
    v = problem.volume
    lane = simd.lanes_of(problem.itemsize)
    sides = ordered(problem, tile)
    steps = [t - e + 1 for t, e in zip(sides, ordered(problem, v.extent), strict=True)]
    reaches = ordered(problem, v.reach)
    extents = ordered(problem, v.extent)
    counts = [-(-(r - e + 1) // s) for r, e, s in zip(reaches, extents, steps, strict=True)]
    lines = ((sides[0], 1), (sides[1], 1), (sides[2], lane))
    cuts = [passes(length, stop) for length, stop in lines]
    many = sides[0] * sides[1] > 1
    pitch = sides[2] + (lane if many else 0)
    pairs = -(-v.batch * math.prod(counts) // 2)
    outputs = v.out_channels // v.groups
    ends = [reach - before for reach, before in zip(v.reach, v.before, strict=True)]
    shape = TilesGeometry._make((
        v.batch, v.groups, v.in_channels // v.groups, outputs,
        *ordered(problem, v.size), *ordered(problem, v.output_size), *ordered(problem, v.stride),
        *(before for before, _ in ordered(problem, v.padding)), *sides, *steps, *counts,
        pitch, sides[0] * sides[1] * pitch + lane, lane if many else 1,
        pitch if many else lane, lane if many else lane * lane,
        *map(len, cuts), min(outputs, -(-threads // (pairs * v.groups))),
        BOUNDARIES.index(problem.boundary), *ordered(problem, ends),
    ))  # fmt: skip
    return TilesBlocking(
        shape, np.array(shape), tuple(cut.reshape(-1) for cut in cuts), lines, problem.dtype,
        np.array([problem.cval], problem.dtype),
    )  # fmt: skip
