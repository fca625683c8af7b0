"""Peak memory of a piece of work beyond the memory held before it.

Linux records the largest resident size of a process, and lets the record be reset. Freed memory
is given back first and pages are kept small, so that only touched memory counts. The result is
None on systems without this record.
"""

from __future__ import annotations

import ctypes
import gc
import re
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_PR_SET_THP_DISABLE = 41
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4


class Scale:
    """Measurement of the peak memory of work in this process, which must time nothing after."""

    def __init__(self) -> None:
        return_what_is_freed()
        self._warm: set[Hashable] = set()

    def weigh(self, work: Callable[[], object], kind: Hashable, predicted: int) -> int | None:
        """Return the bytes that `work` holds at its peak, or None if unknown.

        The first work of a `kind` loads libraries, which are not workspace; it runs once before
        it is weighed. Later work of the kind may load a little more. It is weighed again if the
        result is not as `predicted`.
        """
        if kind in self._warm:
            found = peak_extra(work)
            if found is None or not is_off(found, predicted):
                return found
        else:
            work()
            self._warm.add(kind)
        return peak_extra(work)


def is_off(measured: int, predicted: int) -> bool:
    """Return True if a prediction is wrong by more than 10 % and a mebibyte together."""
    return abs(measured - predicted) > 0.1 * predicted + (1 << 20)


def peak_extra(work: Callable[[], object]) -> int | None:
    """Return the bytes that `work` held at its peak beyond those held before; None if unknown."""
    with _small_pages():
        try:
            _give_back()
            _CLEAR.write_text("5")  # resets the peak to the present size
            before = _kilobytes("VmHWM")
            work()
            peak = _kilobytes("VmHWM")
        except OSError:
            return None
    return max(peak - before, 0) << 10


def return_what_is_freed() -> None:
    """Make this process return every large block to the system as soon as it is freed.

    Otherwise pools of threads keep their blocks, and using them again would not be counted.
    Allocation becomes slower, so such a process must not time anything.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 16)


@cache
def keep_freed() -> None:
    """Make this process keep freed memory for its next allocation, from now on.

    Libraries make a new result in each call. If its pages go back to the system in between,
    touching them again takes longer than some of the calls. Users avoid that by these settings.
    """
    with suppress(OSError, AttributeError):  # another C library than GNU's
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_MAX, 0)
        library.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def release_freed() -> None:
    """Return freed memory to the system."""
    with suppress(OSError, AttributeError):  # another C library than GNU's
        ctypes.CDLL(None).malloc_trim(0)


def _kilobytes(field: str) -> int:
    found = re.search(rf"^{field}:\s*(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    if not found:
        raise OSError(f"no {field} in {_STATUS}")
    return int(found[1])


def _give_back() -> None:
    """Give freed memory back to the system, so that using it again counts."""
    gc.collect()
    release_freed()


@contextmanager
def _small_pages() -> Iterator[None]:
    """Disable huge pages inside this block: touching one byte of them takes 2 MiB."""
    try:
        control = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        yield
        return
    control(_PR_SET_THP_DISABLE, 1, 0, 0, 0)
    try:
        yield
    finally:
        control(_PR_SET_THP_DISABLE, 0, 0, 0, 0)
