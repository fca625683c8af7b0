"""Richardson–Lucy deconvolution: the plain loop's estimate within a bound, by every algorithm."""

import numpy as np
import pytest
from scipy import ndimage

import algos
from algos import ConvbenchError, registry
from algos.core.boundary import BOUNDARIES
from algos.deblurring.plan import DeblurPlan
from algos.deblurring.problem import DeblurProblem
from algos.notation import parse
from suites.cases import filters

SIZE = (13, 11)


def matrix(w, mode, cval):
    """Return the blur of an image of `SIZE` as a matrix and an offset, by SciPy."""

    def blurred(x):
        how = "constant" if mode == "zeros" else mode
        return ndimage.convolve(x.reshape(SIZE), w, mode=how, cval=cval).ravel()

    count = SIZE[0] * SIZE[1]
    offset = blurred(np.zeros(count))
    return np.stack([blurred(one) - offset for one in np.eye(count)], axis=1), offset


def plain(image, w, mode, cval, iterations):
    """Return the estimate of the plain loop in float64."""
    blur, offset = matrix(w, mode, cval)
    seen, estimate = image.ravel().astype(float), np.full(image.size, image.mean(dtype=float))
    for _ in range(iterations):
        estimate *= blur.T @ (seen / (blur @ estimate + offset)) / blur.sum(axis=0)
    return estimate.reshape(SIZE)


def bound(problem):
    """Return a bound on the relative error of an estimate by direct sums.

    All numbers are positive. Let r be the error of an estimate. The blur then errs by r + γ. The
    ratio errs by r + γ + u, and the adjoint of it by r + 2γ + u. The weight errs by γ, and the last
    two operations by u each. So the next estimate errs by 2r + 3γ + 3u. After k iterations this is
    (2ᵏ − 1)·(3γ + 3u), and 2ᵏ times the error of the mean.
    """
    u = float(np.finfo(problem.dtype).eps) / 2
    gamma = (problem.terms + 1) * u
    return 1.1 * 2**problem.iterations * (3 * gamma + 3 * u + problem.blur.size[0] * u)


@pytest.mark.parametrize("name", ["naive", "parallel", "separable"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", BOUNDARIES)
def test_estimates_are_those_of_the_plain_loop(mode, dtype, name):
    rng = np.random.default_rng(2)
    cval = 0.5 if mode == "constant" else 0.0
    problem = DeblurProblem(SIZE, (5, 3), 6, boundary=mode, cval=cval, dtype=dtype)
    w = np.outer(rng.random(5) + 0.1, rng.random(3) + 0.1)
    w = (w / w.sum()).astype(dtype)
    image = (rng.random((1, 1, *SIZE)) + 0.1).astype(dtype)
    got = DeblurPlan(problem, w[None, None], algorithm=name, threads=1)(image)
    exact = plain(image[0, 0], w.astype(float), mode, cval, 6)
    assert 0 < abs(got[0, 0] / exact - 1).max() < bound(problem)
    assert bound(problem) < {"float32": 1e-3, "float64": 1e-12}[dtype]


@pytest.mark.parametrize("boundary", ["zeros", "reflect"])
def test_images_are_sharpened_alike_by_every_algorithm(boundary):
    rng, kernel = np.random.default_rng(0), filters.make("gaussian:7").astype("float32")
    sharp = np.full((64, 64), 0.1, "float32")
    for top, left in rng.integers(-8, 56, (64, 2)):
        sharp[max(top, 0) : top + 16, max(left, 0) : left + 16] += rng.random()
    blurred = algos.convolve(sharp, kernel, "same", boundary=boundary)
    problem = DeblurProblem((64, 64), (7, 7), 20, boundary=boundary)
    first, *others = (
        DeblurPlan(problem, kernel[None, None], algorithm=name)(blurred[None, None])[0, 0]
        for name in ("naive", "separable", "fft")
    )
    before, after = (np.sqrt(np.mean((image - sharp) ** 2)) for image in (blurred, first))
    assert after < 0.85 * before
    assert first.min() >= 0
    if boundary == "reflect":  # no light leaves the image
        assert first.sum() == pytest.approx(blurred.sum(), rel=1e-3)
    for other in others:
        np.testing.assert_allclose(other, first, rtol=2e-3, atol=2e-3)


def test_images_of_a_batch_are_deblurred_apart():
    rng, w = np.random.default_rng(1), np.ones((1, 1, 3, 3), np.float32) / 9
    images = rng.random((2, 1, *SIZE), np.float32) + 0.1
    images[1] *= 50
    together = DeblurPlan(DeblurProblem(SIZE, 3, 4, batch=2), w)(images)
    alone = DeblurPlan(DeblurProblem(SIZE, 3, 4), w)
    for number in range(2):
        np.testing.assert_allclose(together[number], alone(images[number : number + 1])[0], 1e-5)


def test_descriptors_round_trip():
    for problem in (
        DeblurProblem(64, 3, 1, name="line"), DeblurProblem((9, 8), (3, 5), 7, 2, "mirror"),
        DeblurProblem((9, 8), 3, boundary="constant", cval=2.5, dtype="float64"),
    ):  # fmt: skip
        assert parse(str(problem)) == problem
        assert parse(str(problem)).name == problem.name


@pytest.mark.parametrize(("text", "said"), [
    ("deblur_mb1_ic1ih8_oc1_kh3", "expected deblur, the number of iterations"),
    ("deblur0_mb1_ic1ih8_oc1_kh3ph1_flip", "iterations 0 must be a whole number of at least 1"),
    ("deblur5_mb1_ic1ih8_oc1_kh4ph2_flip", "4 taps along an axis; a blur needs an odd number"),
    ("deblur5_mb1_ic1ih8_oc2_kh3ph1_flip", "centred convolution of one channel; write deblur5_"),
    ("deblur5_mb1_ic1ih8_oc1_kh3ph1", "must be a flipped"),
    ("deblur" + 5000 * "9" + "_mb1_ic1ih8_oc1_kh3ph1_flip", "column 7: a number of 5000 digits"),
])  # fmt: skip
def test_mistakes_get_a_sentence(text, said):
    with pytest.raises(ConvbenchError, match=said):
        parse(text)


def test_a_blur_is_not_negative_and_peers_take_no_part():
    problem = DeblurProblem(SIZE, 3)
    with pytest.raises(ConvbenchError, match="kernel holds -1; a blur is not negative"):
        DeblurPlan(problem, -np.ones((1, 1, 3, 3), np.float32))
    with pytest.raises(ConvbenchError, match="cannot deblur images"):
        DeblurPlan(problem, np.ones((1, 1, 3, 3), np.float32), algorithm="scipy-ndimage")
    assert registry.get_for(problem, "fft").name == "fft"
