"""Complex arrays in `convolve` and `correlate`: SciPy's results, within a derived bound."""

import itertools

import numpy as np
import pytest
from scipy import ndimage, signal

import algos
from algos import ConvbenchError
from algos.filtering import complex_parts
from algos.filtering.complex_parts import parts_of
from algos.filtering.request import Request
from algos.registry import convolutions

FUNCTIONS = ((algos.convolve, signal.convolve), (algos.correlate, signal.correlate))
OURS = [name for name, algorithm in convolutions().items() if not algorithm.is_peer]


def numbers(rng, shape, kind):
    real = rng.standard_normal(shape)
    return real + 1j * rng.standard_normal(shape) if kind == "c" else real


@pytest.mark.parametrize(("image", "kernel"), ["cc", "cf", "fc"])
@pytest.mark.parametrize("axes", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_results_shapes_and_types_are_those_of_scipy(axes, image, kernel):
    rng = np.random.default_rng(axes)
    for mode, products, single in itertools.product(
        ("full", "same", "valid"), (3, 4), (False, True)
    ):
        smaller, larger = rng.integers(1, 6, axes), rng.integers(6, 16, axes)
        for size, taps in ((larger, smaller), (smaller, larger)):
            x, w = numbers(rng, size, image), numbers(rng, taps, kernel)
            if single:
                x, w = (a.astype("complex64" if a.dtype.kind == "c" else "float32") for a in (x, w))
            for ours, theirs in FUNCTIONS:
                got, exact = ours(x, w, mode, products=products), theirs(x, w, mode)
                assert got.dtype == exact.dtype
                np.testing.assert_allclose(got, exact, rtol=0, atol=1e-3 if single else 1e-11)


def test_a_full_result_takes_the_smaller_array_as_the_kernel(monkeypatch):
    rng = np.random.default_rng(3)
    x, w = numbers(rng, (40,), "c"), numbers(rng, (900,), "c")
    posed, plan = [], complex_parts.Plan
    monkeypatch.setattr(
        complex_parts, "Plan", lambda layer, *a, **k: posed.append(layer) or plan(layer, *a, **k)
    )
    for ours, theirs in FUNCTIONS:
        np.testing.assert_allclose(ours(x, w), theirs(x, w), rtol=0, atol=1e-11)
        assert posed[-1].kernel == x.shape


@pytest.mark.parametrize("mode", ["constant", "reflect", "wrap"])
def test_a_boundary_continues_both_parts(mode):
    rng = np.random.default_rng(4)
    x, w = numbers(rng, (60, 50), "c"), numbers(rng, (4, 3), "c")
    cval = 1.5 if mode == "constant" else 0.0
    for ours, theirs in ((algos.convolve, ndimage.convolve), (algos.correlate, ndimage.correlate)):
        got = ours(x, w, "same", boundary=mode, cval=cval)
        np.testing.assert_allclose(got, theirs(x, w, mode=mode, cval=cval), rtol=0, atol=1e-12)


@pytest.mark.parametrize("products", [3, 4])
@pytest.mark.parametrize("name", OURS)
def test_errors_keep_within_the_bound(name, products):
    rng = np.random.default_rng(5)
    x, w = numbers(rng, (40, 30), "c"), numbers(rng, (3, 3), "c")
    x, w = x.astype("complex64"), np.outer(w[0], w[1].real).astype("complex64")
    request = Request(True, "same", name)
    parts = parts_of(request, x, w, products)
    if algos.why_not(parts.problem, parts.w).get(name):
        pytest.skip("this algorithm does not do it")
    got = algos.convolve(x, w, "same", name, products=products)
    exact = signal.convolve(x.astype("c16"), w.astype("c16"), "same", "direct")
    a, b = (abs(v.real.astype(float)) + abs(v.imag.astype(float)) for v in (x, w))
    bound = parts.error_bound(convolutions()[name], signal.convolve(a, b, "same", "direct"))
    error = np.maximum(abs((got - exact).real), abs((got - exact).imag))
    assert (error <= bound).all()
    assert float(np.max(bound)) < 0.01 * float(abs(exact).max())


@pytest.mark.parametrize("kernel", ["c", "f"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_constant_beyond_the_border_may_be_complex(axes, kernel):
    rng = np.random.default_rng(axes)
    for products, single in itertools.product((3, 4), (False, True)):
        x = numbers(rng, rng.integers(4, 12, axes), "c").astype("complex64" if single else "c16")
        w = numbers(rng, rng.integers(1, 6, axes), kernel)
        w = w.astype({"c": "complex64", "f": "float32"}[kernel]) if single else w
        for name in ("convolve", "correlate"):
            got = getattr(algos, name)(
                x, w, "same", boundary="constant", cval=2 - 3j, products=products
            )
            exact = getattr(ndimage, name)(x, w, mode="constant", cval=2 - 3j)
            assert got.dtype == x.dtype
            np.testing.assert_allclose(got, exact, rtol=0, atol=1e-4 if single else 1e-12)


def test_missing_samples_of_a_complex_image_leave_the_constant_alone():
    x, w = np.array([1 + 1j, 2, 3j, 4]), np.array([0.25, 0.5, 0.25])
    holes = np.array([False, True, False, False])
    got = algos.convolve(x, w, "same", boundary="constant", cval=2j, mask=holes)
    exact = [(0.25 * 2j + 0.5 * x[0]) / 0.75, (0.25 * x[0] + 0.25 * x[2]) / 0.5,
             (0.5 * x[2] + 0.25 * x[3]) / 0.75, 0.25 * x[2] + 0.5 * x[3] + 0.25 * 2j]  # fmt: skip
    np.testing.assert_allclose(got, exact, rtol=1e-14)


@pytest.mark.parametrize(("image", "kernel", "boundary", "cval", "sentence"), [
    ([1, 2], [1, 1], "constant", 1j, "cval 1j is complex and the image is real"),
    ([1.0, 2], [1, 1j], "constant", 1 + 0j, r"complex and the image is real; .*astype\(complex\)"),
    ([1j, 2], [1, 1], "nearest", 1j, 'cval 1j is given with boundary=.nearest.'),
    ([1j, 2], [1, 1], "constant", complex("nan"), "cval nan must be a finite number of float64"),
    ([1j, 2], [1, 1], "constant", "1j", "cval '1j' is no number"),
])  # fmt: skip
def test_a_wrong_constant_is_refused_in_a_sentence(image, kernel, boundary, cval, sentence):
    with pytest.raises(ConvbenchError, match=sentence):
        algos.convolve(image, kernel, "same", boundary=boundary, cval=cval)


@pytest.mark.parametrize("kind", [float, complex])
def test_valid_needs_one_array_within_the_other(kind):
    wide, tall = np.ones((2, 5), kind), np.ones((4, 3))
    for image, kernel in ((wide, tall), (tall, wide)):
        with pytest.raises(ConvbenchError, match="use a smaller kernel"):
            algos.convolve(image, kernel, "valid")
    large = np.ones((3, 5), complex)
    assert (algos.correlate(large[:2], large, "valid") == np.full((2, 1), 10)).all()
    found = algos.convolve(large[0, :3], np.ones(5), "valid", boundary="constant", cval=2j)
    assert (found == np.full(3, 3)).all()


def test_whole_complex_numbers_are_exact():
    x, w = np.array([1 + 2j, 3, -1j]), np.array([2 - 1j, 1j])
    for products in (3, 4):
        assert (algos.convolve(x, w, products=products) == np.convolve(x, w)).all()


def test_another_number_of_products_is_refused():
    with pytest.raises(ConvbenchError, match="products 5 must be 4, or 3 for Gauss's form"):
        algos.convolve([1j, 2], [1j], products=5)
    with pytest.raises(ConvbenchError, match="arrays of numbers are supported"):
        algos.convolve(["a"], [1.0])
