"""Every algorithm against the oracle, on every output, and what its contract promises."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from problems import problems

import algos
from algos import ConvbenchError, Problem
from algos.backend import threads
from algos.registry import convolutions, get
from suites.cases import filters, generate
from suites.cases.data import arrays
from suites.cases.suite import Case
from suites.truth import oracle
from suites.truth.instance import ConvolutionInstance

OURS = [name for name, a in convolutions().items() if ".peers" not in type(a).__module__]
DIRECT = [name for name in ("naive", "im2col", "parallel", "separable") if name in OURS]
NARROW = ("winograd2", "winograd4", "winograd6")  # do few of the problems that there are
EXACT = ("naive", "im2col", "parallel")
COUNTS = sorted({1, min(2, threads.available())})


def judge(name, case, count=1, seed=0):
    """Convolve into NaN; None where the algorithm cannot."""
    trial = ConvolutionInstance(case, seed)
    before = trial.first.tobytes()
    algorithm, problem = get(name), case.problem
    if trial.reason_against(algorithm):
        return None
    out = trial.result()
    plan, given = trial.plan(algorithm, count)
    y = plan(*given, out)
    assert y is out
    assert trial.first.tobytes() == before
    return trial.check(algorithm, out, oracle.every_position(problem.output_shape))


LONG = ("low-rank", *NARROW)  # compile for a while, and are the same blocks as others


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in OURS]
)
def test_within_the_bound_on_generated_cases(name, count):
    judged = 0
    for case in generate.cases(60, seed=count):
        if case.pixels == "random" and (verdict := judge(name, case, count)):
            judged += 1
            assert verdict.passed, f"{case}: {verdict.reason}"
    assert judged >= (2 if name in NARROW else 4)


@pytest.mark.parametrize("name", OURS)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(problem=problems())
def test_within_the_bound_on_any_problem(name, problem):
    for weights in ("random", "rank1"):
        verdict = judge(name, Case(replace(problem, name=""), weights), seed=7)
        assert verdict is None or verdict.passed, verdict.reason


WHOLE = [
    Problem(size=(23, 31), kernel=5, in_channels=4, out_channels=6, padding="same", bias=True),
    Problem(size=(40,), kernel=7, in_channels=2, out_channels=2, groups=2, stride=2, flip=True),
    Problem(size=(9, 8, 7), kernel=3, in_channels=2, out_channels=16, dilation=2),
]


@pytest.mark.parametrize("problem", WHOLE, ids=str)
@pytest.mark.parametrize("name", EXACT)
def test_whole_numbers_are_exact(name, problem):
    rng = np.random.default_rng(3)
    x, w, b = (
        rng.integers(-8, 9, shape).astype(problem.dtype)
        for shape in (problem.input_shape, problem.kernel_shape, problem.out_channels)
    )
    bias = b if problem.bias else None
    y = algos.plan(problem, w, bias, algorithm=name, threads=1)(x)
    exact, _ = oracle.correlate_at(
        oracle.every_position(problem.output_shape), x, w, b if problem.bias else 0 * b,
        stride=problem.stride, dilation=problem.dilation,
        before=[before for before, _ in problem.padding], groups=problem.groups,
        flip=problem.flip,
    )  # fmt: skip
    assert np.array_equal(y.ravel(), exact)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", DIRECT)
def test_nan_stays_inside_its_receptive_field(name, dtype):
    problem = Problem(size=(20, 50), kernel=(3, 5), padding="same", dtype=dtype)
    x, w, _ = arrays(Case(problem, "rank1"))
    x[..., 0, 0] = np.nan
    x[..., -1, -1] = np.inf
    y = algos.plan(problem, w, algorithm=name, threads=1)(x)[0, 0]
    touched = np.zeros(y.shape, bool)
    touched[:2, :3] = touched[-2:, -3:] = True
    assert np.array_equal(~np.isfinite(y), touched)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", OURS)
def test_a_plan_gives_the_same_bits_again(name, count):
    problem = Problem(size=(65, 130), kernel=3, in_channels=2, out_channels=2, padding="same")
    if reason := algos.why_not(problem).get(name):
        pytest.skip(reason)
    x, w, _ = arrays(Case(problem, "rank1"))
    plan = algos.plan(problem, w, algorithm=name, threads=count)
    first = plan(x).copy()
    plan(np.flip(x).copy())  # something else in between must leave no trace
    assert plan(x).tobytes() == first.tobytes()
    fresh = algos.plan(problem, w, algorithm=name, threads=count)(x)
    assert fresh.tobytes() == first.tobytes()


@pytest.mark.parametrize("name", OURS)
def test_read_only_arrays_will_do(name):
    problem = Problem(size=(30, 30), kernel=3, bias=True)
    x, w, bias = arrays(Case(problem, "rank1"))
    expected = algos.plan(problem, w, bias, algorithm=name, threads=1)(x)
    for array in (x, w, bias):
        array.flags.writeable = False
    y = algos.plan(problem, w, bias, algorithm=name, threads=1)(x)
    assert y.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", OURS)
def test_what_the_contract_says_of_itself(name):
    algorithm = get(name)
    assert algorithm.name == name == name.lower()
    assert algorithm.summary.endswith(".")
    assert len(algorithm.summary) < 100
    for case in generate.cases(20):
        problem = case.problem
        reason = algorithm.why_not(problem)
        assert reason is None or (reason and not reason.endswith("."))
        if reason is None:
            assert algorithm.work(problem) >= 0
            # More threads may hold smaller parts, and less memory in all.
            assert all(algorithm.workspace_bytes(problem, n) >= 0 for n in (1, 4))


def test_separable_names_the_rank():
    problem = Problem(size=(9, 9), kernel=3)
    w = np.eye(3, dtype=np.float32)[None, None]
    assert "rank 3, not 1" in get("separable").why_not(problem, w)
    with pytest.raises(ConvbenchError, match="rank 3"):
        algos.plan(problem, w, algorithm="separable")


@pytest.mark.parametrize("name", ["separable", "low-rank"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_kernel_that_is_not_finite_has_no_rank(name, bad):
    problem = Problem(size=(40, 40), kernel=31)
    w = np.ones(problem.kernel_shape, np.float32)
    assert get(name).why_not(problem, w) is None
    w[0, 0, 3, 4] = bad
    assert "holds NaN or infinity" in get(name).why_not(problem, w)


def test_separable_names_the_rank_of_a_volume():
    problem = Problem(size=(5, 5, 5), kernel=2, dtype="float64")
    w = np.zeros(problem.kernel_shape)
    w[..., 0, 0, 0] = w[..., 1, 1, 1] = 1
    assert "multilinear rank (2, 2, 2)" in get("separable").why_not(problem, w)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_low_rank_does_a_gabor(dtype):
    kernel = filters.make("gabor:31:30", None, 2)
    assert get("separable").why_not(
        Problem(size=(80, 90), kernel=31, dtype=dtype), kernel[None, None].astype(dtype)
    )
    problem = Problem(size=(80, 90), kernel=31, padding="same", dtype=dtype, flip=True)
    verdict = judge("low-rank", Case(problem, "gabor:31:30"))
    assert verdict is not None
    assert verdict.passed, verdict.reason


def test_low_rank_is_asked_for_by_name():
    assert get("low-rank").opt_in
    problem = Problem(size=(9, 9), kernel=3)
    w = np.random.default_rng(0).random((1, 1, 3, 3), dtype=np.float32)
    assert "rank 3" in get("low-rank").why_not(problem, w)
    volume = Problem(size=(5, 5, 5), kernel=3)
    assert "2 spatial axes" in get("low-rank").why_not(volume)
