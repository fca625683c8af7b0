"""Pooling problems in the form kernels take: tuples of arrays and numbers, computed once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import numpy as np

from .problem import PoolProblem
from .windows import WindowAxis

#: Codes of the ways to reduce a window.
MAX, AVERAGE, NORM, GAUSSIAN, SAMPLE, EXPECTATION, MIXED, GATED = range(8)

_CODES = {
    "max": MAX, "maxout": MAX, "average": AVERAGE, "l2": NORM, "lp": NORM, "gaussian": GAUSSIAN,
    "mixed": MIXED, "gated": GATED,
}  # fmt: skip


def kept(function: Callable[[PoolProblem], Any]) -> Callable[[PoolProblem], Any]:
    """Store the result of `function` with the problem, which avoids hashing all its fields."""
    name = f"_{function.__module__}.{function.__qualname__}"

    @wraps(function)
    def look_up(problem: PoolProblem) -> Any:
        """Return the stored result, or compute and store it."""
        known = problem.__dict__
        if name not in known:
            known[name] = function(problem)
        return known[name]

    return look_up


class Windows(NamedTuple):
    """Windows of a problem; each member is a tuple over d, h, w, see `windows.Line`.

    `counts` holds the divisors of averages, as float64. `weights` are ``(positions, taps)``, one
    weight for each tap inside the input, and empty except for "gaussian".
    """

    begin: tuple[np.ndarray, ...]
    taps: tuple[np.ndarray, ...]
    skip: tuple[np.ndarray, ...]
    counts: tuple[np.ndarray, ...]
    weights: tuple[np.ndarray, ...]
    dilation: tuple[int, ...]


class Rule(NamedTuple):
    """Way to reduce a window to one number, with its parameters."""

    code: int
    p: float
    mix: float
    seed: np.uint64
    channels: int


@kept
def windows_of(problem: PoolProblem) -> Windows:
    """Return the windows of `problem`, which has a single grid of them."""
    lines = problem.lines
    included = problem.count_include_pad is not False
    if problem.kind == "gaussian":
        axes = (*[None] * (3 - problem.axes), *(problem.sigma or [None] * problem.axes))
        weights = tuple(
            gaussian_weights(line, sigma, included) for line, sigma in zip(lines, axes, strict=True)
        )
    else:
        weights = (np.zeros((0, 0)),) * 3
    return Windows(
        tuple(line.begin for line in lines),
        tuple(line.taps for line in lines),
        tuple(line.skip for line in lines),
        tuple((line.counted if included else line.taps).astype(np.float64) for line in lines),
        weights,
        tuple(line.dilation for line in lines),
    )


@kept
def rule_of(problem: PoolProblem) -> Rule:
    """Return the rule of `problem`."""
    if problem.kind == "stochastic":
        code = SAMPLE if problem.mode == "train" else EXPECTATION
    else:
        code = _CODES[problem.kind]
    seed = np.uint64((problem.seed or 0) % (1 << 64))
    return Rule(code, problem.exponent, float(problem.mix or 0), seed, problem.channels)


def _exponents(line: WindowAxis, sigma: float | None) -> np.ndarray:
    """Return (t − c)²·D²/(2σ²) of every tap t of every window with middle c, (positions, taps)."""
    taps = np.arange(line.window)
    span = (line.full - 1) * line.dilation + 1
    widths = np.full(line.positions, sigma) if sigma else span / 4
    offset = (taps - (line.full[:, None] - 1) / 2) * line.dilation
    return offset**2 / (2 * widths[:, None] ** 2)


def gaussian_weights(line: WindowAxis, sigma: float | None, included: bool) -> np.ndarray:
    """Return the weight of each tap inside the input, ``(positions, taps)``, then zeros.

    Weights sum to one over the taps counted: those on the input and its padding if `included`,
    otherwise those on the input.
    """
    exponent = _exponents(line, sigma)
    taps = np.arange(line.window)
    inside = (taps >= line.skip[:, None]) & (taps < (line.skip + line.taps)[:, None])
    counted = taps < line.counted[:, None] if included else inside
    exponent = np.where(counted, exponent, np.inf)
    with np.errstate(invalid="ignore", divide="ignore", under="ignore"):
        weights = np.exp(exponent.min(axis=1, keepdims=True) - exponent)
        weights /= weights.sum(axis=1, keepdims=True)
    shifted = np.take_along_axis(
        weights, np.minimum(taps + line.skip[:, None], line.window - 1), axis=1
    )
    return np.where(taps < line.taps[:, None], shifted, 0.0)


def largest_exponent(problem: PoolProblem) -> float:
    """Return the largest exponent whose weight is not zero: 745, or the most that windows reach."""
    sigma = problem.sigma or (None,) * problem.axes
    lines = problem.lines[-problem.axes :]
    return max(
        min(745.0, float(_exponents(line, s).max())) for line, s in zip(lines, sigma, strict=True)
    )
