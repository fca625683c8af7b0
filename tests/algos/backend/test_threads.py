"""Thread counts are set for a call, read back, and put back."""

import threading
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
    assert threads.check(None) == numba.get_num_threads()
    assert threads.check(threads.available()) == threads.available()


@pytest.mark.parametrize("count", [0, -1, 1.0, True, "2"])
def test_check_refuses_what_is_no_count(count):
    with pytest.raises(ConvbenchError, match="whole number"):
        threads.check(count)


def test_check_says_how_many_there_are():
    with pytest.raises(ConvbenchError, match=f"{threads.available()} are available"):
        threads.check(threads.available() + 1)


def test_numba_threads_are_put_back():
    before = numba.get_num_threads()
    with threads.share(1) as count:
        assert count == numba.get_num_threads() == 1
    assert numba.get_num_threads() == before
    with pytest.raises(KeyError), threads.share(1):
        raise KeyError
    assert numba.get_num_threads() == before


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
    assert threads.read_back()["numba"] == before["numba"]


def test_threading_layer_is_known():
    assert threads.threading_layer() in ("tbb", "omp", "workqueue")


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
        assert count == numba.get_num_threads() == 2
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


def test_a_limit_on_openmp_is_kept():
    threads.check(None)  # starts the pool, so that there is one to limit
    if threads.threading_layer() != "omp":
        pytest.skip("the pool is not OpenMP's")
    with threadpool_limits(1):
        assert threads.check(None) == 1
    assert threads.check(None) == numba.get_num_threads()
