"""Images of 8- and 16-bit integers, by sums of 32 bits (`algos.integers`)."""

from __future__ import annotations

import numpy as np

from algos.backend import threads as pools
from algos.core.boundary import sources
from algos.core.problem import Problem
from algos.integers import pairs

from .casting import overflown

#: Types of an image whose numbers fit 16 bits.
IMAGES = ("bool", "uint8", "int8", "int16")
#: Types of a result that sums are written to.
RESULTS = ("uint8", "int8", "uint16", "int16", "int32", "uint32", "int64", "uint64")
#: Fewest taps per axis for which one axis after the other is faster.
FEWEST_TAPS = 3
#: Most kernel taps. With more, a transform may be faster than direct sums.
MOST_TAPS = 1024


def suits(image: np.ndarray, kernel: np.ndarray, problem: Problem) -> bool:
    """Return True if all numbers fit 16 bits, and all sums of their products 32."""
    if image.ndim > 2 or image.dtype.name not in IMAGES or kernel.size > MOST_TAPS:
        return False
    values = int(kernel.min()), int(kernel.max()), problem.cval
    if min(values) < -(2**15) or max(values) >= 2**15:
        return False
    weight = int(np.abs(kernel.astype(np.int64)).sum())
    reach = 1 if image.dtype == bool else -int(np.iinfo(image.dtype).min) or 255
    if max(reach, abs(problem.cval)) * weight >= 2**31:  # look at the numbers themselves
        reach = max(-int(image.min()), int(image.max()))
    return bool(max(reach, abs(problem.cval)) * weight < 2**31)


def factors(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return a column and a row of integers whose product is the kernel.

    Return None if there are no such factors.

    >>> column, row = factors(np.array([[2, 4], [-3, -6]]))
    >>> column.tolist(), row.tolist()
    ([2, -3], [1, 2])
    """
    wide = kernel.astype(np.int64)
    used = np.flatnonzero(wide.any(axis=1))
    if not used.size:
        return None
    row = wide[used[0]] // np.gcd.reduce(wide[used[0]])
    at = int(np.flatnonzero(row)[0])
    column = wide[:, at] // row[at]
    return (column, row) if np.array_equal(np.outer(column, row), wide) else None


def filtered(
    problem: Problem, image: np.ndarray, kernel: np.ndarray, dtype: np.dtype, overflow: str,
    threads: int | None,
) -> np.ndarray:  # fmt: skip
    """Return the result as an integer type, where `suits` holds.

    Raises
    ------
    ConvbenchError
        If a sum does not fit `dtype` and `overflow` is "error".
    """
    line = image.ndim == 1
    x = np.ascontiguousarray(image.reshape(1, -1) if line else image)
    x = x.view(np.uint8) if x.dtype == bool else x
    w = kernel.reshape(1, -1) if line else kernel
    v = problem.volume
    height, width = v.output_size[1:]
    out = np.empty((height, width), dtype)
    taps, across = w.shape
    count = (across + 1) // 2
    w = w[::-1, ::-1] if problem.flip else w
    found = factors(w) if min(w.shape) >= FEWEST_TAPS else None
    down = np.zeros(0 if found is None else taps + 2, np.int32)
    weights = np.zeros((taps + 3 if found is None else 1, 2 * count), np.int16)
    if found is None:
        weights[2 : 2 + taps, :across] = w
    else:
        down[1 : 1 + taps], weights[0, :across] = found
    (above, _), (before, _) = v.padding[1:]
    rows = sources(problem.boundary, x.shape[0], -above, height + taps - 1 - above)
    columns = sources(problem.boundary, x.shape[1], -before, width + 2 * count - before)
    limits = np.iinfo(dtype)
    least, most = max(limits.min, -(2**31)), min(limits.max, 2**31 - 1)
    number = pools.check(threads)
    if pools.is_small(problem.multiply_adds, problem.compulsory_bytes):
        number = 1
    extremes = np.zeros((number, 2), np.int32)
    blocks = -(-height // pairs.BLOCK)
    arguments = (
        x, weights.view(np.int32), down, taps, rows, columns, before, np.int32(problem.cval),
        np.int32(least), np.int32(most), overflow == "saturate", out, extremes,
    )  # fmt: skip
    if number == 1:
        pairs.compute(0, 0, blocks, *arguments)
    else:
        pairs.compute_shared(number, blocks, *arguments)
    if overflow == "error" and (extremes.min() < least or extremes.max() > most):
        sums = filtered(problem, image, kernel, np.dtype("int64"), "wrap", threads)
        raise overflown(sums, (sums < limits.min) | (sums > limits.max), dtype)
    return out[0] if line else out
