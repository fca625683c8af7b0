"""Convolution as multiplication of spectra, tile by tile.

The convolution theorem turns the sum over taps into one product per frequency; what remains
are the transforms, O(log n) per sample whatever the kernel's size. Inputs much larger than
the kernel are cut into overlapping tiles whose wrapped-around border is thrown away
(overlap-save: Stockham, *High-speed convolution and correlation*, 1966). The products of all
input channels are summed in the frequency domain, so a layer needs one forward transform per
input channel and one inverse per output channel. Transforms are `scipy.fft`'s (pocketfft).

Because every output of a tile passes through sums over the whole tile, a NaN or infinity in
the input spreads to its tile, and the error is relative to the tile's norm, not to each
output element.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import scipy.fft

from .algorithm import Algorithm, as_correlation, gamma, subnormal_error, unit_roundoff
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

Index = tuple[Any, ...]


@dataclass(frozen=True)
class Tiling:
    """How a problem is cut: tiles of `tile` input samples, `step` stride-1 outputs apart.

    `axes` are the axes of the volume (0 to 2) that are transformed: the problem's own.
    """

    tile: tuple[int, int, int]
    step: tuple[int, int, int]
    counts: tuple[int, int, int]
    axes: tuple[int, ...]

    @property
    def tiles(self) -> int:
        """Tiles per image and channel."""
        return math.prod(self.counts)

    @property
    def samples(self) -> int:
        """Real samples in a tile."""
        return math.prod(self.tile)

    @property
    def spectrum(self) -> tuple[int, ...]:
        """Shape of a tile's half spectrum."""
        shape = list(self.tile)
        shape[self.axes[-1]] = shape[self.axes[-1]] // 2 + 1
        return tuple(shape)


@lru_cache(maxsize=256)
def tiling(problem: Problem) -> Tiling:
    """The cheapest tiling by a count of operations, with a surcharge for leaving the cache."""
    v = problem.volume
    axes = tuple(range(3 - problem.axes, 3))
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
        (_cut(v, tile, axes) for tile in itertools.product(*choices)),
        key=lambda cut: _cost(v, cut),
    )


