"""The oracle of pooling on windows that a formula of sizes may forget."""

import numpy as np

from algos.pooling import PoolProblem
from suites.truth import pool_oracle


def test_a_ragged_window_may_be_the_only_one():
    """With "ceil" a window may exceed the padded input by less than a stride."""
    problem = PoolProblem(
        size=6, kind="l2", window=8, stride=4, padding=((0, 1),), fit="ceil", dtype="float64"
    )
    x = np.arange(6.0).reshape(1, 1, 6)
    value, _, _ = pool_oracle.forward(problem, x)
    assert problem.output_shape == value.shape == (1, 1, 1)
    np.testing.assert_allclose(value.astype(float), np.sqrt(55.0))
