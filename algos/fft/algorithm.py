"""Convolution as multiplication of spectra, tile by tile.

The convolution theorem, in NumPy; zeros behind keep the ends from wrapping around:

>>> x, w = np.arange(8.0), np.array([1.0, 2.0, 4.0])
>>> length = len(x) + len(w) - 1
>>> spectrum = np.fft.rfft(x, length) * np.fft.rfft(w, length)
>>> y = np.fft.irfft(spectrum, length)
>>> np.allclose(y, np.convolve(x, w))
True

It turns the sum over taps into one product per frequency. The cost is that of
the transforms, O(log n) per sample for every size of kernel. Inputs much larger than the kernel are
cut into overlapping tiles, whose wrapped-around border is discarded (overlap-save: Stockham,
*High-speed convolution and correlation*, 1966). The products of all input channels are summed in
the frequency domain. So a layer needs one forward transform per input channel and one inverse
transform per output channel. The transforms are those of `scipy.fft` (pocketfft).

Every output of a tile passes through sums over the whole tile. So a NaN or infinity in the input
spreads to its tile, and the error is relative to the tile's norm, not to each output element.

Measurements: docs/kernels.md.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from functools import lru_cache

import numpy as np
import scipy  # submodules are imported where used: scipy.fft takes 0.1 s

from algos.backend.compiler import kernel, threaded
from algos.backend.threads import fft_workers
from algos.core.algorithm import Algorithm, as_correlation
from algos.core.problem import Problem

from .overlap_save import (
    Index,
    Tiling,
    cut_up,
    gather,
    kept_outputs,
    places,
    spectral_error,
    tile_norms,
)  # fmt: skip

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
def tiling(problem: Problem) -> Tiling:
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
        key=lambda cut: _cost(v, cut, axes),
    )


def transformed_axes(problem: Problem) -> tuple[int, ...]:
    """Return the axes of the volume that are transformed: the problem's own."""
    return tuple(range(3 - problem.axes, 3))


