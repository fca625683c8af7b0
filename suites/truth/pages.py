"""Arrays next to a protected page: an access beyond them ends the process."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np

from algos.core.memory_order import by_axes, layout_of, shape_in_memory

_PAGE = mmap.PAGESIZE
_NO_ACCESS = 0  # PROT_NONE


def fenced(array: np.ndarray, behind: bool = True) -> np.ndarray:
    """Return a copy of `array` next to a protected page.

    It has its channels last in memory if `array` has, and is C-contiguous otherwise.

    Parameters
    ----------
    behind : bool
        True: the array ends where the page begins, so it is aligned to its elements only.
        False: it begins where the page ends.
    """
    layout = layout_of(array)
    shape = shape_in_memory(array.shape, layout)
    room = -(-array.nbytes // _PAGE) * _PAGE
    memory = mmap.mmap(-1, room + _PAGE)
    pages = np.frombuffer(memory, np.uint8)
    start = room - array.nbytes if behind else _PAGE
    stored = pages[start : start + array.nbytes].view(array.dtype).reshape(shape)
    copy = by_axes(stored, layout)
    copy[...] = array
    _protect(pages.ctypes.data + (room if behind else 0))
    return copy


def _protect(address: int) -> None:
    """Forbid any access to the page at `address`, if the system has a call for this."""
    protect = getattr(ctypes.CDLL(None, use_errno=True), "mprotect", None)
    if protect is None:
        return
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    if protect(address, _PAGE, _NO_ACCESS):
        raise OSError(ctypes.get_errno(), "a page could not be protected")
