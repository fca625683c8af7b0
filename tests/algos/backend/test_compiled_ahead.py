"""A kernel is compiled once for all sizes, and the time of compiling is reported."""

import numpy as np
import pytest
from command_line import convbench

import algos
from algos import parse_descriptor, registry
from algos.parallel import generic as direct_generic
from suites.cases.data import arrays
from suites.cases.suite import Case
from suites.machine import clock
from suites.timing.compiling import calls, cases
from suites.workers.messages import Compile
from suites.workers.worker import Session

#: By algorithm, lists of problems that the same kernels do.
SAME_KERNELS = {
    "parallel": (
        # images, by rows
        ("mb1_ic1ih40_oc1_kh5_ph2", "mb1_ic1ih31iw77_oc1_kh7kw9_ph1pw3", "mb2_ic1ih90_oc1_kh5_sh2",
         "mb1_ic1iw500_oc1_kw31", "mb1_ic1ih40_oc1_kh5_ph2_biaslocation"),
        # layers, by channels
        ("mb1_ic16ih14_oc32_kh3_ph1", "mb2_ic17ih9iw14_oc48_kh3kw3_bias", "mb1_ic64ih7_oc64_kh1",
         "mb1_ic16ih14_oc32_kh3_ph1_biaslocation", "mb1_ic16ih20_oc32_kh5_sh2dh1"),
        # layers of a single tap, by pixels
        ("mb1_ic16ih14_oc32_kh1", "g2mb2_ic10ih13_oc22_kh1_bias", "mb1_ic20iw300_oc5_kw1",
         "mb1_ic16ih14_oc32_kh1_biaslocation"),
        # planes of 3×3
        ("g8mb1_ic8ih30_oc8_kh3_ph1", "g8mb1_ic8ih17iw90_oc8_kh3kw3_sh2sw2ph1pw1_bias",
         "g4mb2_ic8ih21_oc8_kh3_ph1_biaslocation"),
    ),
    "separable": (
        # by passes along the axes
        ("mb1_ic1ih40_oc1_kh9_ph4", "mb2_ic1ih90iw31_oc1_kh15kw3_ph7pw1",
         "mb1_ic1ih40_oc1_kh9_ph4_biaslocation"),
        # small ones, by sweeps
        ("mb1_ic1ih40_oc1_kh5_ph2", "mb2_ic1ih90iw31_oc1_kh7kw7_ph3pw3",
         "mb1_ic1ih64iw160_oc1_kh5kw5"),
    ),
    "winograd4": (
        ("mb1_ic16ih14_oc32_kh3_ph1", "mb2_ic17ih9iw25_oc40_kh3kw3_bias",
         "mb1_ic16ih14_oc32_kh3_ph1_biaslocation"),
    ),
}  # fmt: skip


def call(descriptor, name):
    """Return the number of functions that a plan for the problem and its call compile."""
    case = Case(parse_descriptor(descriptor), "rank1")
    x, w, bias = arrays(case)
    with clock.stopwatch() as elapsed:
        y = algos.plan(case.problem, w, bias, algorithm=name, threads=1)(x)
    assert np.isfinite(y).all()
    return elapsed.kernels


@pytest.mark.parametrize(
    ("name", "problems"), [(n, problems) for n, lists in SAME_KERNELS.items() for problems in lists]
)
def test_another_shape_compiles_nothing(name, problems):
    call(problems[0], name)
    assert {problem: call(problem, name) for problem in problems[1:]} == dict.fromkeys(
        problems[1:], 0
    )


def test_a_stopwatch_counts_what_was_compiled():
    @algos.backend.compiler.kernel(cache=False)
    def double(x):
        return x + x

    for compiled in (1, 0):
        with clock.stopwatch() as elapsed:
            assert double(21) == 42
        assert elapsed.kernels == compiled
        assert (elapsed.compiling > 0) == bool(compiled)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_operation_is_compiled_in_one_type(dtype):
    for family in (algos.core.family.CONVOLUTION, algos.core.family.POOLING):
        problems = [case.problem for case in cases(family, dtype)]
        assert {problem.dtype for problem in problems} == {dtype}
        assert {problem.operation for problem in problems} >= {"forward", "grad_input"}


@pytest.mark.parametrize("family", [algos.core.family.CONVOLUTION, algos.core.family.POOLING])
def test_every_algorithm_has_something_to_compile_for(family):
    ours = [name for name, algorithm in registry.of(family).items() if not algorithm.is_peer]
    for name in ours:
        assert {count for _, count, _ in calls(name, family, "float32")} >= {1}, name


def test_the_kernel_for_weights_that_hold_a_nan_is_reached(monkeypatch):
    reached = []
    monkeypatch.setattr(direct_generic, "forward", lambda problem, *_: reached.append(problem))
    session = Session()
    for case, count, spoilt in calls("parallel", algos.core.family.CONVOLUTION, "float32"):
        if spoilt:
            words = case.as_words()
            session.compile(Compile(case=words, algorithm="parallel", threads=count, spoilt=spoilt))
    assert reached


@pytest.mark.slow
def test_the_command_counts_what_it_compiled(tmp_path):
    asked = ("compile", "--cold", "--dtype", "float32", "--algorithms", "im2col")
    done = convbench(*asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    counts = [int(row[3]) for row in rows if row[:1] == ["im2col"]]
    (total,) = (row for row in rows if row[:1] == ["everything"])
    assert int(total[1]) == sum(counts)
    assert min(counts) >= 3
