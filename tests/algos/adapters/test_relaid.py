"""Channels-last layers by algorithms that have channels first: copies, counted and transposed."""

from dataclasses import replace

import numpy as np
import pytest

import algos
from algos.adapters import performer
from algos.adapters.relaid import Relaid, copied_bytes, to_first, to_last
from algos.core.descriptor import parse_descriptor
from algos.core.memory_order import has_layout, laid_out
from algos.registry import get
from algos.simd import registers as simd

LAST = "channels_last"
LANES = simd.lanes_of(4)
COUNTS = sorted({1, 2, LANES - 1, LANES, LANES + 1, 16, 17, 2 * LANES + 3, 40})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("channels", COUNTS)
def test_copies_are_transposed(channels, dtype):
    rng = np.random.default_rng(channels)
    for pixels in COUNTS:
        x = rng.standard_normal((3, channels, pixels)).astype(dtype)
        last = laid_out(x, LAST)
        first = to_first(last, 1)
        assert first.flags.c_contiguous
        np.testing.assert_array_equal(first, x)
        out = laid_out(np.full(x.shape, np.nan, dtype), LAST)
        to_last(x, out, 1)
        np.testing.assert_array_equal(out, x)


def test_one_channel_is_not_copied():
    x = laid_out(np.ones((2, 1, 5, 7), "f4"), LAST)
    assert np.shares_memory(to_first(x, 1), x)


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("mb2_ic3ih5_oc4_kh3_axb", 2 * 3 * 25 + 2 * 4 * 9),
        ("mb2_ic1ih5_oc4_kh3_axb", 2 * 4 * 9),
        ("mb2_ic3ih5_oc4_kh5_axb", 2 * 3 * 25),
        ("mb2_ic3ih5_oc4_kh3_axb_bwdd", 2 * 3 * 25 + 2 * 4 * 9),
        ("mb2_ic3ih5_oc4_kh3_axb_bwdw", 2 * 3 * 25 + 2 * 4 * 9),
    ],
)
def test_copies_are_counted(text, elements):
    problem = parse_descriptor(text)
    assert copied_bytes(problem) == 4 * elements
    able, first = performer(get("naive"), problem), replace(problem, layout="channels_first")
    own = performer(get("naive"), first).workspace_bytes(first, 1)
    assert able.workspace_bytes(problem, 1) == own + 4 * elements


@pytest.mark.parametrize("text", ["mb2_ic3ih9_oc4_kh3_ph1", "mb1_ic3ih9_oc4_kh3_tile2_biastile",
                                  "mb1_ic3ih9_oc4_kh3_ph1_reflect_biaslocation"])  # fmt: skip
@pytest.mark.parametrize("operation", ["forward", "grad_input", "grad_weight"])
def test_results_are_those_of_channels_first_bit_for_bit(text, operation):
    first = parse_descriptor(text).asking(operation)
    last = replace(first, layout=LAST)
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype("f4") for shape in first.operands)
    bias = rng.standard_normal(first.bias_shape).astype("f4") if first.bias else None
    for problem in (first, last):
        assert isinstance(performer(get("naive"), problem), Relaid) == (problem is last)
    found = [
        algos.plan(p, None if operation == "grad_weight" else b, bias, algorithm="naive")(
            *((a, b) if operation == "grad_weight" else (a,))
        )
        for p in (first, last)
    ]
    np.testing.assert_array_equal(*found)
    assert has_layout(found[1], last.result_layout)


def test_reasons_reach_the_user():
    problem = parse_descriptor("mb1_ic3ih9_oc4_kh3_sh2_axb")
    assert (
        algos.why_not(problem)["winograd2"]
        == algos.why_not(replace(problem, layout="channels_first"))["winograd2"]
    )


@pytest.mark.peers
def test_peers_are_called_alike_for_both_layouts():
    torch = pytest.importorskip("torch")
    problem = parse_descriptor("mb1_ic3ih9_oc4_kh3_axb")
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype("f4") for shape in problem.operands)
    out = laid_out(np.full(problem.output_shape, np.nan, "f4"), LAST)
    bound = algos.plan(problem, w, algorithm="torch-channels-last").bind(laid_out(x, LAST), out=out)
    result = bound.call()
    assert result.is_contiguous(memory_format=torch.channels_last)
    bound.fetch(result, out)
    np.testing.assert_allclose(out, algos.conv(x, w, algorithm="naive"), rtol=1e-4, atol=1e-5)
