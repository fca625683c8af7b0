"""``pytest --benchmark-only``: every algorithm on a few fixed problems, warm.

For contributors: run it before and after a change. In an ordinary run each is called once,
without being timed; verdicts between algorithms are `convbench run`'s to give.
"""

import numpy as np
import pytest

import algos
from algos import parse_descriptor
from algos.algorithm import registry
from suites.data import arrays
from suites.suite import Case

CASES = {
    "picture-3x3": Case(parse_descriptor("mb1_ic1ih512_oc1_kh3_ph1"), "rank1"),
    "picture-15x15": Case(parse_descriptor("mb1_ic1ih512_oc1_kh15_ph7"), "rank1"),
    "layer-3x3": Case(parse_descriptor("mb1_ic32ih28_oc32_kh3_ph1")),
    "depthwise": Case(parse_descriptor("g32mb1_ic32ih56_oc32_kh3_ph1")),
}


@pytest.mark.parametrize("name", [n for n, a in registry().items() if not a.opt_in])
@pytest.mark.parametrize("label", CASES)
def test_benchmark(benchmark, label, name):
    case = CASES[label]
    x, w, bias = arrays(case)
    if reason := registry()[name].why_not(case.problem, w):
        pytest.skip(reason)
    plan = algos.plan(case.problem, w, bias, algorithm=name, threads=1)
    out = np.empty(case.problem.output_shape, case.problem.dtype)
    plan(x, out)  # compiles; not to be timed
    benchmark.group = label
    benchmark(plan, x, out)
    assert np.isfinite(out).all()
