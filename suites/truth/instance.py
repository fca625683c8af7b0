"""A case with its numbers: all that worker and judge ask of a problem, whatever its family.

One subclass a family; `suites.truth.families` knows which. What is done with it, timing and judging,
is written once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from algos.adapters import performer
from algos.core.errors import KernelRefusedError
from suites.cases.data import arrays
from suites.cases.fills import largest_integer
from suites.cases.suite import Case

from . import comparison as check
from . import oracle
from .properties import laws_of

#: ``run(problem, *arrays) -> result``, or None where the algorithm cannot do that problem.
Run = Callable[..., np.ndarray | None]


class Instance:
    """A case, and the `arrays` it is computed from; the first is an input that may be varied."""

    case: Case
    arrays: tuple[np.ndarray, ...]

    #: Values that an element of the first array may take to see where they spread.
    nonfinite: tuple[float, ...] = (np.nan, np.inf, -np.inf)

    @classmethod
    def of(cls, case: Case, arrays: tuple[np.ndarray, ...]) -> Self:
        """The case with arrays of one's own."""
        trial = object.__new__(cls)
        trial.case, trial.arrays = case, arrays
        return trial

    @property
    def problem(self) -> Any:
        """What is computed."""
        return self.case.problem

    @property
    def first(self) -> np.ndarray:
        """The input, or whatever a gradient is computed from in its place."""
        return self.arrays[0]

    def with_first(self, first: np.ndarray) -> Self:
        """The same on another first array."""
        changed = object.__new__(type(self))
        vars(changed).update(vars(self), arrays=(first, *self.arrays[1:]))
        return changed

    def finite(self) -> Self:
        """This trial, zeros for what is not finite: it can be timed, but not judged."""
        if np.isfinite(self.first).all():
            return self
        return self.with_first(np.nan_to_num(self.first, nan=0.0, posinf=0.0, neginf=0.0))

    def reason_against(self, algorithm: Any) -> str | None:
        """Why `algorithm` cannot do it, or None."""
        return performer(algorithm, self.problem).why_not(self.problem)

    def plan(self, algorithm: Any, threads: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """What to call, and the arrays to call it with, ahead of one for the result."""
        raise NotImplementedError

    def positions(self, products: int, least: int, most: int, seed: int = 0) -> np.ndarray:
        """Where to compare, so that the oracle sums up to about `products`."""
        count = min(most, max(least, products // self.problem.terms))
        return oracle.some_positions(self.problem.result_shape, count, seed)

    def truth(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The exact result, and what rounding errors act upon, at `positions`."""
        raise NotImplementedError

    def bound(self, algorithm: Any, magnitude: np.ndarray) -> np.ndarray:
        """The algorithm's own bound on its error."""
        raise NotImplementedError

    def check(self, algorithm: Any, y: np.ndarray, positions: np.ndarray) -> check.Verdict:
        """Hold result `y` to the oracle."""
        exact, magnitude = self.truth(positions)
        bound = self.bound(algorithm, magnitude.astype(np.float64))
        return check.compare(y, positions, exact, bound)

    def is_exact(self, algorithm: Any) -> bool:
        """Whether whole results are whole before they are rounded, too."""
        return bool(algorithm.exact_on_integers)

    def must_equal(self, algorithm: Any, bound: np.ndarray) -> bool:
        """Whether equality can be asked for: the exact result is whole numbers."""
        raise NotImplementedError

    def lost(self, positions: np.ndarray) -> np.ndarray:
        """By how much the result is off where the term that matters most is forgotten."""
        raise NotImplementedError

    def reached(self, at: tuple[int, ...], positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whether each result may and whether it must show a NaN at this place of the first."""
        raise NotImplementedError

    def aside(self, algorithm: Any, positions: np.ndarray) -> str | None:
        """What is wrong with results that are given beside the main one, if anything is."""
        return None

    def laws(self) -> Sequence[Callable[..., bool | None]]:
        """What holds of the problem without an oracle: ``law(problem, rng, run)``."""
        raise NotImplementedError

    def runner(self, algorithm: Any, threads: int) -> Run:
        """What laws run the algorithm by."""
        raise NotImplementedError


class ConvolutionInstance(Instance):
    """Arrays are the problem's two operands, and its bias where it has one."""

    def __init__(self, case: Case, seed: int = 0) -> None:
        x, w, bias = arrays(case, seed)
        self.case = case
        self.arrays = (x, w) if bias is None else (x, w, bias)

    @property
    def _bias(self) -> np.ndarray | None:
        return self.arrays[2] if len(self.arrays) > 2 else None

    def reason_against(self, algorithm: Any) -> str | None:
        return check.reason_against(algorithm, self.problem, self.arrays[1])

    def plan(self, algorithm: Any, threads: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
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
        if self.problem.operation == "grad_weight":  # of its many terms, those of one line
            lone[:] = 0
            lone[..., -1] = np.abs(w[..., -1])
        return check.truth(self.problem, positions, abs(self.first), lone, None)[0]

    def reached(self, at: tuple[int, ...], positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        w = self.arrays[1]
        mark = np.zeros_like(self.first)
        mark[at] = 1
        may, must = (
            check.truth(self.problem, positions, mark, taps.astype(mark.dtype), None)[0] != 0
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
            # What Σ|x||w| cannot exceed on integers.
            most = np.array([float((problem.terms + 1) * largest_integer(problem) ** 2)])
            bound = performer(algorithm, problem).error_bound(problem, x, w, most)
            return np.rint(y) if float(np.max(bound)) < 0.5 else None

        return run
