"""Thread counts: set for the length of one call, read back, put back.

Our own threads belong to one call at a time, and a BLAS's count to the process. Both are touched
only where they differ from what is wanted, so a call that changes nothing costs well under a
microsecond.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

from algos.core.arguments import whole_number
from algos.core.errors import ConvbenchError

from . import thread_limit, thread_pool
from .thread_limit import available as available


def check(threads: int | None) -> int:
    """Return `threads`, or where None all that the caller may use at present.

    Those are as many as `thread_limit.limit` says, and no more than a limit put on every OpenMP
    pool in this process, as by ``threadpoolctl.threadpool_limits(1)``.
    """
    if threads is None:
        limits = [pool.get_num_threads() for pool in _openmp_pools()]
        return min([thread_limit.limit(), *limits])
    threads = whole_number("threads", threads)
    if threads > available():
        raise ConvbenchError(
            f"{threads} threads were asked for, {available()} are available; "
            f"ask for fewer, or set NUMBA_NUM_THREADS before the start"
        )
    return threads


#: Multiply-adds and bytes below which work stays on the calling thread, some 50 µs of it. A
#: region costs less than 1 µs, but a thread that sleeps takes 30 to 80 µs to wake (Zen 3).
SMALL_WORK, SMALL_BYTES = 2**21, 2**20


def is_small(multiply_adds: float, moved: float) -> bool:
    """Return True if a second thread may cost more time than it saves."""
    return multiply_adds < SMALL_WORK and moved < SMALL_BYTES


#: Lock for the counts below.
_turn = threading.Lock()
#: Number of calls in progress that asked for several threads. Then the Python thread whose call has
#: the threads (0 for none), and their number.
_callers, _owner, _owned = 0, 0, 0


class share:  # noqa: N801 - used as a context manager, like a function
    """Context manager: within ``with share(n) as count:`` kernels use `count` threads.

    `count` is `n` or the present limit. Each call of another thread of this process that asked for
    several takes one core off: callers that are threads themselves already fill the cores. `count`
    is 1 while another call has the threads.
    """

    __slots__ = ("owns", "threads")

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def __enter__(self) -> int:
        global _callers, _owner, _owned
        self.owns = False
        if self.threads == 1:
            return 1
        me = threading.get_ident()
        with _turn:
            _callers += 1
            if _owner == me:  # a call inside a call
                return min(self.threads, _owned)
            count = min(self.threads, thread_limit.limit(), available() - _callers + 1)
            if _owner or count < 2:
                return 1
            self.owns, _owner, _owned = True, me, count
        try:
            thread_pool.give_to(me, count)
        except BaseException:  # Ctrl-C while threads start: leave nothing taken
            with _turn:
                _callers -= 1
                _owner = 0
            raise
        return count

    def __exit__(self, *_: object) -> None:
        global _callers, _owner
        if self.threads == 1:
            return
        if self.owns:
            thread_pool.give_to(0, 0)
        with _turn:
            _callers -= 1
            if self.owns:
                _owner = 0


def share_tasks(work: Callable[[Iterable], None], tasks: list, threads: int) -> None:
    """Let up to `threads` threads run ``work(some)``; together they get each task once.

    This is for work in Python. The caller waits only for threads that have begun.
    """
    rest, begun = iter(tasks), set()

    def taken_by(helper: int) -> Iterator:
        begun.add(helper)
        yield from rest

    numbers = range(1, min(threads, len(tasks)))
    helpers = [_helpers().submit(work, taken_by(n)) for n in numbers]
    try:
        work(rest)
    finally:
        deque(rest, maxlen=0)  # after an error nothing more is begun
        running = [h for n, h in zip(numbers, helpers, strict=True) if n in begun or not h.cancel()]
        wait(running)  # all of them, for they write into arrays of the caller
        for helper in running:
            helper.result()


def divide(work: Callable[[Iterable], None], tasks: list, threads: int) -> None:
    """Split `tasks` among threads if there is one for each; otherwise leave the threads to BLAS.

    `work` is called as by `share_tasks`.
    """
    alone = len(tasks) < threads
    with blas_threads(threads if alone else 1):
        share_tasks(work, tasks, 1 if alone else threads)


@cache
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(available())


#: Thread counts that calls in progress want of BLAS, and each pool's count before them.
_wanted: list[int] = []
_before: list[tuple[Any, int]] = []


@contextmanager
def blas_threads(threads: int) -> Iterator[None]:
    """Let every BLAS loaded in this process use `n` threads within ``with blas_threads(n):``.

    The count belongs to the process: while calls of several threads overlap, the smallest holds.
    """
    with _turn:
        if not _wanted:
            _before[:] = [(pool, pool.get_num_threads()) for pool in _blas_pools()]
        _wanted.append(threads)
        _set_blas()
    try:
        yield
    finally:
        with _turn:
            _wanted.remove(threads)
            _set_blas()


def _set_blas() -> None:
    for pool, before in _before:
        count = min(_wanted, default=before)
        if pool.get_num_threads() != count:
            _put(pool, count)


def _put(pool: Any, count: int) -> None:
    """Set the threads of a BLAS, from any thread.

    threadpoolctl lets one thread set OpenBLAS, and ignores all others without a word.
    """
    getattr(pool, "_real_set_num_threads", pool.set_num_threads)(count)


def _begin_anew() -> None:
    """Forget what other threads were doing: a forked child has only the one that forked."""
    global _turn, _callers, _owner
    _turn, _callers, _owner = threading.Lock(), 0, 0
    if _wanted:
        _wanted.clear()
        _set_blas()
    _helpers.cache_clear()
    thread_pool.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


#: Libraries with a pool of their own, counted for the whole process: how to read and set it.
_LIBRARIES = {
    "torch": ("get_num_threads", "set_num_threads"),
    "cv2": ("getNumThreads", "setNumThreads"),
}

#: Thread counts that belong to a call or an object of a library, as told since `use` was called.
_told: dict[str, int] = {}


def tell(pool: str, threads: int) -> int:
    """Note that `pool` works with `threads`, for `read_back`; return `threads`."""
    _told[pool] = threads
    return threads


def fft_workers(threads: int) -> int:
    """Note and return `threads`, for the ``workers`` of scipy.fft, which last for one call."""
    return tell("scipy.fft", threads)


#: Thread count that `use` set last. A library that is loaded later starts with it.
_in_use: int | None = None


def load(library: str) -> Any:
    """Return the module `library`, imported on the first call, its pool set as `use` said."""
    if library in sys.modules:
        return sys.modules[library]
    module = importlib.import_module(library)
    if _in_use is not None:
        use(_in_use)
    return module


def _reader_and_setter(library: str) -> tuple[Callable[[], int], Callable[[int], None]]:
    read, put = _LIBRARIES[library]
    return getattr(sys.modules[library], read), getattr(sys.modules[library], put)


class library_threads:  # noqa: N801 - used as a context manager, like a function
    """Within ``with library_threads("torch", n):`` a loaded library uses `n` threads."""

    __slots__ = ("before", "put", "threads")

    def __init__(self, library: str, threads: int) -> None:
        read, self.put = _reader_and_setter(library)
        self.before, self.threads = read(), threads

    def __enter__(self) -> None:
        if self.before != self.threads:
            self.put(self.threads)

    def __exit__(self, *_: object) -> None:
        if self.before != self.threads:
            self.put(self.before)


def read_back() -> dict[str, int]:
    """Return the thread counts in force now, by pool: ``{"convbench": 2, "openblas": 2}``.

    A library that has not been loaded has no pool and no entry. A library whose threads belong to
    a call or an object of it, such as scipy.fft, has one where it was used since `use`.
    """
    counts = {"convbench": thread_limit.limit()}
    for pool in _blas_pools():
        counts[pool.internal_api] = pool.get_num_threads()
    for library in _loaded():
        counts[library] = _reader_and_setter(library)[0]()
    return counts | _told


def _loaded() -> list[str]:
    return [library for library in _LIBRARIES if library in sys.modules]


def _blas_pools() -> list[Any]:
    return _pools("blas", len(sys.modules))


def _openmp_pools() -> list[Any]:
    return _pools("openmp", len(sys.modules))


@lru_cache(maxsize=2)
def _pools(kind: str, _modules: int) -> list[Any]:
    """Return the pools of this kind; a module imported since may have brought one more."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api=kind).lib_controllers


def use(threads: int) -> dict[str, int]:
    """Set every pool of this process to `threads` for good; return the counts read back."""
    global _in_use
    _in_use = check(threads)
    _told.clear()
    thread_limit.set_limit(_in_use)
    for pool in _blas_pools():
        _put(pool, threads)
    for library in _loaded():
        _reader_and_setter(library)[1](threads)
    return read_back()
