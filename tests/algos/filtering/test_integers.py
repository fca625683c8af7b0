"""Integers: exact sums in every type, and no result that wraps in silence."""

import numpy as np
import pytest
from scipy import ndimage, signal

import algos
from algos import ConvbenchError
from algos.core.boundary import BOUNDARIES
from algos.filtering import small_integers
from algos.filtering.casting import cast

IMAGES = ("bool", "uint8", "int8", "int16")


def image_of(rng, dtype, shape):
    if dtype == "bool":
        return rng.random(shape) < 0.5
    ends = np.iinfo(dtype)
    return rng.integers(ends.min, ends.max, shape, dtype, endpoint=True)


def problems(seed, count):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        axes = int(rng.integers(1, 3))
        size, taps = rng.integers(1, 150, axes), rng.integers(1, 12, axes)
        image = image_of(rng, str(rng.choice(IMAGES)), size)
        most = 2**31 // (2**15 * int(taps.prod())) - 1
        yield rng, image, rng.integers(-most, most, taps, endpoint=True).astype("int16")


@pytest.fixture
def counted(monkeypatch):
    """Count the calls that take the way of small integers."""
    calls, real = [], small_integers.filtered

    def filtered(*arguments):
        calls.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(small_integers, "filtered", filtered)
    return calls


@pytest.mark.parametrize("threads", (1, 2))
def test_sums_are_those_of_scipy_bit_by_bit(threads, counted):
    for rng, image, kernel in problems(threads, 40):
        mode = str(rng.choice(("full", "same")))
        want = signal.convolve(image.astype("int64"), kernel.astype("int64"), mode, "direct")
        got = algos.convolve(image, kernel, mode, threads=threads)
        assert got.dtype == np.int64
        np.testing.assert_array_equal(got, want)
    assert len(counted) == 40


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_boundaries_are_those_of_ndimage(boundary, counted):
    for _, image, kernel in problems(7, 12):
        cval = 3 if boundary == "constant" else 0
        mode = "constant" if boundary == "zeros" else boundary
        want = ndimage.correlate(
            image.astype("int64"), kernel.astype("int64"), mode=mode, cval=cval
        )
        got = algos.correlate(image, kernel, "same", boundary=boundary, cval=cval)
        np.testing.assert_array_equal(got, want)
    assert len(counted) == 12


@pytest.mark.parametrize("dtype", ("uint8", "int8", "uint16", "int16", "int32", "uint32", "int64"))
def test_results_saturate_wrap_or_are_refused(dtype):
    rng = np.random.default_rng(0)
    image, kernel = rng.integers(0, 256, (40, 70), "uint8"), rng.integers(-9, 9, (3, 4))
    exact = signal.correlate(image.astype("int64"), kernel, "same", "direct")
    ends = np.iinfo(dtype)
    for method in ("auto", "naive"):  # sums of 32 bits, and conversion of a result
        given = {"mode": "same", "method": method, "dtype": dtype}
        saturated = algos.correlate(image, kernel, overflow="saturate", **given)
        assert saturated.dtype == dtype
        np.testing.assert_array_equal(saturated, exact.clip(ends.min, ends.max))
        wrapped = algos.correlate(image, kernel, overflow="wrap", **given)
        np.testing.assert_array_equal(wrapped, exact.astype(dtype))
        outside = (exact < ends.min) | (exact > ends.max)
        if not outside.any():
            np.testing.assert_array_equal(algos.correlate(image, kernel, **given), exact)
            continue
        first = tuple(map(int, np.argwhere(outside)[0]))
        with pytest.raises(ConvbenchError) as told:
            algos.correlate(image, kernel, **given)
        beyond = max(ends.min - exact[first], exact[first] - ends.max)
        said = (
            f"{outside.sum()} of 2800 results do not fit {dtype}, first {exact[first]} at {first}"
        )
        assert f"{said}, {beyond} beyond" in str(told.value)


