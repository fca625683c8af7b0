"""The functions users call, against the libraries they replace."""

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

import algos
from algos import ConvbenchError, Problem
from algos.registry import convolutions

RNG = np.random.default_rng(0)
OURS = [name for name, algorithm in convolutions().items() if not algorithm.is_peer]
GENERAL = [name for name in OURS if not name.startswith("winograd")]  # any size of kernel
DROP_INS = [
    (algos.convolve, scipy.signal.convolve),
    (algos.correlate, scipy.signal.correlate),
]


@pytest.mark.parametrize(("ours", "scipys"), DROP_INS)
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("shapes", [((9,), (4,)), ((9, 12), (3, 4)), ((6, 7, 8), (2, 3, 2))])
def test_drop_in_for_scipy_signal(ours, scipys, mode, shapes):
    a, b = (RNG.standard_normal(shape) for shape in shapes)
    np.testing.assert_allclose(
        ours(a, b, mode), scipys(a, b, mode, method="direct"), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize(("ours", "scipys"), DROP_INS)
def test_valid_takes_the_larger_array_as_the_image(ours, scipys):
    a, b = RNG.standard_normal((3, 4)), RNG.standard_normal((9, 12))
    np.testing.assert_allclose(
        ours(a, b, "valid"), scipys(a, b, "valid", method="direct"), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize(("ours", "scipys"), DROP_INS)
@pytest.mark.parametrize("mode", ["full", "same"])
def test_the_second_array_may_be_the_larger(ours, scipys, mode):
    a, b = RNG.standard_normal((3, 4)), RNG.standard_normal((9, 12))
    np.testing.assert_allclose(
        ours(a, b, mode), scipys(a, b, mode, method="direct"), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("name", ["auto", "direct", *GENERAL])
def test_every_method_gives_the_same(mode, name):
    image = RNG.standard_normal((40, 50))
    kernel = np.outer(np.hanning(9), np.hamming(5))
    expected = scipy.signal.convolve(image, kernel, mode, method="direct")
    np.testing.assert_allclose(
        algos.convolve(image, kernel, mode, name), expected, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("size", [3, 15, 31])
def test_auto_is_right_whatever_it_chooses(size):
    image, kernel = RNG.standard_normal((64, 64)), RNG.standard_normal((size, size))
    expected = scipy.signal.convolve(image, kernel, "same", method="direct")
    np.testing.assert_allclose(algos.convolve(image, kernel, "same"), expected, atol=1e-11)


def test_integers_stay_integers_and_exact():
    a, b = RNG.integers(-99, 99, (20, 20)), RNG.integers(-99, 99, (5, 5))
    ours, theirs = algos.convolve(a, b), scipy.signal.convolve(a, b)
    assert ours.dtype == theirs.dtype
    assert (ours == theirs).all()


def test_integers_that_cannot_be_exact_are_refused():
    with pytest.raises(ConvbenchError, match=r"2\^53"):
        algos.convolve([2**50, 1], [2**10, 1])


def test_float32_stays_float32():
    assert algos.convolve(np.ones(4, "f4"), np.ones(2, "f4")).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: algos.convolve(np.ones(4), np.ones((2, 2))), "axes"),
        (lambda: algos.convolve(np.ones(4), np.ones(2), mode="sam"), "did you mean 'same'"),
        (lambda: algos.convolve(np.ones(4), np.ones(2), method="ftt"), "did you mean 'fft'"),
        (lambda: algos.convolve(np.ones(0), np.ones(2)), "empty axis"),
        (lambda: algos.convolve(np.array(["a"]), np.ones(2)), "arrays of numbers"),
        (lambda: algos.conv(np.ones((1, 1, 4)), np.ones((1, 1, 5))), "spans 5 samples"),
        (lambda: algos.conv(np.ones((1, 2, 4)), np.ones((1, 1, 2))), r"need \(1, 2, 2\)"),
        (lambda: algos.conv(np.ones((1, 0, 4)), np.ones((1, 0, 2))), "no axis may be empty"),
        (lambda: algos.conv(np.ones((1, 1, 4)), np.ones((1, 1, 2), "f4")), "float64 but kernel"),
        (lambda: algos.conv(np.ones((1, 1, 4), "i8"), np.ones((1, 1, 2), "i8")), "int64"),
        (lambda: algos.conv(np.ones((4, 4)), np.ones((2, 2))), "expected"),
        (lambda: algos.conv(np.ones((1, 1, 4)), np.ones((1, 1, 2)), threads=0), "at least 1"),
        (lambda: algos.conv(np.ones((1, 1, 4)), np.ones((1, 1, 2)), threads=999), "available"),
    ],
)
def test_mistakes_are_named(call, says):
    with pytest.raises(ConvbenchError, match=says):
        call()


def test_plan_runs_many_inputs_into_an_array_of_ones_own():
    problem = Problem(size=(8, 8), kernel=3, out_channels=2, bias=True, dtype="float64")
    w, bias = RNG.standard_normal(problem.kernel_shape), RNG.standard_normal(2)
    f = algos.plan(problem, w, bias, algorithm="naive")
    out = np.empty(problem.output_shape)
    for _ in range(3):
        x = RNG.standard_normal(problem.input_shape)
        assert f(x, out) is out
        np.testing.assert_allclose(out, algos.conv(x, w, bias, algorithm="im2col"), atol=1e-13)


@pytest.mark.parametrize(
    ("x", "out", "says"),
    [
        (np.ones((1, 1, 5)), None, "input has shape"),
        (np.ones((1, 1, 4), "f4"), None, "input is float32"),
        (np.ones((1, 1, 4)), np.ones((1, 1, 4)), "out is"),
        (np.ones((1, 1, 4)), np.ones((1, 1, 6))[:, :, ::2], "C-contiguous"),
    ],
)
def test_plan_refuses_what_does_not_fit(x, out, says):
    f = algos.plan(PROBLEM, np.ones((1, 1, 2)))
    with pytest.raises(ConvbenchError, match=says):
        f(x, out)


PROBLEM = Problem(size=(4,), kernel=2, dtype="float64")


def test_plan_refuses_to_write_over_its_input():
    buffer = np.ones(10)
    x, out = buffer[:4].reshape(1, 1, 4), buffer[2:5].reshape(1, 1, 3)
    with pytest.raises(ConvbenchError, match="share memory"):
        algos.plan(PROBLEM, np.ones((1, 1, 2)))(x, out)


def test_bias_must_be_given_where_the_problem_has_one():
    with pytest.raises(ConvbenchError, match="no bias was given"):
        algos.plan(Problem(size=(4,), kernel=2, bias=True), np.ones((1, 1, 2), "f4"))


@pytest.mark.parametrize("name", OURS)
@settings(deadline=None, max_examples=15)
@given(
    kind=st.sampled_from(["strided", "reversed", "fortran", "swapped", "unaligned", "broadcast"]),
    seed=st.integers(0, 99),
)
def test_layout_of_the_input_does_not_matter(name, kind, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 2, 6, 6))
    w = np.einsum("oc,i,j->ocij", rng.standard_normal((2, 2)), [1, 2, 1], [0, 1, 3])
    view = {
        "strided": lambda: np.repeat(x, 2, axis=3)[..., ::2],
        "reversed": lambda: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
        "fortran": lambda: np.asfortranarray(x),
        "swapped": lambda: x.astype(x.dtype.newbyteorder()),
        "unaligned": lambda: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype),
        "broadcast": lambda: np.broadcast_to(x[:, :1], x.shape),
    }[kind]()
    view = view.reshape(x.shape)
    plain = np.ascontiguousarray(view, dtype=np.float64)
    before = plain.copy()
    y = algos.conv(view, w, algorithm=name)
    assert (y == algos.conv(plain, w, algorithm=name)).all()
    assert (plain == before).all()


def test_a_name_means_what_the_registry_says_now(monkeypatch):
    x, w = np.ones((1, 1, 5, 5), "f4"), np.ones((1, 1, 3, 3), "f4")
    for name in ("naive", "im2col"):
        monkeypatch.setitem(convolutions(), "mine", convolutions()[name])
        assert algos.plan(algos.problem_of(x, w), w, algorithm="mine").algorithm.name == name


@pytest.mark.parametrize("operation", ["forward", "grad_input"])
@pytest.mark.parametrize("name", OURS)
def test_out_may_lie_on_the_kernel(name, operation):
    problem = Problem(size=(8, 8), kernel=3, in_channels=4, out_channels=4, operation=operation)
    first = np.random.default_rng(3).standard_normal(problem.operands[0], "f4")
    w = np.ones((4, 4, 3, 3), "f4")
    want = algos.plan(problem, w, algorithm=name)(first).copy()
    memory = np.ones(max(w.size, want.size), "f4")
    kernel = memory[: w.size].reshape(w.shape)
    f = algos.plan(problem, kernel, algorithm=name)
    got = f(first, memory[: want.size].reshape(want.shape))
    np.testing.assert_array_equal(got, want)
