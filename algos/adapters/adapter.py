"""Adapter: what stands in for an algorithm where it computes something by way of something else."""

from __future__ import annotations

import numpy as np

from algos.core.algorithm import Algorithm
from algos.core.problem import Problem


class Adapter(Algorithm):
    """One that answers for `algorithm`: of its name, and with what it promises."""

    def __init__(self, algorithm: Algorithm) -> None:
        self.algorithm = algorithm
        self.name = algorithm.name
        self.confines_nonfinite = algorithm.confines_nonfinite
        self.exact_on_integers = algorithm.exact_on_integers
        self.opt_in = algorithm.opt_in

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        """Why the algorithm itself cannot do it, or None."""
        return self.algorithm.why_not(problem, w)
