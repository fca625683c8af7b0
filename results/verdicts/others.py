"""Comparison rules of other tools, applied to the same samples.

- **pytest-benchmark** (``--benchmark-compare-fail=mean:2%``, likewise min and median) compares
  the statistic of one process with that of another. A difference beyond the threshold fails,
  without a statistical test. The rules here apply it in both directions. They use the rounds of
  the first pass, as the tool would. Two more rules use all passes, to its advantage.
- **pyperf** (``pyperf compare_to``) takes the values of all processes. Its test is Student's,
  for two samples with pooled variance, two-tailed at 5 %. With ``--min-speed 2``,
  differences of the means below 2 % do not count (`pyperf._utils.is_significant`,
  `pyperf._compare.CompareResult`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .statistics import Passes

THRESHOLD = 0.02


def _all(samples: Passes) -> np.ndarray:
    return np.array([s for entries in samples.values() for s in entries if s is not None])


def _beyond(
    statistic: Callable[[np.ndarray], float], first_only: bool
) -> Callable[[Passes, Passes], bool]:
    def rule(one: Passes, other: Passes) -> bool:
        if first_only:
            one, other = ({0: side[min(side)]} for side in (one, other))
        ratio = statistic(_all(other)) / statistic(_all(one))
        return bool(ratio > 1 + THRESHOLD or 1 / ratio > 1 + THRESHOLD)

    return rule


def pyperf_significant(one: np.ndarray, other: np.ndarray) -> bool:
    """Return the result of Student's two-sample, two-tailed t-test, pooled variance, at 5 %."""
    from scipy.stats import ttest_ind

    return bool(ttest_ind(one, other).pvalue <= 0.05)


def _pyperf(min_speed: float) -> Callable[[Passes, Passes], bool]:
    def rule(one: Passes, other: Passes) -> bool:
        first, second = _all(one), _all(other)
        ratio = second.mean() / first.mean()
        if max(ratio, 1 / ratio) - 1 < min_speed:
            return False
        return pyperf_significant(first, second)

    return rule


RULES: dict[str, Callable[[Passes, Passes], bool]] = {
    "pytest-benchmark min": _beyond(np.min, first_only=True),
    "pytest-benchmark median": _beyond(lambda s: float(np.median(s)), first_only=True),
    "pytest-benchmark mean": _beyond(np.mean, first_only=True),
    "  min of all passes": _beyond(np.min, first_only=False),
    "  mean of all passes": _beyond(np.mean, first_only=False),
    "pyperf": _pyperf(0.0),
    "pyperf --min-speed 2": _pyperf(THRESHOLD),
}
