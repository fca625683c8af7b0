"""Counts by formula: equal to what enumeration finds, and no slower for large sizes."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import problems

from algos import Problem
from algos.core.sizes import floor_sum, reads_inside
from algos.pooling import PoolProblem
from algos.pooling.core.windows import WindowAxis, adaptive, first_residue, fractional, regular

SMALL = st.integers(1, 12)


def counts(line: WindowAxis) -> tuple[int, ...]:
    """Positions, reads, and taps of the largest and smallest window, from the arrays."""
    return (len(line.begin), int(line.taps.sum()), int(line.full.max()), int(line.full.min()))


def windows_over(line: WindowAxis) -> np.ndarray:
    """Number of windows over each sample."""
    covered = np.zeros(line.size, int)
    for begin, taps in zip(line.begin, line.taps, strict=True):
        covered[begin + np.arange(taps) * line.dilation] += 1
    return covered


@given(st.integers(0, 30), st.integers(1, 30), st.integers(0, 60), st.integers(0, 60))
def test_a_sum_of_floors(count, modulus, factor, shift):
    expected = sum((factor * j + shift) // modulus for j in range(count))
    assert floor_sum(count, modulus, factor, shift) == expected


@given(SMALL, SMALL, SMALL, SMALL, st.integers(0, 20), SMALL)
@settings(max_examples=150, deadline=None)
def test_reads_of_an_axis(positions, stride, taps, dilation, before, size):
    met = [i * stride + k * dilation - before for i in range(positions) for k in range(taps)]
    expected = sum(0 <= sample < size for sample in met)
    assert reads_inside(positions, stride, taps, dilation, before, size) == expected


@given(problems(plain=False))
@settings(max_examples=100, deadline=None)
def test_multiply_adds_are_the_products_with_a_sample(problem):
    pairs = 1
    for axis in range(problem.axes):
        first = np.arange(problem.output_size[axis]) * problem.stride[axis] - problem.before[axis]
        met = first[:, None] + np.arange(problem.kernel[axis]) * problem.dilation[axis]
        inside = (met >= 0) & (met < problem.size[axis])
        pairs *= int(inside.sum()) if problem.boundary == "zeros" else inside.size
    assert problem.multiply_adds == problem.batch * int(problem.table.sum()) * pairs


@given(SMALL, SMALL, SMALL, SMALL, st.integers(0, 40), st.integers(0, 40))
@settings(max_examples=150, deadline=None)
def test_regular_windows(size, window, stride, dilation, before, after):
    room = size + before + after - (window - 1) * dilation - 1
    if room < 0:
        return
    line = regular(size, window, stride, dilation, (before, after), room // stride + 1)
    assert (line.positions, line.reads, line.window, line.fewest) == counts(line)
    assert windows_over(line).max() <= line.most_over
    empty = np.flatnonzero(line.taps == 0)
    assert line.first_empty == (int(empty[0]) if len(empty) else None)
    if not before and not after and size > 3 * window * dilation * stride:
        assert windows_over(line).max() == line.most_over


@given(st.integers(0, 40), st.integers(1, 40), st.integers(0, 39), st.integers(0, 39))
@settings(max_examples=150, deadline=None)
def test_the_first_multiple_with_a_residue(factor, modulus, low, high):
    low, high = low % modulus, high % modulus

    def fits(residue: int) -> bool:
        return low <= residue <= high if low <= high else not high < residue < low

    found = (j for j in range(modulus) if fits(factor * j % modulus))
    assert first_residue(factor, modulus, low, high) == next(found, None)


@given(st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=150, deadline=None)
def test_adaptive_windows(size, positions):
    line = adaptive(size, positions)
    assert (line.positions, line.reads, line.window, line.fewest) == counts(line)
    assert line.most_over == windows_over(line).max()


@given(st.data(), st.integers(2, 40), st.booleans(), st.sampled_from(["random", "pseudorandom"]))
@settings(max_examples=100, deadline=None)
def test_fractional_windows(data, size, overlapping, sequence):
    span = size - overlapping
    positions = data.draw(st.integers(-(-span // 2), span))
    line = fractional(size, positions, sequence, overlapping, (3, 1))
    assert (line.positions, line.reads, line.window, line.fewest) == counts(line)
    assert line.most_over == windows_over(line).max()


def test_reads_of_pooling_add_up_over_axes_and_levels():
    rng = random.Random(5)
    for _ in range(50):
        size = (rng.randint(4, 9), rng.randint(4, 9))
        problem = PoolProblem(size, batch=2, channels=3, levels=(rng.randint(1, 4), 2))
        expected = 6 * sum(
            int(part.lines[1].taps.sum() * part.lines[2].taps.sum()) for part in problem.parts
        )
        assert problem.multiply_adds == expected


@pytest.mark.parametrize(
    ("problem", "reads"),
    [
        (Problem(size=(16,), kernel=10**12, padding="same"), 16 * 16),
        (Problem(size=(10**12,), kernel=3, padding=1), 3 * 10**12 - 2),
        (PoolProblem(size=(10**12,), window=3, stride=1, padding=1), 3 * 10**12 - 2),
        (PoolProblem(size=(10**12,), output=10**11), 10**12),
        (PoolProblem(size=(10**12 + 1,), kind="lp", ratio=1.5, overlapping=False), 10**12 + 1),
    ],
)
def test_large_sizes_are_arithmetic(problem, reads):
    assert problem.multiply_adds == reads
    assert problem.output_size[0] >= 16
