"""NumPy's own 1-D convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from algos.backend.threads import blas_threads
from algos.core.algorithm import Algorithm
from algos.core.problem import Problem

from .images import each_image, for_correlation, mode_of, not_offered, take


class NumpyConvolve(Algorithm):
    """numpy.convolve, one dot product per output; 1-D.

    Called as `numpy.correlate` with the kernel turned in `prepare`, which is what
    `numpy.convolve` does on each call. The dot products are BLAS's, whose sums may be taken
    in any order: the bound is the one of any direct method. NumPy allocates its result; it is
    copied once.
    """

    is_peer = True
    name = "numpy-convolve"
    opt_in = True

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        if problem.axes != 1:
            return f"numpy.convolve has 1 axis, the problem has {problem.axes}"
        return not_offered("numpy.convolve", problem)

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        samples = problem.size[0] + problem.kernel[0] - 1 + problem.output_size[0]
        return samples * problem.itemsize

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        return for_correlation(problem, w)

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        mode = mode_of(problem)

        def run(image: Any, kernel: Any, offset: Any, into: Any) -> None:
            take(problem, np.correlate(image, kernel, mode), mode, into)
            if offset:
                into += offset

        with blas_threads(threads):
            each_image(problem, x, prepared, bias, out, run)
