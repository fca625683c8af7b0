"""Assignment of a process's threads to cores."""

import os
import threading

import pytest

from suites.machine import cores


@pytest.fixture
def pool():
    """Start two waiting threads, like those of a pool; yield their numbers."""
    go_on, numbers = threading.Event(), []

    def wait():
        numbers.append(threading.get_native_id())
        go_on.wait()

    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    while len(numbers) < 2:
        pass
    yield numbers
    go_on.set()
    for thread in threads:
        thread.join()


@pytest.mark.skipif(not cores.CAN_BE_CHOSEN, reason="the system chooses cores alone")
def test_threads_are_apart_for_a_while(pool):
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip("there is one core")
    with cores.apart():
        here = os.sched_getaffinity(0)
        assert len(here) == 1
        for thread in pool:
            there = os.sched_getaffinity(thread)
            assert len(there) == 1
            assert not here & there
    for thread in (0, *pool):
        assert os.sched_getaffinity(thread) == before


@pytest.mark.skipif(not cores.CAN_BE_CHOSEN, reason="the system chooses cores alone")
def test_all_threads_are_kept_where_they_are_told(pool):
    before = os.sched_getaffinity(0)
    one = {min(before)}
    try:
        cores.keep(one)
        assert [os.sched_getaffinity(thread) for thread in (0, *pool)] == [one] * 3
        with cores.apart():  # with one core, nothing is moved
            assert os.sched_getaffinity(0) == one
    finally:
        cores.keep(before)
