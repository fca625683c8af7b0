"""Standard streams of a process that was started without some of them."""

from __future__ import annotations

import os


def open_standard_streams() -> None:
    """Open descriptors 0 to 2 on the null device where they are closed.

    Otherwise a socket or file could get one of these numbers, and printing would write into it.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)
