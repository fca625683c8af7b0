"""`parallel.sliding`, by `parallel`, against the definition around every border of its runs."""

from __future__ import annotations

import math

import pytest
from direct import check

import algos
from algos import Problem
from algos.parallel import sliding
from algos.simd import registers as simd

pytestmark = pytest.mark.skipif(simd.REGISTER_BYTES < 64, reason="such planes go by rows")


def check_sliding(threads=None, **fields):
    problem = Problem(**{"kernel": 7, "bias": True, **fields})
    assert math.isfinite(sliding.cost(problem))
    return check(problem, threads=threads, path="sliding")


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kernel", [5, pytest.param(7, marks=pytest.mark.slow), 9])
@pytest.mark.parametrize("width", [1, 3, 15, 16, 17, 31, 33, 49, 65, 97, 150])
def test_around_runs(width, kernel, dtype):
    for height in (1, 2, 9, 13):
        check_sliding(size=(height, width), padding=kernel // 2, kernel=kernel, dtype=dtype,
                      groups=2, in_channels=2, out_channels=2)  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"padding": 0},
        {"padding": ((0, 8), (1, 0))},
        {"padding": ((9, 0), (0, 12)), "flip": True},
        {"padding": ((20, 20), (20, 20)), "size": (3, 2)},
        {"size": (150, 20), "padding": 3},
        {"groups": 2, "in_channels": 2, "out_channels": 8, "batch": 3, "padding": 3},
        {"groups": 1, "in_channels": 1, "out_channels": 3, "padding": 3, "bias": False},
    ],
)
def test_shapes(fields):
    check_sliding(**{"size": (20, 81), "in_channels": 4, "out_channels": 4, "groups": 4, **fields})


@pytest.mark.parametrize(
    ("stride", "padding"), [((3, 1, 1), (1, 2, 2)), ((2, 1, 1), ((1, 0), (2, 2), (2, 2)))]
)
def test_a_plane_of_padding_alone_is_none_of_its_own(stride, padding):
    problem = Problem(size=(1, 30, 30), kernel=(1, 5, 5), stride=stride, padding=padding, bias=True)
    assert sliding.cost(problem) == math.inf
    check(problem)


def test_a_volume_of_one_plane():
    check_sliding(size=(1, 30, 30), kernel=(1, 5, 5), padding=(0, 2, 2))


def test_threads_share_one_image_and_change_no_bit():
    image = {"size": (300, 300), "padding": 3}
    assert (check_sliding(1, **image) == check_sliding(2, **image)).all()
    table = sliding.blocking(algos.parse_descriptor("mb1_ic1ih300_oc1_kh7ph3"), 2)
    assert sliding.SlidingGeometry(*table).items >= 8


def test_other_problems_are_refused():
    for text in (
        "mb1_ic1ih30iw30_oc1_kh7kw5ph3pw2",
        "mb1_ic2ih30_oc1_kh7ph3",
        "mb1_ic1ih30_oc1_kh7sh2",
    ):
        assert sliding.cost(algos.parse_descriptor(text)) == math.inf
