"""Laws of convolution, on random problems, without an oracle."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from problems import problems

from algos import Plan
from algos.adapters import performer
from algos.notation import parse
from algos.registry import convolutions
from suites.cases.fills import largest_integer
from suites.truth.properties import PROPERTIES

OURS = [name for name, algorithm in convolutions().items() if not algorithm.is_peer]

#: Algorithms that take long to compile.
LONG = (
    "parallel", "separable", "low-rank", "winograd2", "winograd4", "winograd6", "im2win",
    "fft-gauss",
)  # fmt: skip


def runner(algorithm):
    """Return a function that convolves integers exactly, or returns None if it cannot."""

    def run(problem, x, w):
        able = performer(algorithm, problem)
        if able.why_not(problem, w):
            return None
        bias = np.zeros(problem.bias_shape, problem.dtype) if problem.bias else None
        y = Plan(problem, w, bias, algorithm=algorithm)(x)
        if able.exact_on_integers:
            return y
        most = np.array([float((problem.taps + 1) * largest_integer(problem) ** 2)])
        bound = able.error_bound(problem, x, w, most)
        return np.rint(y) if np.max(bound) < 0.5 else None

    return run


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in OURS]
)
@pytest.mark.parametrize("law", PROPERTIES, ids=lambda law: law.__name__)
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(problem=problems(largest=9, plain=False), seed=st.integers(0, 2**32 - 1))
def test_law_holds(law, name, problem, seed):
    holds = law(problem, np.random.default_rng(seed), runner(convolutions()[name]))
    assert holds is not False, (law.__doc__ or "").strip()


@pytest.mark.parametrize("law", PROPERTIES, ids=lambda law: law.__name__)
def test_law_applies_somewhere_and_can_be_broken(law):
    naive = runner(convolutions()["naive"])
    applied, broken = [], []

    @settings(max_examples=40, deadline=None, database=None, derandomize=True)
    @given(problem=problems(largest=9, plain=False))
    def look(problem):
        applied.append(law(problem, np.random.default_rng(0), naive))
        calls = itertools.count(1)

        def wrong(p, x, w):
            return naive(p, x, w) + next(calls) ** 2

        broken.append(law(problem, np.random.default_rng(0), wrong))

    look()
    assert True in applied
    assert False in broken


def test_laws_hold_where_only_a_ragged_output_is_there():
    problem = parse("mb3_ic1ih6iw9_oc4_kh7kw6_sh2sw1_f64_biastile_ceil")
    naive = runner(convolutions()["naive"])
    for law in PROPERTIES:
        assert law(problem, np.random.default_rng(0), naive) is not False
