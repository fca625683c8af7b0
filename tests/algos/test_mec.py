"""Input lowered along all axes but one, and its overlapping parts."""

import direct_sums
import numpy as np
import pytest
from direct_sums import PROBLEMS, SIGNAL

import algos
from algos import Problem, mec, parse_descriptor
from algos.registry import get


@pytest.mark.parametrize("label", PROBLEMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_whole_numbers_are_exact(label, dtype):
    direct_sums.check_integers("mec", parse_descriptor(PROBLEMS[label], dtype=dtype))


@pytest.mark.parametrize("label", PROBLEMS)
def test_errors_stay_within_the_bound(label):
    direct_sums.check_bound("mec", parse_descriptor(PROBLEMS[label]))


@pytest.mark.parametrize(
    "descriptor",
    ["mb1_ic16ih60_oc32_kh3_ph1", "mb3_ic8ih30_oc8_kh5_sh2", "g4_mb1_ic16ih40_oc16_kh3_dh1"],
)
def test_two_threads_give_the_same_bits(descriptor):
    direct_sums.check_threads("mec", parse_descriptor(descriptor))


@pytest.mark.parametrize("operation", ["grad_input", "grad_weight"])
def test_gradients_are_convolutions_of_other_problems(operation):
    problem = parse_descriptor("mb2_ic3ih11_oc4_kh3_sh2_ph1").asking(operation)
    direct_sums.check_bound("mec", problem)


def test_it_must_be_asked_for_by_name():
    assert get("mec").opt_in
    assert algos.choose(parse_descriptor(PROBLEMS["plain"])) != "mec"


def test_it_needs_a_second_axis():
    assert "2 or 3 axes, not 1" in get("mec").why_not(parse_descriptor(SIGNAL))
    with pytest.raises(algos.ConvbenchError, match="2 or 3 axes"):
        algos.plan(parse_descriptor(SIGNAL), np.ones((4, 3, 9), "float32"), algorithm="mec")


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (2, 3), (3, 2), (2, 4)])
def test_lowered_rows_of_one_window_lie_one_after_the_other(stride, dilation):
    kernel, rows = 3, 5
    planes = (rows - 1) * stride + (kernel - 1) * dilation + 1
    order = [plane for phase in range(dilation) for plane in range(phase, planes, dilation)]
    for row in range(rows):
        first = mec._place(row * stride, planes, dilation)
        wanted = [row * stride + tap * dilation for tap in range(kernel)]
        assert order[first : first + kernel] == wanted


def test_its_lowered_input_is_smaller_than_columns():
    problem = Problem((24, 24), 5, in_channels=96, out_channels=256)
    v = mec._turned(problem)
    columns = problem.taps * mec._slab(v) * problem.output_size[1]
    assert mec._lowered(v) < columns


@pytest.mark.parametrize("label", [*PROBLEMS])
def test_the_prepared_kernel_takes_what_is_predicted(label):
    problem = parse_descriptor(PROBLEMS[label])
    w = np.ones(problem.kernel_shape, "float32")
    for name in ("mec", "kn2row"):
        prepared = get(name).prepare(problem, w, 1)
        copied = 0 if np.shares_memory(prepared, w) else prepared.nbytes
        assert get(name).prepared_bytes(problem, 1) == copied, name
