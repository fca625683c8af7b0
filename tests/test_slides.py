"""`slides`, by `separable`, against the definition around every border of its runs and blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from test_parallel import reference

import algos
from algos import Problem, simd, slides

pytestmark = pytest.mark.skipif(simd.REGISTER_BYTES < 64, reason="`passes` are faster there")


def integers(problem, seed=0):
    """An image and outer products, of integers so small that every sum is exact."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 10, problem.input_shape).astype(problem.dtype)
    shape, taps = problem.kernel_shape[:2], problem.kernel[0]
    down, across = (rng.integers(-3, 4, (*shape, taps)) for _ in range(2))
    down[..., 0] = across[..., 0] = 1
    return x, np.einsum("ocj,ock->ocjk", down, across).astype(problem.dtype)


def check(problem, offset=0, threads=1):
    """Equality, into an output that begins `offset` elements into a room of NaN."""
    assert slides.suits(problem.volume, 1)
    x, w = integers(problem)
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
def test_around_runs(width, kernel, dtype):
    for height in (1, 4, 33):
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


def test_large_outputs_whose_rows_begin_anywhere_are_left_to_the_passes():
    assert not slides.suits(Problem(size=(2160, 3841), kernel=5, padding=2).volume, 1)
    assert slides.suits(Problem(size=(2160, 3840), kernel=5, padding=2).volume, 1)
