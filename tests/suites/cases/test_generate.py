"""For every seed, each fixed problem is verified in every operation."""

from collections import defaultdict

import pytest

from algos.core.descriptor import parse_descriptor
from suites.cases import generate


def shape(problem):
    """Return what tells the fixed problems apart, in any operation and data type."""
    p = problem
    return p.size, p.kernel, p.in_channels, p.out_channels, p.groups, p.stride, p.dilation


@pytest.mark.parametrize("seed", range(12))
def test_each_fixed_problem_takes_every_operation(seed):
    fixed = [parse_descriptor(text) for text in generate._FIXED]
    taken = defaultdict(list)
    for case in generate.cases(4 * len(fixed), seed, generate.OPERATIONS):
        taken[shape(case.problem)].append(case.problem.operation)
    assert len(taken) == len(fixed)
    for problem in fixed:
        spelt = problem.operation if problem.operation != "forward" else ""
        wanted = [spelt] * 4 if spelt else sorted(generate.OPERATIONS)
        assert sorted(taken[shape(problem)]) == wanted


def test_one_operation_is_taken_by_all():
    found = {case.problem.operation for case in generate.cases(150, 3, ("grad_weight",))}
    assert found == {"grad_weight"}
