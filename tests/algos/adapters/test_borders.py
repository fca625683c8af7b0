"""Boundaries by every algorithm: held to SciPy, to the oracle, and to the memory they may take."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

import algos
from algos import Problem, parse_descriptor
from algos.adapters import border_layout, borders, performer
from algos.adapters.border_layout import layouts
from algos.adapters.border_sums import border_of
from algos.core.algorithm import Algorithm
from algos.core.boundary import BOUNDARIES
from algos.naive import Naive
from algos.registry import convolutions
from suites.truth.comparison import plan_for, truth
from suites.truth.oracle import every_position

OURS = [name for name, algorithm in convolutions().items() if not algorithm.is_peer]
OPERATIONS = ("forward", "grad_input", "grad_weight")
MODES = [mode for mode in BOUNDARIES if mode != "zeros"]

#: Size and kernel: strips along all borders, even kernels, a kernel larger than the image.
SHAPES = (
    ((9000,), (8,)), ((11,), (5,)), ((110, 90), (3, 3)), ((90, 110), (4, 5)), ((5, 7), (9, 3)),
    ((24, 22, 26), (3, 2, 3)), ((3, 4, 5), (3, 3, 5)),
)  # fmt: skip


@pytest.fixture(autouse=True)
def strips_of_small_images(monkeypatch):
    """Compute images of 32 KiB and more by strips, which usually takes larger ones."""
    monkeypatch.setattr(border_layout, "SMALL", 1 << 15)
    for remembered in (layouts, borders._layout):
        remembered.cache_clear()
    yield
    for remembered in (layouts, borders._layout):
        remembered.cache_clear()


def test_shapes_are_computed_in_every_way():
    problems = [filtering(*shape, "mirror") for shape in SHAPES]
    strips = [number for number, p in enumerate(problems) if layouts(p)[0].strips]
    sums = [number for number, p in enumerate(problems) if border_of(p)]
    assert (strips, sums) == ([0, 2, 3, 5], [0, 1, 2, 3])


def filtering(size, kernel, mode, dtype="float64"):
    """The problem of `scipy.ndimage.correlate`."""
    padding = [(k // 2, k - 1 - k // 2) for k in kernel]
    cval = -1.5 if mode == "constant" else 0.0
    return Problem(size=size, kernel=kernel, padding=padding, boundary=mode, cval=cval, dtype=dtype)


#: Every algorithm with one mode, another for each; the rest of the pairs are slow.
PAIRS = [
    pytest.param(name, mode, marks=() if number % len(MODES) == at else pytest.mark.slow)
    for number, name in enumerate(OURS)
    for at, mode in enumerate(MODES)
]


@pytest.mark.parametrize(("name", "mode"), PAIRS)
def test_results_are_those_of_scipy_within_the_bound(name, mode):
    rng = np.random.default_rng(MODES.index(mode))
    algorithm, done = convolutions()[name], 0
    for number, (size, kernel) in enumerate(SHAPES):
        problem = filtering(size, kernel, mode, ("float32", "float64")[number % 2])
        x = rng.standard_normal(size).astype(problem.dtype)
        w = rng.standard_normal(kernel).astype(problem.dtype)
        if number % 3 == 0:  # for those that take outer products alone
            w[...] = np.outer(*(rng.standard_normal(n) for n in (w.size // kernel[-1], kernel[-1])
                                )).reshape(kernel)  # fmt: skip
        able = performer(algorithm, problem)
        if able.why_not(problem, w[None, None]):
            continue
        y = algos.plan(problem, w[None, None], algorithm=name)(x[None, None])[0, 0]
        how = {"mode": mode, "cval": problem.cval}
        exact = ndimage.correlate(x.astype(float), w.astype(float), **how)
        how["cval"] = abs(problem.cval)
        magnitude = ndimage.correlate(abs(x.astype(float)), abs(w.astype(float)), **how)
        bound = able.error_bound(problem, x[None, None], w[None, None], magnitude)
        np.testing.assert_array_less(abs(y - exact), np.squeeze(bound) + 1e-14 * magnitude)
        done += 1
    assert done or name.startswith("winograd")


@pytest.mark.parametrize("modes", [
    ("mirror", "constant"), pytest.param(("nearest", "reflect", "wrap"), marks=pytest.mark.slow)
], ids=len)  # fmt: skip
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("text", [
    "mb2_ic3ih60_oc2_kh3_sh2ph1_bias", "mb1_ic2ih60iw50_oc2_kh4kw3_ph5pw2_sh3sw1dh1dw0_ceil_flip",
    "mb1_ic1id20_oc1_kd3_pd1", "mb1_ic2ih5_oc3_kh3_ph2_tile2_biastile",
    "mb1_ic3ih60_oc4_kh3_ph1_conn7.1.6.3_biaslocation", "mb1_ic1iw3_oc1_kw4_pw9",
    "g2mb1_ic2ih70_oc4_kh5_ph2rh0", "mb1_ic1iw9000_oc1_kw5_pw0rw3",
])  # fmt: skip
def test_all_operations_equal_the_oracle_on_integers(text, operation, modes):
    rng = np.random.default_rng(5)
    for mode in modes:
        layer = replace(parse_descriptor(text), boundary=mode, cval=2.0 * (mode == "constant"))
        problem = replace(layer, operation=operation, bias=operation == "forward" and layer.bias)
        first, second, bias = (
            rng.integers(-3, 4, shape).astype(problem.dtype)
            for shape in (*problem.operands, problem.bias_shape)
        )
        bias = bias if problem.bias else None
        exact, _ = truth(problem, every_position(problem.result_shape), first, second, bias)
        for name in ("naive", "im2col", "parallel"):
            plan, given = plan_for(problem, first, second, bias, convolutions()[name], 2)
            out = np.full(problem.result_shape, np.nan, problem.dtype)
            assert (plan(*given, out).reshape(-1) == exact).all(), (mode, name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["naive", "parallel"])
@pytest.mark.parametrize("kernel", [(3, 3), (4, 4), (2, 3), (7, 7), (1, 9), (9,)])
def test_sums_along_the_border_have_the_bits_of_the_extended_image(kernel, name, dtype):
    """Rows longer than a chunk; widths that fill no register."""
    rng = np.random.default_rng(3)
    size = (41, 1203) if len(kernel) == 2 else (1203,)
    x, w = (rng.standard_normal((1, 1, *n)).astype(dtype) for n in (size, kernel))
    for mode in MODES:
        problem = filtering(size, kernel, mode, dtype)
        assert border_of(problem)
        larger, extended = borders.extended(problem, x)
        expected = algos.plan(larger, w, algorithm=name)(extended)
        assert np.array_equal(algos.plan(problem, w, algorithm=name)(x), expected), mode


@pytest.mark.parametrize(("operation", "taps"), [("forward", 5), ("forward", 9), ("grad_input", 5)])
def test_a_large_image_is_not_copied(operation, taps):
    size = 1200
    problem = replace(filtering((size, size), (taps, taps), "reflect"), operation=operation)
    w = np.ones(problem.kernel_shape)
    plan = algos.plan(problem, w, algorithm="parallel", threads=1)
    x, out = np.ones(problem.operands[0]), np.empty(problem.result_shape)
    plan(x, out=out)
    tracemalloc.start()
    plan(x, out=out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < x.nbytes / 10
    predicted = performer(convolutions()["parallel"], problem).workspace_bytes(problem, 1)
    assert peak < 1.1 * predicted


def test_a_nan_reaches_the_outputs_that_wrap_round_to_it():
    x = np.ones((1, 1, 100, 100))
    x[0, 0, 0, 50] = np.nan
    y = algos.conv(x, np.ones((1, 1, 3, 3)), padding=1, boundary="wrap", algorithm="parallel")
    rows, columns = np.nonzero(np.isnan(y[0, 0]))
    assert {*zip(rows.tolist(), columns.tolist(), strict=True)} == {
        (row, column) for row in (99, 0, 1) for column in (49, 50, 51)
    }


class Upright(Algorithm):
    """An algorithm that refuses inputs wider than high."""

    name = "upright"

    def why_not(self, problem, w=None):
        return "it is too wide" if problem.size[0] < problem.size[-1] else None

    def forward(self, problem, x, prepared, bias, out, threads):
        able = Naive()
        able.forward(problem, x, able.prepare(problem, prepared, 1), bias, out, threads)


def test_strips_that_an_algorithm_refuses_are_avoided():
    tall, wide = (filtering(size, (9, 9), "mirror") for size in ((110, 90), (90, 110)))
    able = performer(Upright(), tall)
    assert able.why_not(wide) == "it is too wide"
    assert able.why_not(tall) is None  # its upper strip is wide, so it is extended as a whole
    assert borders._layout(able, tall).whole
    rng = np.random.default_rng(7)
    x, w = rng.standard_normal(tall.input_shape), rng.standard_normal(tall.kernel_shape)
    one, other = (algos.plan(tall, w, algorithm=a)(x) for a in (Upright(), "naive"))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-13)


def test_a_kernel_that_an_algorithm_refuses_is_refused_with_a_boundary():
    problem = filtering((90, 90), (5, 5), "wrap", "float32")
    w = np.random.default_rng(8).standard_normal(problem.kernel_shape).astype("float32")
    reason = algos.why_not(problem, w)["separable"]
    assert reason == algos.why_not(replace(problem, boundary="zeros"), w)["separable"]


def test_the_automatic_choice_knows_a_time_for_every_boundary():
    zeros = algos.explain(filtering((600, 600), (31, 31), "zeros"), threads=1)
    found = algos.explain(filtering((600, 600), (31, 31), "nearest"), threads=1)
    assert found.algorithm == zeros.algorithm
    one, other = (e.candidates[0].time_s for e in (zeros, found))
    assert one < other < 2 * one
