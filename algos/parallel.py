"""Direct convolution at the speed of the machine: Numba, threads and vector registers."""

from __future__ import annotations

import numpy as np

from . import direct_generic
from .algorithm import Algorithm, as_correlation
from .problem import Problem


class Parallel(Algorithm):
    """Direct convolution, blocked, vectorised and on all threads."""

    name = "parallel"

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """The kernel as a volume, flipped where the problem asks for convolution."""
        return as_correlation(problem, w)

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        direct_generic.forward(problem, x, prepared, bias, out)
