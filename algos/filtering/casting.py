"""Conversion of results to the type that was asked for: never wrapped in silence."""

from __future__ import annotations

from typing import Any

import numpy as np

from algos.core.arguments import choice
from algos.core.errors import ConvbenchError, shown

#: Rules for a result that its type cannot hold.
OVERFLOWS = ("error", "saturate", "wrap")


def result_type(dtype: Any, overflow: str) -> np.dtype | None:
    """Return the type that was asked for, or None; raise if it is not a type of numbers.

    Raises
    ------
    ConvbenchError
        If `dtype` or `overflow` is unknown.
    """
    choice("overflow", overflow, OVERFLOWS)
    if dtype is None:
        return None
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype("O")
    if found.kind not in "iuf" or found.itemsize > 8 or found == np.float16:
        raise ConvbenchError(
            f"dtype {shown(dtype)} is not supported; give an integer type, float32 or float64"
        )
    return found.newbyteorder("=")


def cast(values: np.ndarray, dtype: np.dtype | None, overflow: str) -> np.ndarray:
    """Return `values` as `dtype`; fractions are rounded to the nearest integer, ties to even.

    Parameters
    ----------
    values : ndarray
        Values to convert. Their type is int64, float32 or float64.
    dtype : dtype or None
        Type of the result. None leaves the values as they are.
    overflow : {"error", "saturate", "wrap"}
        Rule for a value that an integer type cannot hold. Rule "error" raises, "saturate" takes
        the nearest value it holds, and "wrap" the remainder modulo 2ⁿ.

    Raises
    ------
    ConvbenchError
        If a value does not fit under "error", or is NaN or infinite where an integer is wanted.
    """
    if dtype is None or values.dtype == dtype:
        return values
    if values.dtype.kind == "c":
        raise ConvbenchError(
            f"the result is {values.dtype}, which dtype {dtype} cannot hold; leave dtype out"
        )
    if dtype.kind == "f":
        return values.astype(dtype)
    if values.dtype.kind == "f":
        _check_finite(values, dtype)
        values = np.rint(values)
    least, most = (int(end) for end in (np.iinfo(dtype).min, np.iinfo(dtype).max))
    if overflow == "wrap":
        if values.dtype.kind == "f":
            return np.fmod(values, 2.0**64).astype(np.int64).astype(dtype)
        return values.astype(dtype)
    if values.dtype.kind == "f":  # the largest integer of 64 bits has no float: compare with 2ⁿ
        outside = (values < least) | (values >= float(most + 1))
    else:
        outside = (values < least) | (values > most)
    if overflow == "error":
        if outside.any():
            raise overflown(values, outside, dtype)
        return values.astype(dtype)
    inside = np.where(outside, 0, values).astype(dtype)
    ends = np.where(values < 0, least, most).astype(dtype)
    return np.where(outside, ends, inside)


def overflown(values: np.ndarray, outside: np.ndarray, dtype: np.dtype) -> ConvbenchError:
    """Return the error that says where values do not fit `dtype`, and by how much."""
    first = tuple(map(int, np.unravel_index(int(outside.argmax()), outside.shape)))
    limits = np.iinfo(dtype)
    value = int(values[first])
    beyond = value - int(limits.max) if value > limits.max else int(limits.min) - value
    return ConvbenchError(
        f"{int(outside.sum())} of {values.size} results do not fit {dtype}, first {value} at "
        f"{first}, {beyond} beyond {limits.max if value > 0 else limits.min}; give a wider dtype, "
        f'or overflow="saturate" or "wrap"'
    )


def _check_finite(values: np.ndarray, dtype: np.dtype) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        first = tuple(map(int, np.unravel_index(int(bad.argmax()), bad.shape)))
        raise ConvbenchError(
            f"{int(bad.sum())} results are NaN or infinite, first {values[first]} at {first}, "
            f'which {dtype} cannot hold; give a float dtype, or nan="fill"'
        )
