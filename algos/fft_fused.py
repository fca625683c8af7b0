"""Convolution as multiplication of spectra, by transforms of our own, from reading to writing.

As `algos.fft`, but a pair of tiles is read, transformed, multiplied, transformed back and written
by one thread in one go, in vector registers. Transforms whose spectra are only multiplied need no
sorting, and two real tiles that travel as one complex tile need no half spectra. The work is done
in `fft_tiles`; here is decided how large tiles are.

Tiles travelling in pairs, a NaN or infinity in the input spreads to its pair of tiles, and the
error is relative to the pair's norm, not to each output element.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np

from . import fft_tiles, simd
from .algorithm import Algorithm, as_correlation
from .arrays import read_only
from .overlap_save import Tiling, cut_up, spectral_error, tile_norms
from .problem import Problem
from .transform import LENGTHS, passes_cost

#: Bytes of a pair of tiles that stay in a second-level cache, more or less, and of a pair of rows
#: that stay in the first.
NEAR_BYTES, ROW_BYTES = 1 << 20, 1 << 15
#: What gathering or writing a row takes, in elements that a pass down columns does in that time.
ROW = 350
#: Tile lengths that are tried, at most, along all axes together.
CHOICES = 24


@lru_cache(maxsize=256)
def tiling(problem: Problem) -> Tiling:
    """The cheapest tiling, by a count of the passes over its tiles."""
    v, lane = problem.volume, simd.lanes_of(problem.itemsize)
    choices = [
        [1] if axis < 3 - problem.axes else _lengths(problem, axis, lane) for axis in range(3)
    ]
    return min(
        (cut_up(v, tile) for tile in itertools.product(*choices)),
        key=lambda cut: _cost(v, cut, lane),
    )


def _unit(problem: Problem, axis: int, lane: int) -> int:
    """What a tile's length must be a multiple of: rows go by lanes, and as many at a time."""
    if axis == 2:
        return lane if problem.axes > 1 else lane * lane
    return lane if axis == 1 else 1


def _lengths(problem: Problem, axis: int, lane: int) -> list[int]:
    """A few lengths that transform well: from the kernel's extent on, up to all of the axis."""
    v, unit = problem.volume, _unit(problem, axis, lane)
    extent, reach = v.extent[axis], v.reach[axis]
    fitting = [n for n in LENGTHS if n % unit == 0 and n >= extent]
    whole = next(n for n in fitting if n >= reach)
    worth = [n for n in fitting if 1.1 * extent < n < whole]
    return [*worth[: CHOICES // problem.axes], whole]


def _cost(v: Problem, cut: Tiling, lane: int) -> float:
    """Relative time of one call: passes over the tiles, products, a little for every row.

    A pass along rows is quicker than one down columns, whose elements are further apart. An odd
    pair counts half as much again: the mean of one thread's time and of two's.
    """
    kernels = v.out_channels * (v.in_channels // v.groups)
    pairs: float = -(-v.batch * cut.tiles // 2)
    pairs += pairs % 2 / 2
    near = 2 * cut.tile[2] * v.itemsize <= ROW_BYTES
    passes = passes_cost(cut.tile[2] // lane) * (0.5 if near else 0.8)
    passes += sum(map(passes_cost, cut.tile[:2]))
    passes += max(0.0, math.log2(2 * cut.samples * v.itemsize / NEAR_BYTES))
    per_transform = cut.samples * (1 + passes) + math.prod(cut.tile[:2]) * ROW
    return pairs * ((v.in_channels + v.out_channels) * per_transform + kernels * cut.samples)


class FusedFFT(Algorithm):
    """Products of spectra by transforms of our own, two tiles at a time from reading to writing."""

    name = "fft-fused"
    confines_nonfinite = False
    exact_on_integers = False

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        return fft_tiles.workspace(problem, tiling(problem).tile, threads)

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        return fft_tiles.spectra_bytes(problem, tiling(problem).tile, threads)

    def work(self, problem: Problem) -> float:
        """The cost by which the tiling was chosen."""
        return _cost(problem.volume, tiling(problem), simd.lanes_of(problem.itemsize))

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """Spectra of the kernels, as `fft_tiles` wants them."""
        w = read_only(as_correlation(problem, w))
        return fft_tiles.prepare(problem, tiling(problem).tile, w, threads)

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        fft_tiles.forward(
            problem, tiling(problem).tile, read_only(x), prepared, read_only(bias), out, threads
        )

    def error_bound(self, problem, x, w, magnitude):
        """Normwise, see `spectral_error`: the same bound for every element of the output."""
        v, cut = problem.volume, tiling(problem)
        norms = tile_norms(v, cut, x.reshape(v.input_shape))
        both = np.zeros((-(-len(norms) // 2) * 2, norms.shape[1]))
        both[: len(norms)] = norms
        pairs = np.hypot(both[::2], both[1::2])
        return spectral_error(problem, cut.tile, pairs, w, magnitude)
