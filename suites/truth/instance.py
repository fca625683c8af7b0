"""A case with its numbers: the one interface of worker and judge to a problem of any family.

Each family has one subclass, listed in `suites.truth.families`. Timing and judging are written
once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np

from algos.adapters import performer
from algos.core.arrays import new
from algos.core.errors import KernelRefusedError
from algos.core.memory_order import laid_out
from algos.core.problem import Problem
from suites.cases.data import arrays
from suites.cases.fills import largest_integer
from suites.cases.suite import Case

from . import comparison as check
from . import oracle
from .properties import laws_of

#: ``run(problem, *arrays) -> result``, or None if the algorithm cannot do that problem.
Run = Callable[..., np.ndarray | None]


class Instance:
    """A case and the `arrays` it is computed from; the first is an input that may be varied.

    Inputs and gradients of outputs lie in memory as the problem's layout says.
    """

    case: Case
    arrays: tuple[np.ndarray, ...]

    #: Values put into the first array to test which outputs they reach.
    nonfinite: tuple[float, ...] = (np.nan, np.inf, -np.inf)

    @classmethod
    def of(cls, case: Case, arrays: tuple[np.ndarray, ...]) -> Self:
        """Return an instance of the case with the given arrays."""
        instance = object.__new__(cls)
        instance.case, instance.arrays = case, arrays
        return instance

    @property
    def problem(self) -> Any:
        """The problem of the case."""
        return self.case.problem

    @property
    def first(self) -> np.ndarray:
        """The input, or the output's gradient for operations that start from it."""
        return self.arrays[0]

    def with_first(self, first: np.ndarray) -> Self:
        """Return the same instance with another first array."""
        changed = object.__new__(type(self))
        vars(changed).update(vars(self), arrays=(first, *self.arrays[1:]))
        return changed

    def result(self) -> np.ndarray:
        """Return an array for the result, in its layout and full of NaN."""
        problem = self.problem
        out = new(problem.result_shape, np.dtype(problem.dtype), problem.result_layout)
        out.fill(np.nan)
        return out

    def finite(self) -> Self:
        """Return this instance with zeros for NaN and infinity, which cannot be judged."""
        if np.isfinite(self.first).all():
            return self
        return self.with_first(np.nan_to_num(self.first, nan=0.0, posinf=0.0, neginf=0.0))

    def reason_against(self, algorithm: Any) -> str | None:
        """Return the reason why `algorithm` cannot do the problem, or None."""
        return performer(algorithm, self.problem).why_not(self.problem)

    def plan(self, algorithm: Any, threads: int) -> tuple[Any, tuple[Any, ...]]:
        """Return a plan and its arrays; the array for the result comes last in a call.

        ``plan.bind(*arrays, out=out)`` is the computation as it is timed.
        """
        raise NotImplementedError

    def positions(self, products: int, least: int, most: int, seed: int = 0) -> np.ndarray:
        """Return output positions to compare, for about `products` products of the oracle."""
        count = min(most, max(least, products // self.problem.terms))
        return oracle.some_positions(self.problem.result_shape, count, seed)

    def truth(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the exact result at `positions`, and the magnitude that errors scale with."""
        raise NotImplementedError

    def bound(self, algorithm: Any, magnitude: np.ndarray) -> np.ndarray:
        """Return the algorithm's own bound on its error."""
        raise NotImplementedError

    def check(self, algorithm: Any, y: np.ndarray, positions: np.ndarray) -> check.Verdict:
        """Compare result `y` with the oracle."""
        exact, magnitude = self.truth(positions)
        bound = self.bound(algorithm, magnitude.astype(np.float64))
        return check.compare(y, positions, exact, bound)

    def is_exact(self, algorithm: Any) -> bool:
        """Return True if the algorithm computes whole results exactly, without rounding."""
        return bool(algorithm.exact_on_integers)

    def must_equal(self, algorithm: Any, bound: np.ndarray) -> bool:
        """Return True if the result must equal the exact one, which is whole numbers."""
        raise NotImplementedError

    def lost(self, positions: np.ndarray) -> np.ndarray:
        """Return the error at `positions` if the largest term is left out."""
        raise NotImplementedError

    def reached(self, at: tuple[int, ...], positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return two masks: results that may, and that must, show a NaN at `at` of the first."""
        raise NotImplementedError

    def aside(self, algorithm: Any, positions: np.ndarray) -> str | None:
        """Return an error in the results beside the main one, such as switches, or None."""
        return None

    def laws(self) -> Sequence[Callable[..., bool | None]]:
        """Return laws that hold without an oracle, called as ``law(problem, rng, run)``."""
        raise NotImplementedError

    def runner(self, algorithm: Any, threads: int) -> Run:
        """Return the function by which laws run the algorithm."""
        raise NotImplementedError


class ConvolutionInstance(Instance):
    """Arrays are the problem's two operands, and its bias where it has one."""

    def __init__(self, case: Case, seed: int = 0) -> None:
        x, w, bias = arrays(case, seed)
        x = laid_out(x, case.problem.layout)
        if case.problem.operation == "grad_weight":
            w = laid_out(w, case.problem.layout)
        self.case = case
        self.arrays = (x, w) if bias is None else (x, w, bias)

    @property
    def _bias(self) -> np.ndarray | None:
        return self.arrays[2] if len(self.arrays) > 2 else None

    def reason_against(self, algorithm: Any) -> str | None:
        return check.reason_against(algorithm, self.problem, self.arrays[1])

    def plan(self, algorithm: Any, threads: int) -> tuple[Any, tuple[Any, ...]]:
        x, w = self.arrays[:2]
        return check.plan_for(self.problem, x, w, self._bias, algorithm, threads)

    def truth(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, w = self.arrays[:2]
        return check.truth(self.problem, positions, x, w, self._bias)

    def bound(self, algorithm: Any, magnitude: np.ndarray) -> np.ndarray:
        able = performer(algorithm, self.problem)
        return np.asarray(able.error_bound(self.problem, *self.arrays[:2], magnitude))

    def must_equal(self, algorithm: Any, bound: np.ndarray) -> bool:
        integers = self.case.pixels == "integers" and self.case.weights.startswith("integer")
        cval = self.problem.cval  # a factor of products like every sample
        integers &= cval.is_integer() and abs(cval) <= largest_integer(self.problem)
        return integers and (
            algorithm.exact_on_integers
            or self.case.weights == "integer-rank1"
            or float(bound.max()) < 0.5
        )

    def lost(self, positions: np.ndarray) -> np.ndarray:
        w = self.arrays[1]
        flat = np.abs(w).reshape(len(w), -1)
        lone = np.zeros_like(flat)
        rows = np.arange(len(flat))
        lone[rows, flat.argmax(axis=1)] = flat.max(axis=1)
        lone = lone.reshape(w.shape)
        if self.problem.operation == "grad_weight":  # it has many terms; one line is left out
            lone[:] = 0
            lone[..., -1] = np.abs(w[..., -1])
        return check.truth(_linear(self.problem), positions, abs(self.first), lone, None)[0]

    def reached(self, at: tuple[int, ...], positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        w = self.arrays[1]
        mark, linear = np.zeros_like(self.first), _linear(self.problem)
        mark[at] = 1
        may, must = (
            check.truth(linear, positions, mark, taps.astype(mark.dtype), None)[0] != 0
            for taps in (np.ones_like(w), w != 0)
        )
        return may, must

    def laws(self) -> Sequence[Callable[..., bool | None]]:
        return laws_of(self.problem.operation)

    def runner(self, algorithm: Any, threads: int) -> Run:
        def run(problem: Any, x: np.ndarray, w: np.ndarray) -> np.ndarray | None:
            if check.reason_against(algorithm, problem, w):
                return None
            bias = np.zeros(problem.bias_shape, problem.dtype) if problem.bias else None
            plan, given = check.plan_for(problem, x, w, bias, algorithm, threads)
            try:
                y = plan(*given)
            except KernelRefusedError:
                return None
            if algorithm.exact_on_integers:
                return y
            # The largest possible Σ|x||w| on integers.
            most = np.array([float((problem.terms + 1) * largest_integer(problem) ** 2)])
            bound = performer(algorithm, problem).error_bound(problem, x, w, most)
            return np.rint(y) if float(np.max(bound)) < 0.5 else None

        return run


def _linear(problem: Problem) -> Problem:
    """Return the problem without the terms that hold no sample: zeros instead of a constant."""
    return replace(problem, boundary="zeros", cval=0.0) if problem.cval else problem
