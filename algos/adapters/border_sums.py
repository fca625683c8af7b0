"""Outputs along the border as direct sums, in one kernel and without copies.

For few taps, the calls and copies that strips need take longer than their sums. Here rows at the
upper and lower border are summed tap by tap from lines of the extended input. Columns at the left
and right border are summed for a block of rows at a time. They read a small transposed copy of the
block's samples. In both, the inner loop runs over contiguous elements.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from algos.backend.compiler import kernel
from algos.core.arrays import read_only
from algos.core.problem import Problem

from .extension import line

#: Products of a sum, and multiply-adds of the border, up to which this is faster than strips
#: (2-core Zen 4).
MOST_TAPS, MOST_SUMS = 16, 1 << 21
#: Rows of a block of columns: the elements of one or two vector registers.
BLOCK = 16


@dataclass(frozen=True)
class Border:
    """Outputs to compute: `ends` are the first and the last inner row, then column.

    `rows` and `columns` say which sample stands at each padded position, or `OUTSIDE`.
    """

    ends: tuple[int, int, int, int]
    rows: np.ndarray
    columns: np.ndarray
    inner: tuple[int, int]
    sums: int


@lru_cache(maxsize=1024)
def border_of(problem: Problem) -> Border | None:
    """Return the border of a layer with a boundary; None where this module does not suit it."""
    steps = {*problem.stride, *problem.dilation}
    if problem.operation != "forward" or problem.axes == 3 or steps != {1}:
        return None
    if not problem.is_plain or isinstance(problem.bias, str):
        return None
    lead = (1,) * (2 - problem.axes)
    ends, stands, runs = [], [], []
    for size, before, extent, outputs, reach in zip(
        (*lead, *problem.size), (*(0 for _ in lead), *problem.before), (*lead, *problem.extent),
        (*lead, *problem.output_size), (*lead, *problem.reach), strict=True,
    ):  # fmt: skip
        first, last = min(before, outputs), min(size - extent + before + 1, outputs)
        if first >= last:
            return None
        along = line(problem.boundary, size, -before, reach - before)
        ends += [first, last]
        stands.append(along.stands)
        runs.append((along.inner.start, along.inner.stop))
    inner = (ends[1] - ends[0]) * (ends[3] - ends[2])
    outer = math.prod(problem.output_size) - inner
    sums = outer * problem.taps * problem.out_channels * problem.batch
    rows, columns = stands
    found = Border(tuple(ends), rows, columns, runs[1], sums)
    return found if problem.taps <= MOST_TAPS and sums <= MOST_SUMS else None


@kernel
def _read_line(source, columns, first, last, value, into):
    """Write a line of the extended input.

    `source`: row of the input. `columns`: sample at each padded position, or negative; positions
    from `first` to `last` are consecutive samples.
    """
    for k in range(first):
        into[k] = source[columns[k]] if columns[k] >= 0 else value
    if first < last:
        inner, samples = into[first:last], source[columns[first] :]
        for k in range(inner.size):
            inner[k] = samples[k]
    for k in range(last, into.size):
        into[k] = source[columns[k]] if columns[k] >= 0 else value


@kernel
def _sum_row(x, w, bias, rows, columns, first, last, value, j, buffer, out):
    """Compute row `j` of one output channel.

    `x`: array (C/groups, H, W) of its input channels; `w`: (C/groups, rows, columns).
    `buffer`: array with room for a line of the extended input.
    """
    row = out[j]
    for k in range(row.size):
        row[k] = bias
    for c in range(w.shape[0]):
        for m in range(w.shape[1]):
            if rows[j + m] >= 0:
                _read_line(x[c, rows[j + m]], columns, first, last, value, buffer)
            else:
                for k in range(buffer.size):
                    buffer[k] = value
            for n in range(w.shape[2]):
                weight, samples = w[c, m, n], buffer[n:]
                for k in range(row.size):
                    row[k] += weight * samples[k]


@kernel
def _sum_columns(x, w, bias, rows, columns, value, top, count, low, high, turned, sums, out):
    """Compute columns `low` to `high` − 1 of `count` rows from `top` on of one output channel.

    The rows read samples of the input alone above and below.

    `turned`: array (room for high − low + taps − 1 columns, BLOCK + taps − 1), overwritten.
    `sums`: array (room for high − low columns, BLOCK), overwritten.
    """
    span, deep = high - low + w.shape[2] - 1, w.shape[1] - 1
    for k in range(low, high):
        for i in range(count):
            out[top + i, k] = bias
    for c in range(w.shape[0]):
        for p in range(count + deep):
            source = x[c, rows[top + p]]
            for t in range(span):
                sample = columns[low + t]
                turned[t, p] = source[sample] if sample >= 0 else value
        for k in range(high - low):
            for i in range(BLOCK):
                sums[k, i] = 0
        for m in range(w.shape[1]):
            for n in range(w.shape[2]):
                weight = w[c, m, n]
                for k in range(high - low):  # apart, so that no sum waits for the one before
                    total, samples = sums[k], turned[k + n, m:]
                    for i in range(BLOCK):
                        total[i] += weight * samples[i]
        for i in range(count):
            for k in range(high - low):
                out[top + i, low + k] += sums[k, i]


@kernel
def _sum_border(x, w, bias, rows, columns, run, ends, value, buffer, turned, sums, out):
    """Compute all outputs along the border.

    `x`: array (N, C, H, W), `w`: correlation kernels (O, C/groups, rows, columns), `bias`: (O,).
    `out`: array (N, O, H, W); only its border is overwritten.
    `rows`, `columns`, `run`, `ends`: the fields of a `Border`; `value`: that of a constant.
    """
    inputs = w.shape[1]
    share = w.shape[0] // (x.shape[1] // inputs)
    height, width = out.shape[2:]
    for b in range(out.shape[0]):
        for o in range(out.shape[1]):
            first = o // share * inputs
            source, taps, target = x[b, first : first + inputs], w[o], out[b, o]
            for j in range(ends[0]):
                _sum_row(source, taps, bias[o], rows, columns, run[0], run[1], value, j, buffer,
                         target)  # fmt: skip
            for j in range(ends[1], height):
                _sum_row(source, taps, bias[o], rows, columns, run[0], run[1], value, j, buffer,
                         target)  # fmt: skip
            for top in range(ends[0], ends[1], BLOCK):
                count = min(BLOCK, ends[1] - top)
                _sum_columns(source, taps, bias[o], rows, columns, value, top, count, 0, ends[2],
                             turned, sums, target)  # fmt: skip
                _sum_columns(source, taps, bias[o], rows, columns, value, top, count, ends[3],
                             width, turned, sums, target)  # fmt: skip


def scratch_bytes(problem: Problem) -> int:
    """Return the bytes that `sum_border` allocates."""
    rows, columns = (1, 1, *problem.kernel)[-2:]
    return (problem.reach[-1] + 4 * columns * (BLOCK + rows)) * problem.itemsize


def sum_border(
    problem: Problem, border: Border, x: np.ndarray, w: np.ndarray, bias: np.ndarray,
    out: np.ndarray,
) -> None:  # fmt: skip
    """Write the outputs of a layer along the border into `out`.

    `w` is the correlation kernel, (O, C/groups, *kernel).
    """
    if problem.axes == 1:
        x, w, out = x[:, :, None], w[:, :, None], out[:, :, None]
    rows, columns = w.shape[2:]
    widest = max(border.ends[2], out.shape[3] - border.ends[3]) + columns - 1
    scratch: Any = np.zeros((widest, BLOCK + rows - 1), x.dtype)  # its last rows may stay unread
    _sum_border(
        x, read_only(w), bias, border.rows, border.columns, border.inner, border.ends,
        out.dtype.type(problem.cval), np.empty(len(border.columns), x.dtype), scratch,
        np.empty((widest, BLOCK), x.dtype), out,
    )  # fmt: skip
