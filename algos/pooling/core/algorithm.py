"""PoolAlgorithm: the contract that every way of pooling keeps.

As in `algos.core.algorithm`, a new algorithm is one file in this package that defines one subclass.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from algos.adapters.relaid import channels_first, copied_bytes, fetching, through, to_first
from algos.core.algorithm import gamma, unit_roundoff
from algos.core.bound import Bound
from algos.core.family import POOLING, AlgorithmBase
from algos.core.memory_order import CHANNELS_FIRST

from .geometry import largest_exponent
from .problem import PoolProblem


class PoolAlgorithm(AlgorithmBase):
    """One way to compute a `PoolProblem` of a single grid of windows (one of its `parts`).

    Every array an algorithm is handed is C-contiguous, aligned, in native byte order and of
    the problem's dtype and shape. Inputs are read-only views; every element of `out` must be
    written. A problem with its channels last reaches only classes that ask for it by
    `reads_layout`. `gate` is ``(C, *window)`` in float64 for gated pooling, else empty. Instances
    hold no state.
    """

    family = POOLING

    #: Whether `forward` can say where each maximum or sample lies.
    gives_switches: bool = False

    def reads_layout(self, problem: PoolProblem) -> bool:
        """Return True if the class reads and writes the channels-last arrays of `problem` in place.

        Otherwise they are copied. `problem` has a single grid of windows.
        """
        return False

    def stand_in(self, problem: PoolProblem) -> PoolAlgorithm | None:
        """Return an object that copies arrays, or asks about each level of a spatial pyramid."""
        if problem.layout != CHANNELS_FIRST and not all(map(self.reads_layout, problem.parts)):
            return RelaidPeer(self) if self.is_peer else Relaid(self)
        return _Pyramid(self) if problem.placement == "pyramid" else None

    def why_not(self, problem: PoolProblem) -> str | None:
        """Return a sentence saying why this algorithm cannot do `problem`, or None if it can."""
        return None

    def workspace_bytes(self, problem: PoolProblem, threads: int) -> int:
        """Return the bytes needed beyond input and output."""
        return 0

    def work(self, problem: PoolProblem) -> float:
        """Return the amount of work, in any unit proportional to time."""
        return problem.multiply_adds

    def forward(
        self,
        problem: PoolProblem,
        x: np.ndarray,
        gate: np.ndarray,
        out: np.ndarray,
        switches: np.ndarray | None,
        threads: int,
    ) -> None:
        """Write the output for `x` (N, C, *size) into `out` (N, C, *output_size).

        `switches`, if requested, is int64 of the output's shape. It takes the flat index of each
        chosen sample within its plane, -1 where none was chosen.
        """
        raise NotImplementedError

    def grad_input(
        self,
        problem: PoolProblem,
        grad_out: np.ndarray,
        x: np.ndarray,
        gate: np.ndarray,
        out: np.ndarray,
        threads: int,
    ) -> None:
        """Write into `out` (N, C, *size) the gradient ⟨grad_out, pool(x)⟩ has at `x`."""
        raise NotImplementedError

    def arithmetic(self, problem: PoolProblem) -> tuple[str, float]:
        """Return the dtype sums are formed in, and the longest chain of roundings in it.

        The default is that of window-by-window loops in float64: `window_roundings`.
        """
        return "float64", window_roundings(problem)

    def error_bound(
        self, problem: PoolProblem, first: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return an upper bound on |computed − exact| for each element of `magnitude`.

        `first` is the first operand: the input, or for its gradient that of the output.
        `magnitude` is the value that roundings act upon: Σ w·|x| for weighted averages, the norm
        itself for Lp, and so on. `suites.truth.pool_oracle` gives it for each kind. For a gradient
        it is the same sum over the windows that cover a sample. The bound is γ_m·magnitude for m
        roundings in a chain (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed.,
        lemma 3.1). It adds one rounding of the output's own dtype if that is narrower, and the loss
        among subnormals. A maximum is a copy: its bound is 0.
        """
        backward = problem.operation == "grad_input"
        if problem.kind in ("max", "maxout") or (
            problem.kind == "stochastic" and problem.mode == "train"
        ):
            windows = overlap(problem) - 1 if backward else 0
            return gamma(windows, problem.dtype) * magnitude if windows else 0.0
        dtype, roundings = self.arithmetic(problem)
        relative = _gamma(roundings, dtype)
        if backward:
            relative += _gamma(overlap(problem) + 2, problem.dtype)
        elif dtype != problem.dtype:
            relative += 1.0001 * unit_roundoff(problem.dtype)
        subnormals = (problem.taps + 4) * float(np.finfo(problem.dtype).smallest_subnormal)
        return relative * magnitude + subnormals * (overlap(problem) if backward else 1)


