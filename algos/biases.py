"""Biases that an output channel does not share: of every location, or of every kernel of a tile.

Algorithms know a bias per channel alone, which costs them nothing; these are added afterwards.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from .adapter import Adapter
from .arrays import no_bias
from .problem import Problem


@lru_cache(maxsize=256)
def unbiased(problem: Problem) -> Problem:
    """The same layer without its bias."""
    return replace(problem, bias=False)


def at_locations(problem: Problem, bias: np.ndarray) -> np.ndarray:
    """`bias`, of any kind, as ``(O, *output_size)`` or what broadcasts to it."""
    if problem.bias != "tile":
        return bias.reshape(*bias.shape, *[1] * (problem.axes + 1 - bias.ndim))
    kernels = [np.arange(o) % t for o, t in zip(problem.output_size, problem.tile, strict=True)]
    return bias[np.ix_(np.arange(problem.out_channels), *kernels)]


class Biased(Adapter):
    """A layer with a bias per location or tile, by an algorithm that adds it per channel."""

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        plain = unbiased(problem)
        return self.algorithm.performer(plain).why_not(plain, w)

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        plain = unbiased(problem)
        own = problem.out_channels * int(np.prod(problem.output_size)) * problem.itemsize
        return self.algorithm.performer(plain).workspace_bytes(plain, threads) + own

    def work(self, problem: Problem) -> float:
        plain = unbiased(problem)
        return self.algorithm.performer(plain).work(plain)

    def prepare(self, problem, w, threads):
        plain = unbiased(problem)
        return self.algorithm.performer(plain).prepare(plain, w, threads)

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        plain = unbiased(problem)
        none = no_bias(plain.out_channels, bias.dtype)
        self.algorithm.performer(plain).forward(plain, x, prepared, none, out, threads)
        with np.errstate(all="ignore"):  # NaN and infinity are data here
            out += at_locations(problem, bias)

    def error_bound(self, problem, x, w, magnitude):
        """The algorithm's own, and one rounding more of the sum."""
        plain = unbiased(problem)
        own = self.algorithm.performer(plain).error_bound(plain, x, w, magnitude)
        return own + float(np.finfo(problem.dtype).eps) * (magnitude + own)
