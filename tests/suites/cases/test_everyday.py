"""Everyday problems: seeded, different, affordable, and of the stated mix."""

from collections import Counter

import pytest

from algos.core.errors import ConvbenchError
from algos.notation import parse
from suites.cases import everyday


@pytest.fixture(scope="module")
def drawn():
    return [(parse(text), weights) for text, weights in everyday.problems(300, seed=1)]


def test_problems_are_the_same_for_the_same_seed():
    assert everyday.problems(30, seed=7) == everyday.problems(30, seed=7)
    assert everyday.problems(30, seed=7) != everyday.problems(30, seed=8)
    assert everyday.poolings(30, seed=7) == everyday.poolings(30, seed=7)


def test_problems_differ_and_round_trip(drawn):
    assert len({(str(problem), weights) for problem, weights in drawn}) == 300
    assert all(str(parse(str(problem))) == str(problem) for problem, _ in drawn)


def test_no_problem_is_too_large(drawn):
    assert max(problem.multiply_adds for problem, _ in drawn) <= 4e9
    assert max(problem.compulsory_bytes for problem, _ in drawn) <= 256e6


def test_the_mix_has_everything(drawn):
    assert {problem.axes for problem, _ in drawn} == {1, 2, 3}
    assert {problem.operation for problem, _ in drawn} == {"forward", "grad_input", "grad_weight"}
    assert {problem.dtype for problem, _ in drawn} == {"float32", "float64"}
    assert any(problem.groups == problem.in_channels > 1 for problem, _ in drawn)
    assert any(1 < problem.groups < problem.in_channels for problem, _ in drawn)
    assert {2, 3, 4} <= {max(problem.stride) for problem, _ in drawn}
    assert any(max(problem.dilation) > 1 for problem, _ in drawn)
    assert max(max(problem.kernel) for problem, _ in drawn if problem.axes == 2) == 63


def test_half_of_the_images_are_gaussian(drawn):
    images = Counter(
        weights
        for problem, weights in drawn
        if problem.axes == 2 and problem.in_channels == problem.out_channels == 1
    )
    assert images == {"random": 48, "gaussian": 48}


def test_a_gradient_of_the_kernel_has_no_gaussian(drawn):
    assert all(weights == "random" for problem, weights in drawn if problem.operation != "forward")


def test_poolings_differ_and_round_trip():
    texts = everyday.poolings(100, seed=1)
    assert len(set(texts)) == 100
    assert all(str(parse(text)) == text for text in texts)
    assert {parse(text).axes for text in texts} == {1, 2, 3}


@pytest.mark.parametrize("count", [0, 2001])
def test_an_impossible_count_is_refused(count):
    with pytest.raises(ConvbenchError, match="1 to 2000"):
        everyday.problems(count)


def test_the_suites_hold_the_problems():
    suite = everyday.suite("everyday", 25, seed=3)
    assert [(str(c.problem), c.weights) for c in suite.cases] == everyday.problems(25, seed=3)
    suite = everyday.suite("everyday-pooling", 5, seed=3)
    assert [str(case.problem) for case in suite.cases] == everyday.poolings(5, seed=3)
