"""The definition, as loops: every window for itself, one after the other.

Costs one read per window and tap, on one thread. It is the algorithm to read first, and the
baseline the others are compared with. Maxima and averages are spelt out here; what the other
kinds reduce a window to is in `reduce`.
"""

from __future__ import annotations

import numpy as np

from algos.backend.compiler import kernel
from algos.pooling.core.algorithm import PoolAlgorithm
from algos.pooling.core.geometry import AVERAGE, MAX, rule_of, windows_of
from algos.pooling.core.problem import PoolProblem
from algos.pooling.kernels.reduce import count_of, pool_row, spread_plane


@kernel
def _pool_row(x, windows, code, b, d, h, y, switches):
    """Pool one row of maxima or averages; x (B, D, H, W), y and switches (B, *positions)."""
    for w in range(y.shape[3]):
        best, total, place = -np.inf, 0.0, np.int64(-1)
        for i in range(windows.taps[0][d]):
            plane = windows.begin[0][d] + i * windows.dilation[0]
            for j in range(windows.taps[1][h]):
                row = windows.begin[1][h] + j * windows.dilation[1]
                for k in range(windows.taps[2][w]):
                    column = windows.begin[2][w] + k * windows.dilation[2]
                    value = x[b, plane, row, column]
                    total += value
                    if place < 0 or value > best or (value != value and best == best):
                        best = value
                        place = (plane * x.shape[2] + row) * x.shape[3] + column
        y[b, d, h, w] = best if code == MAX else total / count_of(windows, d, h, w)
        if switches.size:
            switches[b, d, h, w] = place


@kernel(allocates=True)
def _pool(x, gate, windows, rule, taps, y, switches):
    buffer, weights = np.empty(taps), np.empty(taps)
    for b in range(y.shape[0]):
        for d in range(y.shape[1]):
            for h in range(y.shape[2]):
                if rule.code == MAX or rule.code == AVERAGE:
                    _pool_row(x, windows, rule.code, b, d, h, y, switches)
                else:
                    pool_row(x, gate, windows, rule, b, d, h, y, switches, buffer, weights)


@kernel(allocates=True)
def _spread(grad, x, gate, windows, rule, taps, into):
    buffer, weights = np.empty(taps), np.empty(taps)
    for b in range(grad.shape[0]):
        spread_plane(grad, x, gate, windows, rule, b, into, buffer, weights)


class Naive(PoolAlgorithm):
    """The definition, as plain loops on one thread."""

    name = "naive"
    gives_switches = True

    def workspace_bytes(self, problem: PoolProblem, threads: int) -> int:
        return 16 * problem.taps

    def forward(
        self, problem: PoolProblem, x: np.ndarray, gate: np.ndarray, out: np.ndarray,
        switches: np.ndarray | None, threads: int,
    ) -> None:  # fmt: skip
        shape = problem.pooled_planes
        _pool(
            x.reshape(problem.planes), gate, windows_of(problem), rule_of(problem), problem.taps,
            out.reshape(shape), no_switches() if switches is None else switches.reshape(shape),
        )  # fmt: skip

    def grad_input(
        self, problem: PoolProblem, grad_out: np.ndarray, x: np.ndarray, gate: np.ndarray,
        out: np.ndarray, threads: int,
    ) -> None:  # fmt: skip
        out[...] = 0
        _spread(
            grad_out.reshape(problem.pooled_planes), x.reshape(problem.planes), gate,
            windows_of(problem), rule_of(problem), problem.taps, out.reshape(problem.planes),
        )  # fmt: skip


def no_switches() -> np.ndarray:
    """Return the empty array that kernels take if no switches are requested."""
    return np.empty((0, 0, 0, 0), np.int64)
