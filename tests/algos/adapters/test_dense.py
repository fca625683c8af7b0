"""Two identities: 1×1 convolution and whole-input kernels are fully connected layers."""

import numpy as np
import pytest

import algos
from algos import Problem
from algos.adapters import performer
from algos.adapters.dense import Dense, is_fully_connected

RNG = np.random.default_rng(6)


def integers(*shape):
    return RNG.integers(-4, 5, shape).astype("float32")


@pytest.mark.parametrize("name", ["naive", "im2col", "fft", "parallel"])
def test_one_by_one_is_fully_connected_over_channels(name):
    x, w = integers(2, 5, 4, 3), integers(7, 5, 1, 1)
    pixels = x.transpose(0, 2, 3, 1).reshape(-1, 5)
    expected = (pixels @ w.reshape(7, 5).T).reshape(2, 4, 3, 7).transpose(0, 3, 1, 2)
    assert (np.rint(algos.conv(x, w, algorithm=name)) == expected).all()


@pytest.mark.parametrize("groups, flip", [(1, False), (2, False), (1, True)])
@pytest.mark.parametrize("name", ["naive", "im2col", "fft", "parallel"])
def test_a_kernel_as_large_as_the_input_is_a_fully_connected_layer(name, groups, flip):
    x, w, bias, g = integers(3, 4, 2, 3), integers(6, 4 // groups, 2, 3), integers(6), None
    y = algos.conv(x, w, bias, groups=groups, flip=flip, algorithm=name)
    matrix = np.zeros((6, 4, 2, 3), "float32")
    for o in range(6):
        first = o // (6 // groups) * (4 // groups)
        matrix[o, first : first + 4 // groups] = w[o, :, ::-1, ::-1] if flip else w[o]
    matrix = matrix.reshape(6, -1)
    assert (np.rint(y).reshape(3, 6) == x.reshape(3, -1) @ matrix.T + bias).all()
    g = integers(3, 6, 1, 1)
    fields = {"groups": groups, "flip": flip, "algorithm": name}
    dx = algos.grad_input(g, w, size=(2, 3), **fields)
    assert (np.rint(dx).reshape(3, -1) == g.reshape(3, 6) @ matrix).all()
    dw = algos.grad_weight(x, g, kernel=(2, 3), **fields)
    plain = algos.grad_weight(x, g, kernel=(2, 3), groups=groups, flip=flip, algorithm="naive")
    assert (np.rint(dw) == plain).all()


def test_who_takes_the_matrix_product():
    problem = Problem(size=(3, 4), kernel=(3, 4), in_channels=2, out_channels=5)
    assert is_fully_connected(problem)
    for name in ("im2col", "parallel"):
        assert isinstance(performer(algos.registry.get(name), problem), Dense)
    padded = Problem(size=(3, 4), kernel=(3, 4), padding=1)
    assert not is_fully_connected(padded)
