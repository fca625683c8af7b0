"""Thread counts are set for a call, read back, and put back."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from algos import ConvbenchError, Problem, conv
from algos import plan as plan_for
from algos.backend import threads


def test_check_takes_what_the_machine_offers():
    assert threads.check(1) == 1
    assert threads.check(None) == threads.available()
    assert threads.check(threads.available()) == threads.available()


@pytest.mark.parametrize("count", [0, -1, 1.0, True, "2"])
def test_check_refuses_what_is_no_count(count):
    with pytest.raises(ConvbenchError, match="whole number"):
        threads.check(count)


def test_check_says_how_many_there_are():
    with pytest.raises(ConvbenchError, match=f"{threads.available()} are available"):
        threads.check(threads.available() + 1)


def test_the_threads_are_given_back():
    for _ in range(2):
        with pytest.raises(KeyError), threads.share(threads.available()) as count:
            assert count == threads.available()
            raise KeyError


def test_blas_threads_are_put_back():
    before = threads.read_back()
    with threads.blas_threads(1):
        assert {pool.get_num_threads() for pool in threads._blas_pools()} == {1}
    assert threads.read_back() == before


def test_use_sets_every_pool():
    before = threads.read_back()
    try:
        assert set(threads.use(1).values()) == {1}
    finally:
        threads.use(numba.config.NUMBA_NUM_THREADS)
    assert threads.read_back()["convbench"] == before["convbench"]


def test_workers_of_transforms_are_noted(monkeypatch):
    monkeypatch.setattr(threads, "_told", {})
    assert "scipy.fft" not in threads.read_back()
    x, w = np.ones((1, 1, 40, 40)), np.ones((1, 1, 9, 9))
    conv(x, w, algorithm="fft", threads=threads.available())
    assert threads.read_back()["scipy.fft"] in (1, threads.available())


def test_share_gives_one_thread_beside_a_call_that_has_several():
    if threads.available() == 1:
        pytest.skip("one core")
    seen = []

    def beside():
        with threads.share(2) as count:
            seen.append(count)

    with threads.share(2) as count:
        assert count == 2
        with threads.share(2) as again:  # the same thread goes on with what it has
            assert again == 2
        other = threading.Thread(target=beside)
        other.start()
        other.join()
    assert seen == [1]


def test_calls_from_several_threads_agree():
    rng = np.random.default_rng(0)
    problem = Problem(size=(512, 512), kernel=5, padding="same")
    x, w = (rng.standard_normal(s).astype("f4") for s in problem.operands)
    plan = plan_for(problem, w, threads=threads.available())
    expected = plan(x)
    with ThreadPoolExecutor(4) as pool:
        for y in pool.map(plan, [x] * 16):
            np.testing.assert_array_equal(y, expected)


def test_small_work_stays_on_the_calling_thread():
    small, large = (Problem(size=(n, n), kernel=3) for n in (64, 1024))
    for problem, count in ((small, 1), (large, threads.available())):
        w = np.ones(problem.kernel_shape, "f4")
        assert plan_for(problem, w, threads=threads.available()).threads == count


@pytest.mark.parametrize("limits", [1, {"convbench": 1}])
def test_a_limit_of_threadpoolctl_is_kept(limits):
    before = threads.check(None)
    with threadpool_limits(limits), threads.share(threads.available()) as count:
        assert threads.check(None) == count == 1
    assert threads.check(None) == before


def test_blas_counts_of_calls_that_overlap_are_put_back():
    before = threads.read_back()
    first, second = threads.blas_threads(1), threads.blas_threads(threads.available())
    with first:
        second.__enter__()
        assert {pool.get_num_threads() for pool in threads._blas_pools()} == {1}
    assert {pool.get_num_threads() for pool in threads._blas_pools()} == {threads.available()}
    second.__exit__(None, None, None)
    assert threads.read_back() == before


def test_tasks_are_done_once_by_whoever_is_free():
    done = []
    threads.share_tasks(done.extend, list(range(100)), 4)
    assert sorted(done) == list(range(100))


def test_an_error_ends_shared_tasks():
    def work(tasks):
        for task in tasks:
            raise KeyError(task)

    with pytest.raises(KeyError):
        threads.share_tasks(work, list(range(100)), 4)


def test_ctrl_c_while_threads_start_leaves_none_taken(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(threads.thread_pool, "give_to", interrupted)
        with pytest.raises(KeyboardInterrupt), threads.share(2):
            pass
    assert (threads._callers, threads._owner) == (0, 0)
    with threads.share(2) as count:
        assert count == 2


def test_after_an_error_no_helper_still_writes(monkeypatch):
    pool = ThreadPoolExecutor(2)
    monkeypatch.setattr(threads, "_helpers", lambda: pool)
    begun, finished = threading.Barrier(3, timeout=10), []

    def work(some):
        me = threading.current_thread() is threading.main_thread()
        for task in some:
            if me:
                continue
            begun.wait()
            if task == 0:
                raise ValueError("of the first helper")
            time.sleep(0.2)
            finished.append(task)

    class Tasks(list):
        """The caller waits until both helpers have a task."""

        def __iter__(self):
            yield from super().__iter__()
            begun.wait()

    with pytest.raises(ValueError, match="of the first helper"):
        threads.share_tasks(work, Tasks([0, 1, 2]), 3)
    assert finished


def test_a_pool_that_a_later_import_brings_is_seen(monkeypatch):
    before = threads._blas_pools()
    assert threads._blas_pools() is before
    monkeypatch.setitem(sys.modules, "module_of_this_test", sys)
    assert threads._blas_pools() is not before
