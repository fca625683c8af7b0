"""Rules that the automatic choice is compared with."""

import pytest

from algos.core.problem import Problem
from suites.cases.suite import Case
from suites.choice.rules import by_scipy, by_taps, scipy_mode


def image(size, kernel, **more):
    return Problem(size=(size, size), kernel=kernel, **more)


@pytest.mark.parametrize(
    ("problem", "weights", "expected"),
    [
        (image(64, 11), "gaussian", "parallel"),
        (image(64, 13), "gaussian", "separable"),
        (image(64, 13), "random", "parallel"),
        (image(64, 21), "random", "fft"),
        (image(64, 21, in_channels=2), "random", "parallel"),
        (image(64, 21, stride=2), "random", "parallel"),
        (image(64, 21, operation="grad_input"), "random", "parallel"),
    ],
)
def test_the_rule_of_taps(problem, weights, expected):
    assert by_taps(Case(problem, weights)) == expected


def test_scipys_rule_where_it_applies():
    assert by_scipy(Case(Problem(size=(100,), kernel=3))) == "parallel"
    assert by_scipy(Case(image(512, 63))) == "fft"
    assert by_scipy(Case(image(64, 3, in_channels=3))) == ""
    assert by_scipy(Case(image(64, 3, padding=((0, 2), (1, 1))))) == ""


@pytest.mark.parametrize(("padding", "mode"), [("full", "full"), ("same", "same"), (0, "valid")])
def test_modes(padding, mode):
    assert scipy_mode(image(64, 5, padding=padding)) == mode
