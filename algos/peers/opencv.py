"""OpenCV's linear filters."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from algos.adapters.borders import extended
from algos.backend.threads import library_threads, load
from algos.core.algorithm import as_correlation
from algos.core.bound import Bound
from algos.core.problem import Problem
from algos.fft.overlap_save import TileGrid, spectral_error, tile_norms
from algos.separable.algorithm import Separable, cross_factors

from .images import (
    Run,
    as_image,
    bind_same_size,
    for_correlation,
    not_offered,
    same_size,
    same_size_bytes,
)
from .library import missing
from .peer import Peer

#: OpenCV's names of the boundaries. Its filters refuse BORDER_WRAP, and their constant is zero.
BORDERS = {
    "zeros": "BORDER_CONSTANT", "nearest": "BORDER_REPLICATE", "reflect": "BORDER_REFLECT",
    "mirror": "BORDER_REFLECT_101",
}  # fmt: skip

#: OpenCV's number for the instruction set, which its Python module gives no name.
CPU_SSE3 = 3


class OpenCVFilter2D(Peer):
    """cv2.filter2D into a given array (``dst``); 1-D as one row.

    It correlates, and its anchor places even kernels. For output sizes other than the image's, the
    image is grown within the call, or the result is cut when it is fetched. The bias is its
    `delta`. From 130 taps on (50 in float64, or without SSE3) it multiplies spectra in double
    precision, see `error_bound`; below, sums run in the data's precision.
    """

    name = "opencv-filter2d"
    libraries = ("cv2",)
    confines_nonfinite = False  # where it multiplies spectra
    exact_on_integers = False  # there as well
    operator = "cv2.filter2D"
    boundaries = tuple(BORDERS)

    def reads_boundary(self, problem: Problem) -> bool:
        """Return False where the image must grow: it grows by zeros."""
        grows = problem.boundary != "zeros" and same_size(problem).place is not None
        return problem.boundary in self.boundaries and not grows

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        if problem.axes == 3:
            return f"{self.operator} filters images of 2 axes, the problem has 3"
        return missing("cv2", "OpenCV") or not_offered(self.operator, problem)

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of grown or cut images and, for many taps, of float64 blocks."""
        image = as_image(problem)
        blocks = [max(256, round(5.5 * taps)) for taps in image.kernel]
        transforms = 24 * math.prod(blocks) if math.prod(image.kernel) >= 50 else 0
        return same_size_bytes(image) + transforms

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Any:
        """Return the kernels for correlation, ``(O, C/groups, F_h, F_w)``."""
        load("cv2")
        return for_correlation(problem, w).reshape(as_image(problem).kernel_shape)

    def pools(self, threads: int) -> AbstractContextManager[None]:
        load("cv2")
        return library_threads("cv2", threads)

    def bind(self, problem: Problem, *given: Any, threads: int) -> Bound:
        image = as_image(problem)
        x, kernels, bias = given
        anchor = same_size(image).anchor[::-1]
        border = getattr(load("cv2"), BORDERS[problem.boundary])
        operator = self._operator(anchor, border)
        bound = bind_same_size(image, x.reshape(image.input_shape), kernels, bias, operator)

        def fetch(results: np.ndarray, out: np.ndarray) -> None:
            bound.fetch(results, out.reshape(image.output_shape))

        return Bound(bound.call, fetch)

    def _operator(self, anchor: tuple[int, ...], border: int) -> Run:
        """Return OpenCV's function with its settings."""
        cv2 = load("cv2")
        return lambda image, kernel, offset, into: cv2.filter2D(
            image, -1, kernel, into, anchor, offset, border
        )

    def has_direct_accuracy(self, problem: Problem) -> bool:
        """Return False where OpenCV multiplies spectra, by the rule of its source."""
        sse3 = load("cv2").checkHardwareSupport(CPU_SSE3)
        fewest = 130 if sse3 and problem.dtype == "float32" else 50
        return math.prod(problem.kernel) < fewest

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return the bound of a direct method, or of transforms in float64 where OpenCV uses them.

        Choice and block sizes follow its source (`dftFilter2D` in filter.dispatch.cpp and
        `crossCorr` in templmatch.cpp). Blocks have at least 256 − F + 1 and 4.5·F outputs, in
        transforms of the next length that suits its DFT. Transforms are float64 for all data; a
        result in float32 is rounded once.
        """
        if self.has_direct_accuracy(problem):
            return super().error_bound(problem, x, w, magnitude)
        cv2, problem = load("cv2"), as_image(problem)
        corrected = same_size(problem).size
        if problem.boundary != "zeros":
            problem, x = extended(problem, x.reshape(problem.input_shape))
        v = problem.volume
        tile, step = [1], [1]
        for taps, size in zip(problem.kernel, corrected, strict=True):
            block = min(max(round(4.5 * taps), 256 - taps + 1), size)
            tile.append(cv2.getOptimalDFTSize(block + taps - 1))
            step.append(min(tile[-1] - taps + 1, size))
        counts = [1, *(-(-size // s) for size, s in zip(corrected, step[1:], strict=True))]
        cut = TileGrid(tuple(tile), tuple(step), tuple(counts))  # type: ignore[arg-type]
        norms = tile_norms(v, cut, x.reshape(v.input_shape))
        additions = problem.in_channels // problem.groups
        return spectral_error(
            problem, cut.tile, norms, w, magnitude, arithmetic="float64", additions=additions
        )


class OpenCVSepFilter2D(OpenCVFilter2D):
    """cv2.sepFilter2D for kernels that are outer products, in the data's precision.

    The factors are found and rounded once, in `prepare`, as `separable` does; kernels without
    factors are refused in the same words.
    """

    name = "opencv-sepfilter2d"
    confines_nonfinite = True
    operator = "cv2.sepFilter2D"

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        return Separable().why_not(problem, w) or super().why_not(problem, w)

    def has_direct_accuracy(self, problem: Problem) -> bool:
        return Separable().has_direct_accuracy(problem)

    def work(self, problem: Problem) -> float:
        """Multiply-adds of the two passes, borders included."""
        return Separable().work(problem)

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of grown or cut images and of a ring of rows as high as the kernel."""
        image = as_image(problem)
        ring = threads * image.kernel[0] * same_size(image).size[1] * problem.itemsize
        return same_size_bytes(image) + ring

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Any:
        """Return the taps along h and w of every kernel, as pairs."""
        load("cv2")
        _, along_h, along_w = cross_factors(as_correlation(problem, w))
        return [
            [(h.astype(w.dtype), k.astype(w.dtype)) for h, k in zip(*channels, strict=True)]
            for channels in zip(along_h, along_w, strict=True)
        ]

    def _operator(self, anchor: tuple[int, ...], border: int) -> Run:
        cv2 = load("cv2")
        return lambda image, kernel, offset, into: cv2.sepFilter2D(
            image, -1, kernel[1], kernel[0], into, anchor, offset, border
        )

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return `Separable.error_bound`: the two passes and their factors are the same."""
        return Separable().error_bound(problem, x, w, magnitude)
