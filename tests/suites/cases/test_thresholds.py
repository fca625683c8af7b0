"""The generators reach both sides of the sizes at which kernels change their method."""

from dataclasses import replace

import pytest

from algos.backend import threads
from algos.core.descriptor import parse_descriptor
from algos.parallel import dots as direct_dots
from algos.parallel import tables as direct_tables
from algos.parallel import unshared as direct_unshared
from algos.parallel.algorithm import choose_path
from algos.pooling import parse_pool_descriptor
from algos.pooling.kernels import gradient_rows, registers, rows
from suites.cases import generate, thresholds
from suites.cases import pool_generate as pool_cases

DTYPES = ("float32", "float64")
LAYERS = [
    parse_descriptor(text, dtype=dtype)
    for text in thresholds.edges(thresholds.CONVOLUTION)
    for dtype in DTYPES
]
WINDOWS = [
    parse_pool_descriptor(f"average_{text}", dtype=dtype)
    for text in thresholds.edges([*thresholds.POOLING, *thresholds.POOLING_BEHIND])
    for dtype in DTYPES
]


def is_small(problem):
    return threads.is_small(problem.multiply_adds, problem.compulsory_bytes)


def shares_windows(problem):
    """Return True if the gradients of one row reach further than the slack behind them."""
    line = problem.lines[2]
    return line.window > registers.SLACK * line.stride


@pytest.mark.parametrize(
    "way",
    [
        is_small, direct_dots.suits, choose_path, direct_tables.own_connections,
        lambda p: p.is_tiled and direct_unshared.few_share(p),
    ],
)  # fmt: skip
def test_layers_take_every_way(way):
    taken = {way(problem) for problem in LAYERS}
    assert len(taken) >= 2, taken


@pytest.mark.parametrize(
    "way",
    [
        is_small, rows._method, rows._doublings, shares_windows,
        lambda p: p.lines[1].positions > rows.BLOCK,
        lambda p: p.lines[1].size > gradient_rows.BLOCK,
        *(lambda p, axis=axis: p.lines[axis].is_trivial for axis in range(3)),
    ],
)  # fmt: skip
def test_windows_take_every_way(way):
    taken = {way(problem) for problem in WINDOWS}
    assert len(taken) >= 2, taken


def test_generators_reach_all_of_them():
    count = 2 * len(LAYERS)
    for asked, made in (
        (LAYERS, generate.cases(count, 0, generate.OPERATIONS)),
        (WINDOWS, pool_cases.cases(count)),
    ):
        wanted, met = (
            {replace(problem, operation="forward", dtype="float32") for problem in problems}
            for problems in (asked, [case.problem for case in made])
        )
        assert not wanted - met


def test_seeds_draw_others():
    first, second = (
        {case.problem for case in pool_cases.cases(100, seed)} for seed in range(2)
    )  # fmt: skip
    assert len(first & second) < 60
