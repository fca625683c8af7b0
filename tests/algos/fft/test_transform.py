"""Transforms in registers: right after being sorted out, and back again where they came from."""

from __future__ import annotations

import numpy as np
import pytest

from algos.core.arrays import read_only
from algos.core.problem import Problem
from algos.fft import fused as fft_fused
from algos.fft import tiles as fft_tiles
from algos.fft.transform import passes, passes_cost

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("length", "radices"), [(512, [8, 8, 8]), (256, [8, 8, 4]), (384, [3, 8, 4, 4]), (1, [])]
)
def test_lengths_are_split_into_few_passes(length, radices):
    assert passes(length, 1)[:, 0].tolist() == radices


def test_a_length_that_splits_badly_costs_more():
    assert passes_cost(64) < passes_cost(54) < passes_cost(512) + passes_cost(2)


# Tiles that take every radix along every axis, pairs that lack their second tile, and inputs
# shared by several outputs.
@pytest.mark.parametrize(
    ("fields", "tile"),
    [
        ({"size": (300,), "kernel": 20}, (1, 1, 512)),
        ({"size": (1000,), "kernel": 5, "batch": 2}, (1, 1, 768)),
        ({"size": (50, 40), "kernel": (3, 7)}, (1, 32, 48)),
        ({"size": (50, 40), "kernel": 5, "in_channels": 2, "out_channels": 3}, (1, 96, 32)),
        ({"size": (9, 20, 21), "kernel": 3, "batch": 3}, (6, 16, 32)),
        ({"size": (70, 60), "kernel": 9, "stride": (2, 3), "dilation": 2}, (1, 64, 64)),
    ],
)
def test_any_tile_gives_the_same(fields, tile):
    problem = Problem(padding="same", dtype="float64", **fields)
    random = np.random.default_rng(3)
    x = random.standard_normal(problem.input_shape)
    w = random.standard_normal(problem.volume.kernel_shape)
    bias = random.standard_normal(problem.out_channels)
    results = []
    for lengths in (tile, fft_fused.tile_grid(problem).tile):
        spectra = fft_tiles.prepare(problem, lengths, read_only(w), 1)
        out = np.full(problem.output_shape, np.nan)
        fft_tiles.forward(problem, lengths, read_only(x), spectra, read_only(bias), out, 1)
        results.append(out)
    np.testing.assert_allclose(*results, rtol=0, atol=1e-11)


def test_tiles_grow_with_the_kernel_and_with_what_is_left():
    tiles = [
        fft_fused.tile_grid(Problem(size=(2048, 2048), kernel=kernel, padding="same")).samples
        for kernel in (5, 15, 63, 255)
    ]
    assert tiles[1:] == sorted(tiles[1:])  # with few lanes, one tile may do for small kernels
    assert max(tiles[:2]) < tiles[2] < tiles[3]
