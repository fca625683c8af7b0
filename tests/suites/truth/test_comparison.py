"""The check fails wrong outputs with a sentence, and passes outputs that are only rounded."""

import numpy as np
import pytest

import algos
from algos import Problem, parse_descriptor
from algos.registry import get
from suites.cases.data import arrays
from suites.cases.suite import Case
from suites.truth import oracle
from suites.truth.instance import ConvolutionInstance

PROBLEMS = (
    "mb2_ic3ih11_oc4_kh3_ph1_bias",
    "g2mb1_ic4iw40_oc4_kw5_sw2_flip_f64",
    "mb1_ic2id5_oc2_kd3_f64",
)


def convolved(text):
    """Return a problem, its data, and the right output."""
    problem = parse_descriptor(text)
    x, w, bias = arrays(Case(problem), 1)
    y = algos.plan(problem, w, bias, algorithm="naive", threads=1)(x)
    return problem, x, w, bias, y


def judge(problem, x, w, bias, y, positions=None):
    if positions is None:
        positions = oracle.every_position(problem.output_shape)
    given = (x, w) if bias is None else (x, w, bias)
    instance = ConvolutionInstance.of(Case(problem), given)
    return instance.check(get("naive"), y, positions)


def one_off(problem, x, w, bias, y):
    y[0, 0, ..., 1] += 0.01
    return y


def left_nan(problem, x, w, bias, y):
    y[0, -1, ..., -1] = np.nan
    return y


def left_infinite(problem, x, w, bias, y):
    y[..., 0] = np.inf
    return y


def last_column_missing(problem, x, w, bias, y):
    y[..., -1] = 0
    return y


def shifted(problem, x, w, bias, y):
    return np.roll(y, 1, axis=-1)


def again(problem, x, w, bias, **changes):
    from dataclasses import replace

    changed = replace(problem, **changes)
    return algos.plan(changed, w, bias, algorithm="naive", threads=1)(x)


def tap_dropped(problem, x, w, bias, y):
    w = w.copy()
    w[..., 0] = 0
    return again(problem, x, w, bias)


def kernel_flipped(problem, x, w, bias, y):
    return again(problem, x, w, bias, flip=not problem.flip)


def half_precision(problem, x, w, bias, y):
    return y.astype(np.float16).astype(y.dtype)


def bias_forgotten(problem, x, w, bias, y):
    return y + 1 if bias is None else y - bias.reshape(-1, *[1] * problem.axes)


def zeros(problem, x, w, bias, y):
    return np.zeros_like(y)


@pytest.mark.parametrize("text", PROBLEMS)
def test_right_is_right(text):
    verdict = judge(*convolved(text))
    assert verdict.passed
    assert verdict.reason == ""
    assert 0 <= verdict.error_over_bound <= 1


@pytest.mark.parametrize("text", PROBLEMS)
@pytest.mark.parametrize(
    "mistake",
    [
        one_off, left_nan, left_infinite, last_column_missing, shifted, tap_dropped,
        kernel_flipped, half_precision, bias_forgotten, zeros,
    ],
)  # fmt: skip
def test_wrong_is_wrong(text, mistake):
    problem, x, w, bias, y = convolved(text)
    verdict = judge(problem, x, w, bias, mistake(problem, x, w, bias, y.copy()))
    assert not verdict.passed
    assert verdict.error_over_bound > 1
    assert verdict.reason.startswith("wrong at output (")
    assert "instead of" in verdict.reason


def test_nan_where_nobody_looked_is_found():
    problem, x, w, bias, y = convolved(PROBLEMS[0])
    y[1, 2, 5, 5] = np.nan
    first = np.zeros((1, y.ndim), int)
    verdict = judge(problem, x, w, bias, y, first)
    assert verdict.reason == f"1 of {y.size} outputs are NaN or infinite"


def test_the_place_is_named():
    problem, x, w, bias, y = convolved(PROBLEMS[0])
    y[1, 2, 3, 4] += 1
    assert "wrong at output (1, 2, 3, 4): " in judge(problem, x, w, bias, y).reason


def test_a_bound_of_zero_is_no_division_by_zero():
    problem = Problem(size=(4,), kernel=2, dtype="float64")
    x, w = np.zeros(problem.input_shape), np.zeros(problem.kernel_shape)
    y = np.zeros(problem.output_shape)
    assert judge(problem, x, w, None, y).passed
    y[0, 0, 0] = 1
    assert not judge(problem, x, w, None, y).passed
