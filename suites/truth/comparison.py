"""Comparison of an output with the oracle: its error over the algorithm's own bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from algos import Algorithm, Plan, Problem
from algos.adapters import performer

from . import oracle


@dataclass(frozen=True)
class Verdict:
    """The result of checking one output.

    `relative_error` is the largest error over the largest exact result.
    """

    error_over_bound: float
    reason: str = ""
    relative_error: float = 0.0

    @property
    def passed(self) -> bool:
        """True if nothing was wrong."""
        return not self.reason


def truth(
    problem: Problem,
    positions: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    bias: np.ndarray | None,
) -> oracle.Pair:
    """Return the oracle's result of `problem` at `positions`, from its operands and bias.

    The second array holds the sums of the products' sizes, which rounding errors scale with.
    """
    p = problem
    settings: dict[str, Any] = {
        "stride": p.stride, "dilation": p.dilation, "groups": p.groups, "flip": p.flip,
        "before": p.before, "boundary": p.boundary,
        "tile": p.tile, "table": None if p.connections is None else p.table,
    }  # fmt: skip
    if p.operation == "grad_input":
        return oracle.grad_input_at(positions, first, second, size=p.size, **settings)
    settings["cval"] = p.cval
    if p.operation == "grad_weight":
        return oracle.grad_weight_at(positions, first, second, kernel=p.kernel, **settings)
    offset = np.zeros(p.out_channels, first.dtype) if bias is None else bias
    return oracle.correlate_at(positions, first, second, offset, **settings)


def plan_for(
    problem: Problem,
    first: np.ndarray,
    second: np.ndarray,
    bias: np.ndarray | None,
    algorithm: Algorithm,
    threads: int,
) -> tuple[Plan, tuple[np.ndarray, ...]]:
    """Return a plan for `problem`, and the arrays to call it with."""
    if problem.operation == "grad_weight":
        return Plan(problem, algorithm=algorithm, threads=threads), (first, second)
    # The kernel is never written to; a copy would add memory that the algorithm does not need.
    return Plan(problem, second, bias, algorithm=algorithm, threads=threads, copy=False), (first,)


def reason_against(algorithm: Algorithm, problem: Problem, second: np.ndarray) -> str | None:
    """Return the reason why `algorithm` cannot do `problem` with this second operand, or None."""
    kernel = None if problem.operation == "grad_weight" else second
    return performer(algorithm, problem).why_not(problem, kernel)


def compare(y: np.ndarray, positions: np.ndarray, exact: np.ndarray, bound: np.ndarray) -> Verdict:
    """Compare `y` at `positions` (P, y.ndim) with `exact` (P,), elementwise within `bound`.

    It passes if |y − exact| is within the bound at every position, and no element of `y` is NaN
    or infinite.
    """
    computed = y[tuple(positions.T)]
    with np.errstate(all="ignore"):  # a wrong output may hold any value
        error = np.abs(computed.astype(exact.dtype) - exact).astype(np.float64)
        ratio = np.where(error == 0, 0.0, error / bound)
    ratio = np.where(np.isnan(ratio), np.inf, ratio)
    worst = int(ratio.argmax())
    value = float(ratio[worst])
    if value > 1:
        place = tuple(int(i) for i in positions[worst])
        return Verdict(
            value,
            f"wrong at output {place}: {computed[worst]:.9g} instead of "
            f"{float(exact[worst]):.9g}, {value:.3g} times the error bound",
        )
    if not np.isfinite(y).all():
        count = int((~np.isfinite(y)).sum())
        return Verdict(np.inf, f"{count} of {y.size} outputs are NaN or infinite")
    largest = float(np.abs(exact).max(initial=0))
    return Verdict(value, relative_error=float(error.max()) / largest if largest else 0.0)
