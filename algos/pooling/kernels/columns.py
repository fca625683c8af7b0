"""Reduction of windows in NumPy, for arrays whose last axis runs over the taps.

`columns` holds one window per row, zero where a tap lies outside the input. `inside` is True where
a tap lies inside it. Both broadcast over any leading axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from algos.pooling.core.geometry import rule_of, windows_of
from algos.pooling.core.problem import PoolProblem
from algos.pooling.core.windows import WindowAxis


@dataclass(frozen=True)
class Grid:
    """Samples that the windows of a problem read, as arrays; see `grid_of`.

    Attributes
    ----------
    index : int64, (positions, taps)
        Flat index in a plane. Taps outside the input have index 0.
    inside : bool, (positions, taps)
        True for taps inside the input. The others are padding.
    count : float64, (positions,)
        Divisor of an average.
    weights : float64, (positions, taps)
        Weights of a Gaussian. Empty for other kinds.
    """

    index: np.ndarray
    inside: np.ndarray
    count: np.ndarray
    weights: np.ndarray


def grid_of(problem: PoolProblem) -> Grid:
    """Return the taps of every window, row-major over positions and over taps."""
    lines, windows = problem.lines, windows_of(problem)
    places, insides, weights = [], [], []
    for line, table in zip(lines, windows.weights, strict=True):
        taps = np.arange(line.window)
        inside = (taps >= line.skip[:, None]) & (taps < (line.skip + line.taps)[:, None])
        places.append(np.where(inside, _place(line, taps), 0))
        insides.append(inside)
        # Weights start with the first tap inside; here every tap has its own column.
        at = np.where(inside, taps - line.skip[:, None], 0)
        weights.append(
            np.where(inside, np.take_along_axis(table, at, 1), 0.0) if table.size else table
        )
    _d, h, w = lines
    rows = _outer(np.add, places[0] * h.size, places[1])
    index = _outer(np.add, rows * w.size, places[2])
    inside = _outer(np.logical_and, _outer(np.logical_and, *insides[:2]), insides[2])
    counts = windows.counts
    count = counts[0][:, None, None] * counts[1][:, None] * counts[2]
    gaussian = weights[0]
    if gaussian.size:
        gaussian = _outer(np.multiply, _outer(np.multiply, *weights[:2]), weights[2])
    return Grid(np.where(inside, index, 0), inside, count.reshape(-1), gaussian)


def _place(line: WindowAxis, taps: np.ndarray) -> np.ndarray:
    """Return the sample under every tap of every window along one axis."""
    return line.begin[:, None] + (taps - line.skip[:, None]) * line.dilation


def _outer(operation: np.ufunc, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Combine (P, S) and (Q, T) into (P·Q, S·T)."""
    both = operation(a[:, None, :, None], b[None, :, None, :])
    return both.reshape(a.shape[0] * b.shape[0], -1)


def first_maximum(columns: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return the number of the first maximal tap inside the input, or of the first NaN."""
    best = np.where(inside, columns, -np.inf).argmax(axis=-1)
    # If all samples are -inf, argmax may have found a tap outside the input.
    found = np.take_along_axis(np.broadcast_to(inside, columns.shape), best[..., None], -1)[..., 0]
    return np.where(found, best, inside.argmax(axis=-1))


def _take(columns: np.ndarray, tap: np.ndarray) -> np.ndarray:
    """Return the sample under tap number `tap` of every window."""
    return np.take_along_axis(columns, tap[..., None], -1)[..., 0]


def norm(columns: np.ndarray, p: float) -> np.ndarray:
    """Return (Σ|x|^p)^(1/p) in float64, scaled by the largest sample."""
    size = np.abs(columns, dtype=np.float64)
    most = size.max(axis=-1)
    scale = np.where((most > 0) & np.isfinite(most), most, 1.0)
    total = ((size / scale[..., None]) ** p).sum(axis=-1)
    return np.where(np.isfinite(most), scale * total ** (1.0 / p), most)


def _rectified(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return shares of the largest positive sample, their sum, and that sample; 1 if none is."""
    positive = np.maximum(columns, 0, dtype=np.float64)
    most = positive.max(axis=-1)
    scale = np.where(most > 0, most, 1.0)
    shares = positive / scale[..., None]
    whole = shares.sum(axis=-1)
    return shares, np.where(whole > 0, whole, 1.0), scale


def sampled(columns: np.ndarray, inside: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return the tap that stochastic pooling chooses for each uniform number u, or -1."""
    positive = np.maximum(columns, 0, dtype=np.float64)
    most = positive.max(axis=-1, keepdims=True)
    shares = positive / np.where(most > 0, most, 1.0)
    running = np.cumsum(shares, axis=-1)
    whole = running[..., -1:]
    passed = (running > u[..., None] * whole) & (shares > 0)
    last = shares.shape[-1] - 1 - (shares[..., ::-1] > 0).argmax(axis=-1)
    tap = np.where(passed.any(axis=-1), passed.argmax(axis=-1), last)
    tap = np.where(most[..., 0] > 0, tap, -1)
    broken = np.isnan(columns)
    return np.where(broken.any(axis=-1), broken.argmax(axis=-1), tap)


def opening(columns: np.ndarray, gate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (1/(1 + exp(−Σ gate·x)), one minus that): openness of a gate and its complement."""
    total = (columns * gate).sum(axis=-1, dtype=np.float64)
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-total)), 1.0 / (1.0 + np.exp(total))


