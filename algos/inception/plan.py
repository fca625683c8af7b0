"""Computation of Inception modules: every branch by one algorithm, outputs concatenated."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from algos.backend import threads as pools
from algos.core.arguments import several
from algos.core.arrays import check_apart, check_out, new, take
from algos.core.errors import ConvbenchError
from algos.core.family import CONVOLUTION, POOLING, AlgorithmBase, check_problem
from algos.plan import Plan
from algos.pooling.core.problem import PoolProblem
from algos.pooling.plan import PoolPlan

from .problem import MODULES, InceptionProblem, Step


class Branches(AlgorithmBase):
    """Every step of every branch by one algorithm; maxima by its namesake, else by "parallel"."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.convolution = CONVOLUTION.get(name)
        pooling = POOLING.registry()
        self.pooling = pooling.get(name, pooling["parallel"])
        self.opt_in = self.convolution.opt_in
        self.libraries = self.convolution.libraries
        self.family = MODULES

    @property
    def is_peer(self) -> bool:
        return self.convolution.is_peer

    @property
    def summary(self) -> str:
        return f"Whole modules: convolutions by {self.name}, maxima by {self.pooling.name}."

    def able(self, step: Step) -> Any:
        """Return the algorithm that computes `step`."""
        return self.pooling if step.family is POOLING else self.convolution

    def _ask(self, problem: InceptionProblem, what: str, *more: Any) -> list[Any]:
        """Return the answers of every step's algorithm to its method `what`."""
        steps = [step for branch in problem.branches for step in branch]
        return [getattr(self.able(step).performer(step), what)(step, *more) for step in steps]

    def why_not(self, problem: InceptionProblem) -> str | None:
        return next(filter(None, self._ask(problem, "why_not")), None)

    def workspace_bytes(self, problem: InceptionProblem, threads: int) -> int:
        """Bytes that the steps need and keep, and of the results between them."""
        between = sum(math.prod(step.output_shape) for b in problem.branches for step in b[:-1])
        return sum(self._ask(problem, "workspace_bytes", threads)) + between * problem.itemsize

    def work(self, problem: InceptionProblem) -> float:
        return sum(self._ask(problem, "work"))


class InceptionPlan:
    """Prepared module with its kernels: ``plan(x) -> y``.

    Parameters
    ----------
    problem : InceptionProblem
    weights : sequence of ndarray
        One for each of the problem's `convolutions`.
    algorithm : str or Branches
    threads : int, optional
    """

    def __init__(
        self,
        problem: InceptionProblem,
        weights: Any,
        *,
        algorithm: str | Branches = "parallel",
        threads: int | None = None,
    ) -> None:
        check_problem(problem, InceptionProblem)
        chosen = MODULES.get(algorithm)
        if reason := chosen.why_not(problem.with_images):
            raise ConvbenchError(f"{chosen.name} cannot do this: {reason}")
        weights = several(weights)
        if len(weights) != len(problem.convolutions):
            raise ConvbenchError(
                f"the module has {len(problem.convolutions)} convolutions, "
                f"{len(weights)} kernels were given"
            )
        self.problem, self.algorithm = problem, chosen
        self.threads = pools.check(threads)
        kernels = iter(weights)
        self.chains = [[self._step(step, kernels) for step in b] for b in problem.branches]

    def _step(self, step: Step, kernels: Any) -> Plan | PoolPlan:
        """Return the plan of one step; a convolution takes the next of `kernels`."""
        able = self.algorithm.able(step)
        if isinstance(step, PoolProblem):
            return PoolPlan(step, algorithm=able, threads=self.threads)
        return Plan(step, next(kernels), algorithm=able, threads=self.threads)

    def __repr__(self) -> str:
        problem, name = str(self.problem), self.algorithm.name
        return f"{type(self).__name__}({problem!r}, algorithm={name!r}, threads={self.threads})"

    def __call__(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return the outputs of all branches for `x` (N, C, *size), concatenated: (N, O, *size)."""
        problem, dtype = self.problem, np.dtype(self.problem.dtype)
        x = take("input", x, problem.input_shape, dtype)
        if out is None:
            out = new(problem.output_shape, dtype)
        check_out(out, problem.output_shape, dtype)
        check_apart(out, "input", x)
        start = 0
        for chain in self.chains:
            y = x
            for plan in chain[:-1]:
                y = plan(y)
            stop = start + chain[-1].problem.output_shape[1]
            place = out[:, start:stop]
            if place.flags.c_contiguous:  # a single image needs no copy
                chain[-1](y, out=place)
            else:
                place[...] = chain[-1](y)
            start = stop
        return out
