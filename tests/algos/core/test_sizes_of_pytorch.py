"""Sizes that PyTorch has too: ragged windows larger than the input, and output_padding."""

import itertools

import numpy as np
import pytest

import algos
from algos import ConvbenchError, PoolProblem, Problem
from algos.adapters import performer
from algos.pooling import names
from algos.registry import convolutions

OURS = [name for name, algorithm in convolutions().items() if not algorithm.is_peer]
SETTINGS = [
    s for s in itertools.product((1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4), (0, 1), (1, 2))
    if 2 * s[3] <= s[1]
]  # fmt: skip


@pytest.mark.peers
def test_ragged_windows_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    larger = 0
    for size, window, stride, padding, dilation in SETTINGS:
        options = {"stride": stride, "padding": padding, "dilation": dilation, "fit": "ceil"}
        x = rng.standard_normal((1, 1, size))
        try:
            theirs = torch.nn.functional.max_pool1d(
                torch.from_numpy(x), window, stride, padding, dilation, ceil_mode=True
            ).numpy()
        except RuntimeError:
            with pytest.raises(ConvbenchError):
                PoolProblem(size, window=window, **options)
            continue
        try:
            y = algos.pool(x, size=window, **options, algorithm="naive")
        except ConvbenchError as error:  # a dilated window whose taps all lie in the padding
            assert "holds padding alone" in str(error)
            continue
        larger += (window - 1) * dilation + 1 > size + 2 * padding
        np.testing.assert_array_equal(y, theirs)
    assert larger > 20


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["max", "average", "l2"])
@pytest.mark.parametrize(("size", "window", "stride", "padding"), [
    ((2, 2), (3, 3), 2, 0), ((2, 5), (4, 4), 3, 0), ((1, 9), (4, 2), 4, (1, 0)),
    ((3, 40), (4, 43), (2, 5), 0),
])  # fmt: skip
def test_every_algorithm_pools_a_window_larger_than_the_input(kind, size, window, stride, padding):
    x = np.random.default_rng(6).standard_normal((2, 3, *size))
    options = {"size": window, "stride": stride, "padding": padding, "fit": "ceil"}
    if kind == "average":
        options["count_include_pad"] = False
    problem = algos.pooling.pool_problem_of(x, kind, **options)
    wanted = algos.pool(x, kind, **options, algorithm="naive")
    g = np.ones_like(wanted)
    back = algos.pool_grad(g, x, kind, **options, algorithm="naive")
    for name in names(problem):
        np.testing.assert_allclose(algos.pool(x, kind, **options, algorithm=name), wanted)
    for name in names(problem.asking("grad_input")):
        found = algos.pool_grad(g, x, kind, **options, algorithm=name)
        np.testing.assert_allclose(found, back, atol=1e-12)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize(("size", "kernel", "stride", "padding"), [
    ((4, 4), 5, 2, 0), ((2, 9), (3, 3), 2, 0), ((1, 8), (4, 2), 3, ((1, 0), (0, 0))),
])  # fmt: skip
def test_a_kernel_larger_than_the_input_reads_zeros(name, size, kernel, stride, padding):
    rng = np.random.default_rng(7)
    options = {"kernel": kernel, "stride": stride, "padding": padding, "dtype": "float64"}
    problem = Problem(size, in_channels=2, out_channels=2, fit="ceil", **options)
    x = rng.standard_normal(problem.input_shape)
    w = np.ones(problem.kernel_shape) * rng.standard_normal((2, 2, 1, 1))
    if performer(convolutions()[name], problem).why_not(problem, w):
        pytest.skip("this algorithm does not do it")
    lacking = [
        max(r - n - sum(p), 0) for r, n, p in zip(problem.reach, size, problem.padding, strict=True)
    ]
    assert any(lacking)
    wider = np.pad(x, [(0, 0), (0, 0), *((0, n) for n in lacking)])
    wanted = algos.conv(wider, w, stride=stride, padding=padding, algorithm="naive")
    y = algos.conv(x, w, stride=stride, padding=padding, fit="ceil", algorithm=name)
    np.testing.assert_allclose(y, wanted, atol=1e-12)


def test_more_than_a_stride_beyond_the_input_is_refused():
    with pytest.raises(ConvbenchError, match="spans 4 samples along w, the padded input only 2"):
        PoolProblem(2, window=4, stride=2, fit="ceil")
    with pytest.raises(ConvbenchError, match="spans 3 samples"):
        Problem(2, 3, stride=2)


@pytest.mark.peers
def test_output_padding_is_pytorchs():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(8)
    settings = itertools.product((1, 2, 3), (1, 2, 3), (0, 1, 2), (1, 2, 3, 4), (0, 1, 2, 3))
    compared = 0
    for kernel, stride, padding, dilation, more in settings:
        g, w = rng.standard_normal((2, 2, 3)), rng.standard_normal((2, 3, kernel))
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        given = [torch.from_numpy(array) for array in (g, w)]

        def ours(g=g, w=w, options=options, more=more):
            return algos.conv_transpose(g, w, **options, output_padding=(more,), algorithm="naive")

        try:
            theirs = torch.nn.functional.conv_transpose1d(*given, output_padding=more, **options)
        except RuntimeError:
            with pytest.raises(ConvbenchError, match=r"output_padding|would have size"):
                ours()
            continue
        compared += more >= stride
        np.testing.assert_allclose(ours(), theirs.numpy(), atol=1e-12)
    assert compared > 50


def test_output_padding_uncovers_what_padding_cropped():
    g, w = np.ones((1, 1, 2)), np.array([[[1.0, 2.0, 4.0]]])
    whole = algos.conv_transpose(g, w, dilation=3, algorithm="naive").ravel()
    found = algos.conv_transpose(
        g, w, dilation=3, padding=1, output_padding=np.array([2]), algorithm="naive"
    )
    assert found.ravel().tolist() == [*whole[1:], 0]
    w[0, 0, 0] = np.nan
    bias = np.array([5.0])
    found = algos.conv_transpose(
        g, w, bias, dilation=3, output_padding=2, algorithm="naive"
    ).ravel()
    assert np.isnan(found[:2]).all()
    assert np.isfinite(found[2:]).all()
    assert found[-2:].tolist() == [5, 5]
