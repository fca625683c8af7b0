"""The clock: compilation is told apart from work. No test here asserts a speed."""

from contextlib import nullcontext
from types import SimpleNamespace

import numba
import pytest

from suites.machine import clock


def fresh():
    """Return a function that is not compiled yet and takes a while to compile."""

    @numba.njit
    def function(n):
        total = 0.0
        for i in range(n):
            total += (i * 0.5) ** 2 + (i % 7) * (total > 3)
        return total

    return function


@pytest.fixture
def function():
    return fresh()


def test_compilation_is_told_apart(function):
    with clock.stopwatch() as first:
        function(10)
    assert first.kernels == 1
    assert 0 < first.compiling <= first.seconds
    with clock.stopwatch() as second:
        function(10)
    assert (second.kernels, second.compiling) == (0, 0)
    assert second.working == second.seconds > 0


def test_what_lies_between_compilations_is_work(monkeypatch):
    """Two compilations of 3 s and 2 s, one of 1 s inside the first, within a block of 12 s."""
    marks = [(1, True), (2, True), (3, False), (4, False), (7, True), (9, False)]
    buffer = [(moment, SimpleNamespace(is_start=start)) for moment, start in marks]
    moments = iter([0, 12_000_000_000])
    monkeypatch.setattr(clock.time, "perf_counter_ns", lambda: next(moments))
    monkeypatch.setattr(
        clock.event, "install_recorder", lambda kind: nullcontext(SimpleNamespace(buffer=buffer))
    )
    with clock.stopwatch() as elapsed:
        pass
    assert (elapsed.seconds, elapsed.compiling, elapsed.working) == (12, 5, 7)
    assert elapsed.kernels == 3


def test_compilation_within_compilation_counts_once():
    inner = fresh()

    @numba.njit
    def outer(n):
        return inner(n) + inner(n + 1)

    with clock.stopwatch() as elapsed:
        outer(10)
    assert elapsed.kernels == 2
    assert 0 < elapsed.compiling <= elapsed.seconds


def test_a_stopwatch_stops_when_the_block_raises():
    with pytest.raises(KeyError), clock.stopwatch() as elapsed:
        raise KeyError
    assert elapsed.seconds > 0


def test_per_call_calls_as_often_as_it_says():
    calls = []
    assert clock.per_call(lambda: calls.append(1), 7) > 0
    assert len(calls) == 7


def test_the_shortest_of_the_calls_counts_that_begin_in_time(monkeypatch):
    moments, took = iter([0.0, 0.5, 0.9, 1.1]), iter([0.5, 0.3, 0.4, 0.1])
    monkeypatch.setattr(clock, "now", lambda: next(moments))
    monkeypatch.setattr(clock, "per_call", lambda function, loops: next(took))
    assert clock.shortest(print, 1.0) == 0.3
    assert list(took) == [0.1]


def test_a_sample_with_a_compilation_in_it_is_none(function):
    assert clock.sample(lambda: function(10), 3) is None
    assert clock.sample(lambda: function(10), 3) > 0


def test_moments():
    before = clock.now()
    clock.settle(0.001)
    assert clock.now() > before
    assert clock.utc().utcoffset().total_seconds() == 0
    assert 0 <= clock.days_since(clock.utc().isoformat()) < 1
