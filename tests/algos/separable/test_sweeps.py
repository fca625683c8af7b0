"""`sweeps`, by `separable`, against the definition around every border of what is swept at once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from direct import reference

import algos
from algos import Problem
from algos.separable import sweeps
from algos.simd import registers as simd

pytestmark = pytest.mark.skipif(simd.REGISTER_BYTES < 64, reason="`passes` are faster there")


def integers(problem, is_even, seed=0):
    """An image and outer products, of integers so small that every sum is exact."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 10, problem.input_shape).astype(problem.dtype)
    shape, taps = problem.kernel_shape[:2], problem.kernel[0]
    down, across = (rng.integers(-3, 4, (*shape, taps)) for _ in range(2))
    down[..., 0] = across[..., 0] = 1
    if is_even:
        down, across = down + down[..., ::-1], across + across[..., ::-1]
    return x, np.einsum("ocj,ock->ocjk", down, across).astype(problem.dtype)


def check(problem, offset=0, threads=1):
    """Equality, into an output that begins `offset` elements into a room of NaN."""
    assert sweeps.suits(problem.volume, 1)
    for is_even in (False, True):
        x, w = integers(problem, is_even)
        bias = np.arange(1, problem.out_channels + 1, dtype=problem.dtype)
        count = math.prod(problem.output_shape)
        room = np.full(count + 32, np.nan, problem.dtype)
        out = room[offset : offset + count].reshape(problem.output_shape)
        algos.plan(problem, w, bias, algorithm="separable", threads=threads)(x, out=out)
        assert (out == reference(problem, x, w, bias)).all()
        assert np.isnan(room[:offset]).all() and np.isnan(room[offset + count :]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernel", [5, 7])
@pytest.mark.parametrize("width", [1, 3, 15, 16, 17, 47, 48, 49, 63, 64, 65, 129])
def test_around_vectors(width, kernel, dtype):
    for height in (1, 4, 11, 33):
        check(Problem(size=(height, width), kernel=kernel, padding=kernel // 2, dtype=dtype,
                      bias=True))  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"padding": 0},
        {"padding": ((4, 0), (0, 4)), "flip": True},
        {"padding": ((9, 3), (12, 20))},
        {"in_channels": 2, "out_channels": 4, "groups": 2, "batch": 3, "padding": 2},
        {"size": (150, 40), "padding": 2},
    ],
)
def test_shapes(fields):
    check(Problem(**{"size": (20, 75), "kernel": 5, "bias": True, **fields}))


@pytest.mark.parametrize("offset", [0, 3, 16])
def test_large_outputs_go_past_the_caches_from_any_address(offset):
    for threads in (1, 2):
        check(Problem(batch=3, size=(420, 1856), kernel=7, padding=3, bias=True), offset, threads)


def test_large_outputs_may_have_rows_that_begin_anywhere():
    check(Problem(batch=3, size=(420, 1857), kernel=5, padding=2, bias=True), 3, 2)


def test_one_direction_that_reads_otherwise_backwards_is_enough():
    problem = Problem(size=(9, 40), kernel=5, padding=2)
    x, _ = integers(problem, True)
    even, odd = np.array([1, 2, 3, 2, 1], "f4"), np.array([1, 2, 0, -2, -1], "f4")
    for w in (np.outer(even, odd), np.outer(odd, even)):
        w = w.reshape(problem.kernel_shape)
        y = algos.conv(x, w, padding=2, algorithm="separable")
        assert (y == reference(problem, x, w, np.zeros(1, "f4"))).all()
