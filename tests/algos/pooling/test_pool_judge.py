"""Pooling before the judge: what is wrong is caught, what is right passes."""

import numpy as np
import pytest

from algos import PoolProblem, registry
from algos.core.family import POOLING, algorithms_in
from suites.cases import generate
from suites.cases import pool_generate as pool_cases
from suites.cases.pool_fills import whole_unit
from suites.cases.suite import Case
from suites.truth import pool_canaries, pool_oracle
from suites.truth.judge import judge
from suites.verification.shrink import shrink

#: Nearly all of its time is compilation, as in tests/test_pooling.py.
pytestmark = pytest.mark.slow

OURS = [name for name, algorithm in registry.of(POOLING).items() if not algorithm.is_peer]
CANARIES = algorithms_in(pool_canaries)


def test_there_are_enough_canaries():
    assert len(CANARIES) >= 20


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.name)
def test_every_canary_is_caught(canary):
    cases = pool_cases.cases(200, 0, generate.OPERATIONS)
    assert any(judge(canary, case, threads=2).status == "failed" for case in cases)


@pytest.mark.parametrize("seed", range(8))
def test_a_lost_nan_shows_in_few_cases_of_any_seed(seed):
    """Cases of one seed draw places and values of their own."""
    (canary,) = (one for one in CANARIES if one.name == "canary-nan-lost")
    cases = pool_cases.cases(16, seed)
    assert any(judge(canary, case, threads=1, seed=seed).status == "failed" for case in cases)


@pytest.mark.parametrize("name", OURS)
def test_every_algorithm_passes(name):
    judged = exact = properties = 0
    for case in pool_cases.cases(80, 3, generate.OPERATIONS):
        found = judge(registry.get(name, (POOLING,)), case, threads=2, seed=3)
        assert found.status != "failed", f"{case}: {found.reason}"
        assert found.error_over_bound <= 1
        judged += found.status == "ok"
        exact += found.exact
        properties += found.properties
    few = name in ("integral", "van_herk")  # do one kind or two
    assert judged > (3 if few else 9)
    assert exact > (0 if few else 2)
    assert properties > (3 if few else 9)


def test_every_kind_and_placement_is_among_the_cases():
    problems = [case.problem for case in pool_cases.cases(100, 0, generate.OPERATIONS)]
    assert len({p.kind for p in problems}) == 9
    assert {p.placement for p in problems} == {
        "regular", "adaptive", "pyramid", "fractional", "channels",
    }  # fmt: skip
    assert {p.operation for p in problems} == {"forward", "grad_input"}


def test_averages_of_whole_numbers_are_whole():
    problem = PoolProblem(size=7, kind="average", window=4, stride=1, padding=2)
    assert whole_unit(problem) == 4
    excluded = PoolProblem(
        size=7, kind="average", window=4, stride=1, padding=2, count_include_pad=False
    )
    assert whole_unit(excluded) == 12  # windows of 2, 3 and 4 samples
    assert whole_unit(PoolProblem(size=7, kind="l2", window=4)) == 0


def test_the_oracle_agrees_with_itself_at_single_places():
    rng = np.random.default_rng(0)
    for case in pool_cases.cases(60, 1, generate.OPERATIONS):
        p = case.problem
        if len(p.parts) > 1 or p.operation != "grad_input":
            continue
        x, g = rng.standard_normal(p.input_shape), rng.standard_normal(p.output_shape)
        gate = rng.standard_normal(p.window) if p.kind == "gated" else None
        whole = pool_oracle.grad_input(p, g, x, gate)
        one = pool_oracle.every(p.input_shape)[-1:]
        for a, b in zip(whole, pool_oracle.grad_input_at(one, p, g, x, gate), strict=True):
            np.testing.assert_allclose(a[tuple(one.T)], b, rtol=1e-12, atol=1e-15)


def test_a_failure_shrinks():
    canary = next(c for c in CANARIES if c.name == "canary-dilation-ignored")
    case = Case(PoolProblem(size=(9, 40), window=(2, 9), stride=2, dilation=3, channels=3))

    def fails(problem):
        return judge(canary, Case(problem), threads=1).status == "failed"

    smallest = shrink(case.problem, fails)
    assert fails(smallest)
    assert smallest.multiply_adds < 30
