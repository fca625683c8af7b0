"""Gradients: held to the oracle, to finite differences, to one another and to PyTorch."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch_layers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from problems import problems

import algos
from algos import ConvbenchError, Plan, Problem, parse_descriptor
from algos.adapters.gradients import exchanged, phases
from algos.parallel import algorithm as parallel
from algos.registry import convolutions
from suites.truth.comparison import plan_for, truth
from suites.truth.oracle import every_position

#: Both gradients of every algorithm, in both data types, are compiled here.
pytestmark = pytest.mark.slow

OURS = ["naive", "im2col", "fft", "parallel", "separable"]
RNG = np.random.default_rng(5)


def integers(shape, dtype="float64", seed=None):
    rng = RNG if seed is None else np.random.default_rng(seed)
    return rng.integers(-4, 5, shape).astype(dtype)


def arrays_of(problem, seed):
    return [
        integers(shape, problem.dtype, seed + i)
        for i, shape in enumerate((problem.input_shape, problem.kernel_shape, problem.output_shape))
    ]


def compute(problem, first, second, name):
    plan, arrays = plan_for(problem, first, second, None, convolutions()[name], 1)
    return plan(*arrays)


@pytest.mark.parametrize("name", ["naive", "im2col", "parallel", "fft"])
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(problem=problems(largest=9), seed=st.integers(0, 2**20))
def test_gradients_equal_the_oracle_on_integers(name, problem, seed):
    problem = replace(problem, bias=False)
    x, w, g = arrays_of(problem, seed)
    for operation, first, second in (("grad_input", g, w), ("grad_weight", x, g)):
        p = replace(problem, operation=operation)
        got = compute(p, first, second, name)
        if not convolutions()[name].exact_on_integers:
            got = np.rint(got)
        at = every_position(p.result_shape)
        assert (got.reshape(-1) == truth(p, at, first, second, None)[0]).all(), str(p)


@pytest.mark.parametrize(
    "text",
    [
        "mb2_ic40ih20iw17_oc35_kh3kw3_ph1pw1",
        "mb1_ic64ih30_oc48_kh1",
        "mb2_ic3ih40_oc33_kh7_sh2ph3_flip",
        "mb1_ic17ih23iw21_oc40_kh3kw5_sh2sw1_ph1pw2_dh1dw2_f64",
        "g2mb2_ic70id5_oc64_kd3_pd1_f64",
        "mb1_ic1iw3000_oc32_kw9",
        "mb1_ic8ih9_oc16_kh3_sh4_ceil",
    ],
)
def test_the_kernel_s_gradient_in_vector_registers(text, monkeypatch):
    """Blocks that do not divide, stretches that end early, several images, any threads."""
    problem = parse_descriptor(text, operation="grad_weight")
    monkeypatch.setattr(parallel, "choose_weights_path", lambda problem: "weights")
    x, g = (integers(shape, problem.dtype) for shape in problem.operands)
    expected = Plan(problem, algorithm="naive")(x, g)
    for threads in (1, 2):
        plan = Plan(problem, algorithm="parallel", threads=threads)
        assert (plan(x, g) == expected).all()
    g[-1, -1] = np.nan
    confined = Plan(problem, algorithm="parallel")(x, g)
    assert np.array_equal(confined, Plan(problem, algorithm="naive")(x, g), equal_nan=True)


@pytest.mark.parametrize(
    "text",
    [
        "mb1_ic64ih56_oc96_kh1",
        "g2mb3_ic10ih31iw29_oc26_kh1kw1_f64",
        "mb2_ic5id11_oc7_kd1_flip",
        "mb1_ic4iw5001_oc130_kw1",
    ],
)
def test_the_kernel_s_gradient_as_dot_products(text):
    """Tiles that overlap, positions that fill no vector, several images, any threads."""
    problem = parse_descriptor(text, operation="grad_weight")
    assert parallel.choose_weights_path(problem) == "dots"
    x, g = (integers(shape, problem.dtype) for shape in problem.operands)
    for bad in (0, np.nan):
        g[-1, -1] += bad
        expected = Plan(problem, algorithm="naive")(x, g)
        for threads in (1, 2):
            assert np.array_equal(Plan(problem, threads=threads)(x, g), expected, equal_nan=True)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(problem=problems(largest=9), seed=st.integers(0, 2**20))
def test_phases_cover_what_taps_reach_and_cost_what_the_layer_does(problem, seed):
    """Positions outside every phase are reached by no tap; products are those of the layer."""
    plain = {"bias": False, "boundary": "zeros", "cval": 0.0}
    problem = replace(problem, **plain, operation="grad_input")
    covered = np.zeros(problem.size, int)
    for phase in phases(problem):
        covered[phase.positions] += 1
    assert covered.max(initial=0) <= 1
    ones = compute(
        problem, np.ones(problem.output_shape, problem.dtype),
        np.ones(problem.kernel_shape, problem.dtype), "naive",
    )  # fmt: skip
    assert (ones[0, 0][covered == 0] == 0).all()
    assert sum(p.problem.multiply_adds for p in phases(problem)) == problem.multiply_adds
    if problem.multiply_adds:  # else one sample of zero stands for the input that nobody reads
        assert exchanged(problem).multiply_adds == problem.multiply_adds
    assert exchanged(problem).output_size == problem.kernel


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize(
    "text",
    [
        "mb2_ic2iw11_oc3_kw3_sw2_pw1",
        "g2mb1_ic4ih6_oc2_kh3_sh2ph1dh1",
        "mb1_ic1id5_oc2_kd2_sd2_flip",
    ],
)
def test_gradients_are_derivatives(name, text):
    """Finite differences of ⟨conv(x, w), g⟩: linear in x and w, hence exact but for rounding."""
    problem = parse_descriptor(text, dtype="float64")
    x, w, g = arrays_of(problem, 11)
    if name == "separable":
        w = np.ones_like(w)

    def loss(x, w):
        return float((Plan(problem, w, algorithm="naive")(x) * g).sum())

    def differences(of, array):
        slopes = np.empty(array.shape)
        for index in np.ndindex(array.shape):
            moved = array.copy()
            moved[index] += 1
            slopes[index] = of(moved) - of(array)
        return slopes

    got = compute(replace(problem, operation="grad_input"), g, w, name)
    assert np.allclose(got, differences(lambda a: loss(a, w), x), atol=1e-9)
    if name != "separable":
        got = compute(replace(problem, operation="grad_weight"), x, g, name)
        assert np.allclose(got, differences(lambda a: loss(x, a), w), atol=1e-9)


def test_every_algorithm_with_any_kernel_has_both_gradients():
    for operation in ("grad_input", "grad_weight"):
        problem = Problem(size=(9, 9), kernel=3, stride=2, padding=1, operation=operation)
        assert {"naive", "im2col", "fft", "parallel"} <= set(algos.names(problem))
    assert "kernels of a form" in algos.why_not(problem)["separable"]


def test_the_input_gradient_of_an_outer_product_is_separable_too():
    w = np.outer([1.0, 2.0, 1.0], [1.0, 0.0, -1.0]).reshape(1, 1, 3, 3)
    g = integers((1, 1, 7, 7))
    expected = algos.grad_input(g, w, size=(15, 15), stride=2, algorithm="naive")
    got = algos.grad_input(g, w, size=(15, 15), stride=2, algorithm="separable")
    assert np.allclose(got, expected)
    full = integers((1, 1, 3, 3), seed=2)
    with pytest.raises(ConvbenchError, match="has rank"):
        algos.grad_input(g, full, size=(15, 15), stride=2, algorithm="separable")


def test_terms_bound_the_products_of_an_element():
    for text in (
        "mb3_ic4ih9_oc6_kh3_sh2ph1",
        "g2mb1_ic4iw30_oc2_kw5_sw4_dw1",
        "mb2_ic1id5_oc2_kd3",
    ):
        for operation in ("forward", "grad_input", "grad_weight"):
            p = parse_descriptor(text, dtype="float64", operation=operation)
            ones = [np.ones(shape) for shape in p.operands]
            assert compute(p, *ones, "naive").max() <= p.terms


def test_a_bias_has_no_part_in_a_gradient():
    with pytest.raises(ConvbenchError, match="grad_bias"):
        Problem(size=(5,), kernel=3, bias=True, operation="grad_input")


def test_plans_say_what_they_are_called_with():
    problem = Problem(size=(5,), kernel=3, operation="grad_weight", dtype="float64")
    x, g = integers(problem.input_shape), integers(problem.output_shape)
    plan = algos.plan(problem)
    out = np.empty(problem.result_shape)
    assert plan(x, g, out) is out
    assert (plan(x, g) == out).all()
    with pytest.raises(ConvbenchError, match="called with input and output gradient, 1 arrays"):
        plan(x)
    with pytest.raises(ConvbenchError, match="give no kernel"):
        algos.plan(problem, np.ones(problem.kernel_shape))
    with pytest.raises(ConvbenchError, match="output gradient has shape"):
        plan(x, x)
    square = replace(problem, padding=1)
    with pytest.raises(ConvbenchError, match="output gradient share memory"):
        memory = np.zeros(7)
        algos.plan(square)(x, memory[:5].reshape(1, 1, 5), memory[4:].reshape(1, 1, 3))


def test_descriptors_name_the_operation():
    for word, operation in (("bwdd", "grad_input"), ("bwdw", "grad_weight")):
        text = f"mb1_ic3ih9_oc4_kh3_{word}"
        assert parse_descriptor(text).operation == operation
        assert str(parse_descriptor(text)) == text


@pytest.mark.parametrize(
    "stride, kernel, padding, dilation", [(1, 3, 1, 1), (2, 4, 1, 1), (3, 2, 0, 2)]
)
def test_transposed_convolution_undoes_sizes(stride, kernel, padding, dilation):
    w, g = integers((4, 3, kernel, kernel)), integers((2, 4, 5, 6))
    fields = {"stride": stride, "padding": padding, "dilation": dilation}
    for extra in range(stride):
        y = algos.conv_transpose(g, w, output_padding=extra, **fields)
        assert y.shape[:2] == (2, 3)
        assert algos.conv(y, w, **fields).shape == g.shape
        named = algos.conv_transpose(g, w, output_size=y.shape[2:], **fields)
        assert (named == y).all()
    with pytest.raises(ConvbenchError, match="less than the stride"):
        algos.conv_transpose(g, w, output_padding=stride, **fields)


def test_a_size_that_no_input_maps_to_is_one_clear_error():
    g, w = integers((1, 1, 4)), integers((1, 1, 3))
    with pytest.raises(ConvbenchError) as error:
        algos.conv_transpose(g, w, stride=2, output_size=12)
    assert str(error.value) == (
        "no layer like this leads from size (12,) to (4,), it gives (5,); "
        "the sizes that do are 9 … 10"
    )
    with pytest.raises(ConvbenchError, match="same thing"):
        algos.conv_transpose(g, w, stride=2, output_size=9, output_padding=1)
    with pytest.raises(ConvbenchError, match="give output_size"):
        algos.conv_transpose(g, w, stride=2, padding="same")
    same = algos.conv_transpose(g, w, stride=2, padding="same", output_size=7)
    assert same.shape == (1, 1, 7)


def test_bias_gradients():
    g = integers((3, 2, 4, 6))
    assert (algos.grad_bias(g) == g.sum((0, 2, 3))).all()
    assert (algos.grad_bias(g, "location") == g.sum(0)).all()
    tiled = algos.grad_bias(g, "tile", tile=(2, 3))
    for i, j in itertools.product(range(2), range(3)):
        assert (tiled[:, i, j] == g[:, :, i::2, j::3].sum((0, 2, 3))).all()
    with pytest.raises(ConvbenchError, match="tile goes with"):
        algos.grad_bias(g, "tile")
    with pytest.raises(ConvbenchError, match="did you mean 'channel'"):
        algos.grad_bias(g, "chanel")


@pytest.mark.parametrize("wrong", [{"size": (9, 9)}, {"size": 8, "stride": 3}])
def test_grad_input_refuses_a_gradient_of_another_size(wrong):
    g, w = integers((1, 2, 4, 4)), integers((2, 3, 3, 3))
    with pytest.raises(ConvbenchError, match="sizes that do are"):
        algos.grad_input(g, w, **wrong)


@pytest.mark.peers
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(problem=problems(largest=9), seed=st.integers(0, 2**20))
def test_gradients_are_those_of_pytorch(problem, seed):
    pytest.importorskip("torch")
    plain = {"bias": False, "flip": False, "boundary": "zeros", "cval": 0.0}
    problem = replace(problem, **plain, dtype="float64")
    x, w, g = arrays_of(problem, seed)
    expected = torch_layers.gradients(problem, x, w, g)
    if expected is None:
        return
    dx = Plan(replace(problem, operation="grad_input"), w)(g)
    dw = Plan(replace(problem, operation="grad_weight"))(x, g)
    assert np.allclose(dx, expected[0])
    assert np.allclose(dw, expected[1])


@pytest.mark.peers
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_conv_transpose_is_pytorch_s(axes):
    torch = pytest.importorskip("torch")
    function = getattr(torch.nn.functional, f"conv_transpose{axes}d")
    g, w, bias = integers((2, 4, *[4] * axes)), integers((4, 3, *[3] * axes)), integers((6,))
    fields = {"stride": 3, "padding": 1, "output_padding": 2, "groups": 2, "dilation": 2}
    expected = function(*map(torch.from_numpy, (g, w, bias)), **fields).numpy()
    assert np.allclose(algos.conv_transpose(g, w, bias, **fields), expected)
