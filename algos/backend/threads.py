"""Thread counts: set for the length of one call, read back, put back.

Numba's count belongs to the calling thread; a BLAS's belongs to the process. Both are
touched only where they differ from what is wanted, so a call that changes nothing costs
well under a microsecond.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numba
import numpy as np

from algos.core.arguments import whole_number
from algos.core.errors import ConvbenchError

from .compiler import kernel, threaded
from .linking import launch_threads


def available() -> int:
    """Return the most threads a call may use: the cores at hand, or NUMBA_NUM_THREADS."""
    config: Any = numba.config
    return config.NUMBA_NUM_THREADS


def in_use() -> int:
    """Return the number of threads that Numba uses in calls from the present thread."""
    launch_threads()
    return numba.get_num_threads()


def check(threads: int | None) -> int:
    """Return `threads`, or where None all that the caller may use at present.

    Those are as many as Numba may use, and no more than a limit put on every OpenMP pool in
    this process, as by ``threadpoolctl.threadpool_limits(1)``.
    """
    if threads is None:
        usable = in_use()
        return min(usable, *(pool.get_num_threads() for pool in _openmp_pools()), available())
    threads = whole_number("threads", threads)
    if threads > available():
        raise ConvbenchError(
            f"{threads} threads were asked for, {available()} are available; "
            f"ask for fewer, or set NUMBA_NUM_THREADS before the start"
        )
    return threads


#: Multiply-adds and bytes below which work stays on the calling thread, some 50 µs of it. On
#: quiet cores a parallel region costs 2 µs, but where its threads have to wait for a core, ms.
SMALL_WORK, SMALL_BYTES = 2**21, 2**20


def is_small(multiply_adds: float, moved: float) -> bool:
    """Return True if a second thread may cost more time than it saves."""
    return multiply_adds < SMALL_WORK and moved < SMALL_BYTES


#: Lock held while a call computes with several threads; its owner may take it again.
_several = threading.RLock()


class share:  # noqa: N801 - used as a context manager, like a function
    """Context manager: within ``with share(n) as count:`` parallel kernels use `count` threads.

    `count` is `n`, or 1 while another thread of this process computes with several threads. Callers
    that are threads themselves already fill the cores. Some threading layers of Numba cannot run
    two parallel regions at once.
    """

    __slots__ = ("before", "changed", "has_several", "threads")

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def __enter__(self) -> int:
        self.has_several = self.threads > 1 and _several.acquire(blocking=False)
        count = self.threads if self.has_several else 1
        self.before = in_use()
        self.changed = self.before != count
        if self.changed:
            numba.set_num_threads(count)
        return count

    def __exit__(self, *_: object) -> None:
        if self.changed:
            numba.set_num_threads(self.before)
        if self.has_several:
            _several.release()


@contextmanager
def blas_threads(threads: int) -> Iterator[None]:
    """Let every BLAS loaded in this process use `n` threads within ``with blas_threads(n):``."""
    pools = [(pool, pool.get_num_threads()) for pool in _blas_pools()]
    changed = [(pool, before) for pool, before in pools if before != threads]
    for pool, _ in changed:
        pool.set_num_threads(threads)
    try:
        yield
    finally:
        for pool, before in changed:
            pool.set_num_threads(before)


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


#: What `use` set last; a library that is loaded later starts with it.
_in_use: int | None = None


def load(library: str) -> Any:
    """Return the module `library`, imported on the first call, its pool set as `use` said."""
    if library in sys.modules:
        return sys.modules[library]
    module = importlib.import_module(library)
    _blas_pools.cache_clear()  # it may have brought a BLAS of its own
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
    """Return the thread counts in force now, by pool: ``{"numba": 2, "openblas": 2}``.

    A library that has not been loaded has no pool and no entry. A library whose threads belong to
    a call or an object of it, such as scipy.fft, has one where it was used since `use`.
    """
    counts = {"numba": in_use()}
    for pool in _blas_pools():
        counts[pool.internal_api] = pool.get_num_threads()
    for library in _loaded():
        counts[library] = _reader_and_setter(library)[0]()
    return counts | _told


def _loaded() -> list[str]:
    return [library for library in _LIBRARIES if library in sys.modules]


@cache
def _blas_pools() -> list[Any]:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


@cache
def _openmp_pools() -> list[Any]:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="openmp").lib_controllers


def use(threads: int) -> dict[str, int]:
    """Set every pool of this process to `threads` for good; return the counts read back."""
    global _in_use
    _in_use = check(threads)
    _told.clear()
    launch_threads()
    numba.set_num_threads(_in_use)
    for pool in _blas_pools():
        pool.set_num_threads(threads)
    for library in _loaded():
        _reader_and_setter(library)[1](threads)
    return read_back()


def threading_layer() -> str:
    """Return Numba's threading layer in use: "tbb", "omp" or "workqueue"."""
    launch_threads()
    _touch(np.zeros(2))
    return numba.threading_layer()


@threaded
@kernel
def _touch_one(i: int, array: np.ndarray) -> None:
    array[i] = i


@kernel
def _touch(array: np.ndarray) -> None:
    _touch_one(array.size, array)
