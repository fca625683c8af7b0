"""The oracle is compared with independent libraries, on problems small enough to trust."""

import itertools
from functools import partial

import numpy as np
import pytest
import scipy.signal

from suites.truth import oracle

RNG = np.random.default_rng(0)
PLAIN = {"groups": 1, "flip": False}


def by_oracle(x, w, axes, **changes):
    settings = {"stride": [1] * axes, "dilation": [1] * axes, "before": [0] * axes, **PLAIN}
    settings |= changes
    extents = [(f - 1) * d + 1 for f, d in zip(w.shape[2:], settings["dilation"], strict=True)]
    size = [
        (n + 2 * p - e) // s + 1
        for n, p, e, s in zip(
            x.shape[2:], settings["before"], extents, settings["stride"], strict=True
        )
    ]
    shape = (x.shape[0], w.shape[0], *size)
    bias = np.zeros(w.shape[0], x.dtype)
    positions = oracle.every_position(shape)
    return oracle.correlate_at(positions, x, w, bias, **settings)[0].reshape(shape)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("flip", [False, True])
def test_agrees_with_scipy_signal(axes, flip):
    x = RNG.integers(-9, 9, (1, 1, *[7] * axes)).astype(float)
    w = RNG.integers(-9, 9, (1, 1, *[3, 2, 4][:axes])).astype(float)
    scipy_function = scipy.signal.convolve if flip else scipy.signal.correlate
    expected = scipy_function(x[0, 0], w[0, 0], mode="valid", method="direct")
    assert (by_oracle(x, w, axes, flip=flip)[0, 0] == expected).all()


def test_stride_dilation_padding_groups_against_plain_loops():
    x = RNG.integers(-9, 9, (2, 4, 6, 7)).astype(float)
    w = RNG.integers(-9, 9, (6, 2, 2, 3)).astype(float)
    got = by_oracle(x, w, 2, stride=[2, 1], dilation=[1, 2], before=[1, 2], groups=2)
    for n, o, i, j in itertools.product(*map(range, got.shape)):
        total = 0.0
        for c, p, q in itertools.product(range(2), range(2), range(3)):
            r, s = i * 2 + p - 1, j + q * 2 - 2
            if 0 <= r < 6 and 0 <= s < 7:
                total += x[n, o // 3 * 2 + c, r, s] * w[o, c, p, q]
        assert got[n, o, i, j] == total


def test_bias_is_added_per_output_channel():
    x, w = np.zeros((1, 1, 4)), np.zeros((3, 1, 2))
    bias = np.array([1.0, 2.0, 3.0])
    at = oracle.every_position((1, 3, 3))
    got, _ = oracle.correlate_at(at, x, w, bias, stride=[1], dilation=[1], before=[0], **PLAIN)
    assert (got.reshape(3, 3) == bias[:, None]).all()


def test_float64_is_judged_in_wider_arithmetic():
    assert oracle.wide("float32") == np.float64
    assert np.finfo(oracle.wide("float64")).eps <= np.finfo(np.float64).eps
    big = np.array([1e16, 1.0, -1e16]).reshape(1, 1, 3)
    if np.finfo(np.longdouble).eps < np.finfo(np.float64).eps:
        assert by_oracle(big, np.ones((1, 1, 3)), 1)[0, 0, 0] == 1


def test_sampled_positions_are_distinct_inside_and_hold_every_corner():
    shape = (2, 5, 40, 30)
    positions = oracle.some_positions(shape, 300, seed=1)
    assert len(np.unique(positions, axis=0)) == len(positions) >= 300
    assert (positions >= 0).all()
    assert (positions < shape).all()
    there = {tuple(p) for p in positions}
    assert set(itertools.product(*[(0, n - 1) for n in shape])) <= there


def test_small_outputs_are_looked_at_whole():
    assert len(oracle.some_positions((1, 2, 3, 4), 100)) == 24


def test_the_magnitude_is_the_result_of_sizes():
    x, w = RNG.standard_normal((2, 4, 6, 7)), RNG.standard_normal((6, 2, 2, 3))
    bias = RNG.standard_normal(6)
    settings = {"stride": [2, 1], "dilation": [1, 2], "before": [1, 2], **PLAIN, "groups": 2}
    g = RNG.standard_normal((2, 6, 3, 4))
    for function, first, second in (
        (oracle.correlate_at, x, w),
        (oracle.grad_input_at, g, w),
        (partial(oracle.grad_weight_at, kernel=(2, 3)), x, g),
    ):
        forward = function is oracle.correlate_at
        shape = (2, 6, 3, 4) if forward else (2, 4, 6, 7) if second is w else (6, 2, 2, 3)
        at, given = oracle.every_position(shape), (first, second, *([bias] if forward else []))
        _, magnitude = function(at, *given, **settings)
        exact, _ = function(at, *map(abs, given), **settings)
        assert np.allclose(magnitude, exact, rtol=1e-15)
