"""Copies of elements by vectors: contiguous, past the caches, or every n-th; and zeros.

Arrays are addressed as in `registers`.
"""

from __future__ import annotations

from algos.backend.compiler import kernel

from .registers import (
    lanes,
    load,
    load_alternate,
    store,
    store_lanes,
    store_past,
    to_boundary,
)

__all__ = ["STREAMED_BYTES", "clear", "copy", "copy_every", "stream"]

#: Bytes of input and output from which on an output is written by `stream`: half of a 32 MiB
#: last-level cache, so that outputs that fit the cache are not sent to memory.
STREAMED_BYTES = 16 << 20


@kernel
def copy(source, origin, target, at, count):
    """Copy target[at + k] = source[origin + k] for k < count."""
    lane = lanes(target)
    if count < lane:
        for k in range(count):
            target[at + k] = source[origin + k]
        return
    for k in range(0, count - lane, lane):
        store(target, at + k, load(source, origin + k, 1))
    # The last vector ends at the last element and may overlap the one before it.
    store(target, at + count - lane, load(source, origin + count - lane, 1))


@kernel
def stream(source, origin, target, at, count):
    """Copy as `copy` does, past the caches; reads up to two vectors past the source's end."""
    lane = lanes(target)
    head = min(to_boundary(target, at), count)
    whole = head + (count - head) // lane * lane
    store_lanes(target, at, load(source, origin, 1)[0], 0, head)
    for k in range(head, whole, lane):
        store_past(target, at + k, load(source, origin + k, 1))
    store_lanes(target, at + whole, load(source, origin + whole, 1)[0], 0, count - whole)


@kernel
def clear(target, at, count):
    """Set target[at + k] = 0 for k < count."""
    for k in range(at, at + count):
        target[k] = 0


@kernel
def copy_every(source, origin, stride, target, at, count):
    """Copy target[at + k] = source[origin + k·stride] for k < count.

    Nothing before the first or after the last element used is read.
    """
    lane = lanes(target)
    if stride == 2 and count > lane:
        for k in range(0, count - lane, lane):
            store(target, at + k, load_alternate(source, origin + 2 * k, 0))
        # The last load ends with the last element used, because no memory may follow it.
        last = load_alternate(source, origin + 2 * (count - lane) - 1, 1)
        store(target, at + count - lane, last)
    else:
        for k in range(count):
            target[at + k] = source[origin + k * stride]
