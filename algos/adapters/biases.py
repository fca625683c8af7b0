"""Biases that differ within an output channel: one per location, or one per kernel of a tile.

Algorithms add a bias per channel at no cost. Other biases are added afterwards.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from algos.core.arrays import no_bias
from algos.core.problem import Problem

from .adapter import Resolving


@lru_cache(maxsize=256)
def unbiased(problem: Problem) -> Problem:
    """Return the same layer without its bias."""
    return replace(problem, bias=False)


def at_locations(problem: Problem, bias: np.ndarray) -> np.ndarray:
    """Return `bias` of any kind as an array that broadcasts to ``(O, *output_size)``."""
    if problem.bias != "tile":
        return bias.reshape(*bias.shape, *[1] * (problem.axes + 1 - bias.ndim))
    kernels = [np.arange(o) % t for o, t in zip(problem.output_size, problem.tile, strict=True)]
    return bias[np.ix_(np.arange(problem.out_channels), *kernels)]


class Biased(Resolving):
    """Layer with a bias per location or tile, by an algorithm that adds a bias per channel."""

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        plain = unbiased(problem)
        return self.performer(plain).why_not(plain, w)

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        plain = unbiased(problem)
        own = problem.out_channels * int(np.prod(problem.output_size)) * problem.itemsize
        return self.performer(plain).workspace_bytes(plain, threads) + own

    def work(self, problem: Problem) -> float:
        plain = unbiased(problem)
        return self.performer(plain).work(plain)

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Any:
        plain = unbiased(problem)
        return self.performer(plain).prepare(plain, w, threads)

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        plain = unbiased(problem)
        none = no_bias(plain.out_channels, bias.dtype)
        self.performer(plain).forward(plain, x, prepared, none, out, threads)
        with np.errstate(all="ignore"):  # NaN and infinity are data here
            out += at_locations(problem, bias)

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return the algorithm's own bound plus one rounding of the sum."""
        plain = unbiased(problem)
        own = self.performer(plain).error_bound(plain, x, w, magnitude)
        return own + float(np.finfo(problem.dtype).eps) * (magnitude + own)