class Relaid(PoolAlgorithm):
    """Pooling with channels last by an algorithm that has them first: arrays are copied."""

    def __init__(self, algorithm: PoolAlgorithm) -> None:
        self._of = algorithm

    def _able(self, first: PoolProblem) -> PoolAlgorithm:
        """Return the object that computes `first`, which has its channels first."""
        return self._of.stand_in(first) or self._of

    def why_not(self, problem: PoolProblem) -> str | None:
        first = channels_first(problem)
        return self._able(first).why_not(first)

    def workspace_bytes(self, problem: PoolProblem, threads: int) -> int:
        """Return the bytes that the algorithm needs, and those of the copies."""
        first = channels_first(problem)
        return self._able(first).workspace_bytes(first, threads) + copied_bytes(problem)

    def work(self, problem: PoolProblem) -> float:
        first = channels_first(problem)
        return self._able(first).work(first)

    def forward(
        self, problem: PoolProblem, x: np.ndarray, gate: np.ndarray, out: np.ndarray,
        switches: np.ndarray | None, threads: int,
    ) -> None:  # fmt: skip
        first, x = channels_first(problem), to_first(x, threads)
        where = None if switches is None else np.empty(switches.shape, switches.dtype)
        run = self._able(first).forward
        through(lambda y: run(first, x, gate, y, where, threads), out, threads)
        if switches is not None:
            switches[...] = where

    def grad_input(
        self, problem: PoolProblem, grad_out: np.ndarray, x: np.ndarray, gate: np.ndarray,
        out: np.ndarray, threads: int,
    ) -> None:  # fmt: skip
        first = channels_first(problem)
        grad_out, x = to_first(grad_out, threads), to_first(x, threads)
        run = self._able(first).grad_input
        through(lambda y: run(first, grad_out, x, gate, y, threads), out, threads)

    def error_bound(
        self, problem: PoolProblem, first: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return the algorithm's own bound: copies round nothing."""
        plain = channels_first(problem)
        return self._able(plain).error_bound(plain, np.ascontiguousarray(first), magnitude)


class RelaidPeer(Relaid):
    """Pooling with channels last by a peer, whose call is the same for both layouts."""

    def bind(self, problem: PoolProblem, *given: np.ndarray, threads: int) -> Bound:
        """Return the peer's own call for `problem`."""
        peer: Any = self._of
        turned = [to_first(array, threads) for array in given]
        bound = peer.bind(channels_first(problem), *turned, threads=threads)
        return Bound(bound.call, fetching(bound, threads))


class _Pyramid(PoolAlgorithm):
    """Pyramid version of an algorithm, which pools each level as a problem of its own."""

    def __init__(self, algorithm: PoolAlgorithm) -> None:
        self._of = algorithm

    def why_not(self, problem: PoolProblem) -> str | None:
        return next(filter(None, map(self._of.why_not, problem.parts)), None)

    def workspace_bytes(self, problem: PoolProblem, threads: int) -> int:
        """Return the largest need of a level, and the bytes of its result before the copy."""
        most = max(self._of.workspace_bytes(part, threads) for part in problem.parts)
        return most + max(math.prod(part.result_shape) for part in problem.parts) * problem.itemsize

    def work(self, problem: PoolProblem) -> float:
        return sum(map(self._of.work, problem.parts))

    def error_bound(
        self, problem: PoolProblem, first: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return the bound of the worst level; backward the sum of all, and of adding them up."""
        bounds = [np.asarray(self._of.error_bound(p, first, magnitude)) for p in problem.parts]
        if problem.operation == "forward":
            return np.max(np.broadcast_arrays(*bounds), axis=0)
        return np.sum(np.broadcast_arrays(*bounds), axis=0) + 1.01 * (
            gamma(len(bounds), problem.dtype) * magnitude
        )


def _gamma(roundings: float, dtype: str) -> float:
    return gamma(math.ceil(roundings), dtype)


def window_roundings(problem: PoolProblem) -> float:
    """Return the number of roundings of a term when each window is computed for itself.

    It depends on the kind of pooling:

    - Average: n terms and a division.
    - Norm: with m = max|x|, y = m·(Σ(|x|/m)^p)^(1/p). A quotient's rounding enters its power p
      times. The power itself errs by 2u, the sum of n terms by γ_n. The root divides their total by
      p. It adds the rounding of 1/p times the logarithm of a sum <= n. A gradient is the power
      p − 1 of a quotient of two such values.
    - Gaussian: A weight's exponent q errs by 3u·q. So the weight errs by as much, per axis.
    - Stochastic: Two sums, a quotient, and the squares.
    - Mixed and gated: The average, the gate's sum of n products, and the blend.
    """
    n = problem.taps
    if problem.kind in ("l2", "lp"):
        p = problem.exponent
        norm = (n + p + 4 + math.log(n)) / p + 4
        return norm if problem.operation == "forward" else abs(p - 1) * (norm + 2) + 6
    if problem.kind == "gaussian":
        return n + 18 + 9 * largest_exponent(problem)
    if problem.kind == "stochastic":
        return 2 * n + 10
    return n + {"average": 2, "mixed": 6, "gated": 16}[problem.kind]


def overlap(problem: PoolProblem) -> int:
    """Return the most windows that cover one sample."""
    return math.prod(line.most_over for line in problem.lines)
