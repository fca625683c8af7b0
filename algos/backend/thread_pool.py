"""Pool of threads that share the items of a parallel region as they go.

A region is a count of items. The thread that asks for it, the caller, cuts them into one range per
thread. A thread takes a few items at a time: first from its own range, then from those of the
others. The caller works like all the rest and waits only for items that others have begun. So a
thread that gets no core costs nothing, and data stay in the caches of one core where all do.

Threads without work look out for a new region for a moment, then sleep. All of this is compiled:
threads are the interpreter's, but never hold its lock after they started. After a fork, the child
begins without threads.

One thread at a time owns the pool; see `threads.share`. A kernel called from any other thread does
its items alone.
"""

from __future__ import annotations

import _thread
import ctypes
from typing import Any

import numpy as np

from . import atomics
from .compiler import apart, kernel
from .emitter import types

#: Most threads of a region.
MOST = 256

#: Iterations that a thread of the pool polls before it sleeps, and that the caller polls for the
#: last items. One takes about 40 ns on Zen 3. Longer polling keeps other processes from the core.
SPINS, LAST_SPINS = 2000, 500

#: Divisor of the rest of a range: a thread takes this part of it at a time.
SHARE = 4

#: Bytes from one thread's part of the state to the next: two cache lines, which are fetched
#: together.
_LINE = 128

# Offsets into the state, in bytes. First line: the thread that may start regions, and the threads
# it may use. Second: the present region. Third: its items that are done. Fourth: a set of cores.
# From `_SLOTS` on, each thread has a line.
_OWNER, _THREADS = 0, 8
_REGION, _TASK, _ROOM, _COUNT, _PARTS = 128, 136, 144, 152, 160
_FINISHED = 256
_MASK = 384
_SLOTS = 512
# Offsets into the line of a thread: its range (number of the region and items left); its lock; 1 if
# it sleeps until the lock is free; its number; the core it went to sleep on; 1 + the core that it
# may not use.
_LEFT, _LOCK, _SLEEPS, _NUMBER, _CORE, _BARRED = 0, 8, 16, 24, 32, 40

#: Bits of the items left in a range; the number of the region lies above.
_BITS = 32
_ITEMS = (1 << _BITS) - 1

_memory = np.zeros(_SLOTS + (MOST + 1) * _LINE, np.uint8)
_aligned = -_memory.ctypes.data % _LINE
_state = _memory[_aligned : _aligned + _SLOTS + MOST * _LINE].view(np.int64)
_address = _state.ctypes.data
_words: Any = memoryview(_state.data)
ctypes.pythonapi.Py_IncRef(ctypes.py_object(_memory))  # the threads outlive this module

state = atomics.named("convbench_threads", _address)


