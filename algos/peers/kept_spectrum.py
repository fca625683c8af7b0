"""FFTW and ducc0: one transform of the whole image, multiplied with a kept spectrum of the kernel.

Correlation is x ⋆ w = F⁻¹(F(x)·conj F(w)). The kernel's spectrum is computed once, in float64, and
rounded; it holds the factor 1/T of the transform back. The image lies in an array of its own,
surrounded by the zeros of its padding. Zeros before and behind it may be the same ones, since a
transform is circular: T is W plus the larger of the two, at least the kernel's and the result's
length, or the next length that the library likes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy

from algos.backend.threads import load, tell
from algos.core.bound import Bound
from algos.core.problem import Problem
from algos.fft.overlap_save import spectral_error

from .images import Index, for_correlation, not_offered
from .library import missing
from .peer import Peer


class KeptSpectrum(Peer):
    """One transform of the whole image by a library of transforms, the kernel's spectrum kept."""

    confines_nonfinite = False
    exact_on_integers = False

    #: Module of the library, and its name in sentences.
    module: str
    title: str

    def good_size(self, n: int) -> int:
        """Return the least length from `n` on that the library transforms quickly."""
        raise NotImplementedError

    def transforms(
        self, image: np.ndarray, spectrum: np.ndarray, product: np.ndarray, result: np.ndarray,
        axes: tuple[int, ...], threads: int,
    ) -> tuple[Callable[[], Any], Callable[[], Any]]:  # fmt: skip
        """Return the transforms image → spectrum and product → result, without any scale.

        They may overwrite the product. What the arrays hold is lost.
        """
        raise NotImplementedError

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return an array as the library likes it."""
        return np.empty(shape, dtype)

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        return missing(self.module, self.title) or not_offered(self.title, problem)

    def lengths(self, problem: Problem) -> tuple[int, ...]:
        """Return the samples of a transform along each axis."""
        return tuple(map(self.good_size, _least(problem)))

    def _spectrum(self, problem: Problem) -> tuple[int, ...]:
        *lead, last = self.lengths(problem)
        return *lead, last // 2 + 1

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of images, spectra, products and results, for lengths as SciPy's."""
        per_group = problem.in_channels // problem.groups
        pairs = problem.out_channels * per_group
        images = problem.batch * (2 * problem.in_channels + 2 * problem.out_channels)
        products = problem.batch * pairs * (per_group > 1)
        samples = math.prod(scipy.fft.next_fast_len(n, real=True) for n in _least(problem))
        return (images + products + 2 * pairs) * samples * problem.itemsize

    def work(self, problem: Problem) -> float:
        """Return the number of samples transformed, times its logarithm."""
        samples = math.prod(w + k for w, k in zip(problem.size, problem.kernel, strict=True))
        planes = problem.batch * (problem.in_channels + problem.out_channels)
        return planes * samples * math.log2(samples + 1)

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """Return the spectra, ``(groups, O/groups, C/groups, *spectrum)``, and plan transforms."""
        load(self.module)
        lengths = self.lengths(problem)
        axes = tuple(range(-problem.axes, 0))
        kernels = for_correlation(problem, w).astype(np.float64)
        spectra = np.conj(scipy.fft.rfftn(kernels, s=lengths, axes=axes)) / math.prod(lengths)
        kind = np.complex64 if problem.dtype == "float32" else np.complex128
        shape = (problem.groups, problem.out_channels // problem.groups, *spectra.shape[1:])
        kept = self.empty(shape, kind)
        kept[...] = spectra.reshape(shape)
        self._bind(problem, kept, None, threads)
        return kept

    def bind(self, problem: Problem, *given: Any, threads: int) -> Bound:
        x, kernels, bias = given
        image, call = self._bind(problem, kernels, bias if problem.bias else None, threads)
        image[...] = 0
        inside: Index = tuple(
            slice(before, before + w)
            for w, (before, _) in zip(problem.size, problem.padding, strict=True)
        )
        image.reshape(*x.shape[:2], *image.shape[-problem.axes :])[(..., *inside)] = x
        kept: Index = tuple(map(slice, problem.output_size))

        def fetch(result: np.ndarray, out: np.ndarray) -> None:
            out[...] = result[(..., *kept)].reshape(out.shape)

        return Bound(call, fetch)

    def _bind(
        self, problem: Problem, kernels: np.ndarray, bias: np.ndarray | None, threads: int
    ) -> tuple[np.ndarray, Callable[[], np.ndarray]]:
        """Return the array for the image, ``(N, groups, 1, C/groups, *lengths)``, and the call."""
        n, g, axes = problem.batch, problem.groups, tuple(range(-problem.axes, 0))
        outputs, channels = kernels.shape[1:3]
        lengths, spectrum = self.lengths(problem), self._spectrum(problem)
        image = self.empty((n, g, 1, channels, *lengths), problem.dtype)
        transformed = self.empty((n, g, 1, channels, *spectrum), kernels.dtype)
        summed = self.empty((n, g, outputs, *spectrum), kernels.dtype)
        result = self.empty((n, g, outputs, *lengths), problem.dtype)
        forward, backward = self.transforms(image, transformed, summed, result, axes, threads)
        several = None
        if channels > 1:
            several = self.empty((n, g, outputs, channels, *spectrum), kernels.dtype)
        offset = None if bias is None else bias.reshape(g, -1, *[1] * problem.axes)
        tell(self.module, threads)

        def call() -> np.ndarray:
            forward()
            if several is None:
                np.multiply(transformed[:, :, :, 0], kernels[:, :, 0], out=summed)
            else:
                np.multiply(transformed, kernels, out=several)
                np.sum(several, axis=3, out=summed)
            backward()
            if offset is not None:
                np.add(result, offset, out=result)
            return result

        return image, call

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return `spectral_error` of one tile that holds the whole image."""
        part = x.reshape(problem.volume.input_shape).astype(np.float64)
        norms = np.sqrt(np.einsum("ncdhw,ncdhw->nc", part, part))
        d, h, k = [1] * (3 - problem.axes) + list(self.lengths(problem))
        additions = problem.in_channels // problem.groups
        return spectral_error(problem, (d, h, k), norms, w, magnitude, additions=additions)


def _least(problem: Problem) -> list[int]:
    """Return the least samples of a transform along each axis."""
    return [
        max(w + max(zeros), taps, outputs)
        for w, zeros, taps, outputs in zip(
            problem.size, problem.padding, problem.kernel, problem.output_size, strict=True
        )
    ]


class FFTW(KeptSpectrum):
    """FFTW through pyfftw: plans measured (FFTW_MEASURE), arrays aligned, kernel spectrum kept.

    The plans of a process come from its wisdom after the first.
    """

    name = "fftw"
    libraries = ("pyfftw",)
    module, title = "pyfftw", "FFTW, by pyfftw,"

    def good_size(self, n: int) -> int:
        return int(load("pyfftw").next_fast_len(n))

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        array: np.ndarray = load("pyfftw").empty_aligned(shape, dtype)
        return array

    def transforms(
        self, image: np.ndarray, spectrum: np.ndarray, product: np.ndarray, result: np.ndarray,
        axes: tuple[int, ...], threads: int,
    ) -> tuple[Callable[[], Any], Callable[[], Any]]:  # fmt: skip
        plan = load("pyfftw").FFTW
        forward = plan(image, spectrum, axes, threads=threads, flags=("FFTW_MEASURE",))
        backward = plan(
            product, result, axes, "FFTW_BACKWARD", threads=threads,
            flags=("FFTW_MEASURE", "FFTW_DESTROY_INPUT"),
        )  # fmt: skip
        return forward.execute, backward.execute


class Ducc(KeptSpectrum):
    """ducc0's transforms, results written into given arrays, kernel spectrum kept."""

    name = "ducc0"
    libraries = ("ducc0",)
    module, title = "ducc0", "ducc0"

    def good_size(self, n: int) -> int:
        return int(load("ducc0").fft.good_size(n, True))

    def transforms(
        self, image: np.ndarray, spectrum: np.ndarray, product: np.ndarray, result: np.ndarray,
        axes: tuple[int, ...], threads: int,
    ) -> tuple[Callable[[], Any], Callable[[], Any]]:  # fmt: skip
        fft, last = load("ducc0").fft, result.shape[-1]
        over = [axis % image.ndim for axis in axes]
        back = [axis % product.ndim for axis in axes]

        def forward() -> None:
            fft.r2c(image, over, out=spectrum, nthreads=threads)

        def backward() -> None:
            fft.c2r(
                product, back, last, False, out=result, nthreads=threads,
                allow_overwriting_input=True,
            )  # fmt: skip

        return forward, backward
