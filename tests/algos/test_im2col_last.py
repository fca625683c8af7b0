"""`im2col` on arrays with channels last: the product is the output as it lies in memory."""

import numpy as np
import pytest

import algos
from algos import Problem, im2col
from algos.adapters import performer
from algos.core.memory_order import has_layout
from algos.registry import get

LAST = "channels_last"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "fields",
    [
        {"padding": 1, "bias": True},
        {"stride": 2, "dilation": 2, "padding": ((0, 3), (2, 1)), "flip": True},
        {"groups": 2, "padding": "same", "bias": True},
        {"kernel": 1, "bias": True, "batch": 3},
        {"kernel": 1, "groups": 3, "batch": 1},
        {"kernel": 1, "stride": 2},
        {"size": (40,), "kernel": 4},
        {"size": (5, 6, 7), "padding": 1},
    ],
    ids=str,
)
def test_it_agrees_with_channels_first(fields, dtype, monkeypatch):
    monkeypatch.setattr(im2col, "SLAB_BYTES", 1 << 14)  # several slabs to an image
    given = {"size": (11, 13), "kernel": 3, "batch": 2, "in_channels": 6, "out_channels": 12}
    first = Problem(**{**given, **fields}, dtype=dtype)
    last = Problem(**{**given, **fields}, dtype=dtype, layout=LAST)
    assert performer(get("im2col"), last) is get("im2col")
    rng = np.random.default_rng(0)
    x, w = (rng.integers(-8, 9, shape).astype(dtype) for shape in first.operands)
    bias = rng.integers(-8, 9, first.bias_shape).astype(dtype) if first.bias else None
    y, z = (algos.plan(p, w, bias, algorithm="im2col")(x) for p in (first, last))
    np.testing.assert_array_equal(z, y)
    assert has_layout(z, LAST)
