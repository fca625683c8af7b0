"""Tiled and locally connected layers: held to the oracle, to plain loops, to convolution itself."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

import algos
from algos import ConvbenchError, Plan, Problem, parse_descriptor
from algos.adapters.parts import count_parts, parts
from algos.parallel import unshared as direct_unshared
from algos.registry import convolutions
from suites.cases.size_formula import explain
from suites.truth.comparison import plan_for, truth
from suites.truth.oracle import every_position

RNG = np.random.default_rng(3)
OPERATIONS = ("forward", "grad_input", "grad_weight")
TEXTS = (
    "mb2_ic3ih9_oc5_kh3_ph1_tile2x3_biastile",
    "mb1_ic2iw12_oc3_kw4_sw2_pw3_tile3_flip_biaslocation",
    "g2mb2_ic4ih7_oc6_kh2_ph1_sh2_dh1_tile4",
    "mb1_ic3ih5_oc9_kh3_tile9",
    "mb1_ic1iw3_oc1_kw1_pw4_sw3_tile2",
)


def integers(shape, dtype="float32"):
    return RNG.integers(-4, 5, shape).astype(dtype)


def computed(problem, first, second, bias, name, threads=2):
    plan, arrays = plan_for(problem, first, second, bias, convolutions()[name], threads)
    return plan(*arrays, np.full(problem.result_shape, np.nan, problem.dtype))


@pytest.mark.parametrize("name", ["naive", "im2col", "parallel"])
@pytest.mark.parametrize(
    "text", [*TEXTS, pytest.param("mb1_ic2id5_oc2_kd2_tile4_f64", marks=pytest.mark.slow)]
)
def test_all_operations_equal_the_oracle_on_integers(text, name):
    for operation in OPERATIONS:
        layer = parse_descriptor(text)
        problem = replace(layer, operation=operation, bias=operation == "forward" and layer.bias)
        first, second = (integers(shape, problem.dtype) for shape in problem.operands)
        bias = integers(problem.bias_shape, problem.dtype) if problem.bias else None
        expected, _ = truth(problem, every_position(problem.result_shape), first, second, bias)
        got = computed(problem, first, second, bias, name)
        assert (got.reshape(-1) == expected).all(), operation


@pytest.mark.parametrize("worth", [0, float("inf")])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_both_ways_of_parallel_agree(operation, worth, monkeypatch):
    """A convolution for every kernel, and patches; with blocks of patches that end early."""
    monkeypatch.setattr(direct_unshared, "WORTH_A_PART", worth)
    monkeypatch.setattr(direct_unshared, "PATCH_BYTES", 2000)
    problem = replace(parse_descriptor("g2mb3_ic10ih11_oc14_kh3_ph1_tile3"), operation=operation)
    arrays = [integers(shape, "float32") for shape in problem.operands]
    one, two = (computed(problem, *arrays, None, "parallel", threads) for threads in (1, 2))
    assert (one == two).all()
    assert (one == computed(problem, *arrays, None, "naive")).all()


@pytest.mark.parametrize("name", ["naive", "im2col", "fft", "separable", "parallel"])
def test_a_tile_of_one_is_convolution_bit_for_bit(name):
    x, w = integers((2, 3, 12, 11)), np.ones((4, 3, 3, 3), "float32")
    y = algos.conv(x, w, padding=1, algorithm=name)
    assert np.array_equal(algos.conv(x, w[None, None], padding=1, tile=1, algorithm=name), y)
    assert Problem(size=(5, 5), kernel=3, tile=1) == Problem(size=(5, 5), kernel=3)
    dx = algos.grad_input(y, w[None, None], size=x.shape[2:], padding=1, tile=1, algorithm=name)
    assert np.array_equal(dx, algos.grad_input(y, w, size=x.shape[2:], padding=1, algorithm=name))


def test_a_locally_connected_layer_is_one_matrix_product_a_position():
    x, w = integers((2, 3, 6, 5)), integers((5, 4, 7, 3, 2, 2))
    y = algos.conv(x, w, tile="unshared")
    for i, j in itertools.product(range(5), range(4)):
        patch = x[:, :, i : i + 2, j : j + 2].reshape(2, -1)
        assert (y[:, :, i, j] == patch @ w[i, j].reshape(7, -1).T).all()


def test_kernels_beyond_the_output_are_used_nowhere():
    layer = parse_descriptor("mb1_ic2ih5_oc3_kh3_tile7")
    assert layer.parameters == 49 * 54
    assert layer.compulsory_bytes == 4 * (50 + 9 * 54 + 27)
    x, g = integers(layer.input_shape), integers(layer.output_shape)
    for name in ("naive", "im2col", "parallel"):
        dw = algos.grad_weight(x, g, kernel=3, tile=7, algorithm=name)
        assert not dw[3:].any() and not dw[:, 3:].any() and dw[:3, :3].any()


@pytest.mark.parametrize("text", TEXTS[:3])
def test_costs_are_counts(text):
    layer = replace(parse_descriptor(text), bias=False, dtype="float64")
    ones = np.ones(layer.input_shape), np.ones(layer.kernel_shape)
    y = computed(layer, *ones, None, "naive")
    assert y.sum() == layer.multiply_adds
    assert y.max() <= layer.terms
    assert sum(part.problem.multiply_adds for part in parts(layer)) == layer.multiply_adds
    assert len(parts(layer)) == count_parts(layer)
    for operation in OPERATIONS[1:]:
        problem = replace(layer, operation=operation)
        arrays = [np.ones(shape) for shape in problem.operands]
        assert computed(problem, *arrays, None, "naive").max() <= problem.terms


@pytest.mark.parametrize("name", ["naive", "parallel"])
def test_gradients_are_derivatives(name):
    """Finite differences: the layer is linear in x, w and bias, hence exact on integers."""
    layer = {"stride": 2, "padding": 1, "tile": (2, 3)}
    x, w = integers((1, 2, 5, 6)), integers((2, 3, 2, 2, 3, 3))
    y = algos.conv(x, w, **layer)
    g, bias = integers(y.shape), np.zeros((2, 2, 3), "float32")

    def differences(of, array):
        slopes = np.empty(array.shape)
        for index in np.ndindex(array.shape):
            moved = array.copy()
            moved[index] += 1
            slopes[index] = (of(moved) * g).sum() - (of(array) * g).sum()
        return slopes

    def run(x, w, bias):
        return algos.conv(x, w, bias, algorithm="naive", **layer)

    dx = algos.grad_input(g, w, size=x.shape[2:], algorithm=name, **layer)
    dw = algos.grad_weight(x, g, kernel=3, algorithm=name, **layer)
    assert (dx == differences(lambda a: run(a, w, bias), x)).all()
    assert (dw == differences(lambda a: run(x, a, bias), w)).all()
    of_bias = differences(lambda a: run(x, w, a), bias)
    assert (algos.grad_bias(g, "tile", tile=(2, 3)) == of_bias).all()
    assert (algos.conv_transpose(g, w, output_size=x.shape[2:], **layer) == dx).all()


def test_biases_belong_to_channels_kernels_or_locations():
    x, w = integers((2, 1, 7)), integers((2, 3, 1, 2))
    y = algos.conv(x, w, tile=2)
    by_channel, by_tile, by_location = integers(3), integers((3, 2)), integers((3, 6))
    assert (algos.conv(x, w, by_channel, tile=2) - y == by_channel[:, None]).all()
    assert (algos.conv(x, w, by_tile, tile=2) - y == np.tile(by_tile, 3)).all()
    assert (algos.conv(x, w, by_location, tile=2) - y == by_location).all()
    assert (algos.conv(x, w[0], by_location) - algos.conv(x, w[0]) == by_location).all()
    assert Problem(size=(7,), kernel=2, bias="channel") == Problem(size=(7,), kernel=2, bias=True)
    with pytest.raises(ConvbenchError, match="the problem asks for"):
        algos.conv(x, w, integers((3, 5)), tile=2)


def test_nan_stays_in_its_window():
    x, w = integers((1, 2, 9), "float32"), integers((7, 4, 2, 3), "float32")
    y = algos.conv(x, w, tile=7)
    x[0, 1, 4] = np.nan
    assert (np.isnan(algos.conv(x, w, tile=7)) == [0, 0, 1, 1, 1, 0, 0]).all()
    w[3, 1] = np.inf
    assert np.array_equal(algos.conv(x, w, tile=7)[..., 5:], y[..., 5:])


def test_descriptors_and_words():
    for text in TEXTS:
        problem = parse_descriptor(text)
        assert parse_descriptor(str(problem)) == problem
    unshared = Problem(size=(8, 9), kernel=3, tile="unshared")
    assert unshared.tile == (6, 7)
    assert "each of 42 positions has a kernel of its own" in "\n".join(explain(unshared))
    shared = parse_descriptor("mb1_ic1ih8_oc1_kh3_tile2")
    assert "tile 2 × 2: 4 kernels, each shared by up to 9" in "\n".join(explain(shared))


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda x, w: algos.conv(x, w, tile=2), "period of 1, tile"),
        (lambda x, w: algos.conv(x, w[None, None]), "expected (N, C"),
        (lambda x, w: algos.conv(x, np.stack([w, w])), "a period of (2,), tile (1,)"),
        (lambda x, w: algos.conv(x, w, tile=0), "at least 1"),
        (lambda x, w: Problem(size=(4,), kernel=1, bias="row"), "bias 'row' is not known"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(call, sentence):
    with pytest.raises(ConvbenchError) as error:
        call(integers((1, 1, 6)), integers((1, 1, 3)))
    assert sentence in str(error.value)


def test_too_many_parts_are_a_reason():
    problem = parse_descriptor("mb1_ic1ih20_oc1_kh3_tile18")
    reasons = algos.why_not(problem)
    assert "made of 324 plainer ones" in reasons["im2col"]
    assert {"naive", "parallel"} <= set(algos.names(problem))


def test_plans_of_tiled_layers_may_be_called_often():
    problem = parse_descriptor("mb1_ic3ih9_oc4_kh3_tile3")
    w = integers(problem.kernel_shape)
    plan = Plan(problem, w)
    for _ in range(2):
        x = integers(problem.input_shape)
        assert (plan(x) == algos.conv(x, w, tile=3, algorithm="naive")).all()
