"""Convolution as multiplication of spectra, with our own transforms from reading to writing.

The method is that of `algos.fft.algorithm`. In one sweep, in vector registers, one thread reads a
pair of tiles, transforms, multiplies, transforms back and writes it. Spectra that are only
multiplied need no sorting. Two real tiles that travel as one complex tile need no half spectra. The
kernels are in `fft.tiles`; this module chooses the size of the tiles.

Since tiles travel in pairs, a NaN or infinity in the input spreads to its pair of tiles. The error
is relative to the pair's norm, not to each output element.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import Any

import numpy as np

from algos.adapters.borders import extended
from algos.core.algorithm import Algorithm, as_correlation
from algos.core.arrays import read_only
from algos.core.boundary import BOUNDARIES
from algos.core.problem import Problem
from algos.simd import registers as simd

from . import tiles as fft_tiles
from .overlap_save import TileGrid, cut_up, spectral_error, spectral_growth, tile_norms
from .transform import LENGTHS, passes_cost

#: Bytes of a pair of tiles that about fit L2, and of a pair of rows that fit L1 (1 MiB and 32 KiB
#: on Zen 4).
NEAR_BYTES, ROW_BYTES = 1 << 20, 1 << 15
#: Cost of gathering or writing one row, in elements that a pass down columns handles in the same
#: time. Fitted to 470 timed tilings on Zen 4.
ROW = 350
#: Most tile lengths tried, over all axes together: it bounds the time of the choice.
CHOICES = 24


@lru_cache(maxsize=256)
def tile_grid(problem: Problem) -> TileGrid:
    """Return the cheapest tiling by a count of the passes over its tiles."""
    v, lane = problem.volume, simd.lanes_of(problem.itemsize)
    choices = [
        [1] if axis < 3 - problem.axes else _lengths(problem, axis, lane) for axis in range(3)
    ]
    return min(
        (cut_up(v, tile) for tile in itertools.product(*choices)),
        key=lambda grid: _cost(v, grid, lane),
    )


def _unit(problem: Problem, axis: int, lane: int) -> int:
    """Return the number a tile's length along `axis` must be a multiple of.

    Rows go by vectors of lanes, and as many rows as lanes are read at a time.
    """
    if axis == 2:
        return lane if problem.axes > 1 else lane * lane
    return lane if axis == 1 else 1


def _lengths(problem: Problem, axis: int, lane: int) -> list[int]:
    """Return a few lengths that transform well, from the kernel's extent up to the whole axis."""
    v, unit = problem.volume, _unit(problem, axis, lane)
    extent, reach = v.extent[axis], v.reach[axis]
    fitting = [n for n in LENGTHS if n % unit == 0 and n >= extent]
    whole = next(n for n in fitting if n >= reach)
    worth = [n for n in fitting if 1.1 * extent < n < whole]
    return [*worth[: CHOICES // problem.axes], whole]


def _cost(v: Problem, grid: TileGrid, lane: int) -> float:
    """Estimate the relative time of one call: passes over tiles, products, a constant per row.

    A pass along rows is faster than one down columns, whose elements lie further apart. An odd pair
    counts one and a half: the mean of its cost with one thread and with two.
    """
    kernels = v.out_channels * (v.in_channels // v.groups)
    pairs: float = -(-v.batch * grid.tiles // 2)
    pairs += pairs % 2 / 2
    near = 2 * grid.tile[2] * v.itemsize <= ROW_BYTES
    passes = passes_cost(grid.tile[2] // lane) * (0.5 if near else 0.8)
    passes += sum(map(passes_cost, grid.tile[:2]))
    passes += max(0.0, math.log2(2 * grid.samples * v.itemsize / NEAR_BYTES))
    per_transform = grid.samples * (1 + passes) + math.prod(grid.tile[:2]) * ROW
    return pairs * ((v.in_channels + v.out_channels) * per_transform + kernels * grid.samples)


class FusedFFT(Algorithm):
    """Products of spectra by our own transforms, two tiles at a time from reading to writing."""

    name = "fft-fused"
    boundaries = BOUNDARIES
    confines_nonfinite = False
    exact_on_integers = False

    def typical_error(self, problem: Problem) -> float:
        """Return a multiple that is smaller where a direct sum has many terms, and errs more."""
        return spectral_growth(problem)

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        return fft_tiles.workspace(problem, tile_grid(problem).tile, threads)

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        return fft_tiles.spectra_bytes(problem, tile_grid(problem).tile, threads)

    def work(self, problem: Problem) -> float:
        """Return the cost by which the tiling was chosen."""
        return _cost(problem.volume, tile_grid(problem), simd.lanes_of(problem.itemsize))

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """Return the spectra of the kernels in the order of `fft.tiles`."""
        w = read_only(as_correlation(problem, w))
        return fft_tiles.prepare(problem, tile_grid(problem).tile, w, threads)

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        fft_tiles.forward(
            problem, tile_grid(problem).tile, read_only(x), prepared, read_only(bias), out, threads
        )

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return the normwise bound of `spectral_error`, the same for every output element."""
        grid = tile_grid(problem)
        if problem.boundary != "zeros":
            problem, x = extended(problem, x)
        v = problem.volume
        norms = tile_norms(v, grid, x.reshape(v.input_shape))
        both = np.zeros((-(-len(norms) // 2) * 2, norms.shape[1]))
        both[: len(norms)] = norms
        pairs = np.hypot(both[::2], both[1::2])
        return spectral_error(problem, grid.tile, pairs, w, magnitude)
