"""Layouts: the same shapes in two orders of memory, taken, made and refused."""

import numpy as np
import pytest

import algos
from algos import ConvbenchError, Problem, parse_descriptor
from algos.core import arrays
from algos.core.memory_order import LAYOUTS, has_layout, in_memory, laid_out, layout_of
from algos.pooling import PoolProblem, parse_pool_descriptor

SHAPES = [(2, 3, 7), (2, 3, 5, 7), (2, 3, 4, 5, 6)]
LAST = "channels_last"


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_only_strides_differ(shape):
    x = np.arange(np.prod(shape), dtype=float).reshape(shape)
    last = laid_out(x, LAST)
    np.testing.assert_array_equal(last, x)
    assert last.shape == shape
    assert in_memory(last, LAST).flags.c_contiguous
    assert has_layout(last, LAST)
    assert not has_layout(last, "channels_first")
    assert laid_out(last, LAST).ctypes.data == last.ctypes.data
    assert layout_of(last) == LAST
    assert layout_of(x) == "channels_first"


def test_the_layout_of_an_input_is_that_of_others_too():
    x = np.zeros((2, 3, 5, 7))
    last = laid_out(x, LAST)
    assert layout_of(last, None, last) == LAST
    assert layout_of(last, x) == "channels_first"
    assert layout_of(x, last) == "channels_first"
    assert layout_of(np.zeros((2, 1, 5, 7)).transpose(0, 2, 3, 1).swapaxes(1, 3)) in LAYOUTS
    # Neither order: every second channel.
    assert layout_of(laid_out(np.zeros((2, 6, 5, 7)), LAST)[:, ::2]) == "channels_first"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_are_copied_only_where_they_must(layout):
    shape = (2, 3, 5, 7)
    x = np.random.default_rng(0).standard_normal(shape)
    mine = laid_out(x, layout)
    taken = arrays.take("input", mine, shape, x.dtype, layout)
    assert taken.ctypes.data == mine.ctypes.data
    assert not taken.flags.writeable
    for other in LAYOUTS:
        taken = arrays.take("input", laid_out(x, other), shape, x.dtype, layout)
        assert has_layout(taken, layout)
        np.testing.assert_array_equal(taken, x)
    assert has_layout(arrays.new(shape, x.dtype, layout), layout)


def test_a_problem_has_a_layout():
    problem = Problem(size=(6, 7), kernel=3, in_channels=4, out_channels=8, layout=LAST)
    assert problem != Problem(size=(6, 7), kernel=3, in_channels=4, out_channels=8)
    assert problem.input_shape == (1, 4, 6, 7)
    assert problem.volume.layout == LAST
    assert problem.result_layout == problem.asking("grad_input").result_layout == LAST
    assert problem.asking("grad_weight").result_layout == "channels_first"


@pytest.mark.parametrize(
    "text", ["mb1_ic4ih6iw7_oc8_kh3kw3_axb", "g4_mb2_ic4id6_oc4_kd3_f64_axb_bwdd"]
)
def test_descriptors_say_it(text):
    problem = parse_descriptor(text)
    assert problem.layout == LAST
    assert str(problem) == text


def test_descriptors_of_pooling_say_it():
    problem = parse_pool_descriptor("max_mb1_ic4ih6_kh2_sh2_axb")
    assert problem == PoolProblem(size=(6, 6), channels=4, window=2, layout=LAST)
    assert str(problem) == "max_mb1_ic4ih6_kh2_sh2_axb"


@pytest.mark.parametrize("made", [Problem, PoolProblem])
def test_an_unknown_layout_is_refused(made):
    with pytest.raises(ConvbenchError, match="layout 'channels_lost' is not known") as error:
        made(size=(6, 6), **{"kernel" if made is Problem else "window": 2}, layout="channels_lost")
    assert "channels_last" in str(error.value)


def test_conv_keeps_the_layout_of_its_input():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 8, 9, 7)), rng.standard_normal((16, 8, 3, 3))
    y = algos.conv(x, w, padding=1)
    assert y.flags.c_contiguous
    z = algos.conv(laid_out(x, LAST), w, padding=1)
    assert has_layout(z, LAST)
    np.testing.assert_allclose(z, y, atol=1e-12)
    assert algos.conv(laid_out(x, LAST), w, layout="channels_first").flags.c_contiguous
    assert has_layout(algos.conv(x, w, layout=LAST), LAST)
    assert algos.conv(np.asfortranarray(x), w).flags.c_contiguous


def test_out_decides_where_no_layout_is_named():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 8, 9, 7)), rng.standard_normal((16, 8, 3, 3))
    y = algos.conv(x, w)
    for layout in LAYOUTS:
        out = laid_out(np.full(y.shape, np.nan), layout)
        assert algos.conv(laid_out(x, LAST), w, out=out) is out
        np.testing.assert_allclose(out, y, atol=1e-12)


def test_out_of_the_other_layout_is_refused_with_the_remedy():
    x, w = np.ones((2, 8, 9, 7)), np.ones((16, 8, 3, 3))
    with pytest.raises(ConvbenchError, match="channels last in memory") as error:
        algos.conv(x, w, layout=LAST, out=np.empty((2, 16, 7, 5)))
    remedy = str(error.value).rpartition("give ")[2]
    out = eval(remedy)
    assert algos.conv(x, w, layout=LAST, out=out) is out
    with pytest.raises(ConvbenchError, match="C-contiguous"):
        algos.conv(x, w, layout="channels_first", out=out)
    with pytest.raises(ConvbenchError, match=r'channels lie last.*give layout="channels_last"'):
        algos.conv(x, w, out=laid_out(np.empty((2, 16, 7, 5)), LAST))


def test_gradients_keep_the_layout():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 8, 9, 7)), rng.standard_normal((16, 8, 3, 3))
    g = rng.standard_normal((2, 16, 7, 5))
    last = laid_out(g, LAST)
    plain, found = algos.grad_input(g, w, size=(9, 7)), algos.grad_input(last, w, size=(9, 7))
    assert has_layout(found, LAST)
    np.testing.assert_allclose(found, plain, atol=1e-12)
    plain = algos.grad_weight(x, g, kernel=3)
    found = algos.grad_weight(laid_out(x, LAST), last, kernel=3)
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, plain, atol=1e-12)
    y = algos.conv_transpose(last, w, stride=2, output_padding=1)
    assert has_layout(y, LAST)
    np.testing.assert_allclose(y, algos.conv_transpose(g, w, stride=2, output_padding=1))


def test_an_empty_batch_has_a_layout_too():
    x = laid_out(np.ones((0, 8, 9, 7)), LAST)
    assert algos.conv(x, np.ones((16, 8, 3, 3)), layout=LAST).shape == (0, 16, 7, 5)
