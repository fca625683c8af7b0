"""Deblurring with its numbers, checked step by step before it is timed.

An iteration multiplies the estimate by a quotient, so the errors of early steps grow in later ones,
and a bound on the whole says little. Each step is held to its own bound instead, on the operands
that it was given. The oracle judges the convolutions by the bounds of the algorithm. The other
steps may differ from float64 by a few roundings. The last estimate must be the result, bit by bit.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from algos.adapters import performer
from algos.core.errors import ConvbenchError
from algos.deblurring.plan import DeblurPlan
from algos.deblurring.problem import DeblurProblem
from suites.cases.data import arrays
from suites.cases.suite import Case

from . import oracle
from .comparison import Verdict
from .instance import ConvolutionInstance, Instance

#: Roundings of the steps between the convolutions: two divisions and a product.
ROUNDINGS = 3
#: Positions of each convolution that are compared with the oracle, of all iterations together.
POSITIONS = 400


class DeblurInstance(Instance):
    """A deconvolution with its numbers: `arrays` are the blurred image and the blur.

    The case's picture is the sharp image. SciPy blurs it in float64, with the boundary of the
    problem.
    """

    def __init__(self, case: Case, seed: int = 0) -> None:
        problem = case.problem
        sharp, w, _ = arrays(replace(case, problem=problem.blur), seed)
        if case.weights == "random":
            w = np.abs(w)
        if w.min() < 0:
            raise ConvbenchError(
                f"weights {case.weights!r} hold {w.min():g}; a blur is not negative: take a "
                f"Gaussian, a box or a motion"
            )
        self.case, w = case, w / w.sum(dtype=np.float64)
        from scipy import ndimage  # other workers start without it

        mode = "constant" if problem.boundary == "zeros" else problem.boundary
        x = ndimage.convolve(np.abs(sharp).astype(np.float64), w, mode=mode, cval=problem.cval)
        self.arrays = x.astype(problem.dtype), w.astype(problem.dtype)

    def reason_against(self, algorithm: Any) -> str | None:
        return performer(algorithm, self.problem).why_not(self.problem, self.arrays[1])

    def plan(self, algorithm: Any, threads: int) -> tuple[Any, tuple[Any, ...]]:
        self._plan = DeblurPlan(self.problem, self.arrays[1], algorithm=algorithm, threads=threads)
        return self._plan, (self.first,)

    def check(self, algorithm: Any, y: np.ndarray, positions: np.ndarray) -> Verdict:
        """Compare every step with its own operands, and `y` with the last estimate."""
        plan, image, w = self._plan, self.first, self.arrays[1]
        able, worst, error = algorithm.convolution, 0.0, 0.0
        estimate, following = np.empty_like(image), None
        for number, (ratio, returned) in enumerate(plan.steps(image, estimate), 1):
            if following is not None and not _is_near(estimate, following):
                return Verdict(math.inf, f"iteration {number}: the estimate is not the product")
            blurred = plan.blur(estimate)
            count = max(16, POSITIONS // self.problem.iterations)
            for step, given, made in (
                (self.problem.blur, estimate, blurred), (self.problem.back, ratio, returned)
            ):  # fmt: skip
                instance = ConvolutionInstance.of(Case(step), (given.copy(), w))
                at = oracle.some_positions(step.result_shape, count, number)
                verdict = instance.check(able, made, at)
                if not verdict.passed:
                    return replace(verdict, reason=f"iteration {number}, {step}: {verdict.reason}")
                worst = max(worst, verdict.error_over_bound)
                error = max(error, verdict.relative_error)
            exact = image / np.maximum(blurred.astype(np.float64), plan.least)
            if not _is_near(ratio, exact):
                return Verdict(math.inf, f"iteration {number}: the ratio is not image over blur")
            following = estimate * (returned.astype(np.float64) / plan.weight)
        if not (np.array_equal(y, estimate) and _is_near(y, following)):
            return Verdict(math.inf, "the result is not what the steps give")
        return Verdict(worst, relative_error=error)


def _is_near(values: np.ndarray, exact: Any) -> bool:
    """Return True if `values` differ from float64's by `ROUNDINGS` at most, or among subnormals."""
    of = np.finfo(values.dtype)
    return bool(np.allclose(values, exact, rtol=ROUNDINGS * float(of.eps), atol=float(of.tiny)))


def explain(problem: DeblurProblem) -> list[str]:
    """Return lines on the parts of a deconvolution and their work."""
    return [
        f"image {problem.input_shape}, {problem.iterations} iterations",
        f"blur  {problem.blur}",
        f"back  {problem.back}",
        f"{problem.multiply_adds} multiply-adds that meet a sample, {problem.parameters} "
        f"parameters, {problem.compulsory_bytes} bytes to move at least",
    ]
