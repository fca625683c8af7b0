"""Averages from a summed-area table: four reads per output, for any size of the window.

F. C. Crow, "Summed-area tables for texture mapping", SIGGRAPH 1984, doi:10.1145/800031.808600. Each
corner in the table holds the sum of all samples before it. A window's sum is the alternating sum of
the table at the window's corners, 2^d of them in d dimensions.

The differences cancel everything before the window, so the table's error counts in full. The table
must be far more accurate than the result. For float32 it is in float64. For float64 each entry is
the unevaluated sum of two float64, about 106 bits, by Knuth's two-sum. Source: Hida, Li & Bailey,
"Algorithms for quad-double precision floating point arithmetic", ARITH-15, 2001.

Backward, the steps run transposed. Each gradient is added with alternating signs at its window's
corners, and the table's sums spread it over the window.

Arguments that mean the same in every kernel:

`high`, `low`: the two parts of a table, float64; `low` is empty for float32.
`begin`, `taps`, `counts`: members of `geometry.Windows`, tuples over d, h, w.
`exact`: true to keep the table in pairs of float64.
`x`: input (B, D, H, W); `y`: output (B, *positions); `grad`: its gradient; `into`: that of x.
"""

from __future__ import annotations

import math

import numpy as np

from algos.backend.compiler import kernel, threaded
from algos.pooling.core.algorithm import PoolAlgorithm, overlap
from algos.pooling.core.geometry import windows_of
from algos.pooling.core.problem import PoolProblem


@kernel
def _add(high, low, value, rest):
    """Return (high + low) + (value + rest) as an unevaluated sum of two float64."""
    total = high + value
    part = total - high
    error = (high - (total - part)) + (value - part)
    error += low + rest
    result = total + error
    return result, error - (result - total)


@kernel
def _sum_rows(high, low):
    """Form running sums along h and then w, in place, of one plane.

    Rows come first, so that each is added to the next in vector registers.
    """
    for h in range(1, high.shape[0]):
        if low.size:
            for w in range(high.shape[1]):
                high[h, w], low[h, w] = _add(high[h, w], low[h, w], high[h - 1, w], low[h - 1, w])
        else:
            for w in range(high.shape[1]):
                high[h, w] += high[h - 1, w]
    for h in range(0, high.shape[0], 4):  # four chains of sums at a time hide their latency
        rows = min(4, high.shape[0] - h)
        for w in range(1, high.shape[1]):
            for r in range(h, h + rows):
                if low.size:
                    high[r, w], low[r, w] = _add(
                        high[r, w], low[r, w], high[r, w - 1], low[r, w - 1]
                    )
                else:
                    high[r, w] += high[r, w - 1]


@kernel
def _sum_table(high, low):
    """Form running sums along d, h and w, in place, of one volume."""
    for d in range(high.shape[0]):
        _sum_rows(high[d], low[d] if low.size else low[0])
        if d == 0:
            continue
        for h in range(high.shape[1]):
            for w in range(high.shape[2]):
                if low.size:
                    high[d, h, w], low[d, h, w] = _add(
                        high[d, h, w], low[d, h, w], high[d - 1, h, w], low[d - 1, h, w]
                    )
                else:
                    high[d, h, w] += high[d - 1, h, w]


@kernel(allocates=True)
def _table(depth, height, width, exact):
    """Return the two parts of a table of zeros; the second is empty unless `exact`."""
    high = np.zeros((depth + 1, height + 1, width + 1))
    low = np.zeros((depth + 1 if exact else 1, height + 1 if exact else 0, width + 1))
    return high, low


@threaded
@kernel(allocates=True)
def _average_volume(b, x, begin, taps, counts, exact, y):
    """Compute the averages of volume number b."""
    depth, height, width = x.shape[1:]
    high, low = _table(depth, height, width, exact)
    for d in range(depth):
        for h in range(height):
            for w in range(width):
                high[d + 1, h + 1, w + 1] = x[b, d, h, w]
    _sum_table(high, low)
    for d in range(y.shape[1]):
        for h in range(y.shape[2]):
            for w in range(y.shape[3]):
                total, rest = 0.0, 0.0
                # A single plane needs only four corners: those at depth 0 are zero.
                for corner in range(8 if depth > 1 else 4):
                    i = begin[0][d] + (0 if corner & 4 else taps[0][d])
                    j = begin[1][h] + (0 if corner & 2 else taps[1][h])
                    k = begin[2][w] + (0 if corner & 1 else taps[2][w])
                    odd = (corner ^ corner >> 1 ^ corner >> 2) & 1
                    sign = -1.0 if odd else 1.0
                    if exact:
                        total, rest = _add(total, rest, sign * high[i, j, k], sign * low[i, j, k])
                    else:
                        total += sign * high[i, j, k]
                count = counts[0][d] * counts[1][h] * counts[2][w]
                y[b, d, h, w] = (total + rest) / count


@kernel
def _average(x, begin, taps, counts, exact, y):
    """Compute the averages of all volumes, split among threads."""
    _average_volume(x.shape[0], x, begin, taps, counts, exact, y)


