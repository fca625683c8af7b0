"""Products of spectra with three real multiplications instead of four.

Transforms, tiles and sums over channels are those of `algos.fft.algorithm`. Only the products
differ. Let w = w_r + i·w_i and x = x_r + i·x_i. Gauss's way to multiply them needs three products::

    k₁ = w_r·(x_r + x_i)
    k₂ = (w_i − w_r)·x_r
    k₃ = (w_r + w_i)·x_i

The real part of w·x is k₁ − k₃, and the imaginary part is k₁ + k₂. The sums of w are prepared once
per kernel. The sum of x is made once per input channel and serves all output channels. The sums
over channels are taken of the three products, and combined once per output channel. So three
multiply-adds per channel and frequency replace four, and three numbers per frequency are read
instead of two.

*Sources*: Lavin & Gray, *Fast Algorithms for Convolutional Neural Networks*, CVPR 2016,
arXiv:1509.09308, who name it fast complex multiplication; Zlateski, Jia, Li & Durand, *FFT
Convolutions are Faster than Winograd on Modern CPUs, Here's Why*, 2018, arXiv:1809.07851
(Gauss-FFT). Error: Higham, *Stability of a method for multiplying complex matrices with three real
matrix multiplications*, SIAM J. Matrix Anal. Appl. 13(3), 1992, doi:10.1137/0613043.

Measurements: docs/kernels.md.
"""

from __future__ import annotations

import math

import numpy as np

from algos.backend.compiler import by_ranges, kernel, threaded
from algos.core.algorithm import gamma
from algos.core.problem import Problem

from .algorithm import FFT, kernel_spectra
from .overlap_save import spectral_error, tile_norms
from .spectra import spectrum, tile_grid, tiles_together

#: Frequencies multiplied at a time: three sums and two times three operands of 2 KiB of float32
#: stay in L1.
STRETCH = 512


@threaded
@kernel
def _split_one(n, x, planes):
    """Write the three real factors of spectrum number n: x_r + x_i, x_r and x_i."""
    both, real, imaginary = planes[n, 0], planes[n, 1], planes[n, 2]
    for f in range(real.size):
        both[f] = x[n, f].real + x[n, f].imag
        real[f] = x[n, f].real
        imaginary[f] = x[n, f].imag


@kernel
def _split(x, planes):
    """Split all spectra `x`, (K, F), into `planes`, (K, 3, F)."""
    _split_one(x.shape[0], x, planes)


@kernel
def _add(total, a, b, is_first):
    """Add total[f] += a[f] · b[f], or set it if `is_first`."""
    if is_first:
        for f in range(total.size):
            total[f] = a[f] * b[f]
    else:
        for f in range(total.size):
            total[f] += a[f] * b[f]


@by_ranges
@kernel
def _work(worker, start, end, stretches, x, w, groups, y, sums):
    """Multiply a stretch of the frequencies of some tiles; other arguments as in `_multiply`.

    `worker`: number of the thread; it computes items `start` to `end` − 1.
    `stretches`: stretches of a tile; items are counted over tiles and stretches.
    """
    for item in range(start, end):
        m, block = divmod(item, stretches)
        f0 = block * STRETCH
        f1 = min(f0 + STRETCH, y.shape[2])
        k1 = sums[worker, 0, : f1 - f0]
        k2 = sums[worker, 1, : f1 - f0]
        k3 = sums[worker, 2, : f1 - f0]
        for o in range(w.shape[0]):
            first = o // (w.shape[0] // groups) * w.shape[1]
            for c in range(w.shape[1]):
                i = first + c
                _add(k1, x[m, i, 0, f0:f1], w[o, c, 0, f0:f1], c == 0)
                _add(k2, x[m, i, 1, f0:f1], w[o, c, 1, f0:f1], c == 0)
                _add(k3, x[m, i, 2, f0:f1], w[o, c, 2, f0:f1], c == 0)
            total = y[m, o, f0:f1]
            for f in range(total.size):
                total[f] = complex(k1[f] - k3[f], k1[f] + k2[f])


@kernel
def _multiply(x, w, groups, y, sums):
    """Compute y[m, o, f] = Σ_c x[m, c, f] · w[o, c, f] over the input channels of o's group.

    `x`: factors (M, C, 3, F): x_r + x_i, x_r and x_i.
    `w`: factors (O, C/groups, 3, F): w_r, w_i − w_r and w_r + w_i.
    `y`: spectra (M, O, F), overwritten.
    `sums`: scratch (threads, 3, STRETCH).
    """
    stretches = (y.shape[2] + STRETCH - 1) // STRETCH
    _work(sums.shape[0], x.shape[0] * stretches, stretches, x, w, groups, y, sums)


class GaussFFT(FFT):
    """The same as fft with three real multiplications per product of spectra (Gauss)."""

    name = "fft-gauss"
    operations = ("forward",)
    opt_in = True

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of `fft`, with three numbers per frequency in place of two."""
        grid = tile_grid(problem)
        frequencies = problem.itemsize * math.prod(spectrum(grid))
        kernels = problem.out_channels * (problem.in_channels // problem.groups)
        together = tiles_together(problem, grid) * problem.batch
        multiplying = (5 * problem.in_channels + 2 * problem.out_channels) * frequencies
        multiplying = together * multiplying + threads * 3 * STRETCH * problem.itemsize
        transforming = super().workspace_bytes(problem, threads) - 2 * kernels * frequencies
        return 3 * kernels * frequencies + max(transforming, multiplying)

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        return super().prepared_bytes(problem, threads) // 2 * 3

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """Return the three factors of every kernel's conjugate spectrum, ``(O, C/groups, 3, F)``.

        They are w_r, w_i − w_r and w_r + w_i.
        """
        outputs, inputs = problem.out_channels, problem.in_channels // problem.groups
        frequencies = math.prod(spectrum(tile_grid(problem)))
        factors = np.empty((outputs * inputs, 3, frequencies), w.dtype)
        for start, some in kernel_spectra(problem, w, threads):
            some = some.reshape(len(some), -1)
            part = factors[start : start + len(some)]
            part[:, 0] = some.real  # of the conjugate: the imaginary part changes its sign
            np.negative(some.real + some.imag, out=part[:, 1])
            np.subtract(some.real, some.imag, out=part[:, 2])
        return factors.reshape(outputs, inputs, 3, frequencies)

    def _products(
        self, x: np.ndarray, w: np.ndarray, groups: int, y: np.ndarray, threads: int
    ) -> None:
        factors = np.empty((*x.shape[:2], 3, x.shape[2]), w.dtype)
        _split(x.reshape(-1, x.shape[2]), factors.reshape(-1, 3, x.shape[2]))
        w = w.reshape(*w.shape[:2], 3, -1)
        _multiply(factors, w, groups, y, np.empty((threads, 3, STRETCH), w.dtype))

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return the normwise bound of `spectral_error` with that of three products.

        A part of a product is the difference or sum of two of k₁, k₂, k₃. A sum of C of them has C
        roundings, their two factors have one each, and the combination has one. Every factor is at
        most |w| or |x|, and every sum of two at most √2 times that. So a part errs by at most
        γ_{C+3}·2√2·|w|·|x|, and the product by √2 times that, 4·γ_{C+3}·|w|·|x|: 2√2 times the
        bound with four products.
        """
        v, grid = problem.volume, tile_grid(problem)
        norms = tile_norms(v, grid, x.reshape(v.input_shape))
        products = 4 * gamma(problem.in_channels // problem.groups + 3, problem.dtype)
        return spectral_error(problem, grid.tile, norms, w, magnitude, products=products)
