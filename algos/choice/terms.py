"""Sizes of a problem that the time of a call depends on.

`features` are the same for every algorithm. `arithmetic` is an algorithm's own count of work. Both
are formulas of a few microseconds, because a new problem is decided on inside a call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from algos.core.family import POOLING
from algos.core.problem import Problem
from algos.pooling.core.problem import PoolProblem
from algos.winograd.form import form, outputs_of, volume

#: Elements of a vector, by which the waste at the ends of rows and channels is counted.
VECTOR = 16
#: Samples between neighbouring windows. Below it, windows overlap in most of their samples.
SLIDING = 1.5


def features(problem: Any, threads: int) -> np.ndarray:
    """Return the features of `problem` for `threads` threads, mostly logarithms of sizes."""
    sizes = _pooling(problem) if problem.family is POOLING else _convolution(problem)
    return np.array([float(threads - 1), *sizes])


def _convolution(problem: Problem) -> list[float]:
    log, groups = math.log2, problem.groups
    inputs, outputs = problem.in_channels // groups, problem.out_channels // groups
    rows, line = math.prod(problem.output_size[:-1]), problem.output_size[-1]
    taps_above, taps = math.prod(problem.kernel[:-1]), problem.kernel[-1]
    return [
        log(problem.batch or 1), log(inputs), log(outputs), log(groups), log(rows), log(line),
        log(taps_above), log(taps), log(math.prod(problem.stride)),
        log(math.prod(problem.dilation)), float(problem.axes == 1), float(problem.axes == 3),
        float(problem.itemsize == 8), float(problem.operation == "grad_input"),
        float(problem.operation == "grad_weight"), log(problem.compulsory_bytes),
        log(positions(problem) * problem.taps), _waste(line), _waste(outputs),
    ]  # fmt: skip


def _pooling(problem: PoolProblem) -> list[float]:
    log, line = math.log2, max(problem.output_shape[-1], 1)
    inputs, outputs = max(math.prod(problem.input_shape), 1), max(_outputs(problem), 1)
    taps, axes = _taps(problem), len(problem.size)
    stride, stride_above = problem.size[-1] / line, inputs / outputs / (problem.size[-1] / line)
    return [
        log(inputs), log(outputs), log(line), log(taps), log(problem.size[-1]), log(stride),
        log(stride_above), min(log(taps) / axes, 3.0), float(stride < SLIDING), float(axes == 1),
        float(axes == 3), float(problem.itemsize == 8), float(problem.operation != "forward"),
        float(problem.kind in ("max", "maxout")), float(problem.kind == "average"),
        log(max(problem.channels * problem.batch, 1)), float(not problem.has_regular_windows),
    ]  # fmt: skip


def _outputs(problem: PoolProblem) -> int:
    return math.prod(problem.output_shape)


def _taps(problem: PoolProblem) -> float:
    """Return the samples of a window, on average."""
    return max(problem.multiply_adds / max(_outputs(problem), 1), 1.0)


def _waste(count: int) -> float:
    """Return the logarithm of the elements handled over those wanted, in whole vectors."""
    return math.log2(-(-count // VECTOR) * VECTOR / count)


def positions(problem: Problem) -> int:
    """Return the number of outputs, over images and output channels."""
    return (problem.batch or 1) * problem.out_channels * math.prod(problem.output_size)


def _direct(problem: Problem) -> float:
    return positions(problem) * problem.taps


def _winograd(step: int) -> Callable[[Problem], float]:
    def count(problem: Problem) -> float:
        inputs = problem.in_channels // problem.groups
        if found := form(problem, step, (2, 3, 5), (3, 5, 7, 9)):
            tiles, points = math.prod(found.tiles(problem)), found.points
            tiles *= volume(problem.output_size)[0]
            repeats = found.sums(problem)  # each an input channel of its own
        else:  # made dense
            taps = max(-(-k // s) for k, s in zip(problem.kernel, problem.stride, strict=True))
            tiles = math.prod(-(-n // outputs_of(step, taps)) for n in problem.output_size)
            points = (step + (2 if taps <= 3 else 4)) ** 2
            repeats = math.prod(problem.stride)
        outputs_too = repeats if problem.operation == "grad_weight" else 1
        transforms = 8 * (problem.in_channels * repeats + problem.out_channels * outputs_too)
        products = inputs * repeats * problem.out_channels
        return (problem.batch or 1) * tiles * points * (products + transforms)

    return count


def _spectral(problem: Problem) -> float:
    samples = (problem.batch or 1) * math.prod(
        n + e for n, e in zip(problem.output_size, problem.extent, strict=True)
    )
    depth = math.log2(16 * math.prod(problem.extent))
    inputs = problem.in_channels // problem.groups
    transforms = 2 * depth * (problem.in_channels + problem.out_channels)
    return samples * math.prod(problem.stride) * (transforms + inputs * problem.out_channels)


def _separable(problem: Problem) -> float:
    inputs = problem.in_channels // problem.groups
    return positions(problem) * inputs * sum(problem.kernel)


#: Multiply-adds of an algorithm, by its name. Other algorithms do those of the definition.
_ARITHMETIC: Mapping[str, Callable[[Problem], float]] = {
    "winograd2": _winograd(2), "winograd4": _winograd(4), "winograd6": _winograd(6),
    "fft": _spectral, "fft-fused": _spectral, "separable": _separable,
}  # fmt: skip


def _each_input(problem: PoolProblem) -> float:
    return float(math.prod(problem.input_shape))


def _each_axis(problem: PoolProblem) -> float:
    """Return the samples that windows of one axis after the other read."""
    axes = len(problem.size)
    one = _taps(problem) ** (1 / axes)
    return min(problem.multiply_adds, axes * (_outputs(problem) * one + _each_input(problem)))


def _doubling(problem: PoolProblem) -> float:
    """Return the samples that windows read which are made of windows half as long."""
    sums = (math.log2(_taps(problem)) + 1) * (_outputs(problem) + _each_input(problem))
    return min(problem.multiply_adds, sums)


#: The same for pooling. Other algorithms read the samples of all windows.
_POOL_ARITHMETIC: Mapping[str, Callable[[PoolProblem], float]] = {
    "integral": _each_input, "van_herk": _each_input, "separable": _each_axis,
    "parallel": _doubling,
}  # fmt: skip


def arithmetic(name: str, problem: Any) -> float:
    """Return the multiply-adds of the algorithm `name`, roughly."""
    if problem.family is POOLING:
        return _POOL_ARITHMETIC.get(name, lambda p: float(p.multiply_adds))(problem)
    return _ARITHMETIC.get(name, _direct)(problem)
