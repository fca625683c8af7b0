"""Taking arrays as callers hand them over: checked, and laid out as kernels want them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from .errors import ConvbenchError


def take(what: str, array: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """`array` as a read-only, C-contiguous, aligned one of `dtype`; copied only where it is not.

    All inputs being read-only views, Numba compiles a kernel once. `what` is its name in
    complaints.
    """
    if not isinstance(array, np.ndarray):
        array = np.asarray(array)
    if array.shape != shape:
        raise ConvbenchError(f"{what} has shape {array.shape}, the problem asks for {shape}")
    if array.dtype != dtype:
        if array.dtype.newbyteorder("=") != dtype:
            raise ConvbenchError(
                f"{what} is {array.dtype}, the problem is {dtype}; "
                f"convert one of them with .astype()"
            )
        array = array.astype(dtype)
    flags = array.flags
    if flags.carray:  # C-contiguous, aligned and writeable, as most are
        return read_only(array)
    if not (flags.c_contiguous and flags.aligned):
        array = np.require(array, requirements=("C", "A"))
    return read_only(array) if array.flags.writeable else array


def read_only(array: np.ndarray) -> np.ndarray:
    """A view that cannot be written through."""
    view = array.view()
    view.setflags(False)  # type: ignore[call-arg]  # by name it takes twice as long
    return view


@lru_cache(maxsize=64)
def no_bias(channels: int, dtype: str | np.dtype) -> np.ndarray:
    """A bias of zeros, ``(channels,)``: read-only, as all that is given."""
    return read_only(np.zeros(channels, dtype))


def check_out(out: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Raise unless a result can be written into `out`."""
    if out.shape != shape or out.dtype != dtype:
        raise ConvbenchError(f"out is {out.dtype}{out.shape}, the problem gives {dtype}{shape}")
    if not out.flags.carray:
        raise ConvbenchError("out must be C-contiguous, aligned and writeable")


def check_apart(out: np.ndarray, role: str, array: np.ndarray) -> None:
    """Raise where `out` and an input share memory."""
    if np.may_share_memory(out, array):
        raise ConvbenchError(f"out and the {role} share memory; give out an array of its own")
