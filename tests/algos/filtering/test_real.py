"""`convolve` and `correlate`: exact integers, and NaN and infinity where a direct sum has them."""

import itertools

import numpy as np
import pytest
import scipy.signal

import algos
from algos import ConvbenchError
from algos.filtering import real as filtering
from algos.registry import convolutions

OURS = [name for name, algorithm in convolutions().items() if not algorithm.is_peer]
NARROW = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32"]


@pytest.mark.parametrize(("one", "other"), list(itertools.product(NARROW, ["uint8", "int16"])))
def test_narrow_integers_neither_wrap_nor_round(one, other):
    rng = np.random.default_rng(1)
    a, b = (extremes(rng, dtype, shape) for dtype, shape in ((one, (7, 6)), (other, (2, 3))))
    for ours, theirs in ((algos.convolve, scipy.signal.convolve),
                         (algos.correlate, scipy.signal.correlate)):  # fmt: skip
        for mode in ("full", "same", "valid"):
            y = ours(a, b, mode, "naive")
            assert y.dtype == np.int64
            wide = theirs(a.astype(np.int64), b.astype(np.int64), mode, "direct")
            assert (y == wide).all()


def extremes(rng, dtype, shape):
    """The least and the largest of a type, in a random order."""
    both = [False, True] if dtype == "bool" else [np.iinfo(dtype).min, np.iinfo(dtype).max]
    return rng.choice(np.array(both, dtype), shape)


def test_unsigned_and_signed_64_bits_stay_integers():
    a = np.array([2**40, 3], np.uint64)
    y = algos.convolve(a, np.array([-5, 7]), method="naive")
    assert y.dtype == np.int64
    assert y.tolist() == [-5 * 2**40, 7 * 2**40 - 15, 21]
    with pytest.raises(ConvbenchError, match=r"-9223372036854775808 at \(1,\)") as error:
        algos.convolve(np.array([0, -(2**63)]), np.array([1], np.uint64))
    assert "1.02e+03 times the 2^53" in str(error.value)
    assert ".astype(float)" in str(error.value)


def test_only_products_that_can_be_reached_count():
    assert algos.convolve([2**52, 0], [0, 1], method="naive").tolist() == [0, 2**52, 0]
    assert algos.convolve([2**60], [0], method="naive").tolist() == [0]


@pytest.mark.parametrize("sizes", [((40,), (900,)), ((3, 2), (8, 9)), ((2, 2, 2), (4, 5, 6))])
def test_a_full_result_costs_as_much_with_the_operands_exchanged(monkeypatch, sizes):
    rng = np.random.default_rng(4)
    image, kernel = (rng.standard_normal(size) for size in sizes)
    posed = []
    plan = filtering.Plan
    monkeypatch.setattr(
        filtering, "Plan", lambda problem, *a, **k: posed.append(problem) or plan(problem, *a, **k)
    )
    for ours, theirs in ((algos.convolve, scipy.signal.convolve),
                         (algos.correlate, scipy.signal.correlate)):  # fmt: skip
        y = ours(image, kernel)
        assert np.allclose(y, theirs(image, kernel, method="direct"), atol=1e-12)
        assert posed[-1].kernel == image.shape
        ours(image, kernel, boundary="wrap")
        assert posed[-1].kernel == kernel.shape
    with pytest.raises(ConvbenchError, match=r"largest of the kernel is 9007199254740992 at \(1,"):
        algos.convolve([2, 1], [1, 2**53, 1])


def test_an_fft_is_not_chosen_where_it_might_round_integers():
    rng = np.random.default_rng(2)
    image = rng.integers(-(2**31), 2**31, (40, 40))
    kernel = rng.integers(-(2**12), 2**12, (21, 21))
    exact = scipy.signal.convolve(image, kernel, "valid", "direct")
    assert (algos.convolve(image, kernel, "valid") == exact).all()
    with pytest.raises(ConvbenchError, match="fft may round sums of these integers"):
        algos.convolve(image, kernel, "valid", "fft")
    small, exact = kernel[:5, :5], scipy.signal.convolve(kernel, kernel[:5, :5], "valid", "direct")
    assert (algos.convolve(kernel, small, "valid", "fft") == exact).all()


@pytest.mark.parametrize("taps", [(25, 25), (3, 3), (1, 500)])
@pytest.mark.parametrize("kind", ["random", "rank1"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308])
def test_auto_confines_what_is_not_finite_as_a_direct_sum_does(taps, kind, value):
    rng = np.random.default_rng(3)
    image = rng.standard_normal((30, 520))
    image[15, 260] = value
    kernel = rng.uniform(2, 3, taps) if kind == "random" else np.full(taps, 2.5)
    y = algos.convolve(image, kernel, "same")
    with np.errstate(all="ignore"):
        direct = scipy.signal.convolve(image, kernel, "same", "direct")
    assert (np.isfinite(y) == np.isfinite(direct)).all()
    assert 0 < (~np.isfinite(y)).sum() <= kernel.size


def test_auto_confines_nan_of_the_kernel_and_of_float32():
    rng = np.random.default_rng(4)
    image, kernel = rng.standard_normal((50, 50), np.float32), np.ones((21, 21), np.float32)
    kernel[0, 0] = np.nan
    y = algos.correlate(image, kernel, "full")
    assert np.isnan(y[20:, 20:]).all()
    assert np.isfinite(y[:20]).all()
    image[25, 25] = 3e38  # finite, but not the sum over a tile
    kernel = rng.uniform(2, 3, (21, 21)).astype(np.float32)
    assert (~np.isfinite(algos.convolve(image, kernel, "same"))).sum() == 21 * 21


def test_a_wider_float_may_not_become_infinite():
    if np.finfo(np.longdouble).max == np.finfo(float).max:
        pytest.skip("long double is no wider here")
    with pytest.raises(ConvbenchError, match=r"image holds 1e\+400 at \(1,\), beyond 1.8e\+308"):
        algos.convolve(np.array(["0", "1e400"], np.longdouble), [1.0])
