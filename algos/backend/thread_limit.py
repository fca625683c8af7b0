"""Limit on the threads that a call may use: set by the caller, by threadpoolctl or by Numba's."""

from __future__ import annotations

from typing import Any

import numba
import threadpoolctl
from numba.np.ufunc import parallel as numba_threads

#: Most threads of a call at present; None for all that are available.
_limit: int | None = None


def available() -> int:
    """Return the most threads a call may use: the cores at hand, or NUMBA_NUM_THREADS."""
    config: Any = numba.config
    return config.NUMBA_NUM_THREADS


def limit() -> int:
    """Return the threads that calls may use at present.

    ``numba.set_num_threads`` counts too, in the thread that called it. It can only have been
    called if Numba's own threads were started.
    """
    most = available() if _limit is None else _limit
    return min(most, numba.get_num_threads()) if numba_threads._is_initialized else most


def set_limit(threads: int) -> None:
    """Let calls use at most `threads` threads, in the whole process."""
    global _limit
    _limit = min(threads, available())


class _Controller(threadpoolctl.LibController):
    """Our threads among the pools that ``threadpoolctl.threadpool_limits`` limits.

    threadpoolctl looks for pools by the names of loaded libraries. Ours is compiled by LLVM.
    """

    user_api = internal_api = "convbench"
    filename_prefixes = ("libllvmlite", "llvmlite")

    def get_num_threads(self) -> int:
        return available() if _limit is None else _limit

    def set_num_threads(self, num_threads: int) -> None:
        set_limit(num_threads)

    def get_version(self) -> str | None:
        return None


threadpoolctl.register(_Controller)
