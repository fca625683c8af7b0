"""DeblurPlan: Richardson–Lucy deconvolution made ready for one blur, to be called many times."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from algos import registry
from algos.backend import threads as pools
from algos.core.arrays import check_apart, check_out, new, take
from algos.core.bound import Bound
from algos.core.errors import ConvbenchError
from algos.core.family import check_problem
from algos.plan import Plan

from .algorithm import RichardsonLucy
from .problem import DeblurProblem


class DeblurPlan:
    """Prepared deconvolution: ``plan(image) -> estimate``.

    The first estimate is the mean of each image. Every iteration multiplies it by
    back(image / blur(estimate)) / back(1), with the adjoint of the blur as ``back``.

    Parameters
    ----------
    problem : DeblurProblem
    w : ndarray, shape (1, 1, *kernel)
        Blur. No element may be negative.
    algorithm : str or RichardsonLucy
    threads : int, optional
    """

    def __init__(
        self,
        problem: DeblurProblem,
        w: np.ndarray,
        *,
        algorithm: str | RichardsonLucy = "parallel",
        threads: int | None = None,
    ) -> None:
        check_problem(problem, DeblurProblem)
        chosen = registry.get_for(problem, algorithm)
        w = take("kernel", w, problem.blur.kernel_shape, np.dtype(problem.dtype))
        if not w.min() >= 0:
            raise ConvbenchError(
                f"kernel holds {w.min():g}; a blur is not negative, so give numbers from 0 on"
            )
        self.problem, self.algorithm = problem, chosen
        self.threads = pools.check(threads)
        how: dict[str, Any] = {"algorithm": chosen.convolution, "threads": self.threads}
        self.blur, self.back = Plan(problem.blur, w, **how), Plan(problem.back, w, **how)
        #: Smallest number to divide by.
        self.least = np.finfo(problem.dtype).tiny
        ones = np.ones(problem.input_shape, problem.dtype)
        self.weight = np.maximum(self.back(ones), self.least)

    def __repr__(self) -> str:
        problem, name = str(self.problem), self.algorithm.name
        return f"{type(self).__name__}({problem!r}, algorithm={name!r}, threads={self.threads})"

    def __call__(self, image: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return the estimate for an image of positive numbers, (N, 1, *size)."""
        problem, dtype = self.problem, np.dtype(self.problem.dtype)
        image = take("image", image, problem.input_shape, dtype)
        if out is None:
            out = new(problem.output_shape, dtype)
        check_out(out, problem.output_shape, dtype)
        check_apart(out, "image", image)
        for _ in self.steps(image, out):
            pass
        return out

    def steps(self, image: np.ndarray, out: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Write the first estimate into `out`, and multiply it in place by each iteration's factor.

        Yields
        ------
        ratio, returned : ndarray
            Of each iteration, before it changes `out`: the image over the blurred estimate, and
            what the adjoint made of it. Both are overwritten later.
        """
        out[...] = image.mean(axis=tuple(range(1, image.ndim)), keepdims=True)
        ratio, returned = np.empty_like(out), np.empty_like(out)
        for _ in range(self.problem.iterations):
            self.blur(out, ratio)
            np.maximum(ratio, self.least, out=ratio)
            np.divide(image, ratio, out=ratio)
            self.back(ratio, returned)
            yield ratio, returned
            returned /= self.weight
            out *= returned

    def bind(self, image: np.ndarray, *, out: np.ndarray) -> Bound:
        """Return this computation as it is timed; see `algos.plan.Plan.bind`."""
        return Bound(partial(self, image, out))
