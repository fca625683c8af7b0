"""SciPy's signal processing: direct sums, one large FFT, or overlap-add."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np
import scipy

from algos.backend.threads import blas_threads, fft_workers, load
from algos.core.bound import Bound
from algos.core.problem import Problem
from algos.fft.overlap_save import spectral_error

from .images import each_result, fetch_each, for_convolution, mode_of, not_offered, take
from .peer import Peer


class ScipyDirect(Peer):
    """scipy.signal.convolve with method "direct"; in 2-D convolve2d, several times as fast.

    `convolve` goes to `numpy.convolve` in 1-D and to plain loops over any number of axes in
    3-D. In 2-D those loops took 4 to 8 times as long as `convolve2d`'s, so its users turn to
    that. Every one sums products in the data's own precision: the bound is the one of any
    direct method. SciPy allocates its result.
    """

    name = "scipy-direct"
    libraries = ("scipy.signal",)
    #: In 3-D, SciPy swaps image and kernel where the kernel is the larger, and multiplies the
    #: zeros it pads with by the image: 0·NaN is NaN.
    confines_nonfinite = False

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        return not_offered("scipy.signal.convolve", problem)

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        results = (problem.batch * problem.out_channels + 1) * math.prod(_full(problem))
        return (results + math.prod(problem.input_shape)) * problem.itemsize

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        return for_convolution(problem, w)

    def pools(self, threads: int) -> AbstractContextManager[None]:
        return blas_threads(threads)

    def bind(self, problem: Problem, *given: Any, threads: int) -> Bound:
        signal = load("scipy.signal")
        x, kernels, bias = given[0].copy(), *given[1:]
        mode = mode_of(problem)
        method = () if problem.axes == 2 else ("direct",)
        convolve = signal.convolve2d if problem.axes == 2 else signal.convolve

        def operator(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
            result: np.ndarray = convolve(image, kernel, mode, *method)
            return result

        return Bound(
            partial(each_result, problem, x, kernels, bias, operator),
            partial(fetch_each, problem, bias, mode),
        )


class ScipyFFT(Peer):
    """scipy.signal.fftconvolve: one transform of the whole image; batches in one call.

    Images and channels are axes that it carries along, so a layer is one call, with channels
    summed afterwards. It transforms the kernel anew on each call, so only the flip is prepared. The
    mode is always "full", which saves the copy of the other modes; the output is a part of it.
    """

    name = "scipy-fft"
    libraries = ("scipy.signal",)
    confines_nonfinite = False
    exact_on_integers = False
    function = "fftconvolve"

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        return not_offered(f"scipy.signal.{self.function}", problem)

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of the three spectra; the product is transformed back in two steps."""
        pairs = problem.out_channels * (problem.in_channels // problem.groups)
        images = problem.batch * (2 * problem.in_channels + 3 * pairs) + pairs
        return images * math.prod(self._tile(problem)) * problem.itemsize

    def work(self, problem: Problem) -> float:
        """Return the number of samples transformed, times its logarithm."""
        pairs = problem.out_channels * (problem.in_channels // problem.groups)
        transforms = problem.batch * (problem.in_channels + pairs) + pairs
        samples = math.prod(_full(problem))
        return transforms * samples * math.log2(math.prod(self._tile(problem)) + 1)

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """Return the kernels to be flipped, ``(1, groups, O/groups, C/groups, *kernel)``."""
        g = problem.groups
        return for_convolution(problem, w).reshape(1, g, problem.out_channels // g, *w.shape[1:])

    def bind(self, problem: Problem, *given: Any, threads: int) -> Bound:
        x, kernels, bias = given[0].copy(), *given[1:]
        convolve = getattr(load("scipy.signal"), self.function)
        n, g, spatial = problem.batch, problem.groups, tuple(range(-problem.axes, 0))
        x = x.reshape(n, g, 1, -1, *problem.size)
        offset = bias.reshape(g, -1, *[1] * problem.axes)
        workers = fft_workers(threads)

        def call() -> np.ndarray:
            with scipy.fft.set_workers(workers):
                result = convolve(x, kernels, "full", axes=spatial)
            result = result.sum(axis=3) if x.shape[3] > 1 else result[:, :, :, 0]
            if problem.bias:
                result += offset
            return result

        def fetch(result: np.ndarray, out: np.ndarray) -> None:
            y = out.reshape(n, g, -1, *problem.output_size)
            take(problem, result, "full", y, offset)

        return Bound(call, fetch)

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return `spectral_error` of one tile that holds the whole image."""
        part = x.reshape(problem.volume.input_shape).astype(np.float64)
        norms = np.sqrt(np.einsum("ncdhw,ncdhw->nc", part, part))
        additions = problem.in_channels // problem.groups
        return spectral_error(
            problem, self._tile(problem), norms, w, magnitude, additions=additions
        )

    def _tile(self, problem: Problem) -> tuple[int, int, int]:
        full = [scipy.fft.next_fast_len(n, real=True) for n in _full(problem)]
        d, h, w = [1] * (3 - problem.axes) + full
        return d, h, w


class ScipyOverlapAdd(ScipyFFT):
    """scipy.signal.oaconvolve: blocks transformed one by one, their overlaps added."""

    name = "scipy-oaconvolve"
    function = "oaconvolve"

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the inherited bytes, scaled by block length over step for the overlaps."""
        longer = 1.0
        for size, taps in zip(problem.size, problem.kernel, strict=True):
            block = _block(size, taps)
            if block is not None:
                longer *= block[0] / (block[0] - min(size, taps) + 1)
        padded = problem.batch * problem.in_channels * math.prod(_full(problem)) * problem.itemsize
        return int(longer * super().workspace_bytes(problem, threads)) + padded

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return `spectral_error` of the blocks: up to 2^axes of them overlap in one output.

        The sum of their bounds is at most 2^axes times that of the block of largest norm. Along
        an axis that is not cut, where another one is, SciPy transforms exactly W + F − 1
        samples. A length of large prime factors may then go through Bluestein's three
        transforms of less than four times that length, which is what is charged.
        """
        v = problem.volume
        axes = range(3 - problem.axes, 3)
        blocks = {a: _block(v.size[a], v.kernel[a]) for a in axes}
        tile = list(self._tile(problem))
        squares = x.reshape(v.input_shape).astype(np.float64) ** 2
        parts = 1
        for a, block in blocks.items():
            if block is None:
                squares = squares.sum(axis=2 + a, keepdims=True)
                continue
            tile[a], step = block
            parts *= 2
            squares = np.add.reduceat(squares, np.arange(0, v.size[a], step), axis=2 + a)
        whole = [n for n, b in zip(_full(problem), blocks.values(), strict=True) if b is None]
        charge = float(parts)
        if parts > 1 and any(scipy.fft.next_fast_len(n, real=True) != n for n in whole):
            charge *= 3 * (1 + 2 * problem.axes / math.log2(math.prod(tile)))
        norms = charge * np.sqrt(squares)
        norms = np.moveaxis(norms, 1, -1).reshape(-1, problem.in_channels)
        additions = problem.in_channels // problem.groups + parts - 1
        d, h, k = tile
        return spectral_error(problem, (d, h, k), norms, w, magnitude, additions=additions)


def _full(problem: Problem) -> list[int]:
    """Return the number of samples of the full result, per axis."""
    return [w + k - 1 for w, k in zip(problem.size, problem.kernel, strict=True)]


def _block(size: int, taps: int) -> tuple[int, int] | None:
    """Transform length of `oaconvolve` along an axis and the image's step, or None: no blocks.

    Its rule (SciPy 1.17): with overlap K = shorter − 1 the cost N·log2(2N)/(N − K) is least at N =
    −K·W₋₁(−1/(2eK)). W₋₁ is Lambert's function. Blocks are used if the shorter array is below half
    of the longer one. The kernel is what is cut where it is the longer; the image is then whole.
    """
    longer, shorter = max(size, taps), min(size, taps)
    if shorter == 1 or 2 * shorter >= longer:
        return None
    overlap = shorter - 1
    best = -overlap * load("scipy.special").lambertw(-1 / (2 * math.e * overlap), k=-1).real
    block = scipy.fft.next_fast_len(math.ceil(best))
    if block >= longer:
        return None
    return block, block - shorter + 1 if size > taps else size
