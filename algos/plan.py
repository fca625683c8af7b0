"""Plan: an algorithm made ready for one problem and one kernel, to be called many times.

The idiom is FFTW's and cuDNN's: what depends on the kernel alone is worked out once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from . import algorithm as registry
from . import threads as pools
from .arrays import check_apart, check_out, no_bias, read_only, take
from .errors import ConvbenchError
from .problem import Problem

#: What a plan is called with, in words.
_ROLES = {
    "forward": ("input",),
    "grad_input": ("output gradient",),
    "grad_weight": ("input", "output gradient"),
}


@lru_cache(maxsize=1024)
def _performer(chosen: registry.Algorithm, problem: Problem) -> registry.Algorithm:
    """Who computes `problem` for `chosen`."""
    return chosen.performer(problem)


class Plan:
    """A callable for arrays of one shape: ``plan(x) -> y``, and alike for the gradients.

    What it is called with are the problem's operands that are no kernel: the input x; for
    "grad_input" the gradient g of the output; for "grad_weight" both, and no kernel is given.

    Attributes
    ----------
    problem : Problem
    algorithm : Algorithm
    threads : int
        How many threads a call may use: one where a second would cost more than it saves.
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
        small = pools.is_small(problem.multiply_adds, problem.compulsory_bytes)
        alone = small and not chosen.is_peer
        count = 1 if alone and threads is None else pools.check(threads)
        self.threads = 1 if alone else count
        self._dtype = np.dtype(problem.dtype)
        performer = _performer(chosen, problem)
        # What calls need, looked up once: a small call takes a few microseconds in all.
        self._run = getattr(performer, problem.operation)
        self._starts_region = performer.starts_region(problem, self.threads)
        self._made_ready: tuple[Any, ...] = ()
        self._result_shape = problem.result_shape
        self._roles, self._shapes = _ROLES[problem.operation], problem.operands
        self._dtypes = (self._dtype,) * len(self._roles)
        if problem.operation == "grad_weight":
            if w is not None or bias is not None:
                raise ConvbenchError(
                    "grad_weight computes a gradient from input and output gradient; "
                    "give no kernel and no bias to the plan"
                )
            if reason := performer.why_not(problem):
                raise ConvbenchError(f"{chosen.name} cannot do this: {reason}")
            return
        w = take("kernel", w, problem.kernel_shape, self._dtype)
        if bool(problem.bias) != (bias is not None):
            raise ConvbenchError(
                f"the problem says bias={problem.bias}, but "
                f"{'no bias was given' if bias is None else 'a bias was given'}"
            )
        if bias is None:
            offset = no_bias(problem.out_channels, problem.dtype)
        else:
            offset = np.array(take("bias", bias, problem.bias_shape, self._dtype))
        if reason := performer.why_not(problem, w):
            raise ConvbenchError(f"{chosen.name} cannot do this: {reason}")
        if self._starts_region:
            with pools.share(self.threads) as count:
                ready = performer.prepare(problem, w, count)
        else:
            ready = performer.prepare(problem, w, self.threads)
        self._made_ready = (ready,)
        if problem.operation == "forward":
            self._made_ready += (read_only(offset),)

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
        roles = self._roles
        if len(arrays) != len(roles):
            if len(arrays) != len(roles) + 1 or out is not None:
                raise ConvbenchError(
                    f"a plan for {self.problem.operation} is called with "
                    f"{' and '.join(roles)}, {len(arrays)} arrays were given"
                )
            *arrays, out = arrays  # type: ignore[assignment]
        taken = tuple(map(take, roles, arrays, self._shapes, self._dtypes))
        if out is None:
            out = np.empty(self._result_shape, self._dtype)
        else:
            check_out(out, self._result_shape, self._dtype)
            for role, array in zip(roles, taken, strict=True):
                check_apart(out, role, array)
        if not self._starts_region:
            self._run(self.problem, *taken, *self._made_ready, out, self.threads)
            return out
        with pools.share(self.threads) as count:
            self._run(self.problem, *taken, *self._made_ready, out, count)
        return out
