"""Hardware counters are read if available, and left out without a message if not."""

import numpy as np
import pytest

from suites.machine import counters
from suites.machine.counters import Counters, of_a_call

#: Events that Linux counts itself, with or without counters in the processor.
SOFTWARE = {"task_clock_ns": (1, 1), "page_faults": (1, 2)}


@pytest.fixture
def software():
    """Return counters of the system's own events, which need no hardware counter."""
    found = Counters(SOFTWARE)
    if not found.names:
        pytest.skip("this system has no perf_event_open, or forbids it")
    yield found
    found.close()


def touch():
    return np.ones(1 << 20).sum()  # 8 MiB, new each time


def test_what_the_system_counts_is_read(software):
    assert set(software.names) == set(SOFTWARE)
    assert software.count(touch, 3)["task_clock_ns"] > 0


def test_more_work_counts_more(software):
    little = software.count(lambda: sum(range(1_000)))["task_clock_ns"]
    much = software.count(lambda: sum(range(3_000_000)))["task_clock_ns"]
    assert much > 10 * little


def test_counts_are_per_call(software):
    one = software.count(touch)["page_faults"]
    assert software.count(touch, 50)["page_faults"] <= one + 8  # a page or two for the loop


def test_what_cannot_be_had_is_left_out(monkeypatch):
    nonsense = {"nothing": (9999, 0), **SOFTWARE}
    assert "nothing" not in Counters(nonsense).names
    monkeypatch.setattr(counters.platform, "machine", lambda: "elsewhere")
    assert Counters(SOFTWARE).names == ()
    calls = []
    assert of_a_call(lambda: calls.append(1), 3) == {}
    assert not calls  # the work is not run without a counter


def test_instructions_per_cycle_are_worked_out(monkeypatch):
    monkeypatch.setattr(
        counters, "EVENTS", {"cycles": SOFTWARE["task_clock_ns"], "instructions": (1, 1)}
    )
    monkeypatch.setattr(Counters.__init__, "__defaults__", (counters.EVENTS,))
    found = of_a_call(touch, 2)
    if found:
        assert found["instructions_per_cycle"] == found["instructions"] / found["cycles"]
