"""``pytest --benchmark-only``: every algorithm on a few fixed problems, warm.

For contributors: run it before and after a change. In an ordinary run each is called once,
without being timed; verdicts between algorithms are `convbench run`'s to give.
"""

import numpy as np
import pytest

import algos
from algos import parse_descriptor
from algos.parallel import algorithm as parallel
from algos.registry import convolutions
from suites.cases.data import arrays
from suites.cases.suite import Case

CASES = {
    "picture-3x3": Case(parse_descriptor("mb1_ic1ih512_oc1_kh3_ph1"), "rank1"),
    "picture-15x15": Case(parse_descriptor("mb1_ic1ih512_oc1_kh15_ph7"), "rank1"),
    "layer-3x3": Case(parse_descriptor("mb1_ic32ih28_oc32_kh3_ph1")),
    "depthwise": Case(parse_descriptor("g32mb1_ic32ih56_oc32_kh3_ph1")),
}


@pytest.mark.parametrize("name", [n for n, a in convolutions().items() if not a.opt_in])
@pytest.mark.parametrize("label", CASES)
def test_benchmark(benchmark, label, name):
    case = CASES[label]
    x, w, bias = arrays(case)
    if reason := convolutions()[name].why_not(case.problem, w):
        pytest.skip(reason)
    plan = algos.plan(case.problem, w, bias, algorithm=name, threads=1)
    out = np.empty(case.problem.output_shape, case.problem.dtype)
    plan(x, out)  # compiles; not to be timed
    benchmark.group = label
    benchmark(plan, x, out)
    assert np.isfinite(out).all()


#: So small that what surrounds the kernel takes longer than the kernel.
SMALL = {"layer": "mb1_ic16ih4_oc16_kh3_ph1", "image": "mb1_ic1ih16_oc1_kh3_ph1"}


@pytest.mark.parametrize("what", ["kernel", "plan", "conv"])
@pytest.mark.parametrize("label", SMALL)
def test_benchmark_overhead(benchmark, monkeypatch, label, what):
    """Time the compiled kernel, a planned call, and a call that plans as well."""
    problem = parse_descriptor(SMALL[label])
    x, w, _ = arrays(Case(problem))
    plan, out = algos.plan(problem, w), np.full(problem.output_shape, np.nan, problem.dtype)
    path = parallel.PATHS[parallel.choose_path(problem)]
    compiled, given = path._work, []
    monkeypatch.setattr(path, "_work", lambda *arguments: given.extend(arguments))
    plan(x, out)
    monkeypatch.undo()
    padding = problem.padding[0][0]
    calls = {
        "kernel": lambda: compiled(*given),
        "plan": lambda: plan(x, out),
        "conv": lambda: algos.conv(x, w, padding=padding, out=out),
    }
    benchmark.group = f"overhead, {label}"
    benchmark(calls[what])
    assert np.isfinite(out).all()
