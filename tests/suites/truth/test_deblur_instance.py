"""Checks of a deconvolution, step by step: right results pass, and mistakes are named."""

import numpy as np
import pytest

from algos import ConvbenchError, registry
from algos.notation import parse
from suites.cases import suite
from suites.cases.suite import Case
from suites.truth.deblur_instance import DeblurInstance

CASE = Case(parse("deblur4_mb1_ic1ih40iw30_oc1_kh5kw5ph2pw2_flip_reflect"), weights="gaussian:5")


def trial(name="parallel", case=CASE):
    """Return an instance, its algorithm, its plan and the result."""
    instance = DeblurInstance(case)
    algorithm = registry.get_for(case.problem, name)
    plan, given = instance.plan(algorithm, 1)
    return instance, algorithm, plan, plan(*given)


def said(instance, algorithm, y):
    return instance.check(algorithm, y, instance.positions(10**6, 64, 99)).reason


@pytest.mark.parametrize("name", ["naive", "parallel", "separable", "fft", "fft-fused", "im2col"])
def test_right_results_pass(name):
    instance, algorithm, _, y = trial(name)
    verdict = instance.check(algorithm, y, instance.positions(10**6, 64, 99))
    assert verdict.passed and 0 < verdict.error_over_bound < 1


def test_mistakes_are_named():
    instance, algorithm, plan, y = trial()
    y[0, 0, 3, 4] *= 1.001
    assert "not what the steps give" in said(instance, algorithm, y)
    _, _, _, y = trial()
    blur, back = plan.blur, plan.back
    plan.blur = lambda x, out=None: np.multiply(blur(x, out), 1.01, out=out)
    assert "iteration 1, mb1_ic1ih40iw30" in said(instance, algorithm, plan(instance.first))
    plan.blur, plan.back = blur, lambda x, out: np.multiply(back(x, out), 1.01, out=out)
    assert "iteration 1, mb1_ic1ih40iw30" in said(instance, algorithm, plan(instance.first))
    plan.back = back
    assert not said(instance, algorithm, plan(instance.first))


def test_kernels_that_cannot_be_taken_apart_are_refused_by_name():
    case = Case(CASE.problem, weights="motion:5")
    instance = DeblurInstance(case)
    reason = instance.reason_against(registry.get_for(case.problem, "separable"))
    assert reason is not None and "rank" in reason
    with pytest.raises(ConvbenchError, match="a blur is not negative"):
        DeblurInstance(Case(parse("deblur4_mb1_ic1ih9_oc1_kh3ph1_flip"), weights="laplacian"))


def test_the_suite_holds_both_boundaries_and_both_kinds_of_kernel():
    cases = suite.load("deblur").cases
    assert {case.problem.boundary for case in cases} == {"zeros", "reflect"}
    assert {case.weights for case in cases} == {"gaussian:9", "motion:9"}
    assert {case.problem.size for case in cases} == {(256, 256), (384, 384)}
