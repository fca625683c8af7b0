"""One product per tap of the kernel, accumulated."""

import direct_sums
import numpy as np
import pytest
from direct_sums import PROBLEMS, SIGNAL

import algos
from algos import Problem, kn2row, parse_descriptor
from algos.registry import get

EVERY = {**PROBLEMS, "signal": SIGNAL}


@pytest.mark.parametrize("label", EVERY)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_whole_numbers_are_exact(label, dtype):
    direct_sums.check_integers("kn2row", parse_descriptor(EVERY[label], dtype=dtype))


@pytest.mark.parametrize("label", EVERY)
def test_errors_stay_within_the_bound(label):
    direct_sums.check_bound("kn2row", parse_descriptor(EVERY[label]))


@pytest.mark.parametrize(
    "descriptor",
    ["mb1_ic16ih60_oc32_kh3_ph1", "mb3_ic8ih30_oc8_kh5_sh2", "g4_mb1_ic16ih40_oc16_kh3_dh1"],
)
def test_two_threads_give_the_same_bits(descriptor):
    direct_sums.check_threads("kn2row", parse_descriptor(descriptor))


@pytest.mark.parametrize("operation", ["grad_input", "grad_weight"])
def test_gradients_are_convolutions_of_other_problems(operation):
    problem = parse_descriptor("mb2_ic3ih11_oc4_kh3_sh2_ph1").asking(operation)
    direct_sums.check_bound("kn2row", problem)


def test_it_must_be_asked_for_by_name():
    assert get("kn2row").opt_in
    assert algos.choose(parse_descriptor(PROBLEMS["plain"])) != "kn2row"


def test_a_strided_layer_copies_the_phases_of_its_input():
    one, two = (Problem((40, 40), 3, in_channels=8, out_channels=2, stride=s) for s in (1, 2))
    plain, strided = (get("kn2row").workspace_bytes(problem, 1) for problem in (one, two))
    copied = 4 * np.prod(two.input_shape)
    assert copied <= strided <= copied + plain


def test_its_workspace_does_not_grow_with_the_taps():
    """Columns of patches would: they are 25 times the input here."""
    small, large = (
        Problem((64, 64), k, in_channels=16, out_channels=16, padding="same") for k in (3, 5)
    )
    kernels = 4 * (np.prod(large.kernel_shape) - np.prod(small.kernel_shape))
    few, many = (get("kn2row").workspace_bytes(problem, 1) for problem in (small, large))
    assert many == few + kernels


def test_too_many_products_are_refused_with_their_number():
    problem = Problem((2000, 2000), 900, padding="same")
    reason = get("kn2row").why_not(problem)
    assert "810000 taps" in reason
    assert get("kn2row").why_not(Problem((224, 224), 11)) is None


def test_the_number_of_tasks_is_that_of_slabs():
    for descriptor in EVERY.values():
        v = parse_descriptor(descriptor).volume
        slabs = list(kn2row._slabs(v))
        assert get("kn2row")._tasks(v) == v.batch * v.groups * len(slabs)
        outputs = np.zeros((v.out_channels // v.groups, *v.output_size), int)
        for s in slabs:
            outputs[
                s.first : s.last, s.depth, s.first_row : s.last_row, s.first_column : s.last_column
            ] += 1
        assert (outputs == 1).all()


def test_taps_beyond_the_input_add_nothing():
    problem = Problem(size=(2, 5), kernel=(1, 3), dilation=(1, 3), padding=((0, 0), (0, 3)))
    direct_sums.check_bound("kn2row", problem)
