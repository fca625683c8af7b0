"""`convolve` and `correlate` with a boundary: SciPy's results, and sentences for mistakes."""

import numpy as np
import pytest
from scipy import ndimage

import algos
from algos import ConvbenchError

PAIRS = ((algos.convolve, ndimage.convolve), (algos.correlate, ndimage.correlate))


@pytest.mark.parametrize("mode", ["constant", "nearest", "reflect", "mirror", "wrap"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_same_is_what_ndimage_computes(axes, mode):
    rng = np.random.default_rng(axes)
    for _ in range(12):
        size = rng.integers(2, {1: 200, 2: 40, 3: 12}[axes], axes)
        # SciPy reads memory outside of the image from four times its size on ("reflect").
        kernel = np.minimum(rng.integers(1, {1: 20, 2: 8, 3: 5}[axes], axes), 3 * size)
        origin = [int(rng.integers(-(n // 2), (n - 1) // 2 + 1)) for n in kernel]
        image, taps = rng.standard_normal(size), rng.standard_normal(kernel)
        cval = float(rng.standard_normal()) if mode == "constant" else 0.0
        for ours, theirs in PAIRS:
            got = ours(image, taps, "same", boundary=mode, cval=cval, origin=origin)
            exact = theirs(image, taps, mode=mode, cval=cval, origin=origin)
            np.testing.assert_allclose(got, exact, rtol=0, atol=1e-12)


def test_integers_stay_exact_beyond_the_border():
    rng = np.random.default_rng(2)
    image, taps = rng.integers(0, 255, (40, 30), np.uint8), rng.integers(-9, 9, (4, 3), np.int8)
    for ours, theirs in PAIRS:
        got = ours(image, taps, "same", boundary="constant", cval=7)
        assert got.dtype == np.int64
        assert (got == theirs(image.astype(int), taps, mode="constant", cval=7)).all()
        halves = ours(image, taps, "same", boundary="constant", cval=0.5)
        exact = theirs(image.astype(float), taps, mode="constant", cval=0.5)
        np.testing.assert_allclose(halves, exact, rtol=1e-13)


def test_full_reads_the_boundary_and_valid_does_not():
    assert algos.convolve([1, 2, 3], [1, 10], boundary="wrap").tolist() == [31, 12, 23, 31]
    plain = algos.convolve([1, 2, 3], [1, 10], "valid")
    assert algos.convolve([1, 2, 3], [1, 10], "valid", boundary="wrap").tolist() == plain.tolist()


@pytest.mark.parametrize(("settings", "sentence"), [
    ({"mode": "same", "boundary": "reflecting"}, "did you mean 'reflect'"),
    ({"mode": "same", "cval": 2.0}, 'value of boundary="constant"'),
    ({"mode": "same", "boundary": "constant", "cval": float("nan")}, "a finite number of float64"),
    ({"mode": "same", "origin": 2}, "with 3 taps it must be from -1 to 1"),
    ({"mode": "same", "origin": (0, 0)}, "2 entries for 1 axes"),
    ({"mode": "full", "origin": 1}, 'origin 1 moves the kernel of mode="same"'),
])  # fmt: skip
def test_mistakes_are_refused_in_a_sentence(settings, sentence):
    with pytest.raises(ConvbenchError, match=sentence):
        algos.convolve(np.ones(9), np.ones(3), **settings)