def _cut(v: Problem, tile: tuple[int, ...], axes: tuple[int, ...]) -> Tiling:
    step = tuple(t - e + 1 for t, e in zip(tile, v.extent, strict=True))
    counts = tuple(
        -(-(reach - e + 1) // s) for reach, e, s in zip(v.reach, v.extent, step, strict=True)
    )
    return Tiling(tile, step, counts, axes)  # type: ignore[arg-type]


def _cost(v: Problem, cut: Tiling) -> float:
    """Relative time of one call: transforms, products, and a little for every tile."""
    transformed = math.prod(cut.tile[a] for a in cut.axes)
    transforms = v.batch * cut.tiles * (v.in_channels + v.out_channels)
    if v.operation == "grad_weight":
        transforms += v.out_channels * (v.in_channels // v.groups)
    products = v.batch * cut.tiles * v.out_channels * (v.in_channels // v.groups)
    rate = 15 + math.log2(transformed)
    rate *= 1 + 0.18 * max(0.0, math.log2(cut.samples * v.itemsize / BATCH_BYTES))
    for a in cut.axes:
        rate *= 1.0 if cut.tile[a] in GOOD_LENGTHS else OTHER_LENGTHS_COST
    per_transform = cut.samples * rate + 20_000
    return transforms * per_transform + products * cut.samples * 3.0


@kernel(parallel=True)
def _multiply(x, w, groups, y):
    """y[m, o, f] = Σ_c x[m, c, f] · w[o, c, f] over the input channels of o's group.

    x : (M, C, F) spectra; w : (O, C/groups, F); y : (M, O, F). The frequencies are walked in
    stretches short enough for a stretch of y to stay in the first-level cache.
    """
    outputs_per_group = w.shape[0] // groups
    stretch = 1024
    stretches = (x.shape[2] + stretch - 1) // stretch
    for item in numba.prange(x.shape[0] * stretches):
        m, block = divmod(np.int64(item), stretches)
        f0 = block * stretch
        f1 = min(f0 + stretch, x.shape[2])
        for o in range(w.shape[0]):
            first = o // outputs_per_group * w.shape[1]
            total = y[m, o, f0:f1]
            for c in range(w.shape[1]):
                a = x[m, first + c, f0:f1]
                b = w[o, c, f0:f1]
                if c == 0:
                    for f in range(total.size):
                        total[f] = a[f] * b[f]
                else:
                    for f in range(total.size):
                        total[f] += a[f] * b[f]


class FFT(Algorithm):
    """Products of spectra (scipy.fft), overlap-save tiles, channels summed per frequency."""

    name = "fft"
    confines_nonfinite = False
    exact_on_integers = False
    operations = ("forward", "grad_weight")

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        cut = tiling(problem)
        kernels = problem.out_channels * (problem.in_channels // problem.groups)
        together = tiles_together(problem, cut) * problem.batch
        channels = problem.in_channels + problem.out_channels
        spectrum = 2 * problem.itemsize * math.prod(cut.spectrum)
        real = problem.itemsize * cut.samples
        return kernels * spectrum + together * channels * (spectrum + real)

    def work(self, problem: Problem) -> float:
        """The cost by which the tiling was chosen."""
        return _cost(problem.volume, tiling(problem))

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """Conjugate half spectra of the zero-stuffed kernels, ``(O, C/groups, *spectrum)``."""
        v, cut = problem.volume, tiling(problem)
        w = as_correlation(problem, w)
        padded = np.zeros(w.shape[:2] + cut.tile, w.dtype)
        taps: Index = tuple(slice(0, e, d) for e, d in zip(v.extent, v.dilation, strict=True))
        padded[(..., *taps)] = w
        spectra = self.forward_transform(padded, cut, threads)
        return np.conjugate(spectra, out=spectra)

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        v, cut = problem.volume, tiling(problem)
        x, y = x.reshape(v.input_shape), out.reshape(v.output_shape)
        frequencies = math.prod(cut.spectrum)
        w = prepared.reshape(*prepared.shape[:2], frequencies)
        places = list(itertools.product(*(range(n) for n in cut.counts)))
        together = tiles_together(problem, cut)
        for start in range(0, len(places), together):
            some = places[start : start + together]
            tiles = gather(v, cut, x, some)
            spectra = self.forward_transform(tiles, cut, threads)
            spectra = spectra.reshape(len(some) * v.batch, v.in_channels, frequencies)
            products = np.empty((len(spectra), v.out_channels, frequencies), spectra.dtype)
            _multiply(spectra, w, v.groups, products)
            results = self.inverse_transform(products, cut, threads)
            results = results.reshape(len(some), v.batch, v.out_channels, *cut.tile)
            _scatter(v, cut, results, some, y)
        if problem.bias:
            y += bias.reshape(-1, 1, 1, 1)

    def forward_transform(self, tiles: np.ndarray, cut: Tiling, threads: int) -> np.ndarray:
        axes = [tiles.ndim - 3 + a for a in cut.axes]
        return scipy.fft.rfftn(tiles, axes=axes, workers=threads)

    def inverse_transform(self, spectra: np.ndarray, cut: Tiling, threads: int) -> np.ndarray:
        spectra = spectra.reshape(-1, *cut.spectrum)
        axes = [1 + a for a in cut.axes]
        lengths = [cut.tile[a] for a in cut.axes]
        return scipy.fft.irfftn(spectra, s=lengths, axes=axes, workers=threads, overwrite_x=True)

    def grad_weight(self, problem, x, g, out, threads) -> None:
        from . import fft_weights

        fft_weights.grad_weight(self, problem, x, g, out, threads)

    def error_bound(self, problem, x, w, magnitude):
        """Normwise, see `spectral_error`: the same bound for every element of the output."""
        if problem.operation == "grad_weight":
            from . import fft_weights

            return fft_weights.error_bound(problem, x, w, magnitude)
        v, cut = problem.volume, tiling(problem)
        norms = tile_norms(v, cut, x.reshape(v.input_shape))
        return spectral_error(problem, cut.tile, norms, w, magnitude)


def spectral_error(
    problem: Problem,
    tile: tuple[int, int, int],
    norms: np.ndarray,
    w: np.ndarray,
    magnitude: np.ndarray,
    *,
    arithmetic: str | None = None,
    additions: int = 1,
) -> np.ndarray:
    """Bound on |computed − exact| of a convolution through transforms of the size of `tile`.

    One transform of T samples errs by ε = log2(T)·η in the 2-norm, η = u + γ_4·√2 with
    twiddle factors accurate to u (Higham, *Accuracy and Stability*, 2nd ed., Theorem
    24.2, stated for radix 2; radices 3, 5 are charged log2 of theirs). Write x, w for a
    tile and kernel of one channel and sum over the channels:

    - rounding in both forward transforms and in the products reaches an output element,
      by Cauchy-Schwarz and Parseval, as at most (2ε + √2·γ_{C+3})·‖x‖₂·‖w‖₂;
    - the inverse transform adds ε times the norm of its whole result, at most
      ‖x‖₂·max|ŵ|.

    ``ε²`` terms are covered by evaluating with 1 + 3ε. The tile of largest norm counts.

    Parameters
    ----------
    norms : (tiles, C)
        2-norm of the samples of every tile.
    w : (O, C/groups, *kernel)
    magnitude : |x| ⋆ |w| + |bias| at some positions of the output
    arithmetic : dtype name, optional
        What the transforms compute in, where that is not the problem's dtype.
    additions : int
        Roundings in the problem's dtype after the transform back: the bias, and for some
        the sum over channels or tiles.
    """
    v = problem.volume
    arithmetic = arithmetic or problem.dtype
    length = math.prod(tile)
    epsilon = math.log2(max(length, 2)) * (
        unit_roundoff(arithmetic) + math.sqrt(2) * gamma(4, arithmetic)
    )
    products = math.sqrt(2) * gamma(problem.in_channels // problem.groups + 3, arithmetic)
    kernels = as_correlation(problem, w).astype(np.float64)
    flat = np.linalg.norm(kernels.reshape(*kernels.shape[:2], -1), axis=2)
    if set(v.dilation) == {1} and all(k <= t for k, t in zip(v.kernel, tile, strict=True)):
        spectra = scipy.fft.rfftn(kernels, s=tile, axes=(2, 3, 4))
        peaks = np.abs(spectra).max(axis=(2, 3, 4))
    else:  # a zero-stuffed kernel's spectrum is the kernel's, repeated; a cut one's is unknown
        peaks = np.abs(kernels).sum(axis=(2, 3, 4))
    weight = (2 * epsilon + products) * flat + epsilon * peaks
    per_group = norms.reshape(len(norms), v.groups, -1)
    weight = weight.reshape(v.groups, v.out_channels // v.groups, -1)
    worst = float(np.einsum("mgc,goc->mgo", per_group, weight).max())
    adding = 2 * gamma(additions + 1, problem.dtype) * magnitude
    return (1 + 3 * epsilon) * worst + adding + length * subnormal_error(problem)


def tiles_together(problem: Problem, cut: Tiling) -> int:
    """How many tiles to transform in one batch."""
    channels = max(problem.in_channels, problem.out_channels) * problem.batch
    return max(1, min(cut.tiles, BATCH_BYTES // (channels * cut.samples * problem.itemsize)))


def _window(v: Problem, cut: Tiling, place: tuple[int, ...]) -> tuple[Index, Index]:
    """Where the input samples of the tile at `place` lie, and where in the tile they go."""
    sources, targets = [], []
    for a, index in enumerate(place):
        origin = index * cut.step[a] - v.padding[a][0]
        first, last = max(origin, 0), min(origin + cut.tile[a], v.size[a])
        last = max(first, last)
        sources.append(slice(first, last))
        targets.append(slice(first - origin, last - origin))
    return (..., *sources), (..., *targets)


def gather(v: Problem, cut: Tiling, x: np.ndarray, places: list) -> np.ndarray:
    """Tiles of the zero-padded input, ``(places, N, C, *tile)``."""
    tiles = np.empty((len(places), *x.shape[:2], *cut.tile), x.dtype)
    for tile, place in zip(tiles, places, strict=True):
        sources, targets = _window(v, cut, place)
        if targets[1:] != tuple(slice(0, n) for n in cut.tile):
            tile[...] = 0
        tile[targets] = x[sources]
    return tiles


def _scatter(v: Problem, cut: Tiling, results: np.ndarray, places: list, y: np.ndarray) -> None:
    """Write each tile's valid outputs that the stride keeps; ``results (places, N, O, *tile)``."""
    for result, place in zip(results, places, strict=True):
        if kept := kept_outputs(v, cut, place):
            y[kept[1]] = result[kept[0]]


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


def tile_norms(v: Problem, cut: Tiling, x: np.ndarray) -> np.ndarray:
    """2-norm of every tile, ``(tiles · N, C)``."""
    norms = []
    for place in itertools.product(*(range(n) for n in cut.counts)):
        sources, _ = _window(v, cut, place)
        part = x[sources].astype(np.float64)
        norms.append(np.sqrt(np.einsum("ncdhw,ncdhw->nc", part, part)))
    return np.concatenate(norms)
