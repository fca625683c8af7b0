"""NumPy's own 1-D convolution."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np

from algos.backend.threads import blas_threads
from algos.core.bound import Bound
from algos.core.problem import Problem

from .images import each_result, fetch_each, for_correlation, mode_of, not_offered
from .peer import Peer


class NumpyConvolve(Peer):
    """numpy.convolve, one dot product per output; 1-D.

    Called as `numpy.correlate` with the kernel turned in `prepare`, which is what
    `numpy.convolve` does on each call. The dot products are BLAS's, whose sums may be taken
    in any order: the bound is the one of any direct method. NumPy
    allocates its result.
    """

    name = "numpy-convolve"

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        if problem.axes != 1:
            return f"numpy.convolve has 1 axis, the problem has {problem.axes}"
        return not_offered("numpy.convolve", problem)

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        full = problem.size[0] + problem.kernel[0] - 1
        results = (problem.batch * problem.out_channels + 1) * full
        return (results + math.prod(problem.input_shape)) * problem.itemsize

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        return for_correlation(problem, w)

    def pools(self, threads: int) -> AbstractContextManager[None]:
        return blas_threads(threads)

    def bind(self, problem: Problem, *given: Any, threads: int) -> Bound:
        x, kernels, bias = given[0].copy(), *given[1:]
        mode = mode_of(problem)

        def operator(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
            return np.correlate(image, kernel, mode)

        return Bound(
            partial(each_result, problem, x, kernels, bias, operator),
            partial(fetch_each, problem, bias, mode),
        )
