"""`parallel` on arrays with channels last, around every border of its blocking."""

import numpy as np
import pytest
from direct import check

import algos
from algos import Problem
from algos.adapters import performer
from algos.core.memory_order import has_layout, laid_out
from algos.parallel import last, last_blocking, last_depthwise, last_shallow
from algos.parallel.algorithm import choose_path
from algos.registry import get
from algos.simd import registers as simd

LAST = "channels_last"
LANES = simd.lanes_of(4)
TAPS = last_blocking.PIECE_TAPS
DTYPES = ["float32", pytest.param("float64", marks=pytest.mark.slow)]


def layer(**fields):
    """Return a channels-last problem that `parallel` computes in place."""
    problem = Problem(**{"size": (7, 9), "kernel": 3, "bias": True, "layout": LAST, **fields})
    assert performer(get("parallel"), problem) is get("parallel")
    return problem


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("outputs", [LANES - 1, LANES, LANES + 1, 2 * LANES, 2 * LANES + 1, 64])
def test_around_vectors_of_outputs(outputs, dtype):
    for inputs in (5, TAPS // 3):
        check(layer(in_channels=inputs, out_channels=outputs, padding=1, dtype=dtype))


@pytest.mark.parametrize("width", [1, 2, 5, 6, 7, 11, 12, 13, 25])
def test_around_tiles_of_positions(width):
    for height, inputs in ((1, 9), (5, 9), (1, TAPS // 3), (5, TAPS // 3)):
        check(layer(size=(height, width), in_channels=inputs, out_channels=32, padding=1))


@pytest.mark.parametrize("inputs", [1, TAPS // 9, TAPS // 9 + 1, TAPS // 3 + 1, TAPS, TAPS + 1])
def test_around_pieces_of_the_sum(inputs):
    check(layer(size=(4, 8), in_channels=inputs, out_channels=16, padding=1))


@pytest.mark.parametrize(("rows", "columns", "channels"), [
    (3, 3, 1), (3, 3, 64), (3, 3, TAPS), (1, 1, 2 * TAPS + 1), (7, 7, 3), (5, 5, 100),
])  # fmt: skip
def test_pieces_cover_the_sum_once(rows, columns, channels):
    met = np.zeros((rows, columns, channels), int)
    for piece in last_blocking.pieces(rows, columns, channels):
        part = met[piece[0] : piece[1], piece[2] : piece[3], piece[4] : piece[5]]
        assert 0 < part.size <= TAPS
        part += 1
        assert len(part) == 1 or part.shape[1:] == (columns, channels)
        assert part.shape[1] == 1 or part.shape[2] == channels
    assert (met == 1).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "fields",
    [
        {"stride": 2, "padding": 2},
        {"stride": 3, "padding": 1, "fit": "ceil"},
        {"stride": (1, 2), "dilation": (2, 3), "padding": ((0, 3), (2, 1))},
        {"stride": (3, 2), "dilation": (2, 1), "kernel": (4, 5)},
        {"groups": 2, "padding": "same"},
        {"groups": 2, "dilation": 2, "padding": "same", "batch": 3},
        {"kernel": 1},
        {"kernel": 1, "stride": 2, "batch": 2},
        {"kernel": 1, "padding": 1},
        {"kernel": (1, 7), "padding": "full"},
        {"kernel": (15, 3), "padding": (14, 0), "flip": True},
        {"kernel": 5, "padding": 8},
        {"size": (30,), "kernel": 4, "stride": 3},
        {"size": (5, 4, 6), "padding": 1, "dilation": (2, 1, 1)},
    ],
    ids=str,
)
def test_shapes(fields, dtype):
    check(layer(in_channels=6, out_channels=32, dtype=dtype, **fields))
    problem = layer(in_channels=TAPS // 3, out_channels=32, dtype=dtype, **fields)
    assert choose_path(problem) == "last"
    check(problem)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [LANES, LANES + 3, 2 * LANES, 4 * LANES + 5, 8 * LANES])
def test_depthwise_around_vectors_of_channels(channels, dtype):
    problem = layer(in_channels=channels, out_channels=channels, groups=channels, padding=1,
                    dtype=dtype)  # fmt: skip
    assert choose_path(problem) == "last_depthwise"
    check(problem)


@pytest.mark.parametrize("width", [1, 2, 4, 5, 6, 7, 8, 9, 13, 14, 27])
def test_depthwise_around_tiles_of_positions(width):
    channels = {"in_channels": 2 * LANES, "out_channels": 2 * LANES, "groups": 2 * LANES}
    check(layer(size=(4, width), padding=1, batch=2, **channels))


@pytest.mark.parametrize(
    "fields",
    [
        {"stride": 2, "padding": 1},
        {"stride": 3, "padding": 1, "fit": "ceil"},
        {"stride": (1, 2), "dilation": (2, 3), "padding": ((0, 3), (2, 1))},
        {"kernel": 7, "padding": 3, "batch": 2},
        {"kernel": 5, "padding": 8},
        {"kernel": 1},
        {"kernel": (4, 5), "stride": (3, 2), "flip": True},
        {"size": (30,), "kernel": 4, "stride": 3},
        {"size": (5, 4, 6), "padding": 1, "dilation": (2, 1, 1)},
    ],
    ids=str,
)
def test_depthwise_shapes(fields):
    channels = 3 * LANES
    check(layer(in_channels=channels, out_channels=channels, groups=channels, **fields))


SHALLOW = {"in_channels": 3, "out_channels": LANES + 3}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "fields",
    [
        {"padding": 1},
        {"stride": 2, "padding": 2, "batch": 2},
        {"stride": 3, "padding": 1, "fit": "ceil"},
        {"stride": (1, 2), "dilation": (2, 1), "padding": ((0, 3), (2, 1))},
        {"stride": (3, 2), "dilation": (2, 1), "kernel": (4, 5), "flip": True},
        {"kernel": 1},
        {"kernel": (2, 1), "dilation": (1, 3), "stride": 2, "padding": 3},
        {"kernel": (1, 7), "padding": "full"},
        {"kernel": 5, "padding": 8},
        {"size": (30,), "kernel": 4, "stride": 3},
        {"size": (4, 1), "kernel": (1, 5), "padding": (0, 9)},
    ],
    ids=str,
)
def test_shallow_shapes(fields, dtype):
    problem = layer(**SHALLOW, dtype=dtype, **fields)
    assert choose_path(problem) == "last_shallow"
    check(problem, threads=1)  # one thread keeps its scratch from row to row


@pytest.mark.parametrize("extra", [-1, 0, 1])
@pytest.mark.parametrize("tiles", [1, 2])
def test_shallow_around_tiles_of_positions(tiles, extra):
    width = tiles * last_blocking.POSITIONS + extra
    check(layer(size=(2, width), kernel=(2, 3), padding=(0, 1), **SHALLOW), threads=1)


def test_shallow_rows_are_cut_into_pieces():
    problem = layer(size=(2, 900), padding=1, in_channels=TAPS // 9, out_channels=2 * LANES)
    assert choose_path(problem) == "last_shallow"
    assert last_shallow.ROWS_BYTES < 900 * TAPS // 9 * 4
    for threads in (1, 2):
        check(problem, threads=threads)


def test_threads_change_no_bit():
    for inputs, groups in ((3, 1), (TAPS // 3, 1), (64, 64)):
        problem = layer(
            size=(33, 35), in_channels=inputs, out_channels=64, groups=groups, padding=1
        )
        one, two = (check(problem, threads=n) for n in (1, 2))
        np.testing.assert_array_equal(one, two)


def test_inputs_are_read_and_outputs_written_in_place(monkeypatch):
    """No copy of either: the kernels get the caller's own memory."""
    given = {}
    for module in (last, last_depthwise, last_shallow):
        work = module._work
        monkeypatch.setattr(module, "_work", lambda *a, work=work: given.update(a=a) or work(*a))
    for inputs, groups in ((TAPS, 1), (32, 32), (3, 1)):
        problem = layer(in_channels=inputs, out_channels=32, groups=groups)
        x = laid_out(np.ones(problem.input_shape, "f4"), LAST)
        out = laid_out(np.empty(problem.output_shape, "f4"), LAST)
        w, bias = np.ones(problem.kernel_shape, "f4"), np.ones(32, "f4")
        algos.plan(problem, w, bias, algorithm="parallel", threads=1)(x, out=out)
        arrays = [a for a in given["a"] if isinstance(a, np.ndarray)]
        assert any(np.shares_memory(a, x) for a in arrays)
        assert any(np.shares_memory(a, out) for a in arrays)


def test_a_kernel_that_is_not_finite_does_not_meet_padding():
    problem = layer(in_channels=4, out_channels=16, padding=1)
    w = np.ones(problem.kernel_shape, "f4")
    w[3, 2, 0, 0] = np.inf
    plan = algos.plan(problem, w, np.zeros(16, "f4"), algorithm="parallel")
    y = plan(np.ones(problem.input_shape, "f4"))
    assert has_layout(y, LAST)
    assert not np.isnan(y).any()
    assert np.isinf(y[0, 3, 1:, 1:]).all()
    assert np.isfinite(y[0, 3, 0]).all()


def test_few_outputs_to_a_group_are_left_to_the_kernels_for_channels_first():
    problem = Problem(size=(9, 9), kernel=3, in_channels=8, out_channels=1, layout=LAST)
    assert performer(get("parallel"), problem) is not get("parallel")
    check(problem)
