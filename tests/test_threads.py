"""Thread counts are set for a call, read back, and put back."""

import numba
import pytest

from algos import ConvbenchError, threads


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
        seen = threads.read_back()
        assert {seen[pool] for pool in seen if pool != "numba"} == {1}
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
