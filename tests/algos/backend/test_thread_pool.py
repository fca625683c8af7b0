"""Threads share the items of a region as they go, in every kind of process and thread."""

import asyncio
import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import algos
from algos import Problem
from algos.backend import thread_pool, threads
from algos.backend.compiler import by_ranges, kernel, threaded

#: Threads of a region here, more than most machines that test have cores.
MANY = 8


@threaded
@kernel
def _count(i, times):
    times[i] += 1


@kernel
def _count_all(count, times):
    _count(count, times)


@by_ranges
@kernel
def _note(slot, first, last, seen, times):
    for i in range(first, last):
        seen[i] = slot
        times[i] += 1


@kernel
def _note_all(most, seen, times):
    _note(most, seen.size, seen, times)


@threaded
@kernel
def _region(i, times):
    for k in range(times.shape[1]):
        times[i, k] += 1
    _count_all(times.shape[1], times[i])


@kernel
def _regions(times):
    _region(times.shape[0], times)


@pytest.fixture
def many():
    """Give MANY threads to the kernels that the test calls."""
    thread_pool.give_to(threading.get_ident(), MANY)
    yield
    thread_pool.give_to(0, 0)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9, 1000])
def test_every_item_is_done_once(many, count):
    times = np.zeros(count + 1, np.int64)
    for _ in range(200):
        _count_all(count, times)
    assert (times[:count] == 200).all()
    assert times[count] == 0


def test_regions_that_follow_each_other_do_not_mix(many):
    """Threads that come late to one region meet the next, of another size and other data."""
    arrays = [np.zeros(size, np.int64) for size in (2, 3, 50, 5, 400)]
    for _ in range(2000):
        for times in arrays:
            _count_all(times.size, times)
    assert [set(times) for times in arrays] == [{2000}] * len(arrays)


@pytest.mark.parametrize("most", [1, 2, MANY])
def test_threads_have_numbers_below_the_most_of_a_region(many, most):
    seen, times = np.full(500, -1), np.zeros(500, np.int64)
    for _ in range(200):
        _note_all(most, seen, times)
        assert set(seen) <= set(range(most))
    assert set(times) == {200}


def test_a_region_inside_a_region_is_done_by_one_thread(many):
    times = np.zeros((30, 40), np.int64)
    for _ in range(50):
        _regions(times)
    assert set(times.ravel()) == {100}


def test_a_thread_that_was_given_no_threads_does_its_items_alone(many):
    seen, times = np.full(500, -1), np.zeros(500, np.int64)
    other = threading.Thread(target=_note_all, args=(MANY, seen, times))
    other.start()
    other.join()
    assert set(seen) == {0}


def test_nothing_is_started_for_one_thread():
    code = (
        "import numpy as np, algos; from algos.backend import thread_pool\n"
        "x = np.ones((1, 8, 64, 64), 'f4'); w = np.ones((8, 8, 3, 3), 'f4')\n"
        "for name in ('parallel', 'im2col', 'fft', 'naive'):\n"
        "    algos.conv(x, w, algorithm=name, threads=1)\n"
        "algos.pool(x, 'max', size=2, threads=1)\n"
        "algos.conv(x[:, :, :9, :9], w)\n"  # too small for several
        "import numba; print(thread_pool._running, numba.np.ufunc.parallel._is_initialized)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["0", "False"], done.stderr


#: Calls that use several threads, each kind of region that there is.
PROBLEM = Problem(in_channels=16, out_channels=32, size=(56, 56), kernel=3, padding=1)
ALGORITHMS = ("parallel", "im2col", "fft")
#: These compile for long.
LONG = [pytest.param(name, marks=pytest.mark.slow) for name in ("fft-fused", "winograd2")]


def call(algorithm):
    """Return the sum over one convolution and one pooling on all threads."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype("f4") for shape in PROBLEM.operands)
    y = algos.plan(PROBLEM, w, algorithm=algorithm, threads=threads.available())(x)
    pooled = algos.pool(np.tile(x, (1, 8, 2, 2)), "max", size=2)
    return float(y.sum()), float(pooled.sum())


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, *LONG])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_computes_like_its_parent(algorithm):
    expected = call(algorithm)
    child = os.fork()
    if not child:
        os._exit(0 if call(algorithm) == expected and call(algorithm) == expected else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert call(algorithm) == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_forked_during_a_call_has_threads_of_its_own():
    rng, stop = np.random.default_rng(0), threading.Event()
    x, w = (rng.standard_normal(shape).astype("f4") for shape in PROBLEM.operands)
    plan = algos.plan(PROBLEM, w, threads=threads.available())
    expected = plan(x)

    def keep_calling():
        while not stop.is_set():
            plan(x)

    caller = threading.Thread(target=keep_calling)
    caller.start()
    try:
        for _ in range(6):
            child = os.fork()
            if not child:
                fine = all((plan(x) == expected).all() for _ in range(10))
                fine = fine and thread_pool._running == threads.available() - 1
                os._exit(0 if fine else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        caller.join()


@pytest.mark.parametrize(
    "method",
    [pytest.param(m, marks=() if m == "fork" else pytest.mark.slow)
     for m in multiprocessing.get_all_start_methods()],
)  # fmt: skip
def test_processes_of_every_kind_compute_alike(method):
    expected = [call(name) for name in ALGORITHMS]
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        assert pool.map_async(call, ALGORITHMS).get(timeout=60) == expected
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        assert list(executor.map(call, ALGORITHMS, timeout=60)) == expected


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, *LONG])
def test_eight_threads_compute_like_one(algorithm):
    expected = call(algorithm)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(call, [algorithm] * 24)) == {expected}


def test_executors_of_asyncio_compute_alike():
    async def calls():
        return await asyncio.gather(*(asyncio.to_thread(call, name) for name in ALGORITHMS * 2))

    assert asyncio.run(calls()) == [call(name) for name in ALGORITHMS] * 2
