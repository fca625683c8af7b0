"""SciPy's image filters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from algos.backend.threads import load
from algos.core.algorithm import gamma, subnormal_error
from algos.core.bound import Bound
from algos.core.boundary import BOUNDARIES
from algos.core.problem import Problem

from .images import bind_same_size, for_correlation, not_offered, same_size, same_size_bytes
from .peer import Peer

#: 1-D kernels of at least this many taps are `correlate1d`'s: it was 1.9 times as fast at 63
#: taps and 0.7 times at 3 (2-core Zen 4).
LINE_TAPS = 16


class ScipyNdimage(Peer):
    """scipy.ndimage.correlate with its modes for the border, written into a given array.

    Its sums run in double precision for all data and are rounded once. The bound is γ_{n+1} of
    float64. The problem's dtype counts only for that rounding, the bias and the sum over channels.
    Taps below 2.2e-16 in size are taken for zero by it, which the bound does not forgive. It runs
    on one thread.
    """

    name = "scipy-ndimage"
    libraries = ("scipy.ndimage",)
    boundaries = BOUNDARIES

    def reads_boundary(self, problem: Problem) -> bool:
        """Return False where the image must grow, or where SciPy reads memory outside of it."""
        if problem.boundary == "zeros":
            return True
        # SciPy 1.17 is wrong about "reflect" from four times the size of the image on.
        near = all(e <= 3 * n for e, n in zip(problem.extent, problem.size, strict=True))
        return same_size(problem).place is None and (near or problem.boundary != "reflect")

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        return not_offered("scipy.ndimage.correlate", problem)

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        return same_size_bytes(problem) + 8 * math.prod(problem.kernel_shape)

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """Return the kernels for correlation, in the double precision that they are used in."""
        return for_correlation(problem, w).astype(np.float64)

    def bind(self, problem: Problem, *given: Any, threads: int) -> Bound:
        ndimage = load("scipy.ndimage")
        placed = same_size(problem)
        origin = [a - k // 2 for a, k in zip(placed.anchor, problem.kernel, strict=True)]
        line = problem.axes == 1 and problem.kernel[0] >= LINE_TAPS
        function = ndimage.correlate1d if line else ndimage.correlate
        where: Any = origin[0] if line else origin
        mode = "constant" if problem.boundary == "zeros" else problem.boundary

        def run(image: np.ndarray, kernel: np.ndarray, offset: float, into: np.ndarray) -> None:
            function(image, kernel, output=into, mode=mode, cval=problem.cval, origin=where)
            if offset:
                into += offset

        x, kernels, bias = given
        return bind_same_size(problem, x, kernels, bias, run)

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return γ_{n+1}(float64)·magnitude for the sums plus γ_{C+2}·magnitude for the rest."""
        later = gamma(problem.in_channels // problem.groups + 2, problem.dtype)
        sums = gamma(problem.taps + 1, "float64")
        return (sums + later + sums * later) * magnitude + subnormal_error(problem)
