"""`parallel.shallow`, by `parallel`, against the definition around every border of its tiles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from direct import check

from algos import Problem
from algos.parallel import shallow
from algos.simd import registers as simd


def check_shallow(threads=None, **fields):
    problem = Problem(**{"kernel": 3, "bias": True, **fields})
    assert math.isfinite(shallow.cost(problem))
    return check(problem, threads=threads, path="shallow")


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
@pytest.mark.parametrize("outputs", [1, 2, 5, 6, 7, 8, 9, 12, 13, 14, 24])
def test_around_blocks_of_outputs(outputs, dtype):
    check_shallow(size=(5, 19), in_channels=3, out_channels=outputs, padding=1, dtype=dtype)


@pytest.mark.parametrize("outputs", [4, 6])
@pytest.mark.parametrize("beyond", [-1, 0, 1])
@pytest.mark.parametrize("vectors", [1, 2, 3, 4, 6])
def test_around_tiles_of_pixels(vectors, beyond, outputs):
    width = vectors * simd.lanes_of(4) + beyond
    check_shallow(size=(4, width), in_channels=2, out_channels=outputs, padding=1)


@pytest.mark.parametrize(
    "fields",
    [
        {"stride": 2, "padding": 2},
        {"stride": 4, "kernel": 11, "size": (31, 40)},
        {"stride": 3, "padding": 1, "fit": "ceil"},
        {"stride": (1, 2), "dilation": (2, 3), "padding": ((0, 3), (2, 1))},
        {"groups": 3, "in_channels": 6, "padding": "same", "batch": 2},
        {"kernel": (1, 7), "padding": "full"},
        {"kernel": (21, 3), "padding": (20, 0), "flip": True},
        {"kernel": 5, "padding": 8, "bias": False},
        {"size": 50, "kernel": 9, "padding": 4},
        {"size": (5, 9, 20), "kernel": (3, 2, 4), "stride": (2, 1, 1), "padding": 3},
        {"size": (3, 6000), "padding": 1},
        {"in_channels": 64, "padding": 1},
    ],
)
def test_shapes(fields):
    given = {"size": (21, 30), "in_channels": 3, "out_channels": 12, **fields}
    one, two = (check_shallow(threads, **given) for threads in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_sums_of_many_products_are_left_to_others():
    layer = Problem(size=9, kernel=1, in_channels=shallow.MOST_TAPS + 1, out_channels=4)
    assert shallow.cost(layer) == math.inf
