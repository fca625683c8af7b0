"""SciPy's sliding maxima and means."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from algos.backend.threads import load
from algos.core.algorithm import gamma, unit_roundoff
from algos.core.bound import Bound
from algos.pooling.core.problem import PoolProblem

from .images import same_size
from .peer import PoolPeer


def not_slid(operator: str, problem: PoolProblem) -> str | None:
    """Return the reason why `operator`, a dense filter of unchanged size, cannot do a pooling."""
    if problem.kind not in ("max", "average"):
        return f"{operator} has no {problem.kind} pooling"
    if problem.operation != "forward":
        return f"{operator} has no gradient"
    if problem.placement != "regular":
        return f"{operator} slides windows of one size, it has no {problem.placement} ones"
    if set(problem.stride) != {1}:
        return f"{operator} has no stride"
    if set(problem.dilation) != {1}:
        return f"{operator} has no dilation"
    if problem.count_include_pad is False and any(map(any, problem.padding)):
        return f"{operator} counts the zeros of the padding"
    return None


def slid(
    problem: PoolProblem, x: np.ndarray, operator: Callable[[np.ndarray, np.ndarray], Any]
) -> Bound:
    """Return a pooling by ``operator(image, into)``, whose result is as large as the image.

    x : (N, C, *size). An image is grown, within the call, where the padding asks for it.
    """
    placed = same_size(problem)
    own = x.reshape(-1, *problem.size).copy()
    results = np.empty((len(own), *placed.size), x.dtype)
    fill = -np.inf if problem.kind == "max" else 0.0

    def call() -> np.ndarray:
        for image, into in zip(own, results, strict=True):
            operator(placed.grown(image, fill), into)
        return results

    def fetch(results: np.ndarray, out: np.ndarray) -> None:
        placed.fetch(results, out.reshape(-1, *problem.output_size))

    return Bound(call, fetch)


def slid_bytes(problem: PoolProblem) -> int:
    """Return the bytes that `slid` holds: its own images, a grown one, and the results."""
    planes = math.prod(problem.planes) // math.prod(problem.size)
    images = (planes + 1) * math.prod(same_size(problem).size)
    return (images + math.prod(problem.input_shape)) * problem.itemsize


def running_error(problem: PoolProblem, x: np.ndarray, magnitude: np.ndarray) -> np.ndarray:
    """Return a bound for means by running sums in double precision, rounded once an axis.

    A running sum adds and subtracts once per sample of a line. Each step rounds by at most
    u·F·max|x|; the division by F cancels the F.
    """
    steps = sum(2 * (size + window) for size, window in zip(problem.size, problem.window))  # noqa: B905
    largest = float(np.abs(x).max(initial=0.0))
    sums = 1.01 * steps * unit_roundoff("float64") * largest
    rounded = gamma(problem.axes + 2, problem.dtype) * magnitude
    return rounded + sums + 4 * float(np.finfo(problem.dtype).smallest_subnormal)


class ScipyNdimagePool(PoolPeer):
    """scipy.ndimage.maximum_filter and uniform_filter, borders constant; one thread.

    Both go along one axis after the other at a cost that does not depend on the window. Means
    are running sums in double precision, rounded to the data's after each axis, so a NaN stays
    in them; maxima pass over a NaN.
    """

    name = "scipy-ndimage"
    libraries = ("scipy.ndimage",)
    confines_nonfinite = False

    def why_not(self, problem: PoolProblem) -> str | None:
        return not_slid("scipy.ndimage", problem)

    def workspace_bytes(self, problem: PoolProblem, threads: int) -> int:
        return slid_bytes(problem)

    def work(self, problem: PoolProblem) -> float:
        return float(problem.axes * math.prod(problem.planes))

    def bind(self, problem: PoolProblem, *given: np.ndarray, threads: int) -> Bound:
        ndimage = load("scipy.ndimage")
        placed = same_size(problem)
        origin = [a - f // 2 for a, f in zip(placed.anchor, problem.window, strict=True)]
        is_max = problem.kind == "max"
        function = ndimage.maximum_filter if is_max else ndimage.uniform_filter
        fill = -np.inf if is_max else 0.0
        return slid(
            problem,
            given[0],
            lambda image, into: function(
                image, problem.window, output=into, mode="constant", cval=fill, origin=origin
            ),
        )

    def error_bound(
        self, problem: PoolProblem, first: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        if problem.kind == "max":
            return 0.0
        return running_error(problem, first, magnitude)