@kernel
def _take(pool: int, slot: int, part: int) -> tuple[int, int, int, int, int]:
    """Take items of range `part`; return (task, room, first, last, count of all), or no items.

    A thread that comes late may read what belongs to the next region. Then the range has changed
    as well, and the exchange fails.
    """
    at = pool + _SLOTS + part * _LINE + _LEFT
    while True:
        found = atomics.load(at)
        left = found & _ITEMS
        count, parts = atomics.load(pool + _COUNT), atomics.load(pool + _PARTS)
        task, room = atomics.load(pool + _TASK), atomics.load(pool + _ROOM)
        if left == 0 or slot >= parts:
            return task, room, 0, 0, count
        some = max(left // SHARE, 1)
        if atomics.exchange(at, found, found - some):
            first = (part + 1) * count // parts - left
            return task, room, first, first + some, count


@kernel
def _work(pool: int, slot: int) -> None:
    """Work through the items of all ranges, beginning with that of thread `slot`."""
    parts = atomics.load(pool + _PARTS)
    for number in range(parts):
        part = slot + number
        part -= parts if part >= parts else 0
        while True:
            task, room, first, last, count = _take(pool, slot, part)
            if first == last:
                break
            atomics.call(task, room, slot, first, last)
            if atomics.add(pool + _FINISHED, last - first) == count:
                _rouse(pool + _SLOTS)


@kernel
def _rouse(line: int) -> None:
    """Wake the thread with the given line if it sleeps."""
    if atomics.load(line + _SLEEPS) and atomics.exchange(line + _SLEEPS, 1, 0):
        atomics.release(atomics.load(line + _LOCK))


@kernel
def _send_away(pool: int, line: int, here: int) -> None:
    """Keep the thread with the given line off the core `here`, where the caller runs.

    The system would wake it there: Linux takes the idle cores of a virtual machine for busy ones.
    On the caller's core it cannot help. The other cores that the caller may use are left to it.
    """
    number, is_asleep = atomics.load(line + _NUMBER), atomics.load(line + _SLEEPS)
    is_here = is_asleep and atomics.load(line + _CORE) == here
    is_barred = atomics.load(line + _BARRED) == here + 1
    if number == 0 or not 0 <= here < 8 * _LINE or (is_barred and not is_here):
        return
    if atomics.get_cores(0, _LINE, pool + _MASK) == 0:
        word = pool + _MASK + (here >> 6) * 8
        atomics.store(word, atomics.load(word) & ~(1 << (here & 63)))
        atomics.set_cores(number, _LINE, pool + _MASK)
    atomics.store(line + _BARRED, here + 1)


@kernel
def _wait(line: int, word: int, value: int, spins: int, until_equal: bool) -> None:
    """Wait until the integer at `word` equals `value`, or differs from it; sleep after `spins`."""
    for _ in range(spins):
        if (atomics.load(word) == value) == until_equal:
            return
        atomics.pause()
    while (atomics.load(word) == value) != until_equal:
        atomics.store(line + _SLEEPS, 1)
        atomics.store(line + _CORE, atomics.core())
        changed = (atomics.load(word) == value) == until_equal
        if not (changed and atomics.exchange(line + _SLEEPS, 1, 0)):
            atomics.acquire(atomics.load(line + _LOCK))


@kernel
def _serve(pool: int, slot: int) -> None:
    """Do the part of thread `slot` in every region, for ever."""
    line = pool + _SLOTS + slot * _LINE
    seen = 0
    atomics.store(line + _NUMBER, atomics.native_thread())
    while True:
        _wait(line, pool + _REGION, seen, SPINS, False)
        seen = atomics.load(pool + _REGION)
        if slot < atomics.load(pool + _PARTS):
            _work(pool, slot)


@apart
@kernel
def run(task: int, room: int, count: int, most: int) -> None:
    """Call `task` for the items 0 … `count` − 1, on `most` threads at most."""
    pool = state()
    parts = min(atomics.load(pool + _THREADS), most, count)
    if parts < 2 or count > _ITEMS or atomics.load(pool + _OWNER) != atomics.this_thread():
        atomics.call(task, room, 0, 0, count)
        return
    atomics.store(pool + _OWNER, 0)  # a region in a region is done by one thread
    atomics.store(pool + _TASK, task)
    atomics.store(pool + _ROOM, room)
    atomics.store(pool + _COUNT, count)
    atomics.store(pool + _PARTS, parts)
    atomics.store(pool + _FINISHED, 0)
    region = atomics.load(pool + _REGION) + 1
    for part in range(parts):
        left = (part + 1) * count // parts - part * count // parts
        atomics.store(pool + _SLOTS + part * _LINE + _LEFT, (region << _BITS) + left)
    atomics.store(pool + _REGION, region)
    here = atomics.core()
    for part in range(1, parts):
        _send_away(pool, pool + _SLOTS + part * _LINE, here)
        _rouse(pool + _SLOTS + part * _LINE)
    _work(pool, 0)
    _wait(pool + _SLOTS, pool + _FINISHED, count, LAST_SPINS, True)
    atomics.store(pool + _OWNER, atomics.this_thread())


#: Threads of the pool that were started in this process.
_running = 0


def give_to(caller: int, threads: int) -> None:
    """Let kernels called from the thread `caller` use up to `threads` threads.

    ``give_to(0, 0)`` takes them back.
    """
    threads = min(threads, MOST)
    if threads - 1 > _running:
        _start(threads)
    _words[_THREADS // 8] = threads
    _words[_OWNER // 8] = caller


def _start(threads: int) -> None:
    """Start the threads of the pool that are missing for regions of `threads` threads."""
    global _running
    _serve.compile((types.intp, types.intp))
    for slot in range(_running, threads):
        _give_lock(slot)
        if slot:
            try:
                _thread.start_new_thread(_serve, (_address, slot))
            except RuntimeError:  # the system grants no more, and the others do the work
                return
            _running = slot


def _give_lock(slot: int) -> None:
    """Give thread `slot` the lock that it sleeps on."""
    at = (_SLOTS + slot * _LINE + _LOCK) // 8
    if not _words[at]:
        ctypes.pythonapi.PyThread_allocate_lock.restype = ctypes.c_void_p
        _words[at] = lock = ctypes.pythonapi.PyThread_allocate_lock()
        ctypes.pythonapi.PyThread_acquire_lock(ctypes.c_void_p(lock), 1)


def begin_anew() -> None:
    """Forget all threads: a forked child has none of them."""
    global _running
    _running = 0
    _state[:] = 0