def test_products_of_a_column_and_a_row_are_exact(counted):
    rng = np.random.default_rng(1)
    for _ in range(20):
        column, row = (rng.integers(-9, 10, int(rng.integers(3, 9))) for _ in range(2))
        kernel = np.outer(column, row)
        assert (small_integers.factors(kernel) is None) == (not kernel.any())
        image = image_of(rng, str(rng.choice(IMAGES)), rng.integers(1, 90, 2))
        want = signal.convolve(image.astype("int64"), kernel, "same", "direct")
        np.testing.assert_array_equal(algos.convolve(image, kernel, "same"), want)
    assert len(counted) == 20
    kernel[0, 0] += 1
    assert small_integers.factors(kernel) is None


def test_the_largest_numbers_of_16_bits_are_exact(counted):
    image = np.full((5, 40), -(2**15), "int16")
    kernel = np.full((1, 1), -(2**15), "int16")
    assert (algos.convolve(image, kernel) == 2**30).all()
    edge = np.array([[-(2**15) + 1, -(2**15) + 1]], "int16")  # a sum of 2^31 less 2^16
    assert algos.convolve(image, edge).max() == 2**31 - 2**16
    assert len(counted) == 2
    assert algos.convolve(image, np.full((1, 2), -(2**15), "int16")).max() == 2**31
    assert len(counted) == 2  # that sum needs more than 31 bits


def test_wider_numbers_go_another_way(counted):
    image = np.arange(12, dtype="uint16").reshape(3, 4)
    want = signal.convolve(image.astype("int64"), np.ones((2, 2), "int64"))
    np.testing.assert_array_equal(algos.convolve(image, np.ones((2, 2), int)), want)
    large = np.array([[40_000]])
    np.testing.assert_array_equal(
        algos.convolve(image.astype("uint8"), large), image * np.int64(40_000)
    )
    assert counted == []


def test_fractions_are_rounded_and_nan_is_no_integer():
    image, half = np.array([1, 2, 3, 5], "uint8"), np.array([0.5])
    np.testing.assert_array_equal(algos.convolve(image, half, dtype="int16"), [0, 1, 2, 2])
    assert algos.convolve(image, half, dtype="float32").dtype == np.float32
    with pytest.raises(ConvbenchError, match=r"1 results? .*NaN.*at \(1,\).*float dtype"):
        algos.convolve(np.array([1.0, np.nan]), np.ones(1), dtype="uint8")
    masked = algos.convolve(np.array([4.0, np.nan, 8.0]), np.ones(3), "same", nan="ignore",
                            dtype="uint8")  # fmt: skip
    assert masked.dtype == np.uint8


@pytest.mark.parametrize(
    ("values", "dtype", "want"),
    [
        ([2.0**63, -(2.0**63), 1.4], "int64", [2**63 - 1, -(2**63), 1]),
        ([2.0**64, -1.0, 2.0**63], "uint64", [2**64 - 1, 0, 2**63]),
        ([1e300, -1e300, 254.6], "uint8", [255, 0, 255]),
    ],
)
def test_floats_beyond_the_type_saturate(values, dtype, want):
    got = cast(np.array(values), np.dtype(dtype), "saturate")
    assert got.tolist() == want


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"overflow": "clip"}, "overflow"),
        ({"dtype": "complex64"}, "dtype 'complex64' is not supported"),
        ({"dtype": "text"}, "dtype 'text' is not supported"),
        ({"dtype": "float16"}, "float32 or float64"),
    ],
)
def test_odd_types_are_refused(given, said):
    with pytest.raises(ConvbenchError, match=said):
        algos.convolve(np.ones(3, "uint8"), np.ones(2, "uint8"), **given)


def test_a_complex_result_fits_no_real_type():
    with pytest.raises(ConvbenchError, match="complex128, which dtype float64 cannot hold"):
        algos.convolve(np.ones(3) * 1j, np.ones(2), dtype="float64")
