"""The kernel's gradient through spectra, tiles summed before they are transformed back.

Correlating tiles of the input with those of the output's gradient gives, tile by tile, the same
few lags: the taps. So products are summed over tiles and images per frequency, and one inverse
transform for each pair of channels ends it; tiles are small, since those pairs are many.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from functools import lru_cache

import numba
import numpy as np
import scipy.fft

from .algorithm import gamma, subnormal_error, unit_roundoff
from .fft import Index, Tiling, cut_up, places, tile_norms, window
from .jit import kernel
from .problem import Problem

#: Bytes of real samples transformed at a time: what a second-level cache can hold, so that a
#: tile is still there when its spectrum is multiplied and transformed back.
BATCH_BYTES = 1 << 20

#: Transform lengths that pocketfft is quickest at: 2^a·3^b with b ≤ 2, and 5·2^a. Lengths with
#: more odd factors took 1.3 times as long per sample (2-core Zen 4, float32).
GOOD_LENGTHS = sorted(
    odd << a for odd in (1, 3, 5, 9) for a in range(3, 25) if (odd << a) >= 16
)  # fmt: skip
OTHER_LENGTHS_COST = 1.3


@lru_cache(maxsize=256)
def tiling(problem: Problem) -> Tiling:
    """The cheapest tiling by a count of operations, with a surcharge for leaving the cache."""
    v = problem.volume
    axes = _axes(problem)
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
        key=lambda cut: _cost(v, cut, axes),
    )


def _cost(v: Problem, cut: Tiling, axes: tuple[int, ...]) -> float:
    """Relative time of one call: transforms, products, and a little for every tile."""
    transformed = math.prod(cut.tile[a] for a in axes)
    transforms = v.batch * cut.tiles * (v.in_channels + v.out_channels)
    transforms += v.out_channels * (v.in_channels // v.groups)
    products = v.batch * cut.tiles * v.out_channels * (v.in_channels // v.groups)
    rate = 15 + math.log2(transformed)
    rate *= 1 + 0.18 * max(0.0, math.log2(cut.samples * v.itemsize / BATCH_BYTES))
    for a in axes:
        rate *= 1.0 if cut.tile[a] in GOOD_LENGTHS else OTHER_LENGTHS_COST
    per_transform = cut.samples * rate + 20_000
    return transforms * per_transform + products * cut.samples * 3.0


def _axes(problem: Problem) -> tuple[int, ...]:
    """The axes of the volume that are transformed: the problem's own."""
    return tuple(range(3 - problem.axes, 3))


