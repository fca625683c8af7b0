"""Products of spectra with three real multiplications."""

import direct_sums
import numpy as np
import pytest
from direct_sums import PROBLEMS, SIGNAL

import algos
from algos import parse_descriptor
from algos.fft import gauss
from algos.registry import get

EVERY = {**PROBLEMS, "signal": SIGNAL}


@pytest.mark.parametrize("label", EVERY)
def test_errors_stay_within_the_bound(label):
    direct_sums.check_bound("fft-gauss", parse_descriptor(EVERY[label]))


@pytest.mark.parametrize("label", ["groups", "volume", "bias"])
def test_whole_numbers_are_exact_once_rounded(label):
    problem = parse_descriptor(EVERY[label], dtype="float64")
    operands = direct_sums.numbers(problem, "whole")
    found = np.rint(direct_sums.computed("fft-gauss", problem, operands))
    np.testing.assert_array_equal(found, direct_sums.exact(problem, *operands))


def test_three_sums_make_the_complex_products():
    rng = np.random.default_rng(0)
    x, w = (
        rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
        for shape in ((2, 6, 700), (4, 3, 700))
    )
    factors = np.empty((12, 3, 700))
    gauss._split(x.reshape(12, 700), factors)
    kernels = np.stack((w.real, w.imag - w.real, w.real + w.imag), 2)
    y = np.full((2, 4, 700), np.nan, complex)
    gauss._multiply(factors.reshape(2, 6, 3, 700), kernels, 2, y, np.empty((1, 3, gauss.STRETCH)))
    wanted = np.einsum("mgcf,gocf->mgof", x.reshape(2, 2, 3, 700), w.reshape(2, 2, 3, 700))
    np.testing.assert_allclose(y, wanted.reshape(y.shape), rtol=0, atol=1e-13)


def test_its_bound_is_wider_than_with_four_products():
    problem = parse_descriptor("mb1_ic64ih20_oc4_kh3_ph1")
    x, w, _ = direct_sums.numbers(problem, "normal")
    magnitude = np.ones(1)
    three, four = (get(n).error_bound(problem, x, w, magnitude) for n in ("fft-gauss", "fft"))
    assert four < three < 4 * four


@pytest.mark.parametrize("descriptor", ["mb1_ic16ih60_oc32_kh3_ph1", "mb3_ic8ih30_oc8_kh5_sh2"])
def test_two_threads_give_the_same_bits(descriptor):
    direct_sums.check_threads("fft-gauss", parse_descriptor(descriptor))


@pytest.mark.parametrize("operation", ["grad_input", "grad_weight"])
def test_gradients_are_convolutions_of_other_problems(operation):
    problem = parse_descriptor("mb2_ic3ih11_oc4_kh3_sh2_ph1").asking(operation)
    direct_sums.check_bound("fft-gauss", problem)


def test_its_kernels_take_three_numbers_per_frequency():
    problem = parse_descriptor("mb1_ic8ih40_oc8_kh5")
    three, four = get("fft-gauss"), get("fft")
    assert three.prepared_bytes(problem, 1) * 2 == four.prepared_bytes(problem, 1) * 3
    w = np.ones(problem.kernel_shape, "float32")
    assert three.prepare(problem, w, 1).nbytes == three.prepared_bytes(problem, 1)


def test_it_must_be_asked_for_by_name():
    assert get("fft-gauss").opt_in
    assert algos.choose(parse_descriptor(PROBLEMS["plain"])) != "fft-gauss"
