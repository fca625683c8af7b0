"""Arrays in another library's layout are told apart, and how to turn them is said."""

import re

import numpy as np
import pytest

import algos
from algos import ConvbenchError


def ones(*shape):
    return np.ones(shape)


@pytest.mark.parametrize(
    ("x", "w", "remedy"),
    [
        ((3, 8, 9), (2, 3, 3, 3), "x[None]"),
        ((3, 8, 9), (1, 3, 3, 3), "x[None]"),
        ((8, 9, 3), (2, 3, 3, 3), "np.moveaxis(x, -1, 0)[None]"),
        ((3, 7, 8, 9), (2, 3, 3, 3, 3), "x[None]"),
        ((1, 8, 9, 3), (2, 3, 3, 3), "np.moveaxis(x, -1, 1)"),
        ((1, 3, 8, 9), (2, 5, 5, 3), "np.moveaxis(w, -1, 1)"),
        ((1, 3, 8, 9), (5, 5, 3, 2), "np.moveaxis(w, (-1, -2), (0, 1))"),
        ((1, 8, 9, 3), (5, 5, 3, 2), "np.moveaxis(w, (-1, -2), (0, 1)) and np.moveaxis(x, -1, 1)"),
        ((1, 64, 8, 9), (2, 3, 3, 64), "np.moveaxis(w, -1, 1)"),
    ],
)
def test_following_the_advice_works(x, w, remedy):
    x, w = ones(*x), ones(*w)
    with pytest.raises(ConvbenchError, match=re.escape(f"give {remedy}")):
        algos.conv(x, w, algorithm="naive")
    for part in remedy.split(" and "):
        turned = eval(part, {"x": x, "w": w, "np": np})
        x, w = (x, turned) if "(w" in part else (turned, w)
    assert algos.conv(x, w, algorithm="naive").shape[:2] == (1, 2 if len(w) == 2 else len(w))


def test_grouped_kernels_are_counted_by_group():
    with pytest.raises(ConvbenchError, match=re.escape("give x[None]")):
        algos.conv(ones(4, 8, 8), ones(2, 2, 3, 3), groups=2)


def test_what_could_be_a_tiled_layer_is_called_so_too():
    with pytest.raises(ConvbenchError, match=r"x\[None\]; for tiled layers: .* period of \(2,\)"):
        algos.conv(ones(1, 1, 7), ones(2, 1, 1, 3))
    assert algos.conv(ones(1, 1, 7), ones(2, 1, 1, 3), tile=2, algorithm="naive").shape == (1, 1, 5)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: algos.conv(ones(8, 8), ones(3, 3)), "algos.convolve"),
        (lambda: algos.grad_input(ones(2, 6, 6, 6), ones(2, 3, 3, 3, 3), size=8), "g[None]"),
        (lambda: algos.grad_input(ones(1, 6, 6, 2), ones(2, 3, 3, 3), size=8), "(g, -1, 1)"),
        (lambda: algos.grad_input(ones(1, 2, 6, 6), ones(3, 3, 4, 2), size=8), "(w, (-1, -2), (0"),
        (lambda: algos.conv_transpose(ones(1, 6, 6, 2), ones(2, 3, 3, 3)), "(g, -1, 1)"),
        (lambda: algos.grad_weight(ones(3, 8, 8), ones(2, 6, 6), kernel=(3, 3)), "x[None]"),
        (lambda: algos.pool(ones(3, 8, 8), size=(2, 2)), "x[None]"),
        (lambda: algos.pool(ones(8, 8), size=2), "x[None]"),
    ],
)
def test_gradients_and_pooling_say_so_too(call, says):
    with pytest.raises(ConvbenchError, match=re.escape(says)):
        call()
