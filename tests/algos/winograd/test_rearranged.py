"""Strided and dilated layers by Winograd's filtering of a dense one."""

import numpy as np
import pytest

import algos
from algos import Problem
from algos.adapters import performer
from algos.registry import get
from algos.winograd.rearranged import dense, dense_input, dense_kernel
from suites.cases.suite import Case
from suites.truth import oracle
from suites.truth.instance import ConvolutionInstance

FIELDS = [
    {"size": (35, 39), "kernel": 11, "stride": 4, "in_channels": 3, "out_channels": 20},
    {"size": (30, 31), "kernel": (9, 12), "stride": 4, "padding": 5, "flip": True},
    {
        "size": (21, 40),
        "kernel": (5, 6),
        "stride": 2,
        "padding": ((2, 1), (0, 3)),
        "bias": True,
        "in_channels": 4,
        "out_channels": 6,
        "groups": 2,
        "batch": 2,
    },
    {"size": (20, 17), "kernel": (3, 8), "stride": (1, 3), "in_channels": 2, "out_channels": 3},
    {
        "size": (19, 23),
        "kernel": 3,
        "dilation": 2,
        "padding": 2,
        "in_channels": 5,
        "out_channels": 7,
        "bias": True,
    },
    {"size": (23, 16), "kernel": 3, "dilation": (3, 1), "padding": 1, "batch": 2, "flip": True},
    {"size": (30, 22), "kernel": (5, 3), "stride": (2, 1), "dilation": (1, 4), "padding": 3},
    {"size": (9, 9), "kernel": 3, "dilation": 4},
    {"size": (14, 14), "kernel": 5, "stride": 2, "fit": "ceil", "padding": 1},
]
#: Layers of two taps along an axis, dense.
TWO = [
    {"size": (23, 24), "kernel": 4, "stride": 2, "padding": 1, "in_channels": 3, "out_channels": 9},
    {"size": (16, 17), "kernel": 2, "dilation": 3, "padding": 1, "in_channels": 2, "bias": True},
]
#: Layers of five taps along an axis, dense.
FIVE = [
    {"size": (30, 33), "kernel": 7, "stride": 2, "padding": 3, "in_channels": 3, "out_channels": 9},
    {"size": (20, 22), "kernel": 4, "padding": 1, "in_channels": 2, "out_channels": 3},
    {"size": (20, 22), "kernel": (4, 5), "bias": True},
    {"size": (21, 24), "kernel": 5, "dilation": 2, "padding": 4, "flip": True},
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "fields"),
    [(name, fields) for name in ("winograd2", "winograd4", "winograd6") for fields in FIELDS]
    + [("winograd4", fields) for fields in TWO]
    + [("winograd4", fields) for fields in FIVE],
    ids=str,
)
def test_within_the_bound_at_every_output(name, fields):
    problem = Problem(**fields)
    assert dense(problem, tuple(get(name).sizes))
    trial = ConvolutionInstance(Case(problem, "random"), seed=1)
    positions = oracle.every_position(problem.result_shape)
    results = []
    for threads in range(1, algos.backend.threads.available() + 1):
        out = np.full(problem.result_shape, np.nan, problem.dtype)
        plan, given = trial.plan(get(name), threads)
        plan(*given, out)
        verdict = trial.check(performer(get(name), problem), out, positions)
        assert verdict.passed, verdict.reason
        results.append(out)
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


@pytest.mark.parametrize("fields", [*FIELDS, *TWO, *FIVE], ids=str)
def test_the_dense_layer_is_the_same_sum(fields):
    problem = Problem(**{**fields, "dtype": "float64", "bias": False})
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(problem.input_shape), rng.standard_normal(problem.kernel_shape)
    inner = dense(problem, (2, 3, 5))
    y = algos.plan(inner, dense_kernel(problem, inner, w), algorithm="naive")(
        dense_input(problem, inner, x)
    )
    (down, across), (rows, columns) = problem.dilation, problem.output_size
    phases = y.reshape(problem.batch, down, across, problem.out_channels, *y.shape[2:])
    together = phases.transpose(0, 3, 4, 1, 5, 2).reshape(
        problem.batch, problem.out_channels, y.shape[2] * down, y.shape[3] * across
    )[:, :, :rows, :columns]
    exact = algos.plan(problem, w, algorithm="naive")(x)
    np.testing.assert_allclose(together, exact, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "fields",
    [
        {"size": (9, 9), "kernel": 3},
        {"size": (9, 9), "kernel": 5},
        {"size": (9, 9), "kernel": 2},
        {"size": (9, 9), "kernel": (1, 5)},
        {"size": (9, 9), "kernel": 7},
        {"size": (9, 9), "kernel": 5, "stride": 2, "tile": 2},
        {"size": (9, 9), "kernel": 5, "stride": 2, "bias": "location"},
        {"size": (9, 9), "kernel": 5, "stride": 2, "in_channels": 2, "connections": (1,)},
        {"size": (9, 9), "kernel": 3, "stride": 2},
        {"size": (9, 9), "kernel": 5, "stride": 2, "dilation": 2},
        {"size": (9,), "kernel": 5, "stride": 2},
        {"size": (9, 9), "kernel": 5, "stride": 2, "operation": "grad_input"},
        {"size": (9, 9), "kernel": 5, "stride": 2, "operation": "grad_weight"},
    ],
    ids=str,
)
def test_other_layers_are_left_alone(fields):
    assert dense(Problem(**fields), (2, 3, 5)) is None


def test_memory_is_predicted():
    problem = Problem(size=(227, 227), kernel=11, stride=4, in_channels=3, out_channels=96)
    able = performer(get("winograd4"), problem)
    inner = dense(problem, (2, 3, 5))
    copied = 4 * (48 * 57 * 57 + 96 * 48 * 9)
    assert inner.multiply_adds > 0
    assert able.workspace_bytes(problem, 1) == copied + get("winograd4").workspace_bytes(inner, 1)


@pytest.mark.parametrize(
    "more",
    [
        {"kernel": 11, "tile": 2},
        {"kernel": 5, "bias": "location"},
        {"kernel": 5, "connections": [1, 2, 3]},
    ],
    ids=str,
)
def test_layers_made_of_others_are_put_together_first(more):
    problem = Problem(
        size=(35, 37), stride=2, in_channels=2, out_channels=3, dtype="float64", **more
    )
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(problem.input_shape), rng.standard_normal(problem.kernel_shape)
    bias = rng.standard_normal(problem.bias_shape) if problem.bias else None
    found = algos.plan(problem, w, bias, algorithm="winograd4")(x)
    exact = algos.plan(problem, w, bias, algorithm="naive")(x)
    np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-9)
