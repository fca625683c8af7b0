"""Direct sums over a table of the places of every tap."""

import direct_sums
import numpy as np
import pytest
from direct_sums import PROBLEMS, SIGNAL

import algos
from algos import Problem, parse_descriptor
from algos.registry import get

EVERY = {**PROBLEMS, "signal": SIGNAL}


@pytest.mark.parametrize("label", EVERY)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_whole_numbers_are_exact(label, dtype):
    direct_sums.check_integers("indirect", parse_descriptor(EVERY[label], dtype=dtype))


@pytest.mark.parametrize("label", EVERY)
def test_errors_stay_within_the_bound(label):
    direct_sums.check_bound("indirect", parse_descriptor(EVERY[label]))


@pytest.mark.parametrize(
    "descriptor",
    ["mb1_ic16ih60_oc32_kh3_ph1", "mb3_ic8ih30_oc8_kh5_sh2", "g4_mb1_ic16ih40_oc16_kh3_dh1"],
)
def test_two_threads_give_the_same_bits(descriptor):
    direct_sums.check_threads("indirect", parse_descriptor(descriptor))


@pytest.mark.parametrize("operation", ["grad_input", "grad_weight"])
def test_gradients_are_convolutions_of_other_problems(operation):
    problem = parse_descriptor("mb2_ic3ih11_oc4_kh3_sh2_ph1").asking(operation)
    direct_sums.check_bound("indirect", problem)


def test_it_must_be_asked_for_by_name():
    assert get("indirect").opt_in
    assert algos.choose(parse_descriptor(PROBLEMS["plain"])) != "indirect"


def test_its_table_points_to_the_samples_and_to_zeros_beyond():
    problem = Problem((3, 4), 2, in_channels=5, out_channels=1, padding=((1, 0), (0, 0)))
    table, _ = get("indirect").prepare(problem, np.ones(problem.kernel_shape, "float32"), 1)
    entries = table.swapaxes(1, 2).reshape(-1, 4)[: np.prod(problem.output_size)]
    nowhere = 3 * 4 * 5
    assert entries[0].tolist() == [nowhere, nowhere, 0, 5]  # the upper row of taps sees padding
    assert entries[3].tolist() == [0, 5, 20, 25]
    assert entries.max() == nowhere


def test_a_table_that_is_too_large_is_refused():
    reason = get("indirect").why_not(Problem((4000, 4000), 31, padding="same"))
    assert "961 taps" in reason
    assert "GiB" in reason


def test_an_image_too_large_for_its_entries_is_refused():
    problem = Problem((2**13, 2**13), 1, in_channels=32, stride=2)
    assert "elements is too large" in get("indirect").why_not(problem)


def test_nothing_is_written_beyond_the_output():
    problem = parse_descriptor(PROBLEMS["many outputs"])
    x, w, _ = direct_sums.numbers(problem, "whole")
    room = np.full(2 * np.prod(problem.output_shape), 7.0, "float32")
    out = room[: np.prod(problem.output_shape)].reshape(problem.output_shape)
    algos.plan(problem, w, algorithm="indirect", threads=1)(x, out)
    assert (room[out.size :] == 7).all()
