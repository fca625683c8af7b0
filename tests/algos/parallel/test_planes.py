"""`parallel.planes`, by `parallel`, against the definition around every border of its runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from direct import check, reference

import algos
from algos import Problem
from algos.parallel import planes_blocking as direct_runs
from algos.parallel.algorithm import choose_path
from algos.simd import registers as simd


def check_planes(threads=None, **fields):
    problem = Problem(**{"kernel": 3, "bias": True, **fields})
    assert math.isfinite(direct_runs.cost(problem))
    return check(problem, threads=threads, path="planes")


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("width", [1, 3, 7, 15, 16, 17, 31, 33, 64, 65, 97, 128, 129, 200])
def test_around_runs(width, stride, dtype):
    for height in (1, 2, 5, 13):
        check_planes(size=(height, width), padding=1, stride=stride, dtype=dtype, groups=2,
                     in_channels=2, out_channels=2)  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"padding": 0},
        {"padding": ((0, 3), (1, 0))},
        {"padding": ((4, 0), (0, 1)), "flip": True},
        {"stride": 2, "padding": ((2, 2), (0, 1)), "bias": False},
        {"stride": 2, "padding": 1, "fit": "ceil", "batch": 2},
        {"size": (150, 20), "padding": 1},
        {"groups": 2, "out_channels": 8, "batch": 3, "padding": 1},
        {"groups": 1, "out_channels": 1, "padding": 1},
    ],
)
def test_shapes(fields):
    check_planes(**{"size": (20, 41), "in_channels": 4, "out_channels": 4, "groups": 4, **fields})


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("taps, padding", [(3, 1), (2, 5), (1, 0)])
def test_volumes_and_planes_of_padding(taps, padding, stride):
    check_planes(size=(4, 9, 20), kernel=(taps, 3, 3), padding=(padding, 1, 1), stride=stride,
                 in_channels=2, out_channels=2, groups=2)  # fmt: skip


def test_threads_share_one_image_and_change_no_bit():
    image = {"size": (300, 300), "padding": 1}
    assert (check_planes(1, **image) == check_planes(2, **image)).all()
    for text in ("mb1_ic1ih300_oc1_kh3ph1", "mb1_ic1ih3iw5000_oc1_kh3kw3ph1pw1"):
        table = direct_runs.blocking(algos.parse_descriptor(text), 2)
        assert direct_runs.PlanesGeometry(*table).items >= 8


@pytest.mark.skipif(simd.REGISTER_BYTES < 64, reason="they go by rows")
@pytest.mark.parametrize("offset", [0, 3, 16])
def test_large_outputs_go_past_the_caches_from_any_address(offset):
    problem = Problem(batch=3, size=(420, 1856), kernel=3, padding=((1, 0), (1, 1)))
    assert choose_path(problem) == "planes"
    assert direct_runs.PlanesGeometry(*direct_runs.blocking(problem, 1)).streams
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 9, problem.input_shape).astype(np.float32)
    w = rng.integers(-9, 9, problem.kernel_shape).astype(np.float32)
    room = np.full(math.prod(problem.output_shape) + 32, np.nan, np.float32)
    for threads in (1, 2):
        out = room[offset : offset - 32].reshape(problem.output_shape)
        algos.plan(problem, w, threads=threads)(x, out=out)
        assert (out == reference(problem, x, w)).all()
        assert np.isnan(room[:offset]).all() and np.isnan(room[offset - 32 :]).all()
        room[:] = np.nan


def test_a_nan_stays_under_its_kernel():
    x = np.zeros((1, 1, 20, 40), np.float32)
    x[0, 0, 10, [0, 39]] = np.nan
    y = algos.conv(x, np.ones((1, 1, 3, 3), np.float32), padding=1)
    reached = np.zeros((20, 40), bool)
    reached[9:12, [0, 1, 38, 39]] = True
    assert (np.isnan(y[0, 0]) == reached).all()
