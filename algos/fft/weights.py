"""Kernel gradient through spectra, summed over tiles before the transform back.

Correlating tiles of the input with tiles of the output gradient gives the same few lags for every
tile: the taps. So products are summed over tiles and images per frequency, and one inverse
transform per pair of channels remains. Tiles are small, because those pairs are many.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from algos.backend.compiler import kernel, threaded
from algos.core.algorithm import gamma, subnormal_error, unit_roundoff
from algos.core.problem import Problem

from .overlap_save import Index, TileGrid, gather, kept_outputs, places, tile_norms
from .spectra import from_spectra, spectrum, tile_grid, tiles_together, to_spectra


def workspace_bytes(problem: Problem) -> int:
    """Bytes of the tiles at work with their spectra, and of the gradient's spectra and lags."""
    grid = tile_grid(problem)
    kernels = problem.out_channels * (problem.in_channels // problem.groups)
    together = tiles_together(problem, grid) * problem.batch
    channels = problem.in_channels + problem.out_channels
    half = 2 * problem.itemsize * math.prod(spectrum(grid))
    real = problem.itemsize * grid.samples
    return kernels * half + max(together * channels * (half + real), kernels * (half + real))


@threaded
@kernel
def _accumulate_one(o: int, x: np.ndarray, g: np.ndarray, groups: int, y: np.ndarray) -> None:
    """Compute `_accumulate` for output channel o."""
    first = o // (y.shape[0] // groups) * y.shape[1]
    for c in range(y.shape[1]):
        total = y[o, c]
        for m in range(x.shape[0]):
            a, b = x[m, first + c], g[m, o]
            for f in range(total.size):
                total[f] += a[f] * np.conj(b[f])


@kernel
def _accumulate(x: np.ndarray, g: np.ndarray, groups: int, y: np.ndarray) -> None:
    """Add y[o, c, f] += Σ_m x[m, c, f] · conj(g[m, o, f]), with c counted within o's group.

    `x`: spectra (M, C, F). `g`: spectra (M, O, F). `y`: spectra (O, C/groups, F).
    """
    _accumulate_one(y.shape[0], x, g, groups, y)


def _gather_outputs(v: Problem, grid: TileGrid, g: np.ndarray, places: list) -> np.ndarray:
    """Return the output gradient at stride-1 positions, zeros between, (places, N, O, *tile)."""
    tiles = np.zeros((len(places), *g.shape[:2], *grid.tile), g.dtype)
    for tile, place in zip(tiles, places, strict=True):
        if kept := kept_outputs(v, grid, place):
            tile[kept[0]] = g[kept[1]]
    return tiles


def _spectra(
    problem: Problem, grid: Any, x: np.ndarray, g: np.ndarray, some: Any, threads: int
) -> list[np.ndarray]:
    """Return the spectra of both operands at the places `some`, ``(M, C, F)`` and ``(M, O, F)``."""
    v = problem.volume
    return [
        to_spectra(problem, tiles, threads).reshape(len(some) * v.batch, tiles.shape[2], -1)
        for tiles in (gather(v, grid, x, some), _gather_outputs(v, grid, g, some))
    ]


def grad_weight(
    problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
) -> None:
    """Write the gradient of the kernel."""
    v, grid = problem.volume, tile_grid(problem)
    x, g = x.reshape(v.input_shape), g.reshape(v.output_shape)
    frequencies = math.prod(spectrum(grid))
    kind = np.result_type(x.dtype, np.complex64)
    total = np.zeros((*v.kernel_shape[:2], frequencies), kind)
    everywhere, together = list(places(grid)), tiles_together(problem, grid)
    for start in range(0, len(everywhere), together):
        some = everywhere[start : start + together]
        _accumulate(*_spectra(problem, grid, x, g, some, threads), v.groups, total)
    lags = from_spectra(problem, grid, total, threads).reshape(*v.kernel_shape[:2], *grid.tile)
    taps: Index = (..., *(slice(0, e, d) for e, d in zip(v.extent, v.dilation, strict=True)))
    result = lags[taps]
    out.reshape(v.kernel_shape)[...] = np.flip(result, (2, 3, 4)) if v.flip else result


def error_bound(
    problem: Problem, x: np.ndarray, g: np.ndarray, magnitude: np.ndarray
) -> np.ndarray:
    """Bound |computed − exact|, the same for every element; notation as in `spectral_error`.

    Rounding in the transforms of tile m and in its product reaches an element as at most (2ε +
    √2·γ_{M+3})·‖x_m‖₂·‖g_m‖₂, M products being summed. The inverse transform adds ε times the norm
    of the sum, at most Σ_m ‖x_m‖₂·‖g_m‖₁.
    """
    v, grid = problem.volume, tile_grid(problem)
    per_x = tile_norms(v, grid, x.reshape(v.input_shape))
    twos, ones = [], []
    for place in places(grid):
        tile = _gather_outputs(v, grid, g.reshape(v.output_shape).astype(np.float64), [place])[0]
        flat = tile.reshape(*tile.shape[:2], -1)
        twos.append(np.linalg.norm(flat, axis=2))
        ones.append(np.abs(flat).sum(axis=2))
    length = math.prod(grid.tile)
    epsilon = math.log2(max(length, 2)) * (
        unit_roundoff(problem.dtype) + math.sqrt(2) * gamma(4, problem.dtype)
    )
    products = math.sqrt(2) * gamma(len(per_x) + 3, problem.dtype)
    weight = (2 * epsilon + products) * np.concatenate(twos) + epsilon * np.concatenate(ones)
    per_x = per_x.reshape(len(per_x), v.groups, -1)
    weight = weight.reshape(len(weight), v.groups, -1)
    worst = float(np.einsum("mgc,mgo->goc", per_x, weight).max())
    total = (1 + 3 * epsilon) * worst + length * subnormal_error(problem)
    return np.full_like(magnitude, total)
