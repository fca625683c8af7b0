"""An Inception module with its numbers, checked step by step before it is timed."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from algos.core.errors import ConvbenchError
from algos.inception.plan import InceptionPlan
from algos.inception.problem import InceptionProblem
from suites.cases.data import seeded
from suites.cases.suite import Case

from . import oracle
from .comparison import Verdict
from .instance import ConvolutionInstance, Instance
from .pool_instance import PoolInstance


class ModuleInstance(Instance):
    """A module with its numbers; arrays are the input and the kernels of all convolutions."""

    def __init__(self, case: Case, seed: int = 0) -> None:
        if (case.weights, case.pixels) != ("random", "random"):
            raise ConvbenchError("a module as a whole is given random numbers, nothing else")
        problem = case.problem
        rng = seeded(seed, str(replace(problem, name="")))
        kind = np.dtype(problem.dtype).type
        x = rng.standard_normal(problem.input_shape, dtype=kind)
        kernels = [
            rng.standard_normal(step.kernel_shape, dtype=kind) * kind(1 / math.sqrt(step.taps))
            for step in problem.convolutions
        ]
        self.case, self.arrays = case, (x, *kernels)

    def plan(self, algorithm: Any, threads: int) -> tuple[Any, tuple[Any, ...]]:
        self._plan = InceptionPlan(
            self.problem, self.arrays[1:], algorithm=algorithm, threads=threads
        )
        return self._plan, (self.first,)

    def check(self, algorithm: Any, y: np.ndarray, positions: np.ndarray) -> Verdict:
        """Compare every step with the oracle on its own input, and `y` with the last steps."""
        kernels, worst, error, start = iter(self.arrays[1:]), 0.0, 0.0, 0
        for chain in self._plan.chains:
            given = self.first
            for plan in chain:
                step: Any = plan.problem
                made = plan(given)
                pools = step.family.name == "pooling"
                kind: type[Instance] = PoolInstance if pools else ConvolutionInstance
                operands = (given,) if pools else (given, next(kernels))
                instance = kind.of(Case(step), operands)
                count = max(16, len(positions) // 8)
                at = oracle.some_positions(step.result_shape, count)
                verdict = instance.check(algorithm.able(step), made, at)
                if not verdict.passed:
                    return replace(verdict, reason=f"in step {step}: {verdict.reason}")
                worst, given = max(worst, verdict.error_over_bound), made
                error = max(error, verdict.relative_error)
            stop = start + made.shape[1]
            if not np.array_equal(y[:, start:stop], made):
                return Verdict(
                    math.inf, f"channels {start} to {stop} are not what the steps of {step} give"
                )
            start = stop
        return Verdict(worst, relative_error=error)


def explain(problem: InceptionProblem) -> list[str]:
    """Return lines on the parts of a module, and on the work that its reductions save."""
    lines = [f"input  {problem.input_shape}"]
    for branch in problem.branches:
        lines.append("branch " + " → ".join(str(step) for step in branch))
    whole, without = problem.textbook_multiply_adds, problem.unreduced.textbook_multiply_adds
    lines.append(f"output {problem.output_shape}")
    lines.append(f"{whole} multiply-adds, padding counted as in the paper")
    if problem.saved:
        lines.append(
            f"without 1×1 reductions {without}: they save {problem.saved:.0%}, "
            f"and {problem.unreduced.output_shape[1]} channels become {problem.output_shape[1]}"
        )
    lines.append(
        f"{problem.multiply_adds} multiply-adds that meet a sample, {problem.parameters} "
        f"parameters, {problem.compulsory_bytes} bytes to move at least"
    )
    return lines
