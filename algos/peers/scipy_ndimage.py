"""SciPy's image filters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from algos.backend.threads import load
from algos.core.algorithm import Algorithm, gamma, subnormal_error
from algos.core.problem import Problem

from .images import each_image, for_correlation, not_offered, same_size, same_size_bytes

#: 1-D kernels of at least this many taps are `correlate1d`'s: it was 1.9 times as fast at 63
#: taps and 0.7 times at 3 (2-core Zen 4).
LINE_TAPS = 16


class ScipyNdimage(Algorithm):
    """scipy.ndimage.correlate, borders constant, written straight into the output.

    Its sums run in double precision for all data and are rounded once. The bound is γ_{n+1} of
    float64. The problem's dtype counts only for that rounding, the bias and the sum over channels.
    Taps below 2.2e-16 in size are taken for zero by it, which the bound does not forgive. It runs
    on one thread.
    """

    is_peer = True
    name = "scipy-ndimage"
    libraries = ("scipy.ndimage",)
    opt_in = True

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        return not_offered("scipy.ndimage.correlate", problem)

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        return same_size_bytes(problem) + 8 * math.prod(problem.kernel_shape)

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """Return the kernels for correlation, in the double precision that they are used in."""
        return for_correlation(problem, w).astype(np.float64)

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        ndimage = load("scipy.ndimage")
        placed = same_size(problem)
        origin = [a - k // 2 for a, k in zip(placed.anchor, problem.kernel, strict=True)]
        line = problem.axes == 1 and problem.kernel[0] >= LINE_TAPS

        def run(image: Any, kernel: Any, offset: Any, into: Any) -> None:
            def operator(source: np.ndarray, result: np.ndarray) -> None:
                if line:
                    ndimage.correlate1d(
                        source, kernel, output=result, mode="constant", origin=origin[0]
                    )
                else:
                    ndimage.correlate(source, kernel, output=result, mode="constant", origin=origin)

            placed.filter(image, into, operator)
            if offset:
                into += offset

        each_image(problem, x, prepared, bias, out, run)

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return γ_{n+1}(float64)·magnitude for the sums plus γ_{C+2}·magnitude for the rest."""
        later = gamma(problem.in_channels // problem.groups + 2, problem.dtype)
        sums = gamma(problem.taps + 1, "float64")
        return (sums + later + sums * later) * magnitude + subnormal_error(problem)
