"""The matrix of a convolution: its elements, its mask, its limits, and layers that it equals."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from problems import problems

import algos
from algos import ConvbenchError, Plan, Problem, toeplitz

RNG = np.random.default_rng(3)


def integers(shape, dtype="float64"):
    return RNG.integers(-5, 6, shape).astype(dtype)


def test_one_axis_is_scipy_s_toeplitz_matrix():
    w = integers((1, 1, 3))
    problem = Problem(size=(6,), kernel=3, padding="full", flip=True, dtype="float64")
    expected = scipy.linalg.convolution_matrix(w[0, 0], 6)
    assert (toeplitz.matrix(problem, w) == expected).all()


def test_two_axes_are_blocks_of_toeplitz_matrices():
    problem = Problem(size=(5, 4), kernel=(3, 2), dtype="float64")
    blocks = toeplitz.matrix(problem, integers((1, 1, 3, 2))).reshape(3, 3, 5, 4)
    assert (blocks[0, :, 0] == blocks[1, :, 1]).all()
    assert (blocks[0, 0, :, :-1] == blocks[0, 1, :, 1:]).all()


@pytest.mark.parametrize("name", ["toeplitz", "toeplitz-sparse"])
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(problem=problems(largest=6, most_channels=2), seed=st.integers(0, 2**20))
def test_both_forms_equal_the_definition(name, problem, seed):
    rng = np.random.default_rng(seed)
    draw = lambda shape: rng.integers(-3, 4, shape).astype(problem.dtype)  # noqa: E731
    problem = replace(problem, bias=False)
    x, w, g = map(draw, (problem.input_shape, problem.kernel_shape, problem.output_shape))
    expected = Plan(problem, w, algorithm="naive")(x)
    assert (Plan(problem, w, algorithm=name)(x) == expected).all()
    if problem.boundary == "constant":
        with pytest.raises(ConvbenchError, match="adds a constant"):
            toeplitz.matrix(problem, w)
        return
    whole = toeplitz.matrix(problem, w)
    flat = x.reshape(problem.batch, -1)
    assert (flat @ whole.T == expected.reshape(problem.batch, -1)).all()
    transposed = replace(problem, operation="grad_input")
    expected = Plan(transposed, w, algorithm="naive")(g)
    assert (Plan(transposed, w, algorithm=name)(g) == expected).all()
    if problem.boundary == "zeros":  # otherwise several taps may read one sample
        assert np.count_nonzero(toeplitz.mask(problem)) == problem.multiply_adds // problem.batch


def test_what_is_too_large_is_refused_with_the_figure():
    vgg = Problem(size=(56, 56), kernel=3, in_channels=256, out_channels=256, padding=1)
    reasons = algos.why_not(vgg)
    assert "802816 × 802816 would take 2.4e+03 GiB" in reasons["toeplitz"]
    assert "GiB are the most" in reasons["toeplitz-sparse"]
    assert "toeplitz" not in algos.why_not(Problem(size=(32, 32), kernel=3))


def test_a_1x1_convolution_is_a_fully_connected_layer_over_channels():
    x, w = integers((2, 5, 4, 3)), integers((7, 5, 1, 1))
    expected = np.einsum("ncij,oc->noij", x, w[:, :, 0, 0])
    for name in ("naive", "im2col", "parallel"):
        assert (algos.conv(x, w, algorithm=name) == expected).all()


def test_a_fully_connected_layer_is_a_convolution():
    """Its kernel is as large as the input, or 1×1 on an image of one pixel."""
    x, dense = integers((3, 4, 5, 6)), integers((8, 4 * 5 * 6))
    expected = x.reshape(3, -1) @ dense.T
    for name in ("naive", "im2col", "parallel"):
        as_kernel = algos.conv(x, dense.reshape(8, 4, 5, 6), algorithm=name)
        assert (as_kernel[:, :, 0, 0] == expected).all()
        pixel = x.reshape(3, -1, 1, 1)
        as_pixel = algos.conv(pixel, dense.reshape(8, -1, 1, 1), algorithm=name)
        assert (as_pixel[:, :, 0, 0] == expected).all()


def test_a_fully_connected_layer_slides_over_a_larger_image():
    """Turned into a convolution, a classifier reads every window of a larger image at once."""
    x, dense = integers((1, 2, 7, 9)), integers((3, 2 * 4 * 4))
    y = algos.conv(x, dense.reshape(3, 2, 4, 4))
    for i, j in np.ndindex(4, 6):
        window = x[0, :, i : i + 4, j : j + 4].reshape(-1)
        assert (y[0, :, i, j] == dense @ window).all()
