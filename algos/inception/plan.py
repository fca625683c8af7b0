"""InceptionPlan: a module with its kernels, made ready to be called many times."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from algos import registry
from algos.backend import threads as pools
from algos.core.arguments import several
from algos.core.arrays import check_apart, check_out, new, take
from algos.core.bound import Bound
from algos.core.errors import ConvbenchError
from algos.core.family import check_problem
from algos.plan import Plan
from algos.pooling.core.problem import PoolProblem
from algos.pooling.plan import PoolPlan

from .algorithm import Branches
from .problem import InceptionProblem, Step


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
        chosen = registry.get_for(problem, algorithm)
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

    def bind(self, x: np.ndarray, *, out: np.ndarray) -> Bound:
        """Return this computation as it is timed; see `algos.plan.Plan.bind`."""
        return Bound(partial(self, x, out))
