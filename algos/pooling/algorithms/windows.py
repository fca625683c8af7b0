"""NumPy's sliding windows: a view that shows every window without copying one.

`numpy.lib.stride_tricks.sliding_window_view` gives the padded input two sets of axes, position and
tap. Reducing over the taps is then one NumPy call. Most people write this first. It costs a read
per window and tap. Reductions that need more than one pass copy the windows.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from algos.pooling.core.algorithm import PoolAlgorithm
from algos.pooling.core.geometry import gaussian_weights, windows_of
from algos.pooling.core.problem import PoolProblem
from algos.pooling.core.windows import WindowAxis, regular
from algos.pooling.kernels.columns import norm

_TAPS = (-3, -2, -1)


class Windows(PoolAlgorithm):
    """One NumPy reduction over a strided view of all windows."""

    name = "windows"

    def why_not(self, problem: PoolProblem) -> str | None:
        if problem.placement not in ("regular", "channels"):
            found = problem.placement
            return f"a strided view needs evenly spaced windows of one size, not {found}"
        if problem.kind not in ("max", "maxout", "average", "l2", "lp", "gaussian"):
            return f"{problem.kind} pooling is more than one reduction over a view"
        if problem.operation == "grad_input" and problem.kind not in ("average", "gaussian"):
            return f"a view of windows does not tell how a {problem.kind}'s gradient is shared out"
        counted = (_is_even(line, problem.count_include_pad) for line in problem.lines)
        if problem.kind == "gaussian" and not all(counted):
            return "its one set of weights does not fit windows that are cut short"
        return None

    def workspace_bytes(self, problem: PoolProblem, threads: int) -> int:
        """Return the bytes of the padded input and, for norms, of a copy of every window."""
        padded = problem.planes[0] * math.prod(line.reach for line in problem.lines)
        copies = 3 * 8 * problem.taps * math.prod(problem.pooled_planes)
        return padded * problem.itemsize + (copies if problem.kind in ("l2", "lp") else 0)

    def arithmetic(self, problem: PoolProblem) -> tuple[str, float]:
        dtype, roundings = super().arithmetic(problem)
        if problem.kind == "average" and problem.operation == "forward":
            return problem.dtype, problem.taps + 1
        return dtype, roundings

    def forward(
        self, problem: PoolProblem, x: np.ndarray, gate: np.ndarray, out: np.ndarray,
        switches: np.ndarray | None, threads: int,
    ) -> None:  # fmt: skip
        fill = -np.inf if problem.kind in ("max", "maxout") else 0.0
        padded = _padded(problem, x.reshape(problem.planes), fill)
        view = _view(problem, padded)
        y = out.reshape(problem.pooled_planes)
        if problem.kind in ("max", "maxout"):
            view.max(axis=_TAPS, out=y)
        elif problem.kind == "average":
            view.sum(axis=_TAPS, out=y)
            y /= _counts(problem).astype(y.dtype)
        elif problem.kind == "gaussian":
            y[...] = np.einsum("bdhwijk,i,j,k->bdhw", view, *_weights(problem))
        else:
            with np.errstate(over="ignore", under="ignore"):
                y[...] = norm(view.reshape(*view.shape[:4], -1), problem.exponent)

    def grad_input(
        self, problem: PoolProblem, grad_out: np.ndarray, x: np.ndarray, gate: np.ndarray,
        out: np.ndarray, threads: int,
    ) -> None:  # fmt: skip
        """Add every tap's share of the gradient through a strided view of its samples."""
        grad = grad_out.reshape(problem.pooled_planes).astype(np.float64)
        padded = np.zeros((problem.planes[0], *_reach(problem)))
        view = _view(problem, padded, writeable=True)
        if problem.kind == "average":
            grad /= _counts(problem)
            factors = [np.ones(line.window) for line in problem.lines]
        else:
            factors = _weights(problem)
        for tap in np.ndindex(view.shape[4:]):
            view[(..., *tap)] += grad * (
                factors[0][tap[0]] * factors[1][tap[1]] * factors[2][tap[2]]
            )
        out.reshape(problem.planes)[...] = 0
        whole, part = _overlap(problem)
        out.reshape(problem.planes)[whole] = padded[part]


def _is_even(line: WindowAxis, included: bool) -> bool:
    """Return True if every window counts all of its taps."""
    before, after = (line.before, line.after) if included else (0, 0)
    return line.before == before and line.reach <= before + line.size + after


def _reach(problem: PoolProblem) -> tuple[int, ...]:
    """Return the samples that windows span along each axis."""
    return tuple(line.reach for line in problem.lines)


def _counts(problem: PoolProblem) -> np.ndarray:
    """Return the divisor of the average of every window, for broadcasting."""
    d, h, w = windows_of(problem).counts
    return d[:, None, None] * h[:, None] * w


def _weights(problem: PoolProblem) -> list[np.ndarray]:
    """Return the weights of a whole window along each axis, with taps in the padding."""
    axes = (*[None] * (3 - problem.axes), *(problem.sigma or [None] * problem.axes))
    return [
        gaussian_weights(
            regular(line.reach, line.window, 1, line.dilation, (0, 0), 1), sigma, True
        )[0]
        for line, sigma in zip(problem.lines, axes, strict=True)
    ]


def _overlap(problem: PoolProblem) -> tuple[tuple, tuple]:
    """Return the indices where input and padded input coincide: into the one and into the other."""
    whole, part = [], []
    for line in problem.lines:
        count = min(line.size, line.reach - line.before)
        whole.append(slice(0, max(count, 0)))
        part.append(slice(line.before, line.before + max(count, 0)))
    return (..., *whole), (..., *part)


def _padded(problem: PoolProblem, x: np.ndarray, fill: float) -> np.ndarray:
    """Return the input as far as windows reach, with `fill` around it."""
    if all(line.before == 0 and line.reach <= line.size for line in problem.lines):
        return x
    padded = np.full((len(x), *_reach(problem)), fill, x.dtype)
    whole, part = _overlap(problem)
    padded[part] = x[whole]
    return padded


def _view(problem: PoolProblem, padded: np.ndarray, writeable: bool = False) -> np.ndarray:
    """Return the view ``(B, *positions, *taps)``, strided and dilated."""
    spans = tuple((line.window - 1) * line.dilation + 1 for line in problem.lines)
    view = sliding_window_view(padded, spans, axis=(1, 2, 3), writeable=writeable)
    strides = [slice(None, line.positions * line.stride, line.stride) for line in problem.lines]
    taps = [slice(None, None, line.dilation) for line in problem.lines]
    return view[(slice(None), *strides, *taps)]
