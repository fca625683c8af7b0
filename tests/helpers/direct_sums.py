"""Checks that hold for every algorithm with direct sums: exact integers, bounds, equal bits."""

from __future__ import annotations

import numpy as np

import algos
from algos.registry import get
from suites.cases.suite import Case
from suites.truth import judge as judges
from suites.truth import oracle

#: Layers with every field of a problem, small enough to be judged at every output. Each line names
#: the field that it adds to a plain layer.
PROBLEMS = {
    "plain": "mb1_ic5ih9_oc7_kh3",
    "padding": "mb2_ic3ih8iw11_oc5_kh3kw4_ph2pw1",
    "stride": "mb1_ic4ih23iw19_oc6_kh5kw5_sh3sw2_ph1pw1",
    "dilation": "mb1_ic3ih20iw18_oc4_kh3kw3_dh2dw1_ph2pw2",
    "stride and dilation": "mb1_ic2ih21iw22_oc3_kh3kw3_sh2sw3_dh3dw1_ph3pw1",
    "groups": "g3_mb2_ic6ih10_oc9_kh3_ph1",
    "depthwise": "g8_mb1_ic8ih12_oc8_kh3_ph1",
    "many outputs": "mb1_ic3ih14_oc70_kh3_ph1",
    "wide": "mb1_ic2ih7iw300_oc3_kh3kw3_ph1pw1",
    "pointwise": "mb1_ic6ih9_oc5_kh1",
    "volume": "mb1_ic3id7ih6iw9_oc4_kd3kh2kw3_sd2_dh1_pd1ph1pw2",
    "more padding than kernel": "mb1_ic2ih4_oc2_kh2_ph3",
    "bias": "mb2_ic3ih9_oc4_kh3_ph1_bias",
}
SIGNAL = "mb2_ic3iw700_oc4_kw9_sw2_dw1_pw4"


def numbers(problem, kind, seed=0):
    """Return input, kernel and bias: small whole numbers, or normal ones."""
    rng = np.random.default_rng(seed)
    shapes = problem.input_shape, problem.kernel_shape, problem.out_channels
    if kind == "whole":
        return [rng.integers(-8, 9, shape).astype(problem.dtype) for shape in shapes]
    return [rng.standard_normal(shape).astype(problem.dtype) for shape in shapes]


def exact(problem, x, w, bias):
    """Return the output as the oracle has it."""
    y, _ = oracle.correlate_at(
        oracle.every_position(problem.output_shape), x, w, bias if problem.bias else 0 * bias,
        stride=problem.stride, dilation=problem.dilation, before=problem.before,
        groups=problem.groups, flip=problem.flip,
    )  # fmt: skip
    return y.reshape(problem.output_shape)


def computed(name, problem, operands, threads=1):
    """Return the output of `name`, written over NaN."""
    x, w, bias = operands
    out = np.full(problem.output_shape, np.nan, problem.dtype)
    given = bias if problem.bias else None
    return algos.plan(problem, w, given, algorithm=name, threads=threads)(x, out)


def check_integers(name, problem):
    """Assert that whole numbers come out exactly."""
    operands = numbers(problem, "whole")
    np.testing.assert_array_equal(computed(name, problem, operands), exact(problem, *operands))


def check_bound(name, problem, threads=2):
    """Assert that the judge passes random numbers, at every output."""
    verdict = judges.judge(get(name), Case(problem), threads=threads)
    assert verdict.status == "ok", verdict.reason
    assert verdict.error_over_bound <= 1


def check_threads(name, problem):
    """Assert that two threads give the same bits as one."""
    operands = numbers(problem, "normal")
    one, two = (computed(name, problem, operands, threads) for threads in (1, 2))
    assert one.tobytes() == two.tobytes()
