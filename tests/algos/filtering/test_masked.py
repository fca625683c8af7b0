"""NaN and masks: normalised convolution by its definition, by every algorithm, and astropy's."""

import warnings

import numpy as np
import pytest
from scipy import ndimage

import algos
from algos import ConvbenchError
from algos.registry import convolutions

OURS = [name for name, algorithm in convolutions().items() if not algorithm.is_peer]
KERNEL = np.outer([1.0, 2.0, 1.0], [0.5, 1.0, 3.0])


def image(share, seed=0, size=(40, 30)):
    """Return an image in which a share of the samples is NaN."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(size)
    x[rng.random(size) < share] = np.nan
    return x


def by_definition(x, kernel, missing, mode, cval=1.0):
    """Σk · Σ k·x / Σ k over the samples that are there, and how many they are."""
    how = {"mode": mode, "cval": 0.0}
    above = ndimage.convolve(np.where(missing, 0, x), kernel, **how)
    how["cval"] = cval
    below, count = (ndimage.convolve(1.0 - missing, k, **how) for k in (kernel, kernel != 0))
    with np.errstate(all="ignore"):
        return np.where(count > 0, kernel.sum() * above / below, np.nan)


#: All shares and modes by the automatic choice, and one pair by every algorithm; others are slow.
WAYS = [
    pytest.param(
        name, share, mode,
        marks=() if name == "auto" or (share, mode) == (0.5, "reflect") else pytest.mark.slow,
    )
    for name in ("auto", *OURS)
    for share in (0.02, 0.5, 0.97)
    for mode in ("constant", "reflect", "wrap")
]  # fmt: skip


@pytest.mark.parametrize(("name", "share", "mode"), WAYS)
def test_every_algorithm_keeps_to_the_definition(name, share, mode):
    x = image(share)
    problem = algos.Problem(size=x.shape, kernel=3, padding=1, flip=True, dtype="float64")
    if name != "auto" and algos.why_not(problem, KERNEL[None, None]).get(name):
        pytest.skip("this algorithm does not do it")
    got = algos.convolve(x, KERNEL, "same", name, boundary=mode, nan="ignore")
    exact = by_definition(x, KERNEL, np.isnan(x), mode)
    np.testing.assert_allclose(got, exact, rtol=1e-9, atol=1e-9)
    assert np.isnan(got).any() == (share >= 0.5)


def test_without_missing_samples_it_is_the_plain_convolution():
    x = image(0)
    for settings in ({"nan": "ignore"}, {"mask": np.zeros(x.shape, bool)}):
        for mode in ("full", "same", "valid"):
            assert (algos.convolve(x, KERNEL, mode, **settings) == algos.convolve(x, KERNEL, mode)
                    ).all()  # fmt: skip


def test_a_mask_leaves_samples_out_and_nan_elsewhere_goes_on():
    x, mask = image(0), image(0.3, seed=1)
    mask = np.isnan(mask)
    x[mask], x[20, 20], mask[20, 20] = 1e30, np.nan, False
    got = algos.correlate(x, KERNEL, "same", mask=mask)
    near = np.zeros(x.shape, bool)
    near[19:22, 19:22] = True
    assert np.isnan(got[near]).all()
    exact = by_definition(np.where(near, 0, x), KERNEL[::-1, ::-1], mask, "constant")
    far = np.abs(np.indices(x.shape) - 20).max(axis=0) > 2
    np.testing.assert_allclose(got[far], exact[far], rtol=1e-12, atol=1e-12)
    own = algos.correlate(np.ma.masked_array(x, mask), KERNEL, "same")
    np.testing.assert_array_equal(own, got)


def test_fill_puts_a_value_in_place_of_what_is_missing():
    x = image(0.3)
    mask = np.zeros(x.shape, bool)
    mask[3:6] = True
    filled = np.where(np.isnan(x) | mask, 2.0, x)
    got = algos.convolve(x, KERNEL, nan="fill", fill_value=2.0, mask=mask)
    assert (got == algos.convolve(filled, KERNEL)).all()
    assert np.isnan(algos.convolve(x, KERNEL)).any()


@pytest.mark.parametrize(("settings", "sentence"), [
    ({"mask": np.zeros((3, 4), bool)}, r"mask has shape \(3, 4\), the image \(40, 30\)"),
    ({"mask": np.zeros((40, 30))}, r"mask is float64; expected truth values"),
    ({"nan": "ignored"}, "did you mean 'ignore'"),
    ({"fill_value": 1.0}, 'goes with nan="fill"'),
    ({"nan": "fill", "fill_value": np.nan}, "a finite number"),
])  # fmt: skip
def test_mistakes_are_refused_in_a_sentence(settings, sentence):
    with pytest.raises(ConvbenchError, match=sentence):
        algos.convolve(image(0.1), KERNEL, **settings)


def test_a_kernel_without_a_sum_cannot_be_normalised():
    with pytest.raises(ConvbenchError, match="the kernel sums to 0, and missing samples"):
        algos.convolve(image(0.1), np.array([[-1.0, 0.0, 1.0]]), "same", nan="ignore")
    with pytest.raises(ConvbenchError, match="the kernel that is masked"):
        algos.convolve(image(0.1), np.ones((50, 50)), "valid", nan="ignore")


@pytest.mark.peers
@pytest.mark.parametrize("share", [0.05, 0.6])
@pytest.mark.parametrize(("boundary", "theirs"), [
    ("zeros", "fill"), ("nearest", "extend"), ("wrap", "wrap")
])  # fmt: skip
def test_values_are_those_of_astropy(boundary, theirs, share):
    theirs_of = pytest.importorskip("astropy.convolution")
    convolve, convolve_fft = theirs_of.convolve, theirs_of.convolve_fft
    x, mask = image(share, 2), np.isnan(image(0.1, 3))
    how = {"boundary": theirs, "normalize_kernel": False, "mask": mask}
    for ours, treatment in (("ignore", "interpolate"), ("fill", "fill")):
        got = algos.convolve(x, KERNEL, "same", boundary=boundary, nan=ours, mask=mask)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # astropy tells of NaN that are left
            exact = convolve(x, KERNEL, nan_treatment=treatment, **how)
            spectral = exact
            if boundary != "nearest":  # convolve_fft has no such boundary
                spectral = convolve_fft(x, KERNEL, nan_treatment=treatment, **how)
        known = np.isfinite(got)
        np.testing.assert_allclose(got[known], exact[known], rtol=1e-12, atol=1e-12)
        if treatment == "fill":  # its weights are those of the padded image otherwise
            np.testing.assert_allclose(got[known], spectral[known], rtol=1e-9, atol=1e-9)
