"""Taking arrays as callers hand them over: checked, and laid out as kernels want them."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .errors import ConvbenchError, shown
from .memory_order import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    by_axes,
    in_memory,
    layout_of,
    shape_in_memory,
)


def as_array(what: str, array: Any) -> np.ndarray:
    """Return `array` as a plain one of NumPy's; `what` is its name in complaints.

    Samples that are masked are refused: only the image of `algos.convolve` may have some.
    """
    if type(array) is np.ndarray:
        return array
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise ConvbenchError(
            f"{what} has masked samples, and only the image of algos.convolve and correlate may; "
            f"fill them with .filled(value)"
        )
    try:
        return np.asarray(array)
    except Exception as error:  # of rows of unequal length, or from another library's array
        reason = " ".join(str(error).split())
        raise ConvbenchError(
            f"{what} {shown(array)} cannot be read as an array: {reason}"
        ) from None


#: Bytes that a process can address.
ADDRESSABLE = 2**47


#: Samples of the longest axis, which kernels count in 32 bits.
LONGEST = 2**31 - 1


def check_addressable(problem: Any) -> None:
    """Raise where an array of `problem` exceeds any machine's memory, or an axis is too long."""
    if max(problem.size) > LONGEST:
        raise ConvbenchError(
            f"size {shown(problem.size)} has an axis of more than {LONGEST} samples, which kernels "
            f"cannot count; convolve parts of it, as algos.blocks.convolve does"
        )
    if problem.compulsory_bytes >= ADDRESSABLE:
        raise ConvbenchError(
            f"{shown(str(problem))} takes {problem.compulsory_bytes / 2**30:.3g} GiB, more than "
            f"there is; choose a smaller size or less padding"
        )


def new(shape: tuple[int, ...], dtype: np.dtype, layout: str = CHANNELS_FIRST) -> np.ndarray:
    """Return an array for a result in `layout`; its elements are garbage."""
    try:
        return by_axes(np.empty(shape_in_memory(shape, layout), dtype), layout)
    except (MemoryError, ValueError):  # more than there is, or than NumPy can count
        size = math.prod(shape) * dtype.itemsize / 2**30
        raise ConvbenchError(
            f"the result of shape {shape} takes {size:.3g} GiB, more than there is; "
            f"choose a smaller size or less padding"
        ) from None


def narrowed(what: str, array: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """Return `array` as one of `dtype`; raises where a finite number would become infinite."""
    dtype = np.dtype(dtype)
    with np.errstate(over="ignore"):
        result = array.astype(dtype, copy=False)
    if array.dtype.kind == "f" and array.dtype.itemsize > dtype.itemsize:
        lost = np.argwhere(np.isinf(result) & np.isfinite(array))
        if len(lost):
            at = tuple(map(int, lost[0]))
            value = np.format_float_scientific(array[at], precision=3, trim="-")
            plural = "s" if len(lost) > 1 else ""
            wider = ', or ask for dtype "float64"' if dtype == np.float32 else ""
            raise ConvbenchError(
                f"{what} holds {value} at {at}, beyond {np.finfo(dtype).max:.3g}, the largest "
                f"{dtype} ({len(lost)} such value{plural}); scale it down{wider}"
            )
    return result


def take(
    what: str, array: Any, shape: tuple[int, ...], dtype: np.dtype, layout: str = CHANNELS_FIRST
) -> np.ndarray:
    """Return `array` read-only, aligned, of `dtype` and in `layout`; copied only if needed.

    All inputs being read-only views, Numba compiles a kernel once. `what` is its name in
    complaints.
    """
    array = as_array(what, array)
    if array.shape != shape:
        raise ConvbenchError(f"{what} has shape {array.shape}, the problem asks for {shape}")
    if array.dtype != dtype:
        if array.dtype.newbyteorder("=") != dtype:
            raise ConvbenchError(
                f"{what} is {array.dtype}, the problem is {dtype}; "
                f"convert one of them with .astype()"
            )
        array = array.astype(dtype)
    if layout != CHANNELS_FIRST:
        stored = in_memory(array, layout)
        if not (stored.flags.c_contiguous and stored.flags.aligned):
            stored = np.require(stored, requirements=("C", "A"))
        return by_axes(read_only(stored), layout)
    flags = array.flags
    if flags.carray:  # C-contiguous, aligned and writeable, as most are
        return read_only(array)
    if not (flags.c_contiguous and flags.aligned):
        array = np.require(array, requirements=("C", "A"))
    return read_only(array) if array.flags.writeable else array


def read_only(array: np.ndarray) -> np.ndarray:
    """Return a view that cannot be written through."""
    view = array.view()
    view.setflags(False)  # type: ignore[call-arg]  # by name it takes twice as long
    return view


@lru_cache(maxsize=64)
def no_bias(channels: int, dtype: str | np.dtype) -> np.ndarray:
    """Return a bias of zeros, ``(channels,)``: read-only, as all that is given."""
    return read_only(np.zeros(channels, dtype))


def check_out(
    out: np.ndarray, shape: tuple[int, ...], dtype: np.dtype, layout: str = CHANNELS_FIRST
) -> None:
    """Raise unless a result in `layout` can be written into `out`."""
    if not isinstance(out, np.ndarray):
        raise ConvbenchError(f"out is a {type(out).__name__}; expected an ndarray to write into")
    if out.shape != shape or out.dtype != dtype:
        raise ConvbenchError(f"out is {out.dtype}{out.shape}, the problem gives {dtype}{shape}")
    if layout != CHANNELS_FIRST:
        if not in_memory(out, layout).flags.carray:
            axes = f"({', '.join(map(str, shape_in_memory(shape, layout)))})"
            raise ConvbenchError(
                f"out must have its channels last in memory, as the problem says by "
                f'layout="{layout}", and be aligned and writeable; '
                f"give np.moveaxis(np.empty({axes}, {str(dtype)!r}), -1, 1)"
            )
    elif not out.flags.carray:
        hint = (
            f'; its channels lie last: for such a result give layout="{CHANNELS_LAST}"'
            if layout_of(out) == CHANNELS_LAST
            else ""
        )
        raise ConvbenchError(f"out must be C-contiguous, aligned and writeable{hint}")


def check_apart(out: np.ndarray, role: str, array: np.ndarray) -> None:
    """Raise where `out` and an input share memory."""
    if np.may_share_memory(out, array):
        raise ConvbenchError(f"out and the {role} share memory; give out an array of its own")
