"""Convolution as multiplication of spectra, tile by tile.

This is the convolution theorem in NumPy. Zeros behind the samples keep the ends from wrapping
around.

>>> x, w = np.arange(8.0), np.array([1.0, 2.0, 4.0])
>>> length = len(x) + len(w) - 1
>>> spectrum = np.fft.rfft(x, length) * np.fft.rfft(w, length)
>>> y = np.fft.irfft(spectrum, length)
>>> np.allclose(y, np.convolve(x, w))
True

The theorem turns the sum over taps into one product per frequency. The cost is that of the
transforms, O(log n) per sample for every size of kernel. Inputs much larger than the kernel are cut
into overlapping tiles, whose wrapped-around border is discarded (overlap-save: Stockham,
*High-speed convolution and correlation*, 1966). The products of all input channels are summed in
the frequency domain. So a layer needs one forward transform per input channel and one inverse
transform per output channel. The transforms are those of `scipy.fft` (pocketfft).

Every output of a tile passes through sums over the whole tile. So a NaN or infinity in the input
spreads to its tile, and the error is relative to the tile's norm, not to each output element.

Measurements: docs/kernels.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from algos.backend.compiler import kernel, threaded
from algos.core.algorithm import Algorithm, as_correlation
from algos.core.problem import Problem

from . import weights
from .overlap_save import (
    Index,
    gather,
    kept_outputs,
    places,
    spectral_error,
    spectral_growth,
    tile_norms,
)  # fmt: skip
from .spectra import (
    cost,
    from_spectra,
    kernels_together,
    spectrum,
    tile_grid,
    tiles_together,
    to_spectra,
    transformed_axes,
)

#: Frequencies that `_multiply` takes at a time: 8 KiB of complex64 per operand, for L1.
STRETCH = 1024


@threaded
@kernel
def _multiply_stretch(
    item: int, stretches: int, x: np.ndarray, w: np.ndarray, groups: int, y: np.ndarray
) -> None:
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
def _multiply(x: np.ndarray, w: np.ndarray, groups: int, y: np.ndarray) -> None:
    """Compute y[m, o, f] = Σ_c x[m, c, f] · w[o, c, f] over the input channels of o's group.

    `x`: spectra (M, C, F). `w`: spectra (O, C/groups, F). `y`: spectra (M, O, F).

    Frequencies are taken STRETCH at a time, so that sums and operands stay in the cache.
    """
    stretches = (x.shape[2] + STRETCH - 1) // STRETCH
    _multiply_stretch(x.shape[0] * stretches, stretches, x, w, groups, y)


class FFT(Algorithm):
    """Products of spectra (scipy.fft), overlap-save tiles, channels summed per frequency."""

    name = "fft"
    confines_nonfinite = False
    exact_on_integers = False
    operations: tuple[str, ...] = ("forward", "grad_weight")

    def typical_error(self, problem: Problem) -> float:
        """Return a multiple that is smaller where a direct sum has many terms, and errs more."""
        return spectral_growth(problem)

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        if problem.operation == "grad_weight":
            return weights.workspace_bytes(problem)
        grid = tile_grid(problem)
        kernels = problem.out_channels * (problem.in_channels // problem.groups)
        together = tiles_together(problem, grid) * problem.batch
        frequencies = 2 * problem.itemsize * math.prod(spectrum(grid))
        real = problem.itemsize * grid.samples
        passes = 1 if problem.axes == 1 else 2  # the inverse over several axes makes a copy
        going = problem.in_channels * (frequencies + real)
        coming = (problem.in_channels + passes * problem.out_channels) * frequencies
        coming += problem.out_channels * real
        preparing = kernels_together(problem, grid) * (frequencies + real)
        return kernels * frequencies + max(preparing, together * max(going, coming))

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        kernels = problem.out_channels * (problem.in_channels // problem.groups)
        return kernels * 2 * problem.itemsize * math.prod(spectrum(tile_grid(problem)))

    def work(self, problem: Problem) -> float:
        """Return the cost by which the tiling was chosen."""
        return cost(problem.volume, tile_grid(problem), transformed_axes(problem))

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """Return conjugate half spectra of the zero-stuffed kernels.

        Their shape is ``(O, C/groups, *spectrum)``.
        """
        grid = tile_grid(problem)
        outputs, inputs = problem.out_channels, problem.in_channels // problem.groups
        kind = np.result_type(w.dtype, np.complex64)
        spectra = np.empty((outputs * inputs, *spectrum(grid)), kind)
        for start, some in kernel_spectra(problem, w, threads):
            np.conjugate(some, out=spectra[start : start + len(some)])
        return spectra.reshape(outputs, inputs, *spectrum(grid))

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        v, grid = problem.volume, tile_grid(problem)
        x, y = x.reshape(v.input_shape), out.reshape(v.output_shape)
        w = prepared.reshape(*prepared.shape[:2], -1)
        everywhere, together = list(places(grid)), tiles_together(problem, grid)
        for start in range(0, len(everywhere), together):
            some = everywhere[start : start + together]
            _filter(problem, grid, x, w, y, some, self._products, threads)
        if problem.bias:
            y += bias.reshape(-1, 1, 1, 1)

    def _products(
        self, x: np.ndarray, w: np.ndarray, groups: int, y: np.ndarray, threads: int
    ) -> None:
        """Write the sums of products of spectra, as `_multiply` does."""
        _multiply(x, w, groups, y)

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        weights.grad_weight(problem, x, g, out, threads)

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return the normwise bound of `spectral_error`, the same for every output element."""
        if problem.operation == "grad_weight":
            return weights.error_bound(problem, x, w, magnitude)
        v, grid = problem.volume, tile_grid(problem)
        norms = tile_norms(v, grid, x.reshape(v.input_shape))
        return spectral_error(problem, grid.tile, norms, w, magnitude)


def kernel_spectra(
    problem: Problem, w: np.ndarray, threads: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the half spectra of some zero-stuffed kernels, after the number of the first.

    The kernels are numbered output channel by output channel; the spectra are not conjugated.
    """
    v, grid = problem.volume, tile_grid(problem)
    w = as_correlation(problem, w)
    kernels = w.reshape(-1, *v.kernel)
    taps: Index = tuple(slice(0, e, d) for e, d in zip(v.extent, v.dilation, strict=True))
    padded = np.zeros((kernels_together(problem, grid), *grid.tile), w.dtype)
    for start in range(0, len(kernels), len(padded)):
        some = kernels[start : start + len(padded)]
        padded[(slice(len(some)), *taps)] = some
        yield start, to_spectra(problem, padded[: len(some)], threads)


def _filter(
    problem: Problem, grid: Any, x: np.ndarray, w: np.ndarray, y: np.ndarray, some: Any,
    multiply: Callable[..., None], threads: int,
) -> None:  # fmt: skip
    """Write the outputs of the tiles at the places `some`; `w` are the spectra of the kernels.

    ``multiply(spectra, w, groups, products, threads)`` multiplies and sums over input channels.
    """
    v = problem.volume
    spectra = to_spectra(problem, gather(v, grid, x, some), threads)
    frequencies = math.prod(spectrum(grid))
    spectra = spectra.reshape(len(some) * v.batch, v.in_channels, frequencies)
    products = np.empty((len(spectra), v.out_channels, frequencies), spectra.dtype)
    multiply(spectra, w, v.groups, products, threads)
    results = from_spectra(problem, grid, products, threads)
    results = results.reshape(len(some), v.batch, v.out_channels, *grid.tile)
    for result, place in zip(results, some, strict=True):
        if kept := kept_outputs(v, grid, place):
            y[kept[1]] = result[kept[0]]