@threaded
@kernel(allocates=True)
def _spread_volume(b, grad, begin, taps, counts, exact, into):
    """Compute the transpose of `_average_volume`."""
    depth, height, width = into.shape[1:]
    high, low = _table(depth, height, width, exact)
    for d in range(grad.shape[1]):
        for h in range(grad.shape[2]):
            for w in range(grad.shape[3]):
                count = counts[0][d] * counts[1][h] * counts[2][w]
                share = np.float64(grad[b, d, h, w]) / count
                for corner in range(8):
                    i = begin[0][d] + (taps[0][d] if corner & 4 else 0)
                    j = begin[1][h] + (taps[1][h] if corner & 2 else 0)
                    k = begin[2][w] + (taps[2][w] if corner & 1 else 0)
                    odd = (corner ^ corner >> 1 ^ corner >> 2) & 1
                    value = -share if odd else share
                    if exact:
                        high[i, j, k], low[i, j, k] = _add(high[i, j, k], low[i, j, k], value, 0.0)
                    else:
                        high[i, j, k] += value
    _sum_table(high, low)
    for d in range(depth):
        for h in range(height):
            for w in range(width):
                into[b, d, h, w] = high[d, h, w]


@kernel
def _spread(grad, begin, taps, counts, exact, into):
    """Compute the transpose of `_average`: `grad` (B, *positions) to `into` (B, D, H, W)."""
    _spread_volume(into.shape[0], grad, begin, taps, counts, exact, into)


class Integral(PoolAlgorithm):
    """Averages from the corners of each window in a summed-area table."""

    name = "integral"
    confines_nonfinite = False

    def why_not(self, problem: PoolProblem) -> str | None:
        if problem.kind != "average":
            return f"a table of sums gives averages, not {problem.kind}"
        if any(line.dilation > 1 and line.window > 1 for line in problem.lines):
            return "a window with holes has no corners in a table of sums"
        return None

    def has_direct_accuracy(self, problem: PoolProblem) -> bool:
        """Return False: a window's sum is a difference of sums over much more."""
        return False

    def workspace_bytes(self, problem: PoolProblem, threads: int) -> int:
        """Return the bytes of one table per thread, with one float64 per sample or two."""
        table = 8 * math.prod(line.size + 1 for line in problem.lines)
        planes = min(threads, problem.planes[0])
        return planes * table * (2 if problem.dtype == "float64" else 1)

    def work(self, problem: PoolProblem) -> float:
        """Return the number of additions that form the table, and of those at its corners."""
        axes = problem.axes
        return float(axes * math.prod(problem.planes) + 2**axes * math.prod(problem.pooled_planes))

    def forward(
        self, problem: PoolProblem, x: np.ndarray, gate: np.ndarray, out: np.ndarray,
        switches: np.ndarray | None, threads: int,
    ) -> None:  # fmt: skip
        windows = windows_of(problem)
        _average(
            x.reshape(problem.planes), windows.begin, windows.taps, windows.counts,
            problem.dtype == "float64", out.reshape(problem.pooled_planes),
        )  # fmt: skip

    def grad_input(
        self, problem: PoolProblem, grad_out: np.ndarray, x: np.ndarray, gate: np.ndarray,
        out: np.ndarray, threads: int,
    ) -> None:  # fmt: skip
        windows = windows_of(problem)
        _spread(
            grad_out.reshape(problem.pooled_planes), windows.begin, windows.taps, windows.counts,
            problem.dtype == "float64", out.reshape(problem.planes),
        )  # fmt: skip

    def error_bound(
        self, problem: PoolProblem, first: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Bound the error by the table's error at 2^d corners over the count, plus one rounding.

        `first` is what the table sums: the input, or backward the output gradient. An entry is the
        sum of everything before it, formed in at most m = D + H + W additions on any path. So it
        errs by γ_m·Σ|x| of its plane. For float32 the unit of γ is 2^-53. For float64 it is that of
        a two-part sum, whose additions err by at most 4·2^-106 of their operands' magnitudes.
        Backward, corners first collect the gradients of all windows that meet there.
        """
        plane = np.abs(first.reshape(problem.planes[0], -1), dtype=np.float64).sum(axis=1).max()
        steps = sum(line.size + 1 for line in problem.lines) + 12
        corners, least = (
            8,
            float(min(np.prod([c.min() for c in windows_of(problem).counts]), 1e300)),
        )
        if problem.operation == "grad_input":
            steps += 8 * overlap(problem) + 8 * max(
                int(np.bincount(line.begin).max()) for line in problem.lines
            )
            corners, least = 8 * 8, max(least, 1.0)
        unit = 2.0**-53 if problem.dtype == "float32" else 4 * 2.0**-106
        table = 1.01 * steps * unit * plane * corners / max(least, 1.0)
        result = 3.03 * (2.0**-24 if problem.dtype == "float32" else 2.0**-53)
        return table + result * magnitude + float(np.finfo(problem.dtype).smallest_subnormal)
