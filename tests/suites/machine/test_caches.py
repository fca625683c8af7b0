"""Caches are emptied before every call: the cores swept, the time counted, the state after."""

import os

import numpy as np
import pytest

from algos.core.bound import Bound
from suites.machine import clock
from suites.machine.caches import sweeper
from suites.workers import worker
from suites.workers.messages import Calibrate, Sample
from suites.workers.worker import Ready, Session


def test_what_comes_before_a_call_is_not_timed(monkeypatch):
    hand = [0]
    monkeypatch.setattr(clock.time, "perf_counter_ns", lambda: hand[0])

    def takes(nanoseconds):
        hand[0] += nanoseconds

    seconds = clock.sample(lambda: takes(3_000), 4, before=lambda: takes(1_000_000))
    assert seconds == pytest.approx(3e-6)


def test_every_call_has_caches_emptied_before_it_and_none_has_otherwise(monkeypatch):
    done = []
    monkeypatch.setattr(worker, "sweeper", lambda threads: lambda: done.append(threads))
    session = Session()
    session.threads = 2
    session.ready[0] = Ready(Bound(lambda: done.append("call")), np.empty(0))
    session.sample(Sample(0, 2))
    assert done == ["call", "call"]
    done.clear()
    session.sample(Sample(0, 2, warm=1))
    assert done == ["call", "call", "call"]
    done.clear()
    session.sample(Sample(0, 2, cold=True))
    assert done == [2, "call", 2, "call"]
    done.clear()
    assert session.calibrate(Calibrate(0, 0.002, cold=True)).sweep_s > 0
    assert done[0] == 2
    assert {*done[1:]} == {"call"}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="cores cannot be chosen here")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_sweep_leaves_no_trace(threads):
    allowed = os.sched_getaffinity(0)
    kept = np.arange(1000)
    sweeper(threads)()
    assert os.sched_getaffinity(0) == allowed
    assert (kept == np.arange(1000)).all()
