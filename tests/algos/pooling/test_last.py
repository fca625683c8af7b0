"""Pooling of arrays with channels last, in place."""

import itertools

import numpy as np
import pytest

from algos import pooling
from algos.adapters import performer
from algos.core.memory_order import has_layout, laid_out
from algos.pooling import PoolProblem
from algos.pooling.kernels import last
from algos.pooling.plan import PoolPlan
from algos.registry import poolings
from algos.simd import registers as simd

LAST = "channels_last"
LANES = simd.lanes_of(4)
WINDOWS = [
    {"window": 2}, {"window": 3, "stride": 2, "padding": 1}, {"window": (3, 2), "stride": 1},
    {"window": 3, "stride": 2, "padding": 1, "fit": "ceil"}, {"window": 2, "dilation": 3},
    {"output": (3, 4)}, {"output": 1}, {"ratio": 1.4},
]  # fmt: skip


@pytest.mark.parametrize("windows", WINDOWS, ids=str)
@pytest.mark.parametrize("kind", ["max", "average"])
def test_it_agrees_with_channels_first(kind, windows):
    rng = np.random.default_rng(0)
    for channels, dtype in itertools.product(
        (LANES, LANES + 1, 4 * LANES, 5 * LANES + 3), ("float32", "float64")
    ):
        fields = {"size": (11, 9), "kind": kind, "batch": 2, "channels": channels, "dtype": dtype}
        problem = PoolProblem(**fields, **windows, layout=LAST)
        assert last.applies_to(problem)
        x = rng.integers(-99, 99, problem.input_shape).astype(dtype)
        out = laid_out(np.full(problem.output_shape, np.nan, dtype), LAST)
        plan = PoolPlan(problem, algorithm="parallel")
        assert plan(laid_out(x, LAST), out=out) is out
        y = PoolPlan(PoolProblem(**fields, **windows), algorithm="naive")(x)
        np.testing.assert_allclose(out, y, rtol=3e-6 if dtype == "float32" else 1e-15)


def test_averages_leave_out_the_padding_if_asked():
    x = np.ones((1, 2 * LANES, 5, 5), "f4")
    options = {"size": 3, "stride": 2, "padding": 1, "algorithm": "parallel"}
    y = pooling.pool(laid_out(x, LAST), "average", count_include_pad=False, **options)
    assert (y == 1).all()
    y = pooling.pool(laid_out(x, LAST), "average", **options)
    assert y[0, 0, 0, 0] == np.float32(4 / 9)


def test_nan_and_infinity_are_kept():
    x = np.zeros((1, LANES, 4, 4), "f4")
    x[0, 0, 0, 0], x[0, 1, 3, 3], x[0, 2] = np.nan, np.inf, -np.inf
    y = pooling.pool(laid_out(x, LAST), "max", size=2, algorithm="parallel")
    assert np.isnan(y[0, 0, 0, 0])
    assert np.isinf(y[0, 1, 1, 1])
    assert (y[0, 2] == -np.inf).all()
    assert np.isfinite(y[0, 3:]).all()


@pytest.mark.parametrize("channels", [3, 2 * LANES])
def test_switches_are_the_same_in_both_layouts(channels):
    x = np.random.default_rng(0).standard_normal((2, channels, 6, 8)).astype("f4")
    for windows in ({"size": 2}, {"levels": (3, 1)}):
        options = {**windows, "return_switches": True}
        (y, s), (z, t) = (pooling.pool(a, "max", **options) for a in (x, laid_out(x, LAST)))
        np.testing.assert_array_equal(z, y)
        np.testing.assert_array_equal(t, s)
        assert has_layout(z, LAST)
        assert has_layout(t, LAST)


def test_gradients_and_other_kinds_are_copied():
    problem = PoolProblem(size=(6, 6), kind="l2", channels=2 * LANES, window=2, layout=LAST)
    parallel = poolings()["parallel"]
    assert performer(parallel, problem) is not parallel
    copied = 2 * LANES * (36 + 9) * 4
    assert performer(parallel, problem).workspace_bytes(problem, 1) >= copied
    x = np.random.default_rng(0).standard_normal(problem.input_shape).astype("f4")
    g = np.ones(problem.output_shape, "f4")
    found = pooling.pool_grad(laid_out(g, LAST), laid_out(x, LAST), "max", size=2)
    assert has_layout(found, LAST)
    np.testing.assert_array_equal(found, pooling.pool_grad(g, x, "max", size=2))


def test_threads_change_no_bit():
    problem = PoolProblem(size=(65, 64), kind="average", channels=64, window=3, stride=1,
                          padding=1, layout=LAST)  # fmt: skip
    x = np.random.default_rng(0).standard_normal(problem.input_shape).astype("f4")
    one, two = (PoolPlan(problem, algorithm="parallel", threads=n)(x) for n in (1, 2))
    np.testing.assert_array_equal(one, two)
