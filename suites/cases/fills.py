"""Numbers that reveal mistakes: exact integers, entries of very different size, cancellation.

Each kind has a name that a `Case` may have as its `weights` or `pixels`.
"""

from __future__ import annotations

import math

import numpy as np

from algos.core.problem import Problem

PIXELS = ("integers", "spread", "spike", "offset")
WEIGHTS = ("integers", "integer-rank1", "cancelling")


def largest_integer(problem: Problem) -> int:
    """Return the largest |value| for which every sum of products is an exact integer.

    A float32 holds every integer up to 2^24, a float64 up to 2^53. With inputs, kernels and
    bias within ±R, a sum of n products stays below (n + 1)·R². So R is √(limit / (n + 1)), and at
    most 32, the bound of oneDNN's benchdnn.
    """
    limit = 2 ** (24 if problem.dtype == "float32" else 53)
    return max(1, min(32, math.isqrt(limit // (problem.terms + 1))))


def integers(rng: np.random.Generator, problem: Problem, shape: tuple[int, ...]) -> np.ndarray:
    """Return random integers within ± `largest_integer`."""
    most = largest_integer(problem)
    return rng.integers(-most, most, shape, endpoint=True).astype(problem.dtype)


def pixels(kind: str, rng: np.random.Generator, problem: Problem) -> np.ndarray:
    """Return the first operand, of one of the `PIXELS` kinds.

    It is the input, or for grad_input the output's gradient.

    `spread` : Normal numbers scaled over six orders of magnitude.
    `spike` : Normal numbers, one of them a million.
    `offset` : A thousand plus a little noise; cancels under a kernel whose sum is zero.
    """
    shape = problem.operands[0]
    if kind == "integers":
        return integers(rng, problem, shape)
    return spoilt(kind, rng, shape).astype(problem.dtype)


def spoilt(kind: str, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers of one of the `PIXELS` kinds other than integers."""
    x = rng.standard_normal(shape)
    if kind == "spread":
        x *= 10.0 ** rng.uniform(-3, 3, shape)
    elif kind == "spike":
        x.reshape(-1)[rng.integers(x.size)] = 1e6
    else:
        x = 1000 + 0.01 * x
    return x


def weights(kind: str, rng: np.random.Generator, problem: Problem) -> np.ndarray:
    """Return kernels of one of the `WEIGHTS` kinds, of the problem's ``kernel_shape``.

    `integer-rank1` : Outer products of integer vectors, within ± `largest_integer` altogether.
    `cancelling` : A Laplacian of any size: every tap but one is −1, and their sum is zero.
    """
    shape, pairs = problem.kernel_shape, problem.kernel_shape[: -problem.axes]
    if kind == "integers":
        return integers(rng, problem, shape)
    if kind == "integer-rank1":
        most = max(1, math.floor(largest_integer(problem) ** (1 / problem.axes) + 1e-9))
        w = np.ones(pairs + (1,) * problem.axes)
        for axis, taps in enumerate(problem.kernel):
            along = [1] * problem.axes
            along[axis] = taps
            w = w * rng.integers(-most, most, (*pairs, *along), endpoint=True)
        return w.astype(problem.dtype)
    taps = math.prod(problem.kernel)
    w = np.full((*pairs, taps), -1.0)
    w[..., taps // 2] = max(taps - 1, 1)
    return w.reshape(shape).astype(problem.dtype)
