"""Peer: the contract of other people's algorithms, each called as its own users call it.

A peer defines `bind`. It makes the library's own tensors, in the layout that suits it best, and
returns the call that its users would make. `prepare` packs the kernel where the library can. The
methods of `Algorithm` follow from these: bind, call, and fetch the result.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from algos.core.algorithm import Algorithm
from algos.core.bound import Bound
from algos.core.problem import Problem
from algos.pooling.core.algorithm import PoolAlgorithm
from algos.pooling.core.problem import PoolProblem


class _Native:
    """The part of the contract that convolution and pooling share."""

    is_peer = True
    opt_in = True

    def bind(self, problem: Any, *given: Any, threads: int) -> Bound:
        """Return the library's own call for `problem`, its operands made.

        `given` is what the method named by `problem.operation` takes between the problem and its
        result. Of a convolution it is (x, prepared, bias), (g, prepared) or (x, g), of a pooling
        the problem's operands. No later change of these arrays may reach the call. Thread pools
        that belong to the process are the caller's to set.
        """
        raise NotImplementedError

    def pools(self, threads: int) -> AbstractContextManager[None]:
        """Return a context in which the library's pool for the whole process has `threads`."""
        return nullcontext()

    def _run(self, problem: Any, *given: Any, out: np.ndarray, threads: int) -> None:
        with self.pools(threads):
            bound = self.bind(problem, *given, threads=threads)
            bound.fetch(bound.call(), out)


class Peer(_Native, Algorithm):
    """A convolution of somebody else's library."""

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        self._run(problem, x, prepared, bias, out=out, threads=threads)

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        self._run(problem, g, prepared, out=out, threads=threads)

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        self._run(problem, x, g, out=out, threads=threads)


class PoolPeer(_Native, PoolAlgorithm):
    """A pooling of somebody else's library."""

    def forward(
        self, problem: PoolProblem, x: np.ndarray, gate: np.ndarray, out: np.ndarray,
        switches: np.ndarray | None, threads: int,
    ) -> None:  # fmt: skip
        self._run(problem, x, out=out, threads=threads)

    def grad_input(
        self, problem: PoolProblem, grad_out: np.ndarray, x: np.ndarray, gate: np.ndarray,
        out: np.ndarray, threads: int,
    ) -> None:  # fmt: skip
        self._run(problem, grad_out, x, out=out, threads=threads)
