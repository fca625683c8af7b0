"""SciPy's sliding maxima and means."""

from __future__ import annotations

import math

import numpy as np

from algos.backend.threads import load
from algos.core.algorithm import gamma, unit_roundoff
from algos.pooling.core.algorithm import PoolAlgorithm
from algos.pooling.core.problem import PoolProblem

from .images import same_size


def not_slid(operator: str, problem: PoolProblem) -> str | None:
    """Return the reason why `operator`, a dense filter of unchanged size, cannot do a pooling."""
    if problem.kind not in ("max", "average"):
        return f"{operator} has no {problem.kind} pooling"
    if problem.operation != "forward":
        return f"{operator} has no gradient"
    if problem.layout != "regular":
        return f"{operator} slides windows of one size, it has no {problem.layout} ones"
    if set(problem.stride) != {1}:
        return f"{operator} has no stride"
    if set(problem.dilation) != {1}:
        return f"{operator} has no dilation"
    if problem.count_include_pad is False and any(map(any, problem.padding)):
        return f"{operator} counts the zeros of the padding"
    return None


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


class ScipyNdimagePool(PoolAlgorithm):
    """scipy.ndimage.maximum_filter and uniform_filter, borders constant; one thread.

    Both go along one axis after the other at a cost that does not depend on the window. Means
    are running sums in double precision, rounded to the data's after each axis, so a NaN stays
    in them; maxima pass over a NaN.
    """

    is_peer = True
    name = "scipy-ndimage"
    libraries = ("scipy.ndimage",)
    opt_in = True
    confines_nonfinite = False

    def why_not(self, problem: PoolProblem) -> str | None:
        return not_slid("scipy.ndimage", problem)

    def workspace_bytes(self, problem: PoolProblem, threads: int) -> int:
        return 2 * math.prod(same_size(problem).size) * problem.itemsize

    def work(self, problem: PoolProblem) -> float:
        return float(problem.axes * math.prod(problem.planes))

    def forward(
        self, problem: PoolProblem, x: np.ndarray, gate: np.ndarray, out: np.ndarray,
        switches: np.ndarray | None, threads: int,
    ) -> None:  # fmt: skip
        ndimage = load("scipy.ndimage")
        placed = same_size(problem)
        origin = [a - f // 2 for a, f in zip(placed.anchor, problem.window, strict=True)]
        is_max = problem.kind == "max"
        function = ndimage.maximum_filter if is_max else ndimage.uniform_filter
        fill = -np.inf if is_max else 0.0

        def operator(source: np.ndarray, result: np.ndarray) -> None:
            function(
                source, problem.window, output=result, mode="constant", cval=fill, origin=origin
            )

        images = x.reshape(-1, *problem.size)
        for image, into in zip(images, out.reshape(-1, *problem.output_size), strict=True):
            placed.filter(image, into, operator, fill)

    def error_bound(
        self, problem: PoolProblem, first: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        if problem.kind == "max":
            return 0.0
        return running_error(problem, first, magnitude)
