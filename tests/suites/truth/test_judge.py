"""Tests of the judge: it must catch every canary and pass every correct algorithm."""

from dataclasses import replace

import pytest

from algos import Problem
from algos.core.family import algorithms_in
from algos.registry import convolutions
from suites.cases import generate
from suites.cases.suite import Case
from suites.truth import canaries
from suites.truth.judge import judge
from suites.verification.shrink import shrink

OURS = [name for name, algorithm in convolutions().items() if not algorithm.is_peer]
CANARIES = algorithms_in(canaries)


def cheapest_first():
    """Return cases of all operations, so that most mistakes show after little work."""
    cases = generate.cases(120, operations=generate.OPERATIONS)
    return sorted(cases, key=lambda case: case.problem.multiply_adds)


def test_there_are_enough_canaries():
    assert len(CANARIES) >= 15


@pytest.mark.parametrize(
    "canary",
    [
        pytest.param(canary, id=canary.name, marks=[pytest.mark.slow] * (number % 4 != 1))
        for number, canary in enumerate(CANARIES)
    ],
)
def test_every_canary_is_caught(canary):
    assert any(judge(canary, case, threads=2).status == "failed" for case in cheapest_first())


#: Algorithms that take long to compile, or whose matrices take long to make.
LONG = (
    "parallel", "low-rank", "winograd2", "winograd4", "winograd6", "toeplitz", "toeplitz-sparse",
)  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in OURS]
)
def test_every_algorithm_passes(name):
    judged = exact = properties = 0
    for case in generate.cases(30, 3, generate.OPERATIONS):
        found = judge(convolutions()[name], case, threads=2, seed=3)
        assert found.status != "failed", f"{case}: {found.reason}"
        assert found.error_over_bound <= 1
        judged += found.status == "ok"
        exact += found.exact
        properties += found.properties
    few = name.startswith("winograd")
    assert judged > (1 if few else 7)
    assert exact > (0 if few else 2)
    assert properties > (1 if few else 5)


def test_an_output_that_is_mostly_zero_is_mistrusted():
    padded = Problem(size=(1,), kernel=1, padding=3)
    found = judge(convolutions()["naive"], Case(padded, "integers", "integers"), threads=1)
    assert found.status == "mistrusted"
    assert "zero" in found.reason


def test_a_law_alone_can_convict():
    """The algorithm agrees with the oracle, but doubles the kernel of any later problem."""
    naive = convolutions()["naive"]

    class Lawless(type(naive)):
        name = "lawless"
        first = None

        def prepare(self, problem, w, threads):
            type(self).first = self.first or problem
            return super().prepare(problem, w if problem == self.first else 2 * w, threads)

    case = Case(Problem(size=(9,), kernel=3, stride=2), "integers", "integers")
    reasons = set()
    for seed in range(12):
        Lawless.first = None
        reasons.add(judge(Lawless(), case, threads=1, seed=seed).reason)
    assert any("law of convolution" in reason for reason in reasons)


def test_large_problems_are_judged_on_a_sample_in_reasonable_time():
    problem = Problem(size=(56, 56), kernel=3, in_channels=64, out_channels=64, padding=1)
    found = judge(convolutions()["im2col"], Case(problem, "random", "random"), threads=2)
    assert found.status == "ok"
    assert 0 < found.error_over_bound < 1


@pytest.mark.parametrize("canary", CANARIES[::8], ids=lambda canary: canary.name)
def test_failures_shrink_to_something_small(canary):
    case = next(
        case for case in cheapest_first() if judge(canary, case, threads=2).status == "failed"
    )

    def fails(problem):
        return judge(canary, replace(case, problem=problem), threads=2).status == "failed"

    smallest = shrink(case.problem, fails)
    assert fails(smallest)
    assert smallest.multiply_adds <= max(70, case.problem.multiply_adds // 2)
