"""Inception modules by one algorithm: it computes every step of every branch."""

from __future__ import annotations

import math
from typing import Any

from algos.adapters import performer
from algos.core.family import MODULES, POOLING, AlgorithmBase

from .problem import InceptionProblem, Step


class Branches(AlgorithmBase):
    """Every step of every branch by one algorithm; maxima by its namesake, else by "parallel"."""

    family = MODULES

    def __init__(self, convolution: Any, pooling: Any) -> None:
        self.convolution, self.pooling = convolution, pooling
        self.name = convolution.name
        self.opt_in = convolution.opt_in
        self.libraries = convolution.libraries
        self.forks = convolution.forks
        self.is_peer = convolution.is_peer

    @property
    def summary(self) -> str:
        return f"Whole modules: convolutions by {self.name}, maxima by {self.pooling.name}."

    def able(self, step: Step) -> Any:
        """Return the algorithm that computes `step`."""
        return self.pooling if step.family is POOLING else self.convolution

    def _ask(self, problem: InceptionProblem, question: str, *more: Any) -> list[Any]:
        steps = [step for branch in problem.branches for step in branch]
        return [getattr(performer(self.able(step), step), question)(step, *more) for step in steps]

    def why_not(self, problem: InceptionProblem) -> str | None:
        return next(filter(None, self._ask(problem, "why_not")), None)

    def workspace_bytes(self, problem: InceptionProblem, threads: int) -> int:
        """Return the bytes that all steps need, which keep them, and the results between steps."""
        between = sum(math.prod(step.output_shape) for b in problem.branches for step in b[:-1])
        return sum(self._ask(problem, "workspace_bytes", threads)) + between * problem.itemsize

    def work(self, problem: InceptionProblem) -> float:
        return sum(self._ask(problem, "work"))
