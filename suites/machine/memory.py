"""How much memory a piece of work takes beyond what was there: its peak, read from the system.

Linux keeps the most that a process ever held resident, and lets it be forgotten. Freed memory
is given back first and pages are kept small, so that what is counted is what was touched.
Where the system offers none of this, the answer is None.
"""

from __future__ import annotations

import ctypes
import gc
import re
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_PR_SET_THP_DISABLE = 41
_M_MMAP_THRESHOLD = -3


class Scale:
    """Weighs pieces of work in this process, which times nothing from now on."""

    def __init__(self) -> None:
        return_what_is_freed()
        self._warm: set[Hashable] = set()

    def weigh(self, work: Callable[[], object], kind: Hashable, predicted: int) -> int | None:
        """Bytes that `work` holds at its peak; None where not known.

        What is loaded by the first work of a `kind` is nobody's workspace: that is done once
        before it is weighed. Other work of the kind may load a little more, and is weighed again
        where it does not hold what was `predicted`.
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
    """By more than 10 % and a mebibyte, which is what a prediction may be wrong by."""
    return abs(measured - predicted) > 0.1 * predicted + (1 << 20)


def peak_extra(work: Callable[[], object]) -> int | None:
    """Bytes that `work` held at its peak beyond those held before; None where not known."""
    with _small_pages():
        try:
            _give_back()
            _CLEAR.write_text("5")  # the peak is from now on what is held now
            before = _kilobytes("VmHWM")
            work()
            peak = _kilobytes("VmHWM")
        except OSError:
            return None
    return max(peak - before, 0) << 10


def return_what_is_freed() -> None:
    """Have this process give back every large block when it is freed, for the rest of its life.

    The pools of threads keep theirs otherwise, and using them again would go unnoticed. It
    slows down allocation: a process that does this times nothing.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 16)


def _kilobytes(field: str) -> int:
    found = re.search(rf"^{field}:\s*(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    if not found:
        raise OSError(f"no {field} in {_STATUS}")
    return int(found[1])


def _give_back() -> None:
    """Return freed memory to the system, so that using it again counts."""
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library than GNU's
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def _small_pages() -> Iterator[None]:
    """Without huge pages, of which the first touched byte takes two million."""
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
