"""Typical errors are what the algorithms say of themselves."""

import numpy as np
import pytest

import algos
from algos import registry
from algos.adapters import performer
from algos.choice.accuracy import admits

PROBLEMS = [
    algos.Problem(size=(40, 40), kernel=3, in_channels=c, out_channels=8, padding=1)
    for c in (1, 4, 32, 128)
] + [
    algos.Problem(size=(200, 200), kernel=15, padding=7),
    algos.Problem(size=(4000,), kernel=301),
    algos.Problem(size=(20, 20, 20), kernel=5, in_channels=2, out_channels=2),
]


def root_mean_square_error(problem, name, x, w, exact):
    y = algos.plan(problem, w, algorithm=name)(x)
    return float(np.sqrt(np.mean((y - exact) ** 2)))


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_standard_accuracy_admits_typical_errors_up_to_four_times_a_direct_sums(problem):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(problem.input_shape).astype("float32")
    w = rng.standard_normal(problem.kernel_shape).astype("float32")
    wide = algos.conv(
        x.astype("float64"), w.astype("float64"), padding=problem.padding, algorithm="parallel"
    )
    direct = root_mean_square_error(problem, "parallel", x, w, wide)
    for name, algorithm in registry.convolutions().items():
        if algorithm.is_peer or algorithm.opt_in or name == "naive":
            continue
        if performer(algorithm, problem).why_not(problem, w):
            continue
        ratio = root_mean_square_error(problem, name, x, w, wide) / direct
        assert ratio <= 1.05 * algorithm.typical_error(problem), (name, ratio)
        assert not admits("standard", algorithm, problem) or ratio <= 4.2
