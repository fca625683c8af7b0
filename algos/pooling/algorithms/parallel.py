"""Fast pooling: rows in vector registers, doubled windows, threads.

Maxima and averages over regular windows take `rows`. Windows of up to `rows.DIRECT` taps read each
sample straight from memory or the nearest cache. Larger ones are built by doubling, which costs
log2 of the window. Arrays that have their channels last are read and written in place by `last`.
Everything else (other kinds and windows, switches, gradients) is the plain loop of `reduce`, one
row or one plane per thread.

The order of summation depends on the problem alone: the number of threads changes no bit.
"""

from __future__ import annotations

import numpy as np

from algos.backend.compiler import kernel, threaded
from algos.pooling.core.algorithm import PoolAlgorithm, Relaid
from algos.pooling.core.geometry import Windows, rule_of, windows_of
from algos.pooling.core.problem import PoolProblem
from algos.pooling.kernels import gradient_rows, last, rows
from algos.pooling.kernels.reduce import pool_row, spread_plane

from .naive import no_switches


@threaded
@kernel(allocates=True)
def _pool_row(item, x, gate, begin, taps, skip, counts, weights, dilation, rule, most, y, switches):
    volume, h = divmod(item, y.shape[2])
    b, d = divmod(volume, y.shape[1])
    windows = Windows(begin, taps, skip, counts, weights, dilation)
    pool_row(x, gate, windows, rule, b, d, h, y, switches, np.empty(most), np.empty(most))


@kernel
def _pool(x, gate, begin, taps, skip, counts, weights, dilation, rule, most, y, switches):
    rows = y.shape[0] * y.shape[1] * y.shape[2]
    _pool_row(rows, x, gate, begin, taps, skip, counts, weights, dilation, rule, most, y, switches)


@threaded
@kernel(allocates=True)
def _spread_plane(b, grad, x, gate, begin, taps, skip, counts, weights, dilation, rule, most, into):
    windows = Windows(begin, taps, skip, counts, weights, dilation)
    spread_plane(grad, x, gate, windows, rule, b, into, np.empty(most), np.empty(most))


@kernel
def _spread(grad, x, gate, begin, taps, skip, counts, weights, dilation, rule, most, into):
    _spread_plane(grad.shape[0], grad, x, gate, begin, taps, skip, counts, weights, dilation, rule,
                  most, into)  # fmt: skip


class Parallel(PoolAlgorithm):
    """Vector registers, doubled windows and threads for maxima and averages; loops for the rest."""

    name = "parallel"
    gives_switches = True

    def reads_layout(self, problem: PoolProblem) -> bool:
        return last.applies_to(problem)

    def workspace_bytes(self, problem: PoolProblem, threads: int) -> int:
        if last.applies_to(problem):
            return 0
        if rows.applies_to(problem):
            return threads * rows.scratch_elements(problem) * problem.itemsize
        if gradient_rows.applies_to(problem):
            return threads * gradient_rows.scratch_elements(problem) * problem.itemsize
        return threads * 16 * problem.taps

    def work(self, problem: PoolProblem) -> float:
        if rows.applies_to(problem):
            return rows.work(problem)
        if gradient_rows.applies_to(problem):
            return gradient_rows.work(problem)
        return problem.multiply_adds

    def arithmetic(self, problem: PoolProblem) -> tuple[str, float]:
        """Averages by rows are summed in the problem's dtype, however the sums are paired."""
        if (
            last.applies_to(problem)
            or rows.applies_to(problem)
            or gradient_rows.applies_to(problem)
        ):
            return problem.dtype, sum(line.window for line in problem.lines) + 2
        return super().arithmetic(problem)

    def forward(
        self, problem: PoolProblem, x: np.ndarray, gate: np.ndarray, out: np.ndarray,
        switches: np.ndarray | None, threads: int,
    ) -> None:  # fmt: skip
        if last.applies_to(problem):
            if switches is None:
                last.forward(problem, x, out)
            else:
                Relaid(self).forward(problem, x, gate, out, switches, threads)
            return
        if switches is None and rows.applies_to(problem):
            rows.forward(problem, x, out)
            return
        shape = problem.pooled_planes
        _pool(
            x.reshape(problem.planes), gate, *windows_of(problem), rule_of(problem), problem.taps,
            out.reshape(shape), no_switches() if switches is None else switches.reshape(shape),
        )  # fmt: skip

    def grad_input(
        self, problem: PoolProblem, grad_out: np.ndarray, x: np.ndarray, gate: np.ndarray,
        out: np.ndarray, threads: int,
    ) -> None:  # fmt: skip
        if gradient_rows.applies_to(problem):
            gradient_rows.grad_input(problem, grad_out, x, out)
            return
        out[...] = 0
        _spread(
            grad_out.reshape(problem.pooled_planes), x.reshape(problem.planes), gate,
            *windows_of(problem), rule_of(problem), problem.taps, out.reshape(problem.planes),
        )  # fmt: skip
