"""Layers with a kernel of their own for every output: infinities and padding."""

import numpy as np
import pytest

import algos

LAYER = algos.Problem(
    size=(9, 9), kernel=3, in_channels=2, out_channels=4, groups=2, padding=1, batch=2,
    tile="unshared", flip=True,
)  # fmt: skip


def kinds(y):
    return np.where(np.isnan(y), 2, np.where(np.isinf(y), np.sign(y), 0))


@pytest.mark.parametrize("operation", ["forward", "grad_input", "grad_weight"])
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_infinities_do_not_meet_the_padding(operation, bad):
    problem = LAYER.asking(operation)
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal(s).astype("f4") for s in (LAYER.input_shape, LAYER.output_shape))
    w = rng.standard_normal(LAYER.kernel_shape).astype("f4")
    w[..., 0, 0], g[..., 0, 0] = bad, bad
    first, second = {"forward": (x, w), "grad_input": (g, w), "grad_weight": (x, g)}[operation]
    found = []
    for name in ("naive", "parallel"):
        if operation == "grad_weight":
            found.append(algos.plan(problem, algorithm=name)(first, second))
        else:
            found.append(algos.plan(problem, second, algorithm=name)(first))
    naive, parallel = found
    assert np.array_equal(kinds(naive), kinds(parallel))
    finite = np.isfinite(naive)
    assert np.allclose(naive[finite], parallel[finite], rtol=1e-4, atol=1e-5)