def spectrum(cut: Tiling) -> tuple[int, ...]:
    """Return the shape of a tile's half spectrum."""
    return (*cut.tile[:2], cut.tile[2] // 2 + 1)


def _cost(v: Problem, cut: Tiling, axes: tuple[int, ...]) -> float:
    """Estimate the relative time of one call: transforms, products, and a constant per tile."""
    transformed = math.prod(cut.tile[a] for a in axes)
    transforms = v.batch * cut.tiles * (v.in_channels + v.out_channels)
    if v.operation == "grad_weight":
        transforms += v.out_channels * (v.in_channels // v.groups)
    products = v.batch * cut.tiles * v.out_channels * (v.in_channels // v.groups)
    rate = 15 + math.log2(transformed)
    rate *= 1 + 0.18 * max(0.0, math.log2(cut.samples * v.itemsize / BATCH_BYTES))
    for a in axes:
        rate *= 1.0 if cut.tile[a] in GOOD_LENGTHS else OTHER_LENGTHS_COST
    per_transform = cut.samples * rate + 20_000
    return transforms * per_transform + products * cut.samples * 3.0


#: Frequencies that `_multiply` takes at a time: 8 KiB of complex64 per operand, for L1.
STRETCH = 1024


@threaded
@kernel
def _multiply_stretch(item, stretches, x, w, groups, y):
    """Compute `_multiply` for some frequencies of one tile.

    `item`: number of the stretch, counted over tiles and the `stretches` of a tile.
    """
    m, block = divmod(item, stretches)
    f0 = block * STRETCH
    f1 = min(f0 + STRETCH, x.shape[2])
    for o in range(w.shape[0]):
        first = o // (w.shape[0] // groups) * w.shape[1]
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


@kernel
def _multiply(x, w, groups, y):
    """Compute y[m, o, f] = Σ_c x[m, c, f] · w[o, c, f] over the input channels of o's group.

    `x`: spectra (M, C, F). `w`: spectra (O, C/groups, F). `y`: spectra (M, O, F).

    Frequencies are taken STRETCH at a time, so that sums and operands stay in the cache.
    """
    stretches = (x.shape[2] + STRETCH - 1) // STRETCH
    _multiply_stretch(x.shape[0] * stretches, stretches, x, w, groups, y)


def to_spectra(problem: Problem, tiles: np.ndarray, threads: int) -> np.ndarray:
    """Return the half spectra of `tiles` (…, *tile)."""
    axes = [tiles.ndim - 3 + a for a in transformed_axes(problem)]
    return scipy.fft.rfftn(tiles, axes=axes, workers=fft_workers(threads))


def from_spectra(problem: Problem, cut: Tiling, spectra: np.ndarray, threads: int) -> np.ndarray:
    """Return the tiles (M, *tile) of half `spectra`, whose memory is overwritten."""
    axes = transformed_axes(problem)
    return scipy.fft.irfftn(
        spectra.reshape(-1, *spectrum(cut)), s=[cut.tile[a] for a in axes],
        axes=[1 + a for a in axes], workers=fft_workers(threads), overwrite_x=True,
    )  # fmt: skip


class FFT(Algorithm):
    """Products of spectra (scipy.fft), overlap-save tiles, channels summed per frequency."""

    name = "fft"
    confines_nonfinite = False
    exact_on_integers = False
    operations = ("forward", "grad_weight")

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        if problem.operation == "grad_weight":
            from . import weights as fft_weights

            return fft_weights.workspace_bytes(problem)
        cut = tiling(problem)
        kernels = problem.out_channels * (problem.in_channels // problem.groups)
        together = tiles_together(problem, cut) * problem.batch
        frequencies = 2 * problem.itemsize * math.prod(spectrum(cut))
        real = problem.itemsize * cut.samples
        passes = 1 if problem.axes == 1 else 2  # the inverse over several axes makes a copy
        going = problem.in_channels * (frequencies + real)
        coming = (problem.in_channels + passes * problem.out_channels) * frequencies
        coming += problem.out_channels * real
        preparing = kernels_together(problem, cut) * (frequencies + real)
        return kernels * frequencies + max(preparing, together * max(going, coming))

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        kernels = problem.out_channels * (problem.in_channels // problem.groups)
        return kernels * 2 * problem.itemsize * math.prod(spectrum(tiling(problem)))

    def work(self, problem: Problem) -> float:
        """Return the cost by which the tiling was chosen."""
        return _cost(problem.volume, tiling(problem), transformed_axes(problem))

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """Return conjugate half spectra of the zero-stuffed kernels.

        Their shape is ``(O, C/groups, *spectrum)``.
        """
        v, cut = problem.volume, tiling(problem)
        w = as_correlation(problem, w)
        kernels = w.reshape(-1, *v.kernel)
        kind = np.result_type(w.dtype, np.complex64)
        spectra = np.empty((len(kernels), *spectrum(cut)), kind)
        taps: Index = tuple(slice(0, e, d) for e, d in zip(v.extent, v.dilation, strict=True))
        padded = np.zeros((kernels_together(problem, cut), *cut.tile), w.dtype)
        for start in range(0, len(kernels), len(padded)):
            some = kernels[start : start + len(padded)]
            padded[(slice(len(some)), *taps)] = some
            transformed = to_spectra(problem, padded[: len(some)], threads)
            np.conjugate(transformed, out=spectra[start : start + len(some)])
        return spectra.reshape(*w.shape[:2], *spectrum(cut))

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        v, cut = problem.volume, tiling(problem)
        x, y = x.reshape(v.input_shape), out.reshape(v.output_shape)
        w = prepared.reshape(*prepared.shape[:2], -1)
        everywhere, together = list(places(cut)), tiles_together(problem, cut)
        for start in range(0, len(everywhere), together):
            _filter(problem, cut, x, w, y, everywhere[start : start + together], threads)
        if problem.bias:
            y += bias.reshape(-1, 1, 1, 1)

    def grad_weight(self, problem, x, g, out, threads) -> None:
        from . import weights as fft_weights

        fft_weights.grad_weight(problem, x, g, out, threads)

    def error_bound(self, problem, x, w, magnitude):
        """Return the normwise bound of `spectral_error`, the same for every output element."""
        if problem.operation == "grad_weight":
            from . import weights as fft_weights

            return fft_weights.error_bound(problem, x, w, magnitude)
        v, cut = problem.volume, tiling(problem)
        norms = tile_norms(v, cut, x.reshape(v.input_shape))
        return spectral_error(problem, cut.tile, norms, w, magnitude)


def tiles_together(problem: Problem, cut: Tiling) -> int:
    """Return the number of tiles to transform in one batch."""
    channels = max(problem.in_channels, problem.out_channels) * problem.batch
    return max(1, min(cut.tiles, BATCH_BYTES // (channels * cut.samples * problem.itemsize)))


def kernels_together(problem: Problem, cut: Tiling) -> int:
    """Return the number of kernels to transform in one batch."""
    kernels = problem.out_channels * (problem.in_channels // problem.groups)
    return max(1, min(kernels, BATCH_BYTES // (cut.samples * problem.itemsize)))


def _filter(problem, cut, x, w, y, some, threads) -> None:
    """Write the outputs of the tiles at the places `some`; `w` are the spectra of the kernels."""
    v = problem.volume
    spectra = to_spectra(problem, gather(v, cut, x, some), threads)
    spectra = spectra.reshape(len(some) * v.batch, v.in_channels, w.shape[2])
    products = np.empty((len(spectra), v.out_channels, w.shape[2]), spectra.dtype)
    _multiply(spectra, w, v.groups, products)
    results = from_spectra(problem, cut, products, threads)
    results = results.reshape(len(some), v.batch, v.out_channels, *cut.tile)
    for result, place in zip(results, some, strict=True):
        if kept := kept_outputs(v, cut, place):
            y[kept[1]] = result[kept[0]]
