"""The oracle's reductions of a pooling window: one definition for each kind, and its derivatives.

Like `pool_oracle`, it imports nothing from `algos`, so that no mistake can be shared. The values of
a window are in wider arithmetic already.

A magnitude scales a relative rounding error: |error| <= γ·magnitude.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Sight:
    """One window of one plane: its samples, where they lie, and their weights."""

    values: np.ndarray
    places: np.ndarray
    count: int
    weights: np.ndarray
    gate: np.ndarray
    u: float


def _first_maximum(values: np.ndarray) -> int:
    return int(np.argmax(values))  # NumPy's is the first, and the first NaN before it


def _opening(sight: Sight) -> tuple[Any, Any, Any]:
    """Return the gate's open share, its closed share, and its argument's magnitude."""
    argument = (sight.gate * sight.values).sum()
    rough = np.abs(sight.gate * sight.values).sum()
    with np.errstate(over="ignore"):  # a gate may be fully open or closed
        return 1 / (1 + np.exp(-argument)), 1 / (1 + np.exp(argument)), rough


def _chosen(sight: Sight) -> int:
    """Return the tap that stochastic pooling samples, or -1."""
    positive = np.maximum(sight.values, 0)
    if not positive.any():
        return -1
    return int(np.argmax(np.cumsum(positive) > sight.u * positive.sum()))


def reduce(problem: Any, sight: Sight) -> tuple[Any, Any, int]:
    """Return (value, magnitude, index of the chosen tap or -1) of one window."""
    v = sight.values
    if problem.kind == "max":
        best = _first_maximum(v)
        return v[best], abs(v[best]), best
    if problem.kind in ("l2", "lp"):
        p = 2 if problem.kind == "l2" else problem.p
        most = np.abs(v).max()
        if most == 0:
            return most, most, -1
        value = most * ((np.abs(v) / most) ** v.dtype.type(p)).sum() ** (1 / v.dtype.type(p))
        return value, value, -1
    if problem.kind == "gaussian":
        return (sight.weights * v).sum(), (sight.weights * abs(v)).sum(), -1
    if problem.kind == "stochastic":
        if problem.mode == "train":
            tap = _chosen(sight)
            return (v[tap], abs(v[tap]), tap) if tap >= 0 else (v[0] * 0, v[0] * 0, -1)
        positive = np.maximum(v, 0)
        if not positive.any():
            return v[0] * 0, v[0] * 0, -1
        value = ((positive / positive.max()) ** 2).sum() / (positive / positive.max()).sum()
        return value * positive.max(), value * positive.max(), -1
    mean, size = v.sum() / sight.count, abs(v).sum() / sight.count
    if problem.kind == "average":
        return mean, size, -1
    best = _first_maximum(v)
    if problem.kind == "mixed":
        share, rest, argument = v.dtype.type(problem.mix), 1 - v.dtype.type(problem.mix), 0
    else:
        share, rest, argument = _opening(sight)
    blended = share * abs(v[best]) + rest * size
    extra = share * rest * argument * (abs(v[best]) + size)
    return share * v[best] + rest * mean, blended + extra, best


def slopes(problem: Any, sight: Sight) -> tuple[np.ndarray, np.ndarray]:
    """Return the derivatives of a window's value by its samples, and their magnitudes."""
    v = sight.values
    lone = np.zeros_like(v)
    if problem.kind in ("max", "mixed", "gated"):
        lone[_first_maximum(v)] = 1
    if problem.kind == "max":
        return lone, lone
    if problem.kind in ("l2", "lp"):
        value, _, _ = reduce(problem, sight)
        if value == 0:
            return lone, lone
        p = v.dtype.type(2 if problem.kind == "l2" else problem.p)
        steep = np.where(v == 0, 0, (np.where(v == 0, 1, abs(v)) / value) ** (p - 1))
        return np.sign(v) * steep, steep
    if problem.kind == "gaussian":
        return sight.weights, sight.weights
    if problem.kind == "stochastic" and problem.mode == "train":
        tap = _chosen(sight)
        if tap >= 0:
            lone[tap] = 1
        return lone, lone
    if problem.kind == "stochastic":
        positive = np.maximum(v, 0)
        if not positive.any():
            return lone, lone
        value, _, _ = reduce(problem, sight)
        active = v > 0
        whole = positive.sum()
        return active * (2 * v - value) / whole, active * (2 * abs(v) + value) / whole
    even = np.ones_like(v) / sight.count
    if problem.kind == "average":
        return even, even
    if problem.kind == "mixed":
        share = v.dtype.type(problem.mix)
        slope = share * lone + (1 - share) * even
        return slope, slope
    share, rest, argument = _opening(sight)
    best, mean, size = v.max(), v.sum() / sight.count, abs(v).sum() / sight.count
    lever = share * rest
    slope = share * lone + rest * even + lever * (best - mean) * sight.gate
    rough = lever * (abs(best) + size) * abs(sight.gate)
    magnitude = share * lone + rest * even + rough
    return slope, magnitude + argument * (lever * (lone + even) + rough)
