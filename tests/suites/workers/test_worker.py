"""Timing in a worker, with a clock set by the test: no sample includes compilation."""

import numba
import numpy as np
import pytest
from numba.core import event

from algos.core.bound import Bound
from suites.machine import clock, counters
from suites.workers.messages import Calibrate, Calibrated, Sample
from suites.workers.worker import LONG_CALL, Ready, Session

WORK = 3_000_000  # nanoseconds of a call
SECOND = 1_000_000_000


class Compiler(event.Listener):
    """A compiler that takes `nanoseconds` per compilation, on the clock set by the test."""

    def __init__(self, hand, nanoseconds):
        self.hand, self.nanoseconds = hand, nanoseconds

    def on_start(self, event):
        pass

    def on_end(self, event):
        self.hand[0] += self.nanoseconds


def timings(monkeypatch, compiling, calibrate=Session.calibrate):
    """Return loops and samples of a function whose first call compiles for a given time."""
    hand = [0]
    monkeypatch.setattr(clock.time, "perf_counter_ns", lambda: hand[0])
    kernel = numba.njit(lambda array: array.sum())

    def call():
        kernel(np.ones(3))
        hand[0] += WORK

    session = Session()
    ready = session.ready[5] = Ready(Bound(call), np.empty(0))
    with event.install_listener("numba:compile", Compiler(hand, compiling)):
        ready.bound.call()  # the first call, as `load` makes it
        loops = calibrate(session, Calibrate(5, 0.02)).loops
        samples = [session.sample(Sample(5, loops)).seconds for _ in range(4)]
    return loops, samples


def test_a_second_more_to_compile_changes_nothing(monkeypatch):
    quick, slow = (timings(monkeypatch, compiling) for compiling in (SECOND, 2 * SECOND))
    assert quick == slow
    assert quick == (7, [pytest.approx(WORK * 1e-9)] * 4)


def test_a_sample_is_a_thousand_times_what_the_timer_is_off_by(monkeypatch):
    monkeypatch.setattr(clock, "timer", lambda: {"resolution_s": 1e-5, "overhead_s": 1e-4})
    loops, _ = timings(monkeypatch, SECOND)
    assert loops == round(0.11 / (WORK * 1e-9))


def test_the_timer_is_measured():
    timer = clock.timer()
    assert set(timer) == {"resolution_s", "overhead_s"}
    assert all(0 < seconds < 1e-3 for seconds in timer.values())


def test_this_would_be_noticed_where_calibration_met_the_compiler(monkeypatch):
    """The test above can fail: here the calibrated function is compiled again."""

    def naive(session, request):
        ready, kernel = session.ready[request.cell], numba.njit(lambda array: array.sum() + 1)
        once = clock.per_call(lambda: (kernel(np.ones(3)), ready.bound.call()), 1)
        return Calibrated(max(1, round(request.seconds / once)), once, 0.0, {})

    quick, slow = (timings(monkeypatch, compiling, naive) for compiling in (SECOND // 100, SECOND))
    assert quick[0] != slow[0]


def test_what_took_long_at_first_is_not_called_to_be_calibrated(monkeypatch):
    monkeypatch.setattr(counters, "of_a_call", lambda call, loops: {})

    def calls(first):
        session, made = Session(), []
        session.ready[0] = Ready(Bound(lambda: made.append(1)), np.empty(0), first)
        assert session.calibrate(Calibrate(0, 0.01)).loops >= 1
        return len(made)

    assert calls(2 * LONG_CALL) == 0
    assert calls(LONG_CALL / 2) > 0
