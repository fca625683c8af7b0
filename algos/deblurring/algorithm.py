"""Deblurring by one algorithm: it computes every blur and every adjoint."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from algos.adapters import performer
from algos.core.family import DEBLURRING, AlgorithmBase

from .problem import DeblurProblem

#: Images that a plan holds beside the estimate: the ratio, what comes back, and the weight.
HELD = 3


class RichardsonLucy(AlgorithmBase):
    """Richardson and Lucy's iteration with every convolution by one algorithm."""

    family = DEBLURRING

    def __init__(self, convolution: Any) -> None:
        self.convolution = convolution
        self.name = convolution.name
        self.opt_in = convolution.opt_in
        self.libraries = convolution.libraries
        self.forks = convolution.forks
        self.exact_on_integers = False

    @property
    def summary(self) -> str:
        return f"Richardson–Lucy deconvolution, its convolutions by {self.name}."

    def has_direct_accuracy(self, problem: DeblurProblem) -> bool:
        """Return True if both convolutions are as accurate as direct sums."""
        return all(self.convolution.has_direct_accuracy(p) for p in (problem.blur, problem.back))

    def _ask(self, problem: DeblurProblem, question: str, *more: Any) -> list[Any]:
        steps = problem.blur, problem.back
        return [getattr(performer(self.convolution, p), question)(p, *more) for p in steps]

    def why_not(self, problem: DeblurProblem, w: np.ndarray | None = None) -> str | None:
        """Return the reason why one of the convolutions cannot be computed, or None."""
        return next(filter(None, self._ask(problem, "why_not", w)), None)

    def workspace_bytes(self, problem: DeblurProblem, threads: int) -> int:
        """Return the bytes that both convolutions need, which keep them, and the images between."""
        images = HELD * math.prod(problem.input_shape) * problem.itemsize
        return sum(self._ask(problem, "workspace_bytes", threads)) + images

    def work(self, problem: DeblurProblem) -> float:
        """Return the work of all convolutions."""
        return problem.iterations * sum(self._ask(problem, "work"))
