"""Windows copied out into the rows of a matrix, each row then reduced.

The CS231n notes (Karpathy et al., "Convolutional Networks") remark that pooling can be computed
like convolution. Every channel is an image of its own, so a row holds one window of one channel.
The reduction is one call over the matrix; a gradient is spread by adding the rows back (col2im).
The price is memory: a sample is copied into every window that covers it, and an index is kept with
it. Planes are therefore taken in slabs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from algos.pooling.core.algorithm import PoolAlgorithm
from algos.pooling.core.problem import PoolProblem
from algos.pooling.kernels.columns import Grid, grid_of, reduce, shares_of, slopes

#: Bytes of columns held at a time.
SLAB_BYTES = 8 << 20


class Im2col(PoolAlgorithm):
    """Every window copied into a row of a matrix, the rows reduced at once."""

    name = "im2col"
    gives_switches = True

    def workspace_bytes(self, problem: PoolProblem, threads: int) -> int:
        """Return the bytes of the index, its ingredients, and some float64 copies of a slab."""
        cells = math.prod(problem.pooled_planes[1:]) * problem.taps
        return 18 * cells + 4 * 8 * cells * _planes_at_a_time(problem)

    def forward(
        self, problem: PoolProblem, x: np.ndarray, gate: np.ndarray, out: np.ndarray,
        switches: np.ndarray | None, threads: int,
    ) -> None:  # fmt: skip
        grid = grid_of(problem)
        y = out.reshape(problem.planes[0], -1)
        where = None if switches is None else switches.reshape(y.shape)
        for slab, columns, mask, u in _slabs(problem, x, gate, grid):
            value, tap = reduce(problem, columns, grid, mask, u)
            with np.errstate(over="ignore", under="ignore"):
                y[slab] = value
            if where is not None and tap is not None:
                rows = np.arange(grid.index.shape[0])
                where[slab] = np.where(tap >= 0, grid.index[rows, np.maximum(tap, 0)], -1)

    def grad_input(
        self, problem: PoolProblem, grad_out: np.ndarray, x: np.ndarray, gate: np.ndarray,
        out: np.ndarray, threads: int,
    ) -> None:  # fmt: skip
        grid = grid_of(problem)
        given = grad_out.reshape(problem.planes[0], -1)
        into = out.reshape(problem.planes[0], -1)
        samples = into.shape[1]
        kept = grid.index[grid.inside]
        for slab, columns, mask, u in _slabs(problem, x, gate, grid):
            slope = slopes(problem, columns, grid, mask, u)
            # An infinite gradient stays where the slope is not zero.
            spread = np.where(
                slope == 0, 0.0, slope * np.where(slope == 0, 0, given[slab][..., None])
            )
            for plane, rows in zip(into[slab], spread, strict=True):
                plane[:] = np.bincount(kept, rows[grid.inside], minlength=samples)


def _planes_at_a_time(problem: PoolProblem) -> int:
    cells = math.prod(problem.pooled_planes[1:]) * problem.taps
    return max(1, min(problem.planes[0], SLAB_BYTES // (8 * cells)))


def _slabs(
    problem: PoolProblem, x: np.ndarray, gate: np.ndarray, grid: Grid
) -> Iterator[tuple[slice, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (slice, their columns, gate, uniform numbers) for some planes at a time."""
    planes = x.reshape(problem.planes[0], -1)
    positions = grid.index.shape[0]
    step = _planes_at_a_time(problem)
    for start in range(0, len(planes), step):
        slab = slice(start, min(start + step, len(planes)))
        count = slab.stop - start
        columns = np.where(grid.inside, planes[slab][:, grid.index], 0)
        numbers = np.arange(start, slab.stop) % problem.channels % len(gate)
        mask = gate.reshape(len(gate), 1, -1)[numbers]
        u = shares_of(problem, start * positions, count * positions).reshape(count, positions)
        yield slab, columns, mask, u
