"""Norms of windows that hold a NaN."""

import numpy as np
import pytest

from algos.pooling import PoolPlan, PoolProblem, names
from algos.registry import poolings

NORMS = {
    kind: PoolProblem(
        size=(8,), window=2, kind=kind, channels=1, dtype="float64", operation="grad_input", **more
    )
    for kind, more in {"l2": {}, "lp": {"p": 3}}.items()
}


@pytest.mark.parametrize("problem", NORMS.values(), ids=NORMS)
def test_a_nan_stays_a_nan_in_the_gradient(problem):
    tried = [name for name in names(problem) if not poolings()[name].is_peer]
    assert {"naive", "parallel", "im2col"} <= set(tried)
    x = np.arange(1.0, 9.0).reshape(1, 1, 8)
    x[0, 0, 1] = np.nan
    for name in tried:
        found = PoolPlan(problem, algorithm=name)(np.ones((1, 1, 4)), x)
        assert np.isnan(found[0, 0, :2]).all() and np.isfinite(found[0, 0, 2:]).all(), name
