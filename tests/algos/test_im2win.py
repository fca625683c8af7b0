"""Direct sums over windows that share their samples."""

import direct_sums
import numpy as np
import pytest
from direct_sums import PROBLEMS, SIGNAL

import algos
from algos import Problem, im2win, parse_descriptor
from algos.backend.compiler import kernel
from algos.registry import get
from algos.simd.registers import pointer

EVERY = {**PROBLEMS, "signal": SIGNAL}


@pytest.mark.parametrize("label", EVERY)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_whole_numbers_are_exact(label, dtype):
    direct_sums.check_integers("im2win", parse_descriptor(EVERY[label], dtype=dtype))


@pytest.mark.parametrize("label", EVERY)
def test_errors_stay_within_the_bound(label):
    direct_sums.check_bound("im2win", parse_descriptor(EVERY[label]))


@pytest.mark.parametrize(
    "descriptor",
    ["mb1_ic16ih60_oc32_kh3_ph1", "mb3_ic8ih30_oc8_kh5_sh2", "g4_mb1_ic16ih40_oc16_kh3_dh1"],
)
def test_two_threads_give_the_same_bits(descriptor):
    direct_sums.check_threads("im2win", parse_descriptor(descriptor))


@pytest.mark.parametrize("operation", ["grad_input", "grad_weight"])
def test_gradients_are_convolutions_of_other_problems(operation):
    problem = parse_descriptor("mb2_ic3ih11_oc4_kh3_sh2_ph1").asking(operation)
    direct_sums.check_bound("im2win", problem)


def test_it_must_be_asked_for_by_name():
    assert get("im2win").opt_in
    assert algos.choose(parse_descriptor(PROBLEMS["plain"])) != "im2win"


@kernel(cache=False)
def make_windows(x, s, line, windows):
    im2win._make_windows(pointer(x), s, 0, line, 0, pointer(windows))


def test_windows_hold_the_rows_under_the_kernel_column_by_column():
    problem = Problem((4, 6), (2, 3), padding=((1, 0), (1, 0)))
    s = im2win._geometry(problem)
    x = np.arange(1.0, 25.0, dtype="float32")
    windows = np.full(s.row_size, np.nan, "float32")
    make_windows(x, s, 0, windows)
    found = windows.reshape(s.columns, 2)[:7]
    assert found[:, 0].tolist() == [0] * 7  # the row of padding above the image
    assert found[:, 1].tolist() == [0, 1, 2, 3, 4, 5, 6]
    make_windows(x, s, 2, windows)
    assert windows[:6].tolist() == [0, 0, 7, 13, 8, 14]


@pytest.mark.parametrize("width", [1, 5, 7, 12, 13, 26, 100])
def test_a_tile_wastes_fewer_positions_than_it_has(width):
    s = im2win._geometry(Problem((9, width), 3, in_channels=4, out_channels=20, padding="same"))
    tiles = -(-width // s.positions)
    assert tiles * s.positions - width < s.positions
    assert s.positions in im2win.POSITIONS


def test_a_long_signal_is_cut_into_bands():
    s = im2win._geometry(Problem((10**6,), 31, in_channels=2, out_channels=2))
    assert 4 * s.row_size <= im2win.WINDOWS_BYTES
    assert s.items > 10