@np.errstate(all="ignore")  # NaN and infinity are data here
def reduce(
    problem: PoolProblem, columns: np.ndarray, grid: Grid, gate: np.ndarray, u: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return (values, tap chosen or None) of windows ``(…, positions, taps)``.

    gate : (…, 1, taps); u : (…, positions), uniform numbers for stochastic pooling.
    """
    kind, inside = problem.kind, grid.inside
    if kind in ("max", "maxout"):
        tap = first_maximum(columns, inside)
        return _take(columns, tap), tap
    if kind in ("l2", "lp"):
        return norm(columns, problem.exponent), None
    if kind == "gaussian":
        return np.where(inside, columns * grid.weights, 0).sum(axis=-1), None
    if kind == "stochastic" and problem.mode == "train":
        tap = sampled(columns, inside, u)
        return np.where(tap >= 0, _take(columns, np.maximum(tap, 0)), 0), tap
    if kind == "stochastic":
        shares, whole, scale = _rectified(columns)
        return (shares**2).sum(axis=-1) / whole * scale, None
    mean = columns.sum(axis=-1, dtype=np.float64) / grid.count
    if kind == "average":
        return mean, None
    tap = first_maximum(columns, inside)
    share, rest = (problem.mix, 1 - problem.mix) if kind == "mixed" else opening(columns, gate)
    return share * _take(columns, tap).astype(np.float64) + rest * mean, tap


@np.errstate(all="ignore")
def slopes(
    problem: PoolProblem, columns: np.ndarray, grid: Grid, gate: np.ndarray, u: np.ndarray
) -> np.ndarray:
    """Return the derivative of each window's value by each of its taps, (…, positions, taps)."""
    kind, inside = problem.kind, grid.inside
    if kind == "gaussian":
        return np.broadcast_to(grid.weights, columns.shape)
    if kind in ("l2", "lp"):
        value = norm(columns, problem.exponent)[..., None]
        safe = (columns != 0) & ~(value <= 0)  # NaN stays NaN
        ratio = np.abs(columns, dtype=np.float64) / np.where(value <= 0, 1, value)
        ratio = np.where(safe, ratio, 1.0)
        return np.where(safe, np.sign(columns) * ratio ** (problem.exponent - 1), 0.0)
    if kind == "stochastic" and problem.mode == "test":
        shares, whole, _ = _rectified(columns)
        value = (shares**2).sum(axis=-1) / whole
        slope = (2 * shares - value[..., None]) / whole[..., None]
        return np.where(~(columns <= 0), slope, 0.0)
    if kind == "average":
        return np.broadcast_to(inside / grid.count[:, None], columns.shape)
    taps = np.arange(columns.shape[-1])
    if kind == "stochastic":
        return (sampled(columns, inside, u)[..., None] == taps).astype(np.float64)
    tap = first_maximum(columns, inside)
    chosen = (tap[..., None] == taps).astype(np.float64)
    if kind in ("max", "maxout"):
        return chosen
    even = inside / grid.count[:, None]
    if kind == "mixed":
        return problem.mix * chosen + (1 - problem.mix) * even
    share, rest = (part[..., None] for part in opening(columns, gate))
    mean = columns.sum(axis=-1, dtype=np.float64) / grid.count
    lever = share * rest * (_take(columns, tap) - mean)[..., None]
    return np.where(inside, share * chosen + rest * even + lever * gate, 0.0)


def shares_of(problem: PoolProblem, first: int, count: int) -> np.ndarray:
    """Return the uniform numbers of `count` outputs from flat number `first` on.

    They are those of `reduce.uniform`.
    """
    if problem.kind != "stochastic" or problem.mode == "test":
        return np.zeros(count)
    golden = np.uint64(0x9E3779B97F4A7C15)
    index = np.arange(first + 1, first + count + 1, dtype=np.uint64)
    seed = _mix(np.full(1, rule_of(problem).seed))
    return (_mix(seed + index * golden) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(z: np.ndarray) -> np.ndarray:
    """Return the scrambled bits of `z`, as `reduce._mix` does."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
