"""Overlap-save: the cut of an input into tiles for transforms, and the error bound of the result.

Inputs much larger than the kernel are cut into overlapping tiles, whose wrapped-around border is
discarded (Stockham, *High-speed convolution and correlation*, 1966). Each transform chooses the
size of its own tiles.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from algos.core.algorithm import as_correlation, gamma, subnormal_error, unit_roundoff
from algos.core.problem import Problem

Index = tuple[Any, ...]


@dataclass(frozen=True)
class TileGrid:
    """Tiling of a problem: tiles of `tile` input samples, `step` stride-1 outputs apart."""

    tile: tuple[int, int, int]
    step: tuple[int, int, int]
    counts: tuple[int, int, int]

    @property
    def tiles(self) -> int:
        """Tiles per image and channel."""
        return math.prod(self.counts)

    @property
    def samples(self) -> int:
        """Real samples in a tile."""
        return math.prod(self.tile)


def cut_up(v: Problem, tile: tuple[int, ...]) -> TileGrid:
    """Return the tiling of volume `v` into tiles of the lengths `tile`."""
    step = tuple(t - e + 1 for t, e in zip(tile, v.extent, strict=True))
    counts = tuple(
        -(-(reach - e + 1) // s) for reach, e, s in zip(v.reach, v.extent, step, strict=True)
    )
    return TileGrid(tile, step, counts)  # type: ignore[arg-type]


def places(grid: TileGrid) -> Iterator[tuple[int, ...]]:
    """Iterate over all tiles; each is given by its number along each axis."""
    return itertools.product(*(range(n) for n in grid.counts))


def window(v: Problem, grid: TileGrid, place: tuple[int, ...]) -> tuple[Index, Index]:
    """Return the index of the input samples of the tile at `place`, and their index in the tile."""
    sources, targets = [], []
    for a, index in enumerate(place):
        origin = index * grid.step[a] - v.padding[a][0]
        first, last = max(origin, 0), min(origin + grid.tile[a], v.size[a])
        last = max(first, last)
        sources.append(slice(first, last))
        targets.append(slice(first - origin, last - origin))
    return (..., *sources), (..., *targets)


def tile_norms(v: Problem, grid: TileGrid, x: np.ndarray) -> np.ndarray:
    """Return the 2-norm of every tile, ``(tiles · N, C)``."""
    norms = []
    for place in places(grid):
        sources, _ = window(v, grid, place)
        part = x[sources].astype(np.float64)
        norms.append(np.sqrt(np.einsum("ncdhw,ncdhw->nc", part, part)))
    return np.concatenate(norms)


def gather(v: Problem, grid: TileGrid, x: np.ndarray, places: list) -> np.ndarray:
    """Return tiles of the zero-padded input, ``(places, N, C, *tile)``."""
    tiles = np.empty((len(places), *x.shape[:2], *grid.tile), x.dtype)
    for tile, place in zip(tiles, places, strict=True):
        sources, targets = window(v, grid, place)
        if targets[1:] != tuple(slice(0, n) for n in grid.tile):
            tile[...] = 0
        tile[targets] = x[sources]
    return tiles


def kept_outputs(v: Problem, grid: TileGrid, place: tuple[int, ...]) -> tuple[Index, Index] | None:
    """Return the index in the tile at `place` of the outputs that the stride keeps, and theirs.

    The second index selects the same outputs from the output array. Without any, return None.
    """
    sources, targets = [], []
    for a, index in enumerate(place):
        origin, s = index * grid.step[a], v.stride[a]
        first = -(-origin // s)
        last = min(-(-(origin + grid.step[a]) // s), v.output_size[a])
        if first >= last:
            return None
        offset = first * s - origin
        sources.append(slice(offset, offset + (last - first - 1) * s + 1, s))
        targets.append(slice(first, last))
    return (..., *sources), (..., *targets)


#: Terms of a sum from which transforms err less than four times as much as a direct sum.
FEWEST_TERMS = 16

#: Samples of kernels that are transformed at a time for an error bound: 64 MiB and their spectra.
MOST_SAMPLES = 1 << 23


def spectral_growth(problem: Problem) -> float:
    """Return the typical error of products of spectra, as a multiple of a direct sum's."""
    return 4.0 if problem.terms >= FEWEST_TERMS else 8.0


