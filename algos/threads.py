"""Thread counts: set for the length of one call, read back, put back.

Numba's count belongs to the calling thread; a BLAS's belongs to the process. Both are
touched only where they differ from what is wanted, so a call that changes nothing costs
well under a microsecond.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numba
import numpy as np

from .errors import ConvbenchError
from .jit import kernel


def available() -> int:
    """The most threads a call may use: the cores at hand, or NUMBA_NUM_THREADS."""
    config: Any = numba.config
    return config.NUMBA_NUM_THREADS


def check(threads: int | None) -> int:
    """`threads`, or where None all that the caller may use at present."""
    if threads is None:
        return numba.get_num_threads()
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ConvbenchError(f"threads {threads!r} must be a whole number of at least 1")
    if threads > available():
        raise ConvbenchError(
            f"{threads} threads were asked for, {available()} are available; "
            f"ask for fewer, or set NUMBA_NUM_THREADS before the start"
        )
    return threads


class numba_threads:  # noqa: N801 - used as a context manager, like a function
    """Within ``with numba_threads(n):`` parallel kernels use `n` threads."""

    __slots__ = ("before", "threads")

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def __enter__(self) -> None:
        self.before = numba.get_num_threads()
        if self.before != self.threads:
            numba.set_num_threads(self.threads)

    def __exit__(self, *_: object) -> None:
        if self.before != self.threads:
            numba.set_num_threads(self.before)


@contextmanager
def blas_threads(threads: int) -> Iterator[None]:
    """Within ``with blas_threads(n):`` every BLAS loaded in this process uses `n` threads."""
    pools = [(pool, pool.get_num_threads()) for pool in _blas_pools()]
    changed = [(pool, before) for pool, before in pools if before != threads]
    for pool, _ in changed:
        pool.set_num_threads(threads)
    try:
        yield
    finally:
        for pool, before in changed:
            pool.set_num_threads(before)


def read_back() -> dict[str, int]:
    """The thread counts in force now, by pool: ``{"numba": 2, "openblas": 2}``."""
    counts = {"numba": numba.get_num_threads()}
    for pool in _blas_pools():
        counts[pool.internal_api] = pool.get_num_threads()
    return counts


@cache
def _blas_pools() -> list[Any]:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


def use(threads: int) -> dict[str, int]:
    """Set every pool of this process to `threads` for good; returns what is read back."""
    numba.set_num_threads(check(threads))
    for pool in _blas_pools():
        pool.set_num_threads(threads)
    return read_back()


def threading_layer() -> str:
    """Numba's threading layer in use here: "tbb", "omp" or "workqueue"."""
    _touch(np.zeros(2))
    return numba.threading_layer()


@kernel(parallel=True)
def _touch(array):
    for i in numba.prange(array.size):
        array[i] = i
