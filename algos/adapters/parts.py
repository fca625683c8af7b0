"""Tiled layers and connection tables as several plain convolutions, for every algorithm.

Output positions that share a kernel are those of one phase of the tile's period t. Together they
are a convolution with stride S·t whose input begins a little later. Source: Goodfellow, Bengio &
Courville, *Deep Learning*, 2016, eq. 9.10, read one phase at a time. Output channels connected to
the same input channels are a convolution of those channels.

No product with an absent connection is ever formed. The price is one call per part, so layers of
very many parts are refused. `naive` and `parallel` have kernels of their own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from algos.core.arrays import read_only
from algos.core.problem import Problem

from .adapter import Resolving

#: Most parts that are computed one after another.
MOST_PARTS = 64

Index = tuple[Any, ...]


@dataclass(frozen=True)
class Part:
    """One of the layers that make up another: the elements it reads and writes, and its kernels."""

    problem: Problem
    inputs: Index
    outputs: Index
    kernels: Index

    def kernel(self, w: np.ndarray) -> np.ndarray:
        """Return this part's share of the layer's kernels `w`."""
        return read_only(np.ascontiguousarray(w[self.kernels]))


def count_parts(problem: Problem) -> int:
    """Return the number of parts of the layer."""
    if problem.connections:
        return len(set(problem.connections))
    return math.prod(map(min, problem.tile, problem.output_size))


@lru_cache(maxsize=64)
def parts(problem: Problem) -> tuple[Part, ...]:
    """Return the `count_parts` parts of the layer: all connections present, or untiled."""
    return tuple(_of_connections(problem) if problem.connections else _of_phases(problem))


def _of_connections(problem: Problem) -> Iterator[Part]:
    """Yield one part per distinct set of connected input channels."""
    numbers, every = problem.connections, slice(None)
    for number in dict.fromkeys(numbers):
        rows = [o for o, other in enumerate(numbers) if other == number]
        channels = [c for c in range(problem.in_channels) if number >> c & 1]
        part = replace(
            problem, in_channels=len(channels), out_channels=len(rows), connections=None, name=""
        )  # fmt: skip
        tile = (every,) * (problem.axes if problem.is_tiled else 0)
        yield Part(part, (every, channels), (every, rows), (*tile, *np.ix_(rows, channels)))


def _of_phases(problem: Problem) -> Iterator[Part]:
    """Yield one part per phase of the tile: the outputs that share a kernel, with stride S·t."""
    per_axis = [
        [_phase(problem, axis, a) for a in range(min(t, o))]
        for axis, (t, o) in enumerate(zip(problem.tile, problem.output_size, strict=True))
    ]
    stride = [s * t for s, t in zip(problem.stride, problem.tile, strict=True)]
    for chosen in itertools.product(*per_axis):
        phase, inputs, outputs, sizes, padding = zip(*chosen, strict=True)
        part = replace(
            problem, size=sizes, padding=padding, stride=stride, tile=1, fit="floor", name=""
        )  # fmt: skip
        yield Part(part, (..., *inputs), (..., *outputs), phase)


def _phase(problem: Problem, axis: int, a: int) -> tuple[int, slice, slice, int, tuple[int, int]]:
    """Return (a, samples read, outputs, size, padding) of outputs a, a + t, … of one axis."""
    period, stride = problem.tile[axis], problem.stride[axis]
    size, outputs = problem.size[axis], problem.output_size[axis]
    count = -(-(outputs - a) // period)
    reach = (count - 1) * stride * period + problem.extent[axis]
    start = a * stride - problem.before[axis]
    first, last = max(start, 0), min(start + reach, size)
    if first >= last:  # only padding: one unread sample stands for the input
        return a, slice(0, 1), slice(a, None, period), 1, (reach, 0)
    sides = (first - start, start + reach - last)
    return a, slice(first, last), slice(a, None, period), last - first, sides


class Parts(Resolving):
    """Tiled layer, or layer with a connection table, by an algorithm that supports neither.

    A layer with both is split by its connections first, and its parts by their phases.
    """

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        """Refuse too many parts, or give the reason why the algorithm cannot do one of them."""
        if (count := count_parts(problem)) > MOST_PARTS:
            return (
                f"a layer like this is made of {count} plainer ones, more than the {MOST_PARTS} "
                f"that {self.name} would compute one after another"
            )
        for part in parts(problem):
            kernel = None if w is None else part.kernel(w)
            if reason := self._performer(part).why_not(part.problem, kernel):
                return f"{reason} (asked of {part.problem}, of which the layer is made)"
        return None

    def _performer(self, part: Part) -> Any:
        return self.performer(part.problem)

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes that the prepared parts need, and of the arrays of the largest."""
        own = [
            (self._performer(part).workspace_bytes(part.problem, threads), part.problem)
            for part in parts(problem)
        ]
        kernels = problem.parameters * problem.itemsize
        return kernels + sum(n for n, _ in own) + max(p.compulsory_bytes for _, p in own)

    def work(self, problem: Problem) -> float:
        """Return the work of the parts."""
        return sum(self._performer(part).work(part.problem) for part in parts(problem))

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> list[Any]:
        """Return the prepared kernel of every part."""
        return [
            self._performer(part).prepare(part.problem, part.kernel(w), threads)
            for part in parts(problem)
        ]

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        for part, ready in zip(parts(problem), prepared, strict=True):
            source = read_only(np.ascontiguousarray(x[part.inputs]))
            offset = read_only(bias[part.outputs[1]]) if problem.connections else bias
            result = np.empty(part.problem.output_shape, out.dtype)
            self._performer(part).forward(part.problem, source, ready, offset, result, threads)
            out[part.outputs] = result

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        out[...] = 0
        for part, ready in zip(parts(problem), prepared, strict=True):
            source = read_only(np.ascontiguousarray(g[part.outputs]))
            result = np.empty(part.problem.input_shape, out.dtype)
            self._performer(part).grad_input(part.problem, source, ready, result, threads)
            with np.errstate(all="ignore"):  # NaN and infinity are data here
                out[part.inputs] += result

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        out[...] = 0
        for part in parts(problem):
            first, second = (
                read_only(np.ascontiguousarray(array[index]))
                for array, index in ((x, part.inputs), (g, part.outputs))
            )
            result = np.empty(part.problem.kernel_shape, out.dtype)
            self._performer(part).grad_weight(part.problem, first, second, result, threads)
            out[part.kernels] = result

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return the largest bound of the parts; for grad_input, which adds parts, their sum."""
        bounds = []
        for part in parts(problem):
            first = x[part.outputs if problem.operation == "grad_input" else part.inputs]
            by_weight = problem.operation == "grad_weight"
            second = w[part.outputs] if by_weight else part.kernel(w)
            bounds.append(self._performer(part).error_bound(
                part.problem, np.ascontiguousarray(first), np.ascontiguousarray(second), magnitude
            ))  # fmt: skip
        if problem.operation == "grad_input":
            total = np.sum(np.broadcast_arrays(*bounds), axis=0)
            adding = len(bounds) * float(np.finfo(problem.dtype).eps)
            return total + adding * (magnitude + total)
        return np.max(np.broadcast_arrays(*bounds), axis=0)