def _peaks(kernels: np.ndarray, tile: tuple[int, int, int]) -> np.ndarray:
    """Return the largest magnitude in the spectrum of each kernel, (O, C/groups).

    `kernels`: (O, C/groups, *kernel). Spectra of few are held at a time: those of all may be a
    thousand times as large as the kernels.
    """
    flat = kernels.reshape(-1, *kernels.shape[2:])
    peaks = np.empty(len(flat))
    together = max(1, MOST_SAMPLES // math.prod(tile))
    for start in range(0, len(flat), together):
        spectra = scipy.fft.rfftn(flat[start : start + together], s=tile, axes=(1, 2, 3))
        peaks[start : start + together] = np.abs(spectra).max(axis=(1, 2, 3))
    return peaks.reshape(kernels.shape[:2])


def spectral_error(
    problem: Problem,
    tile: tuple[int, int, int],
    norms: np.ndarray,
    w: np.ndarray,
    magnitude: np.ndarray,
    *,
    arithmetic: str | None = None,
    additions: int = 1,
    products: float | None = None,
) -> np.ndarray:
    """Bound |computed − exact| of a convolution through transforms of the size `tile`.

    One transform of T samples errs by ε = log2(T)·η in the 2-norm. Here η = u + γ_4·√2, with
    twiddle factors accurate to u. Source: Higham, *Accuracy and Stability*, 2nd ed., Theorem 24.2,
    stated for radix 2. Radices 3 and 5 are charged log2 of theirs. Write x, w for a tile and kernel
    of one channel, and sum over the channels.

    Rounding in both forward transforms and in the products reaches an output element as at most (2ε
    + √2·γ_{C+3})·‖x‖₂·‖w‖₂, by Cauchy-Schwarz and Parseval. The inverse transform adds ε times the
    norm of its whole result, at most ‖x‖₂·max|ŵ|. ``ε²`` terms are covered by evaluating with 1 +
    3ε. The tile with the largest norm decides.

    `tile`: samples of a tile along each axis of the volume.
    `norms`: 2-norm of the samples of every tile, (tiles, C).
    `w`: kernel (O, C/groups, *kernel).
    `magnitude`: |x| ⋆ |w| + |bias| at some positions of the output.
    `arithmetic`: name of the dtype the transforms compute in; by default the problem's.
    `additions`: roundings in the problem's dtype after the transform back. They are the bias and,
        for some algorithms, the sum over channels or tiles.
    """
    v = problem.volume
    arithmetic = arithmetic or problem.dtype
    length = math.prod(tile)
    epsilon = math.log2(max(length, 2)) * (
        unit_roundoff(arithmetic) + math.sqrt(2) * gamma(4, arithmetic)
    )
    if products is None:
        products = math.sqrt(2) * gamma(problem.in_channels // problem.groups + 3, arithmetic)
    kernels = as_correlation(problem, w).astype(np.float64)
    flat = np.linalg.norm(kernels.reshape(*kernels.shape[:2], -1), axis=2)
    if set(v.dilation) == {1} and all(k <= t for k, t in zip(v.kernel, tile, strict=True)):
        peaks = _peaks(kernels, tile)
    else:  # a zero-stuffed kernel repeats the kernel's spectrum; bound it by Σ|w|
        peaks = np.abs(kernels).sum(axis=(2, 3, 4))
    weight = (2 * epsilon + products) * flat + epsilon * peaks
    per_group = norms.reshape(len(norms), v.groups, -1)
    weight = weight.reshape(v.groups, v.out_channels // v.groups, -1)
    worst = float(np.einsum("mgc,goc->mgo", per_group, weight).max())
    adding = 2 * gamma(additions + 1, problem.dtype) * magnitude
    return (1 + 3 * epsilon) * worst + adding + length * subnormal_error(problem)
