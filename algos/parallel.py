"""Direct convolution at the speed of the machine: Numba, threads and vector registers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import direct_channels, direct_generic
from .algorithm import Algorithm, as_correlation
from .problem import Problem


@dataclass(frozen=True)
class Prepared:
    path: str
    weights: np.ndarray


def choose(problem):
    return "channels" if problem.out_channels // problem.groups >= 8 else "generic"


class Parallel(Algorithm):
    """Direct convolution, blocked, vectorised and on all threads."""

    name = "parallel"

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Prepared:
        w = as_correlation(problem, w)
        path = choose(problem)
        if path == "channels":
            return Prepared(path, direct_channels.prepare(problem, w, threads))
        return Prepared(path, w)

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        if prepared.path == "channels":
            direct_channels.forward(problem, x, prepared.weights, bias, out, threads)
        else:
            direct_generic.forward(problem, x, prepared.weights, bias, out)
