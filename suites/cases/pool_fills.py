"""Whole numbers for pooling, such that sums and averages of them are exact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from algos.pooling import PoolProblem


def whole_unit(problem: PoolProblem) -> int:
    """Return the unit whose multiples give whole results; 0 if there is none.

    A maximum needs no division. An average divides by the number of taps that a window counts.
    """
    if problem.kind in ("max", "maxout"):
        return 1
    if problem.kind != "average":
        return 0
    counts = {
        math.prod(map(int, each))
        for part in problem.parts
        for each in _each_count(part, problem.count_include_pad)
    }
    unit = math.lcm(*counts)
    limit = 2 ** (24 if problem.dtype == "float32" else 53)
    return unit if 4 * unit * (problem.terms + 1) <= limit else 0


def _each_count(part: PoolProblem, included: bool) -> Any:
    """Return every combination of counted taps along the axes."""
    along = [np.unique(line.counted if included else line.taps) for line in part.lines]
    return np.array(np.meshgrid(*along)).reshape(len(along), -1).T


def integers(rng: np.random.Generator, problem: PoolProblem, shape: Sequence[int]) -> np.ndarray:
    """Return whole numbers, small enough that every sum of them is exact."""
    unit = max(whole_unit(problem), 1)
    limit = 2 ** (24 if problem.dtype == "float32" else 53)
    most = max(1, min(32, limit // (unit * (problem.terms + 1))))
    return (unit * rng.integers(-most, most, shape, endpoint=True)).astype(problem.dtype)
