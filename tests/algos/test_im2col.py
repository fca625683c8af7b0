"""Columns of patches: the matrix whose product with the kernel is the convolution."""

import numpy as np
import pytest

import algos
from algos import ConvbenchError, Problem
from algos.im2col import columns


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ({}, (18, 42)),
        ({"batch": 3}, (18, 126)),
        ({"batch": 2, "groups": 2}, (2, 9, 84)),
        ({"stride": 2, "padding": ((1, 0), (2, 1)), "dilation": 2}, (18, 12)),
    ],
)
def test_their_product_with_the_kernel_is_the_convolution(fields, shape):
    problem = Problem((8, 9), 3, in_channels=2, out_channels=4, dtype="float64", **fields)
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(problem.input_shape), rng.standard_normal(problem.kernel_shape)
    unrolled = columns(problem, x)
    assert unrolled.shape == shape
    matrix = w.reshape(problem.groups, -1, problem.taps)
    y = (matrix @ unrolled.reshape(problem.groups, problem.taps, -1)).reshape(
        4, problem.batch, *problem.output_size
    )
    wanted = algos.plan(problem, w, algorithm="naive")(x)
    np.testing.assert_allclose(y.swapaxes(0, 1), wanted, atol=1e-12)


def test_an_input_of_another_shape_is_refused():
    with pytest.raises(ConvbenchError, match="the problem asks for"):
        columns(Problem(5, 3), np.ones((1, 2, 5), "float32"))
