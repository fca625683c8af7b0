"""Rounds: the groups that are ready at the same time, and the order of their blocks."""

import random

import pytest

from algos import Problem
from suites.cases.suite import Case
from suites.timing.cell import Cell, Group
from suites.timing.round import SPREAD, Round, Turn

CASE = Case(Problem(size=(12, 12), kernel=3))


def group(number, *, threads=1, blocks=10, loops=1, once=0.001):
    cell = Cell(CASE, "naive", threads, number, loops=loops, once=once)
    return Group(number, CASE, threads, [cell], blocks=blocks)


def round_of(*groups, memory=1000):
    made = Round(memory)
    made.turns += [Turn(one, one.cells) for one in groups]
    return made


def test_the_first_always_fits():
    assert Round(0).takes(group(0), 0)


def test_groups_join_until_their_samples_take_long_enough():
    quick, slow = group(0), group(0, loops=100, once=SPREAD / 100 / 10)
    assert round_of(quick).takes(group(1), 1000)
    assert not round_of(slow).takes(group(1), 1000)
    slow.cells[0].end("failed", "it died")  # and takes no time any more
    assert round_of(slow).takes(group(1), 1000)


def test_a_round_has_one_number_of_threads():
    assert not round_of(group(0)).takes(group(1, threads=2), 1000)


@pytest.mark.parametrize(("left", "fits"), [(900, True), (500, True), (499, False)])
def test_a_group_is_left_the_memory_it_would_have_alone_or_half_of_it(left, fits):
    assert round_of(group(0)).takes(group(1), left) == fits


def test_the_blocks_of_every_group_are_spread_over_the_round():
    made = round_of(group(0, blocks=30), group(1, blocks=3), group(2, blocks=30))
    order = [turn.group.number for turn in made.blocks(random.Random(1))]
    assert [order.count(number) for number in range(3)] == [30, 3, 30]
    for third in range(3):
        part = order[21 * third : 21 * (third + 1)]
        assert 8 <= part.count(0) <= 12
        assert 8 <= part.count(2) <= 12
    other = [turn.group.number for turn in made.blocks(random.Random(2))]
    assert other != order
