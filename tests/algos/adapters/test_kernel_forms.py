"""No algorithm is handed a kernel of a form that it does not take, declared or not."""

import numpy as np
import pytest

import algos
from algos import ConvbenchError, Problem, registry
from algos.adapters import performer
from algos.core.algorithm import Algorithm
from algos.inception.problem import MODULES
from algos.registry import convolutions
from algos.separable.algorithm import Separable
from suites.cases.suite import Case
from suites.truth.judge import judge


def integers(shape, seed):
    return np.random.default_rng(seed).integers(-4, 5, shape).astype("float64")


class OuterProducts(Algorithm):
    """Takes outer products alone, and says so nowhere but in `why_not`."""

    name = "outer-products"

    def why_not(self, problem, w=None):
        return Separable().why_not(problem, w)

    def prepare(self, problem, w, threads):
        return Separable().prepare(problem, w, threads)

    def forward(self, problem, x, prepared, bias, out, threads):
        Separable().forward(problem, x, prepared, bias, out, threads)


class Light(OuterProducts):
    """Takes kernels of a small sum alone, among them random ones."""

    def why_not(self, problem, w=None):
        return "the kernel is too heavy" if w is not None and w.sum() > 1000 else None

    def prepare(self, problem, w, threads):
        return convolutions()["naive"].prepare(problem, w, threads)

    def forward(self, problem, x, prepared, bias, out, threads):
        assert prepared.sum() <= 1000
        convolutions()["naive"].forward(problem, x, prepared, bias, out, threads)


LAYERS = [
    {},
    {"stride": 2, "padding": 1, "batch": 2},
    {"in_channels": 2, "out_channels": 2, "groups": 2},
    {"tile": 2},
    {"in_channels": 2, "out_channels": 2, "connections": [1, 3]},
]


@pytest.mark.parametrize("fields", LAYERS)
def test_a_kernel_of_some_form_is_asked_for_without_being_told_so(fields):
    """A gradient of full rank is refused by an algorithm that declares nothing at all."""
    problem = Problem(size=(9, 9), kernel=3, operation="grad_weight", **fields)
    for algorithm in (OuterProducts(), convolutions()["separable"], convolutions()["low-rank"]):
        assert "kernels of a form" in performer(algorithm, problem).why_not(problem)


@pytest.mark.parametrize("fields", LAYERS)
def test_a_kernel_that_only_the_call_shows_is_refused_by_the_call(fields):
    problem = Problem(size=(9, 9), kernel=3, operation="grad_weight", **fields)
    x, g = (np.ones(shape, problem.dtype) for shape in problem.operands)
    light = algos.plan(problem, algorithm=Light())
    assert np.array_equal(light(x, g), algos.plan(problem, algorithm="naive")(x, g))
    with pytest.raises(ConvbenchError, match="outer-products cannot do this: the kernel is too"):
        light(x, 1000 * g)


def test_a_line_of_taps_is_an_outer_product():
    problem = Problem(size=(40,), kernel=3, dtype="float64", operation="grad_weight")
    x, g = (integers(shape, seed=seed) for seed, shape in enumerate(problem.operands))
    expected = algos.plan(problem, algorithm="naive")(x, g)
    assert np.allclose(algos.plan(problem, algorithm="separable")(x, g), expected)


def test_a_matrix_product_stands_in_only_where_the_algorithm_takes_the_kernel():
    class Picky(type(convolutions()["im2col"])):
        def why_not(self, problem, w=None):
            return "it is for no layer"

    problem = Problem(size=(3, 3), kernel=3)
    assert performer(Picky(), problem).why_not(problem) == "it is for no layer"


def test_a_form_of_kernel_keeps_an_algorithm_from_whole_modules():
    known = registry.of(MODULES)
    assert {"naive", "parallel"} <= set(known)
    assert not {"separable", "low-rank", "opencv-sepfilter2d"} & set(known)


def test_a_kernel_refused_by_the_call_is_no_wrong_result():
    class Small(Light):
        def why_not(self, problem, w=None):
            return "the taps are too large" if w is not None and w.max() > 9 else None

    problem = Problem(size=(9, 9), kernel=2, operation="grad_weight")
    assert judge(Small(), Case(problem, "random", "random"), threads=1).status == "ok"
    found = judge(Small(), Case(problem, "integers", "integers"), threads=1)
    assert found.status == "unsupported"
    assert "the taps are too large" in found.reason


@pytest.mark.peers
def test_opencv_gives_no_outer_product_for_a_gradient():
    pytest.importorskip("cv2")
    x, g = integers((1, 1, 8, 8), 0), integers((1, 1, 6, 6), 1)
    with pytest.raises(ConvbenchError, match="kernels of a form"):
        algos.grad_weight(x, g, kernel=3, algorithm="opencv-sepfilter2d")
