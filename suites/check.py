"""Is an algorithm's output right? Its error against the oracle, over its own derived bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from algos import Algorithm, Problem

from . import oracle


@dataclass(frozen=True)
class Verdict:
    """What checking one output gave."""

    error_over_bound: float
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong."""
        return not self.reason


def check(
    algorithm: Algorithm,
    problem: Problem,
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None,
    y: np.ndarray,
    positions: np.ndarray,
) -> Verdict:
    """Compare output `y` with the oracle at `positions` (P, 2 + axes), elementwise.

    Passes where |y − exact| is within the algorithm's `error_bound` at each of them and no
    element anywhere was left NaN or infinite.
    """
    offset = np.zeros(problem.out_channels, x.dtype) if bias is None else bias
    settings = {
        "stride": problem.stride,
        "dilation": problem.dilation,
        "before": [before for before, _ in problem.padding],
        "groups": problem.groups,
        "flip": problem.flip,
    }
    exact = oracle.correlate_at(positions, x, w, offset, **settings)
    magnitude = oracle.correlate_at(positions, abs(x), abs(w), abs(offset), **settings)
    computed = y[tuple(positions.T)]
    bound = np.asarray(algorithm.error_bound(problem, x, w, magnitude.astype(np.float64)))
    with np.errstate(all="ignore"):
        error = np.abs(computed.astype(exact.dtype) - exact).astype(np.float64)
        ratio = np.where(error == 0, 0.0, error / bound)
    if np.isnan(ratio).any():
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
    return Verdict(value)
