"""Hardware performance counters: cycles, instructions and cache misses.

Linux provides them through `perf_event_open`, here for all threads of this process in user mode.
The processor, a virtual machine's host or the system's settings (``perf_event_paranoid``) may
withhold a counter; it is then left out without a message.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

try:
    from fcntl import ioctl
except ImportError:  # a system without it has no counters either
    ioctl = None  # type: ignore[assignment]

#: The number of the system call, by machine; elsewhere there are no counters.
_CALLS = {"x86_64": 298, "aarch64": 241, "riscv64": 241, "ppc64le": 319, "s390x": 331}

_HARDWARE, _CACHE = 0, 3
_READ_MISS = 1 << 16  # of a cache: the operation is a read, its result a miss

#: Events that are counted: the type and number of each, from <linux/perf_event.h>.
EVENTS: dict[str, tuple[int, int]] = {
    "cycles": (_HARDWARE, 0),
    "instructions": (_HARDWARE, 1),
    "l1_misses": (_CACHE, 0 | _READ_MISS),
    "llc_misses": (_CACHE, 2 | _READ_MISS),
}

_SIZE = 64  # of the first version of perf_event_attr, which every Linux understands
#: Bits of its flags: disabled at first; kernel and hypervisor excluded.
_FLAGS = 1 << 0 | 1 << 5 | 1 << 6
#: Requested with each count: the time it was enabled, and the time it was counted.
_TIMES = 1 << 0 | 1 << 1
_ENABLE, _DISABLE, _RESET = 0x2400, 0x2401, 0x2403
_CLOSE_ON_EXEC = 1 << 3


class Counters:
    """The available counters of `events` for every present thread, open until `close`.

    Start pools of threads first, by calling the counted work once.

    Attributes
    ----------
    names : tuple of str
        The available counters; may be empty.
    """

    def __init__(self, events: Mapping[str, tuple[int, int]] = EVENTS) -> None:
        self._handles: dict[str, list[int]] = {}
        for name, event in events.items():
            for thread in _threads():
                with suppress(OSError):
                    handle = _open(*event, thread)
                    self._handles.setdefault(name, []).append(handle)
        self.names = tuple(self._handles)

    def count(self, work: Callable[[], object], calls: int = 1) -> dict[str, float]:
        """Return the counts per call of `work`, averaged over `calls` consecutive calls.

        If there are more events than the processor counts at a time, they take turns. Each
        count is then scaled to the whole time.
        """
        self._control(_RESET, _ENABLE)
        for _ in range(calls):
            work()
        self._control(_DISABLE)
        return {
            name: sum(map(_counted, handles)) / calls for name, handles in self._handles.items()
        }

    def close(self) -> None:
        """Close all counters."""
        while self._handles:
            for handle in self._handles.popitem()[1]:
                os.close(handle)

    def _control(self, *requests: int) -> None:
        for handles in self._handles.values():
            for handle in handles:
                for request in requests:
                    ioctl(handle, request, 0)


def of_a_call(work: Callable[[], object], calls: int = 1) -> dict[str, float]:
    """Return the available `EVENTS` per call of `work`, and instructions per cycle."""
    counters = Counters()
    try:
        found = counters.count(work, calls) if counters.names else {}
    finally:
        counters.close()
    if found.get("cycles") and "instructions" in found:
        found["instructions_per_cycle"] = found["instructions"] / found["cycles"]
    return found


def _threads() -> list[int]:
    """Return the numbers of this process's threads; 0, the calling one, if they are unknown."""
    try:
        return [int(task.name) for task in Path("/proc/self/task").iterdir()]
    except OSError:
        return [0]


def _open(kind: int, number: int, thread: int) -> int:
    """Return a file descriptor that counts an event of a thread, on any core."""
    call = _CALLS.get(platform.machine()) if platform.system() == "Linux" else None
    if call is None:
        raise OSError("there is no such system call here")
    asked = struct.pack("=IIQQQQQ", kind, _SIZE, number, 0, 0, _TIMES, _FLAGS)
    attributes = ctypes.create_string_buffer(asked, _SIZE)
    long, libc = ctypes.c_long, ctypes.CDLL(None, use_errno=True)
    handle = libc.syscall(
        long(call), attributes, long(thread), long(-1), long(-1), long(_CLOSE_ON_EXEC)
    )
    if handle < 0:
        raise OSError(ctypes.get_errno(), "the counter is not to be had")
    return int(handle)


def _counted(handle: int) -> float:
    value, wanted, counted = struct.unpack("=QQQ", os.read(handle, 24))
    return float(value) * wanted / counted if counted else 0.0
