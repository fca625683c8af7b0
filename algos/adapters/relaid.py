"""Layers with their channels last, for algorithms that read and write channels first.

Operands are copied to channels first, and the result back. An array whose channels or spatial axes
have one element is the same in both layouts and not copied. A peer makes tensors of its own
before the clock starts, so its call is the same for both layouts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from algos.backend.threads import share
from algos.core.algorithm import Algorithm
from algos.core.arrays import read_only
from algos.core.bound import Bindable, Bound
from algos.core.memory_order import CHANNELS_FIRST, CHANNELS_LAST, in_memory
from algos.core.problem import Problem
from algos.simd.transposed import transpose_all

from .adapter import Resolving


@lru_cache(maxsize=1024)
def channels_first(problem: Any) -> Any:
    """Return the same problem, of any family, with its channels first."""
    return replace(problem, layout=CHANNELS_FIRST)


def copied_bytes(problem: Any) -> int:
    """Return the bytes of the arrays of `problem` that are copied from or to channels last."""
    shapes = list(problem.operands)
    if problem.operation != "grad_weight":
        if hasattr(problem, "kernel_shape"):
            shapes.pop()  # the kernel has no layout
        shapes.append(problem.result_shape)
    copied = [shape for shape in shapes if shape[1] > 1 and math.prod(shape[2:]) > 1]
    return sum(map(math.prod, copied)) * problem.itemsize


def to_first(x: np.ndarray, threads: int) -> np.ndarray:
    """Return `x`, which has its channels last, with its channels first, read-only."""
    if x.flags.c_contiguous:
        return x
    copy = np.empty(x.shape, x.dtype)
    stored = in_memory(x, CHANNELS_LAST)
    _transpose(stored, math.prod(x.shape[2:]), x.shape[1], copy, threads)
    return read_only(copy)


def to_last(y: np.ndarray, out: np.ndarray, threads: int) -> None:
    """Copy `y`, which has its channels first, to `out`, which has them last."""
    _transpose(y, y.shape[1], math.prod(y.shape[2:]), in_memory(out, CHANNELS_LAST), threads)


def _transpose(
    source: np.ndarray, rows: int, columns: int, target: np.ndarray, threads: int
) -> None:
    with share(threads):
        transpose_all(source.reshape(-1), rows, columns, target.reshape(-1), rows * columns)


def through(compute: Callable[[np.ndarray], None], out: np.ndarray, threads: int) -> None:
    """Let `compute` write an array with its channels first, and copy it to `out`."""
    if out.flags.c_contiguous:
        compute(out)
        return
    result = np.empty(out.shape, out.dtype)
    compute(result)
    to_last(result, out, threads)


class Relaid(Resolving):
    """Layer with its channels last, by an algorithm that has them first."""

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        first = channels_first(problem)
        reason: str | None = self.performer(first).why_not(first, w)
        return reason

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes that the algorithm needs, and those of the copies."""
        first = channels_first(problem)
        own: int = self.performer(first).workspace_bytes(first, threads)
        return own + copied_bytes(problem)

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        first = channels_first(problem)
        held: int = self.performer(first).prepared_bytes(first, threads)
        return held

    def work(self, problem: Problem) -> float:
        first = channels_first(problem)
        amount: float = self.performer(first).work(first)
        return amount

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Any:
        first = channels_first(problem)
        return self.performer(first).prepare(first, w, threads)

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        first, x = channels_first(problem), to_first(x, threads)
        forward = self.performer(first).forward
        through(lambda y: forward(first, x, prepared, bias, y, threads), out, threads)

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        first, g = channels_first(problem), to_first(g, threads)
        grad_input = self.performer(first).grad_input
        through(lambda y: grad_input(first, g, prepared, y, threads), out, threads)

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        first = channels_first(problem)
        x, g = to_first(x, threads), to_first(g, threads)
        self.performer(first).grad_weight(first, x, g, out, threads)

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return the algorithm's own bound: copies round nothing."""
        first = channels_first(problem)
        x, w = np.ascontiguousarray(x), np.ascontiguousarray(w)
        bound: np.ndarray | float = self.performer(first).error_bound(first, x, w, magnitude)
        return bound


class RelaidPeer(Relaid):
    """Layer with its channels last, by a peer, whose call is the same for both layouts."""

    def bind(self, problem: Problem, *given: Any, threads: int) -> Bound:
        """Return the peer's own call for `problem`."""
        first = channels_first(problem)
        arrays = 2 if problem.operation == "grad_weight" else 1
        turned = [to_first(array, threads) for array in given[:arrays]]
        bound = self.performer(first).bind(first, *turned, *given[arrays:], threads=threads)
        return Bound(bound.call, fetching(bound, threads))


def fetching(bound: Bound, threads: int) -> Callable[[Any, np.ndarray], None]:
    """Return the function that fetches a result of `bound` into an array of either layout."""

    def fetch(result: Any, out: np.ndarray) -> None:
        through(lambda y: bound.fetch(result, y), out, threads)

    return fetch


def relaid(algorithm: Algorithm, problem: Problem, resolve: Callable[[Any, Any], Any]) -> Relaid:
    """Return the adapter by which `algorithm` computes `problem`, which has its channels last."""
    able = resolve(algorithm, channels_first(problem))
    adapter = RelaidPeer if isinstance(able, Bindable) else Relaid
    return adapter(algorithm, resolve)
