"""Maxima at three comparisons per sample and axis, for any size of the window.

M. van Herk, "A fast algorithm for local minimum and maximum filters on rectangular and octagonal
kernels", Pattern Recognition Letters 13 (1992), doi:10.1016/0167-8655(92)90069-C; J. Gil & M.
Werman, "Computing 2-D min, median, and max filters", IEEE PAMI 15 (1993), doi:10.1109/34.211471.

A line is cut into blocks as long as the window. In each, the running maximum is formed once from
the left and once from the right. A window reaches from one block into the next. Its maximum is the
larger of the first block's right part and the second block's left part. A rectangular window takes
one pass per axis. A dilated window is the same on every D-th sample. A stride selects from all
positions, so it saves only the last comparison.
"""

from __future__ import annotations

import numpy as np

from algos.backend.compiler import kernel, threaded
from algos.core.arrays import read_only
from algos.pooling.core.algorithm import PoolAlgorithm
from algos.pooling.core.problem import PoolProblem
from algos.pooling.kernels.lines import BUNDLE, along_axis, bundle_of, bundles, gather, scatter


@kernel
def _raise(target, source, bundle):
    """Set target = max(target, source) for one sample of every line of a bundle; NaN stays.

    Both are arrays (`bundle`,).
    """
    for l in range(bundle):  # noqa: E741
        a, b = target[l], source[l]
        target[l] = b if b > a or b != b else a


@kernel
def _maxima(line, right, window, dilation, stride, positions, bundle):
    """Set right[j] = max over t of line[j·stride + t·dilation]; the first axis runs along the line.

    `line`: array (samples, `bundle`); overwritten by running maxima from the left.
    `right`: array of the same shape, scratch for running maxima from the right and then the result.
    `window`, `dilation`, `stride`, `positions`: of the windows along the line.
    """
    n = len(line)
    for i in range(n - 1, -1, -1):
        for l in range(bundle):  # noqa: E741
            right[i, l] = line[i, l]
        if i // dilation % window < window - 1 and i + dilation < n:
            _raise(right[i], right[i + dilation], bundle)
    for i in range(dilation, n):
        if i // dilation % window > 0:
            _raise(line[i], line[i - dilation], bundle)
    # Position j reads maxima at and behind j·stride, so nothing it overwrites is read again.
    span = (window - 1) * dilation
    for j in range(positions):
        i = j * stride
        for l in range(bundle):  # noqa: E741
            a, b = right[i, l], line[i + span, l]
            right[j, l] = b if b > a or b != b else a


@threaded
@kernel(allocates=True)
def _bundle(item, x, outer, n, inner, window, dilation, stride, before, positions, y):
    """Compute bundle number `item` of `_pass`."""
    reach = (positions - 1) * stride + (window - 1) * dilation + 1
    kept = min(n, reach - before)
    line = np.full((reach, BUNDLE), -np.inf, x.dtype)
    right = np.empty((reach, BUNDLE), x.dtype)
    start, along, between, lines = bundle_of(item, outer, n, inner)
    gather(x, start, along, between, lines, kept, line, before)
    _maxima(line, right, window, dilation, stride, positions, BUNDLE)
    start, along, between, lines = bundle_of(item, outer, positions, inner)
    scatter(right, y, start, along, between, lines, positions)


@kernel
def _pass(x, outer, n, inner, window, dilation, stride, before, positions, y):
    """Compute one axis: x (outer, n, inner) to y (outer, positions, inner), both flat.

    `before`: padding in front of the axis.
    """
    _bundle(bundles(outer, inner), x, outer, n, inner, window, dilation, stride, before, positions,
            y)  # fmt: skip


class VanHerk(PoolAlgorithm):
    """Running maxima from both sides of blocks: three comparisons a sample, any window."""

    name = "van_herk"

    def why_not(self, problem: PoolProblem) -> str | None:
        if problem.kind not in ("max", "maxout"):
            return f"it is for maxima; {problem.kind} pooling is no running maximum"
        if problem.operation == "grad_input":
            return "it finds maxima but not where they lie, which their gradient needs"
        if problem.placement not in ("regular", "channels"):
            return f"its blocks are as long as the window, and {problem.placement} windows differ"
        return None

    def workspace_bytes(self, problem: PoolProblem, threads: int) -> int:
        """Return the bytes of all results but the last, and of two bundles of lines per thread."""
        shapes = _shapes(problem)
        between = sum(int(np.prod(shape)) for shape in shapes[1:-1])
        reach = max(line.reach for line in problem.lines)
        return (between + threads * 2 * BUNDLE * reach) * problem.itemsize

    def work(self, problem: PoolProblem) -> float:
        """Return three comparisons for each sample of each pass."""
        return 3.0 * sum(int(np.prod(shape)) for shape in _shapes(problem)[:-1])

    def forward(
        self, problem: PoolProblem, x: np.ndarray, gate: np.ndarray, out: np.ndarray,
        switches: np.ndarray | None, threads: int,
    ) -> None:  # fmt: skip
        shapes, lines = _shapes(problem), problem.lines
        axes = _axes(problem)
        if not axes:
            out.reshape(-1)[:] = x.reshape(-1)
        source = x
        for number, axis in enumerate(axes):
            last = number == len(axes) - 1
            target = out if last else np.empty(shapes[number + 1], x.dtype)
            line = lines[axis]
            _pass(
                source.reshape(-1), *along_axis(shapes[number], axis + 1), line.window,
                line.dilation, line.stride, line.before, line.positions, target.reshape(-1),
            )  # fmt: skip
            source = read_only(target)


def _axes(problem: PoolProblem) -> list[int]:
    """Return the axes that need a pass, the last first: its bundles are transposed while long."""
    return [axis for axis in (2, 1, 0) if not problem.lines[axis].is_trivial]


def _shapes(problem: PoolProblem) -> list[tuple[int, ...]]:
    """Return the shape of the array before the first pass and after each."""
    shapes: list[tuple[int, ...]] = [problem.planes]
    for axis in _axes(problem):
        shape = list(shapes[-1])
        shape[axis + 1] = problem.lines[axis].positions
        shapes.append(tuple(shape))
    return shapes
