"""Plan: an algorithm made ready for one problem and one kernel, to be called many times.

The idiom is FFTW's and cuDNN's: what depends on the kernel alone is worked out once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import algorithm as registry
from . import threads as pools
from .arrays import check_apart, check_out, take
from .errors import ConvbenchError
from .problem import Problem

#: What a plan is called with, in words.
_ROLES = {
    "forward": ("input",),
    "grad_input": ("output gradient",),
    "grad_weight": ("input", "output gradient"),
}


class Plan:
    """A callable for arrays of one shape: ``plan(x) -> y``, and alike for the gradients.

    What it is called with are the problem's operands that are no kernel: the input x; for
    "grad_input" the gradient g of the output; for "grad_weight" both, and no kernel is given.

    Attributes
    ----------
    problem : Problem
    algorithm : Algorithm
    threads : int
        How many threads a call may use.
    """

    def __init__(
        self,
        problem: Problem,
        w: np.ndarray | None = None,
        bias: np.ndarray | None = None,
        *,
        algorithm: str | registry.Algorithm = "parallel",
        threads: int | None = None,
    ) -> None:
        chosen = registry.get(algorithm) if isinstance(algorithm, str) else algorithm
        self.problem = problem
        self.algorithm = chosen
        self.threads = pools.check(threads)
        self._dtype = np.dtype(problem.dtype)
        self._performer = chosen.performer(problem)
        self._prepared: Any = None
        if problem.operation == "grad_weight":
            if w is not None or bias is not None:
                raise ConvbenchError(
                    "grad_weight computes a gradient from input and output gradient; "
                    "give no kernel and no bias to the plan"
                )
            if reason := self._performer.why_not(problem):
                raise ConvbenchError(f"{chosen.name} cannot do this: {reason}")
            return
        w = take("kernel", w, problem.kernel_shape, self._dtype)
        if bool(problem.bias) != (bias is not None):
            raise ConvbenchError(
                f"the problem says bias={problem.bias}, but "
                f"{'no bias was given' if bias is None else 'a bias was given'}"
            )
        self._bias = np.zeros(problem.bias_shape, self._dtype)
        if bias is not None:
            self._bias[:] = take("bias", bias, problem.bias_shape, self._dtype)
        if reason := self._performer.why_not(problem, w):
            raise ConvbenchError(f"{chosen.name} cannot do this: {reason}")
        with pools.numba_threads(self.threads):
            self._prepared = self._performer.prepare(problem, w, self.threads)

    def __call__(self, *arrays: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Compute the result, into `out` where it is given, by name or as the last array.

        Parameters
        ----------
        *arrays : ndarray
            forward: x ``(N, C, *size)``; grad_input: g ``(N, O, *output_size)``;
            grad_weight: x and g.
        out : ndarray, optional
            C-contiguous, sharing no memory with the others: ``(N, O, *output_size)``,
            ``(N, C, *size)`` or ``(O, C/groups, *kernel)``.
        """
        problem = self.problem
        roles = _ROLES[problem.operation]
        if len(arrays) == len(roles) + 1 and out is None:
            *arrays, out = arrays  # type: ignore[assignment]
        if len(arrays) != len(roles):
            raise ConvbenchError(
                f"a plan for {problem.operation} is called with {' and '.join(roles)}, "
                f"{len(arrays)} arrays were given"
            )
        taken = [
            take(role, array, shape, self._dtype)
            for role, array, shape in zip(roles, arrays, problem.operands, strict=False)
        ]
        if out is None:
            out = np.empty(problem.result_shape, self._dtype)
        else:
            check_out(out, problem.result_shape, self._dtype)
            for role, array in zip(roles, taken, strict=True):
                check_apart(out, role, array)
        with pools.numba_threads(self.threads):
            if problem.operation == "forward":
                self._performer.forward(
                    problem, taken[0], self._prepared, self._bias, out, self.threads
                )
            elif problem.operation == "grad_input":
                self._performer.grad_input(problem, taken[0], self._prepared, out, self.threads)
            else:
                self._performer.grad_weight(problem, taken[0], taken[1], out, self.threads)
        return out
