"""Tiles and their spectra by `scipy.fft`: sizes, batches, and the transforms both ways."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from functools import lru_cache

import numpy as np
import scipy  # whose parts are imported where they are used: scipy.fft takes 0.1 s

from algos.backend.threads import fft_workers
from algos.core.problem import Problem

from .overlap_save import TileGrid, cut_up

#: Bytes of real samples transformed at a time. They fit L2 (1 MiB on Zen 4), so a tile is still
#: there when its spectrum is multiplied and transformed back.
BATCH_BYTES = 1 << 20


#: Transform lengths that are fastest in pocketfft: 2^a·3^b with b ≤ 2, and 5·2^a; then the cost of
#: other lengths per sample, relative to these. Measured on Zen 4 in float32.
GOOD_LENGTHS = sorted(
    odd << a for odd in (1, 3, 5, 9) for a in range(3, 25) if (odd << a) >= 16
)  # fmt: skip


OTHER_LENGTHS_COST = 1.3


@lru_cache(maxsize=256)
def tile_grid(problem: Problem) -> TileGrid:
    """Return the cheapest tiling by a count of operations, with a surcharge beyond the cache."""
    v = problem.volume
    axes = transformed_axes(problem)
    choices = []
    for a in range(3):
        if a not in axes:
            choices.append([1])
            continue
        whole = scipy.fft.next_fast_len(v.reach[a], real=True)
        good = GOOD_LENGTHS[bisect_left(GOOD_LENGTHS, v.reach[a])]
        parts = [
            n for n in GOOD_LENGTHS if 1.2 * v.extent[a] < n < min(whole, 20 * v.extent[a] + 64)
        ]
        choices.append(sorted({whole, good, *parts}))
    return min(
        (cut_up(v, tile) for tile in itertools.product(*choices)),
        key=lambda grid: cost(v, grid, axes),
    )


def transformed_axes(problem: Problem) -> tuple[int, ...]:
    """Return the axes of the volume that are transformed: the problem's own."""
    return tuple(range(3 - problem.axes, 3))


def spectrum(grid: TileGrid) -> tuple[int, ...]:
    """Return the shape of a tile's half spectrum."""
    return (*grid.tile[:2], grid.tile[2] // 2 + 1)


def cost(v: Problem, grid: TileGrid, axes: tuple[int, ...]) -> float:
    """Estimate the relative time of one call: transforms, products, and a constant per tile."""
    transformed = math.prod(grid.tile[a] for a in axes)
    transforms = v.batch * grid.tiles * (v.in_channels + v.out_channels)
    if v.operation == "grad_weight":
        transforms += v.out_channels * (v.in_channels // v.groups)
    products = v.batch * grid.tiles * v.out_channels * (v.in_channels // v.groups)
    rate = 15 + math.log2(transformed)
    rate *= 1 + 0.18 * max(0.0, math.log2(grid.samples * v.itemsize / BATCH_BYTES))
    for a in axes:
        rate *= 1.0 if grid.tile[a] in GOOD_LENGTHS else OTHER_LENGTHS_COST
    per_transform = grid.samples * rate + 20_000
    return transforms * per_transform + products * grid.samples * 3.0


def to_spectra(problem: Problem, tiles: np.ndarray, threads: int) -> np.ndarray:
    """Return the half spectra of `tiles` (…, *tile)."""
    axes = [tiles.ndim - 3 + a for a in transformed_axes(problem)]
    return scipy.fft.rfftn(tiles, axes=axes, workers=fft_workers(threads))


def from_spectra(problem: Problem, grid: TileGrid, spectra: np.ndarray, threads: int) -> np.ndarray:
    """Return the tiles (M, *tile) of half `spectra`, whose memory is overwritten."""
    axes = transformed_axes(problem)
    return scipy.fft.irfftn(
        spectra.reshape(-1, *spectrum(grid)), s=[grid.tile[a] for a in axes],
        axes=[1 + a for a in axes], workers=fft_workers(threads), overwrite_x=True,
    )  # fmt: skip


def tiles_together(problem: Problem, grid: TileGrid) -> int:
    """Return the number of tiles to transform in one batch."""
    channels = max(problem.in_channels, problem.out_channels) * problem.batch
    return max(1, min(grid.tiles, BATCH_BYTES // (channels * grid.samples * problem.itemsize)))


def kernels_together(problem: Problem, grid: TileGrid) -> int:
    """Return the number of kernels to transform in one batch."""
    kernels = problem.out_channels * (problem.in_channels // problem.groups)
    return max(1, min(kernels, BATCH_BYTES // (grid.samples * problem.itemsize)))
