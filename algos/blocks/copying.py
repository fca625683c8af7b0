"""Copies between stores and blocks, with the samples that stand beyond the border.

A store is anything with shape, dtype and slicing: arrays, memory maps, zarr, h5py.
"""

from __future__ import annotations

import itertools
import mmap
from contextlib import suppress
from typing import Any

import numpy as np

from algos.core.arrays import as_array
from algos.core.causes import said
from algos.core.errors import ConvbenchError, shown

from .layout import Block, Store
from .positions import Piece, Span, pieces

#: Chunks that zarr decodes at once, by default; other stores take one after the other.
ZARR_CHUNKS = 10


def facts(what: str, store: Any) -> Store:
    """Return the facts of a store; raise if it is none."""
    for name in ("shape", "dtype", "__getitem__"):
        if not hasattr(store, name):
            raise ConvbenchError(
                f"{what} {shown(store)} has no {name.strip('_')}; give an array, a memory map, or "
                f"an array of zarr or h5py"
            )
    chunks = getattr(store, "shards", None) or getattr(store, "chunks", None)
    plain = isinstance(store, np.ndarray)
    return Store(
        itemsize=np.dtype(store.dtype).itemsize,
        chunks=tuple(map(int, chunks)) if chunks and not plain else None,
        in_memory=plain and mapping(store) is None,
        in_flight=ZARR_CHUNKS if type(store).__module__.partition(".")[0] == "zarr" else 1,
    )


def mapping(store: Any) -> Any:
    """Return the memory map that an array lies in, or None."""
    return getattr(store, "_mmap", None) if isinstance(store, np.memmap) else None


def read(
    source: Any, block: Block, spans: tuple[Span, ...], boundary: str, fill: float, into: np.ndarray
) -> np.ndarray:
    """Fill `into` with the samples that a block reads; return it.

    Parameters
    ----------
    boundary, fill
        What stands beyond the border; `fill` is the value of positions that hold no sample.
    into : ndarray, shape `Layout.read_shape`
    """
    axes = [
        pieces(boundary, span.size, *span.read_by(*computed))
        for span, computed in zip(spans, block.computed, strict=True)
    ]
    for box in itertools.product(*axes):
        target = into[tuple(slice(p.start, p.stop) for p in box)]
        if any(p.is_outside for p in box):
            target[...] = fill
        else:
            _copy(source, box, target)
    return into


def _copy(source: Any, box: tuple[Piece, ...], target: np.ndarray) -> None:
    slices = tuple(slice(p.first, p.last) for p in box)
    try:
        found = source[slices]
    except ConvbenchError:
        raise
    except Exception as error:
        raise ConvbenchError(f"source cannot be read: {said(error)}") from None
    taken = as_array("source", found)
    for axis, piece in enumerate(box):
        if piece.order is not None:
            taken = np.take(taken, piece.order, axis)
    with np.errstate(over="ignore"):
        np.copyto(target, taken, casting="unsafe")
    release(source)


def write(out: Any, block: Block, result: np.ndarray) -> np.ndarray:
    """Write the new outputs of a block into `out`; return them."""
    new = result[block.inside]
    if np.dtype(out.dtype).kind == "i":
        new = np.rint(new).astype(out.dtype)
    try:
        out[block.slices] = new
        flush(out)
    except Exception as error:
        raise ConvbenchError(
            f"out cannot be written: {said(error)}; open it for writing, and check the free space"
        ) from None
    release(out)
    return new


def flush(out: Any) -> None:
    """Give what was written to the system, so that a kill loses nothing of it."""
    give = getattr(getattr(out, "file", None), "flush", None)
    if callable(give):  # h5py
        give()


def release(store: Any) -> None:
    """Take the pages of a memory map out of this process; the file keeps them.

    Otherwise the memory of the process would grow by all that was ever read or written. All pages
    go, not only those of a block: the system also maps neighbours of the pages that are touched,
    which added up to three times the prediction. One thread alone uses each map, so it loses none.
    """
    mapped = mapping(store)
    if mapped is None or store.mode == "c":  # pages of a private map exist nowhere else
        return
    with suppress(AttributeError, OSError, ValueError):  # the system has no such call
        mapped.madvise(mmap.MADV_DONTNEED)


def place(store: Any) -> str | None:
    """Return the path of the file or folder that a store lies in, if it has one."""
    store = getattr(store, "wrapped", store)  # read as another type
    if isinstance(store, np.ndarray):
        name = getattr(store, "filename", None) if mapping(store) is not None else None
        return str(name) if name else None
    if path := getattr(getattr(store, "file", None), "filename", None):  # h5py
        return f"{path}"
    root = getattr(getattr(store, "store", None), "root", None)  # zarr on a disk
    return None if root is None else f"{root}"


def same_store(source: Any, out: Any) -> bool:
    """Return True if writing to `out` may change `source`."""
    arrays = isinstance(source, np.ndarray) and isinstance(out, np.ndarray)
    if arrays and np.may_share_memory(source, out):
        return True
    name = getattr(source, "name", None), getattr(out, "name", None)
    where = place(source), place(out)
    return where[0] is not None and where[0] == where[1] and name[0] == name[1]
