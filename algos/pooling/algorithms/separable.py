"""One pass per axis: a rectangular window's maximum, sum or Gaussian average is separable.

The maximum over a rectangle is the maximum over a column of maxima over rows, and likewise for
sums and for products of weights: F_h + F_w reads per output instead of F_h·F_w, the box filter
of Goodfellow et al., *Deep Learning* (2016), 9.8. Any windows that are the same in every row
will do, adaptive and fractional ones too. Backward, the passes run transposed, in reverse.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from algos.backend.compiler import kernel, threaded
from algos.core.arrays import read_only
from algos.pooling.core.algorithm import PoolAlgorithm
from algos.pooling.core.geometry import Windows, windows_of
from algos.pooling.core.problem import PoolProblem
from algos.pooling.kernels.lines import BUNDLE, along_axis, bundle_of, bundles, gather, scatter

_MAX, _SUM, _SPREAD = range(3)


@kernel
def _reduce(line, code, begin, taps, dilation, weights, result):
    """result[j] = maximum or weighted sum of the samples of window j, for every line."""
    for j in range(len(begin)):
        target = result[j]
        for l in range(BUNDLE):  # noqa: E741
            target[l] = -np.inf if code == _MAX else 0.0
        for t in range(taps[j]):
            source = line[begin[j] + t * dilation]
            if code == _MAX:
                for l in range(BUNDLE):  # noqa: E741
                    a, b = target[l], source[l]
                    target[l] = b if b > a or b != b else a
            else:
                weight = weights[j, t]
                for l in range(BUNDLE):  # noqa: E741
                    target[l] += weight * source[l]


@kernel
def _spread(line, begin, taps, dilation, weights, result):
    """result[i] = Σ over windows j that cover sample i of weight · line[j], for every line."""
    for i in range(len(result)):
        for l in range(BUNDLE):  # noqa: E741
            result[i, l] = 0
    for j in range(len(begin)):
        source = line[j]
        for t in range(taps[j]):
            target, weight = result[begin[j] + t * dilation], weights[j, t]
            for l in range(BUNDLE):  # noqa: E741
                target[l] += weight * source[l]


@threaded
@kernel(allocates=True)
def _bundle(item, x, outer, inner, code, size, begin, taps, dilation, weights, y):
    """Do the pass over some of the lines of `_pass`."""
    positions = len(begin)
    given, made = (positions, size) if code == _SPREAD else (size, positions)
    line = np.zeros((given, BUNDLE), x.dtype)
    result = np.empty((made, BUNDLE), x.dtype)
    start, along, between, lines = bundle_of(item, outer, given, inner)
    gather(x, start, along, between, lines, given, line, 0)
    if code == _SPREAD:
        _spread(line, begin, taps, dilation, weights, result)
    else:
        _reduce(line, code, begin, taps, dilation, weights, result)
    start, along, between, lines = bundle_of(item, outer, made, inner)
    scatter(result, y, start, along, between, lines, made)


@kernel
def _pass(x, outer, inner, code, size, begin, taps, dilation, weights, y):
    """Do one axis of `size` samples and as many positions as `begin`; x and y are flat.

    Forward x is (outer, size, inner) and y (outer, positions, inner); `_SPREAD` goes back.
    """
    lines = bundles(outer, inner)
    _bundle(lines, x, outer, inner, code, size, begin, taps, dilation, weights, y)


class Separable(PoolAlgorithm):
    """Maxima, averages and Gaussian averages as one pass per axis."""

    name = "separable"

    def why_not(self, problem: PoolProblem) -> str | None:
        if problem.kind not in ("max", "maxout", "average", "gaussian"):
            return f"{problem.kind} pooling over a rectangle is no product of passes along its axes"
        if problem.operation == "grad_input" and problem.kind in ("max", "maxout"):
            return "its passes find maxima but not where they lie, which their gradient needs"
        return None

    def workspace_bytes(self, problem: PoolProblem, threads: int) -> int:
        between = max(math.prod(shape) for shape in _shapes(problem))
        longest = max(line.size + line.positions for line in problem.lines)
        return (2 * between + threads * BUNDLE * longest) * problem.itemsize

    def work(self, problem: PoolProblem) -> float:
        """Return the number of reads of all passes."""
        return float(
            sum(
                math.prod(shape) // line.positions * line.reads
                for shape, line in zip(_shapes(problem)[1:], reversed(problem.lines), strict=True)
            )
        )

    def arithmetic(self, problem: PoolProblem) -> tuple[str, float]:
        """Sums in the problem's dtype: F roundings in each pass, and one for each weight."""
        _, roundings = super().arithmetic(problem)
        once = sum(line.window for line in problem.lines) + 8
        if problem.kind == "average":
            return problem.dtype, once
        weights = roundings - problem.taps  # those of the weights themselves, in float64
        if problem.dtype == "float32":
            weights *= 2.0**-29
        return problem.dtype, once + 3 + weights

    def forward(
        self, problem: PoolProblem, x: np.ndarray, gate: np.ndarray, out: np.ndarray,
        switches: np.ndarray | None, threads: int,
    ) -> None:  # fmt: skip
        windows, shapes = windows_of(problem), _shapes(problem)
        code = _MAX if problem.kind in ("max", "maxout") else _SUM
        source, weights = x, _weights(problem, windows, x.dtype)
        for number, axis in enumerate((2, 1, 0)):
            if problem.lines[axis].is_trivial:
                continue
            target = np.empty(shapes[number + 1], x.dtype)
            outer, size, inner = along_axis(shapes[number], axis + 1)
            _pass(
                source.reshape(-1), outer, inner, code, size, windows.begin[axis],
                windows.taps[axis], windows.dilation[axis], weights[axis], target.reshape(-1),
            )  # fmt: skip
            source = read_only(target)
        y = out.reshape(problem.pooled_planes)
        if problem.kind == "average":
            np.divide(source.reshape(y.shape), counts_of(windows, x.dtype), out=y)
        else:
            y[...] = source.reshape(y.shape)

    def grad_input(
        self, problem: PoolProblem, grad_out: np.ndarray, x: np.ndarray, gate: np.ndarray,
        out: np.ndarray, threads: int,
    ) -> None:  # fmt: skip
        windows, shapes = windows_of(problem), _shapes(problem)
        weights = _weights(problem, windows, out.dtype)
        source = grad_out.reshape(problem.pooled_planes)
        if problem.kind == "average":
            source = read_only(source / counts_of(windows, out.dtype))
        for number, axis in reversed(list(enumerate((2, 1, 0)))):
            if problem.lines[axis].is_trivial:
                continue
            target = np.empty(shapes[number], out.dtype)
            outer, size, inner = along_axis(shapes[number], axis + 1)
            _pass(
                source.reshape(-1), outer, inner, _SPREAD, size, windows.begin[axis],
                windows.taps[axis], windows.dilation[axis], weights[axis], target.reshape(-1),
            )  # fmt: skip
            source = read_only(target)
        out[...] = source.reshape(out.shape)


def counts_of(windows: Windows, dtype: Any) -> np.ndarray:
    """Return the divisors of averages, ``(*positions)``."""
    d, h, w = windows.counts
    return (d[:, None, None] * h[:, None] * w).astype(dtype)


def _weights(problem: PoolProblem, windows: Windows, dtype: Any) -> list[np.ndarray]:
    """Return the weights of the taps inside the input: a Gaussian's, or ones."""
    if problem.kind == "gaussian":
        return [weights.astype(dtype) for weights in windows.weights]
    return [np.ones((line.positions, line.window), dtype) for line in problem.lines]


def _shapes(problem: PoolProblem) -> list[tuple[int, ...]]:
    """Return the shapes of the array before the first pass and after each, last axis first."""
    shapes: list[tuple[int, ...]] = [problem.planes]
    for axis in (2, 1, 0):
        shape = list(shapes[-1])
        shape[axis + 1] = problem.lines[axis].positions
        shapes.append(tuple(shape))
    return shapes