def _spectrum(problem: Problem, cut: Tiling) -> tuple[int, ...]:
    """Shape of a tile's half spectrum."""
    return (*cut.tile[:2], cut.tile[2] // 2 + 1)


def _transform(problem: Problem, tiles: np.ndarray, threads: int) -> np.ndarray:
    """Half spectra of `tiles` (…, C, *tile), as (M, C, frequencies)."""
    axes = [tiles.ndim - 3 + a for a in _axes(problem)]
    spectra = scipy.fft.rfftn(tiles, axes=axes, workers=threads)
    return spectra.reshape(-1, tiles.shape[-4], math.prod(spectra.shape[-3:]))


def work(problem: Problem) -> float:
    """The cost by which the tiling was chosen."""
    return _cost(problem.volume, tiling(problem), _axes(problem))


def workspace_bytes(problem: Problem) -> int:
    """Tiles at work with their spectra, and the spectra and lags of the kernel's gradient."""
    cut = tiling(problem)
    kernels = problem.out_channels * (problem.in_channels // problem.groups)
    together = tiles_together(problem, cut) * problem.batch
    channels = problem.in_channels + problem.out_channels
    spectrum = 2 * problem.itemsize * math.prod(_spectrum(problem, cut))
    real = problem.itemsize * cut.samples
    again = together < cut.tiles * problem.batch  # the last batch's are held while these are made
    tiles = together * channels * (spectrum + real) * (1 + again)
    ending = together * channels * spectrum + kernels * (2 * spectrum + real)
    return kernels * spectrum + max(tiles, ending - kernels * spectrum)


@kernel(parallel=True)
def _accumulate(x, g, groups, y):
    """y[o, c, f] += Σ_m x[m, c, f] · conj(g[m, o, f]), c counted within o's group.

    x : (M, C, F) spectra; g : (M, O, F); y : (O, C/groups, F).
    """
    outputs_per_group = y.shape[0] // groups
    for item in numba.prange(y.shape[0]):
        o = np.int64(item)
        first = o // outputs_per_group * y.shape[1]
        for c in range(y.shape[1]):
            total = y[o, c]
            for m in range(x.shape[0]):
                a, b = x[m, first + c], g[m, o]
                for f in range(total.size):
                    total[f] += a[f] * np.conj(b[f])


def _gather_outputs(v: Problem, cut: Tiling, g: np.ndarray, places: list) -> np.ndarray:
    """The output's gradient at stride-1 positions, zeros between, ``(places, N, O, *tile)``."""
    tiles = np.zeros((len(places), *g.shape[:2], *cut.tile), g.dtype)
    for tile, place in zip(tiles, places, strict=True):
        if kept := kept_outputs(v, cut, place):
            tile[kept[0]] = g[kept[1]]
    return tiles


def tiles_together(problem: Problem, cut: Tiling) -> int:
    """How many tiles to transform in one batch."""
    channels = max(problem.in_channels, problem.out_channels) * problem.batch
    return max(1, min(cut.tiles, BATCH_BYTES // (channels * cut.samples * problem.itemsize)))


def gather(v: Problem, cut: Tiling, x: np.ndarray, places: list) -> np.ndarray:
    """Tiles of the zero-padded input, ``(places, N, C, *tile)``."""
    tiles = np.empty((len(places), *x.shape[:2], *cut.tile), x.dtype)
    for tile, place in zip(tiles, places, strict=True):
        sources, targets = window(v, cut, place)
        if targets[1:] != tuple(slice(0, n) for n in cut.tile):
            tile[...] = 0
        tile[targets] = x[sources]
    return tiles


def kept_outputs(v: Problem, cut: Tiling, place: tuple[int, ...]) -> tuple[Index, Index] | None:
    """Where in the tile at `place` outputs that the stride keeps lie, and which they are."""
    sources, targets = [], []
    for a, index in enumerate(place):
        origin, s = index * cut.step[a], v.stride[a]
        first = -(-origin // s)
        last = min(-(-(origin + cut.step[a]) // s), v.output_size[a])
        if first >= last:
            return None
        offset = first * s - origin
        sources.append(slice(offset, offset + (last - first - 1) * s + 1, s))
        targets.append(slice(first, last))
    return (..., *sources), (..., *targets)


def grad_weight(
    problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
) -> None:
    """Write the kernel's gradient."""
    v, cut = problem.volume, tiling(problem)
    x, g = x.reshape(v.input_shape), g.reshape(v.output_shape)
    kind = np.result_type(x.dtype, np.complex64)
    total = np.zeros((*v.kernel_shape[:2], math.prod(_spectrum(problem, cut))), kind)
    everywhere, together = list(places(cut)), tiles_together(problem, cut)
    for start in range(0, len(everywhere), together):
        some = everywhere[start : start + together]
        spectra = [
            _transform(problem, tiles, threads)
            for tiles in (gather(v, cut, x, some), _gather_outputs(v, cut, g, some))
        ]
        _accumulate(*spectra, v.groups, total)
    axes = [2 + a for a in _axes(problem)]
    lags = scipy.fft.irfftn(
        total.reshape(*v.kernel_shape[:2], *_spectrum(problem, cut)),
        s=[cut.tile[a] for a in _axes(problem)], axes=axes, workers=threads, overwrite_x=True,
    )  # fmt: skip
    taps: Index = (..., *(slice(0, e, d) for e, d in zip(v.extent, v.dilation, strict=True)))
    result = lags[taps]
    out.reshape(v.kernel_shape)[...] = np.flip(result, (2, 3, 4)) if v.flip else result


def error_bound(
    problem: Problem, x: np.ndarray, g: np.ndarray, magnitude: np.ndarray
) -> np.ndarray:
    """Bound on |computed − exact|, the same for every element; notation as in `spectral_error`.

    Rounding in the transforms of tile m and in its product reaches an element as at most
    (2ε + √2·γ_{M+3})·‖x_m‖₂·‖g_m‖₂, M products being summed; the inverse transform adds ε times
    the norm of the sum, at most Σ_m ‖x_m‖₂·‖g_m‖₁.
    """
    v, cut = problem.volume, tiling(problem)
    per_x = tile_norms(v, cut, x.reshape(v.input_shape))
    twos, ones = [], []
    for place in places(cut):
        tile = _gather_outputs(v, cut, g.reshape(v.output_shape).astype(np.float64), [place])[0]
        flat = tile.reshape(*tile.shape[:2], -1)
        twos.append(np.linalg.norm(flat, axis=2))
        ones.append(np.abs(flat).sum(axis=2))
    length = math.prod(cut.tile)
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
