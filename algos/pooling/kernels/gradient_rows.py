"""Gradients of maxima and averages over regular windows, one row after the other.

The passes are those of `rows`, transposed. An average's gradient is divided once. An input row's
gradient is then the sum of the rows of the output rows that reach it, spread along it. For a
maximum, the sample chosen in each window is found first along each row, as its column, and then
among the rows. That is the first in row-major order. The gradient goes to that row, and along it to
that column. So the cost grows with the sum of a window's sides, not with their product.

Arguments that mean the same in every kernel; indices and lengths count elements:

`grad`, `x`, `y`: pointers to output gradient, input and input gradient, all (planes, rows,
    columns).
`room`: pointer to the scratch of one thread, `shape.room` elements.
`shape`: the `GradientGeometry`; `size` is (rows, columns) of a plane of the output.
`b`: number of the plane; `top`, `bottom`: first input row of the block and one past its last.
`counts`, `widths`: pointers to the divisors of averages per output row and column.
`skips`: pointer to the first tap inside the input, per output column.

Measurements: docs/kernels.md.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from algos.backend.compiler import kernel, threaded
from algos.core.arrays import read_only
from algos.pooling.core.geometry import kept, windows_of
from algos.pooling.core.problem import PoolProblem
from algos.simd.copies import copy
from algos.simd.registers import pointer

from .choices import choose_along, choose_row, spread
from .registers import SLACK, fill, join, scale

#: Input rows of a block, the item of work of a thread.
BLOCK = 32


class GradientGeometry(NamedTuple):
    """Numbers the kernels work from; sizes and windows along h and w are called tall and wide."""

    tall: int
    wide: int
    tall_window: int
    tall_stride: int
    tall_before: int
    wide_window: int
    wide_stride: int
    wide_before: int
    lead: int
    pitch: int
    line: int
    is_max: int
    room: int


@kernel
def _reaching(row, shape, positions):
    """Return the first and one past the last output row whose window holds input row `row`."""
    first = row + shape.tall_before - shape.tall_window + shape.tall_stride
    last = (row + shape.tall_before) // shape.tall_stride + 1
    return max(first // shape.tall_stride, 0), min(last, positions)


@kernel
def _average(grad, y, room, shape, b, top, bottom, size, counts, widths):
    """Compute y[b, top:bottom] for averages."""
    talls, wides = size
    pitch, lead, zero = shape.pitch, shape.lead, widths[0] * 0
    start, _ = _reaching(top, shape, talls)
    _, stop = _reaching(bottom - 1, shape, talls)
    line, shared = 0, pitch
    # Zeros up to the end of the pitch: `spread` reads as far behind the last gradient as a window
    # is long.
    behind = pitch - lead - wides
    fill(room, line, pitch, zero)
    for h in range(start, stop):
        to = shared + (h - start) * pitch
        fill(room, to, lead, zero)
        scale(room, to + lead, grad, (b * talls + h) * wides, zero + counts[h], widths, wides)
        fill(room, to + lead + wides, behind, zero)
    known = (-1, -1)
    for row in range(top, bottom):
        first, last = _reaching(row, shape, talls)
        to = (b * shape.tall + row) * shape.wide
        if (first, last) == known:  # same windows as for the row above
            copy(y, to - shape.wide, y, to, shape.wide)
            continue
        known = first, last
        gains = shared + (first - start) * pitch
        if last - first > 1:
            join(room, line + lead, room, gains + lead, pitch, last - first, wides, None)
            fill(room, line + lead + wides, behind, zero)
        elif last <= first:
            fill(room, line + lead, wides, zero)
        if last - first != 1:
            gains = line
        spread(y, to, room, gains + lead, -1, shape.wide_window, shape.wide_stride,
               shape.wide_before, shape.wide, zero)  # fmt: skip


@kernel
def _maximum(grad, x, y, room, shape, b, top, bottom, size, skips):
    """Compute y[b, top:bottom] for maxima.

    Every input row that one of the windows reads has three rows of scratch: its maxima, their
    columns, and the gradients they receive.
    """
    talls, wides = size
    pitch, lead, wide, zero = shape.pitch, shape.lead, shape.wide, skips[0] * 0
    start, _ = _reaching(top, shape, talls)
    _, stop = _reaching(bottom - 1, shape, talls)
    head = max(min(start * shape.tall_stride - shape.tall_before, top), 0)
    tail = (stop - 1) * shape.tall_stride - shape.tall_before + shape.tall_window
    tail = min(max(tail, bottom), shape.tall)
    best = 2 * shape.line
    which, gains, step = best + pitch, best + 2 * pitch, 3 * pitch
    fill(room, 0, best, zero - np.inf)
    for row in range(head, tail + 1):
        # A row is copied while the one before it is read. Reading at once what was written in other
        # vectors stalls the processor.
        if row < tail:
            line = (row & 1) * shape.line + shape.wide_before
            copy(x, (b * shape.tall + row) * wide, room, line, wide)
        if row == head:
            continue
        line, at = (row - 1 & 1) * shape.line, (row - 1 - head) * step
        choose_along(room, best + lead + at, which + lead + at, line, shape.wide_window,
                     shape.wide_stride, wides, skips)  # fmt: skip
        fill(room, gains + at, pitch, zero)
    for h in range(start, stop):
        above = h * shape.tall_stride - shape.tall_before
        first, last = max(above, 0), min(above + shape.tall_window, shape.tall)
        at = (first - head) * step + lead
        choose_row(room, best + at, gains + at, step, last - first, max(top - first, 0),
                   min(last, bottom) - first, grad, (b * talls + h) * wides, wides,
                   zero)  # fmt: skip
    for row in range(top, bottom):
        at = (row - head) * step + lead
        spread(y, (b * shape.tall + row) * wide, room, gains + at, which + at, shape.wide_window,
               shape.wide_stride, shape.wide_before, wide, zero)  # fmt: skip


@threaded
@kernel(allocates=True)
def _item(item, grad, x, y, numbers, counts, widths, skips):
    """Compute one block of rows of one plane."""
    n = numbers
    shape = GradientGeometry(
        n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11], n[12]
    )
    blocks = (shape.tall + BLOCK - 1) // BLOCK
    b, number = divmod(item, blocks)
    top, bottom = number * BLOCK, min(number * BLOCK + BLOCK, shape.tall)
    room = np.empty(shape.room, y.dtype)
    size = grad.shape[1:]
    if shape.is_max:
        _maximum(pointer(grad), pointer(x), pointer(y), pointer(room), shape, b, top, bottom, size,
                 pointer(skips))  # fmt: skip
    else:
        _average(pointer(grad), pointer(y), pointer(room), shape, b, top, bottom, size,
                 pointer(counts), pointer(widths))  # fmt: skip
    room[0] = 0  # used after the last pointer into it, so that Numba keeps it


@kernel
def _spread(grad, x, y, numbers, counts, widths, skips):
    """Compute all blocks of all planes, split among threads."""
    blocks = (y.shape[1] + BLOCK - 1) // BLOCK
    _item(y.shape[0] * blocks, grad, x, y, numbers, counts, widths, skips)


def applies_to(problem: PoolProblem) -> bool:
    """Return True for gradients of maxima or averages over regular windows of planes."""
    return (
        problem.operation == "grad_input"
        and problem.kind in ("max", "average")
        and problem.has_regular_windows
        and problem.lines[0].is_trivial
        and all(line.dilation == 1 for line in problem.lines)
    )


def grad_input(problem: PoolProblem, grad: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Write the gradient (N, C, *size) into `out`."""
    volumes, depth, tall, wide = problem.planes
    planes = volumes * depth
    _spread(
        grad.reshape(planes, *problem.pooled_planes[2:]), x.reshape(planes, tall, wide),
        out.reshape(planes, tall, wide), *_tables(problem),
    )  # fmt: skip


@kept
def _tables(problem: PoolProblem) -> tuple[Any, ...]:
    """Return the arrays numbers, counts, widths and skips."""
    dtype = np.dtype(problem.dtype)
    windows, (_, _h, w) = windows_of(problem), problem.lines
    widths, skips = np.ones(w.positions + SLACK, dtype), np.zeros(w.positions + SLACK, dtype)
    widths[:-SLACK], skips[:-SLACK] = windows.counts[2], w.skip
    counts = windows.counts[1].astype(dtype)
    return tuple(map(read_only, (np.array(_geometry(problem)), counts, widths, skips)))


def _geometry(problem: PoolProblem) -> GradientGeometry:
    """Return the numbers of `problem`."""
    _d, h, w = problem.lines
    lead = -(-w.window // 16) * 16
    pitch = -(-(lead + max(w.positions, (w.size + w.before) // w.stride) + 2 * SLACK) // 16) * 16
    is_max = problem.kind == "max"
    line = max(w.size + w.before + w.window * (1 + w.stride), pitch) + 16 * w.stride + 2 * SLACK
    rows = 3 * (BLOCK + 2 * h.window) if is_max else (BLOCK + h.window) // h.stride + 2
    room = 2 * line + (rows + 2) * pitch
    return GradientGeometry(
        h.size, w.size, h.window, h.stride, h.before, w.window, w.stride, w.before, lead, pitch,
        line, is_max, room,
    )  # fmt: skip


def scratch_elements(problem: PoolProblem) -> int:
    """Return the elements of scratch of one thread."""
    return _geometry(problem).room


def work(problem: PoolProblem) -> float:
    """Return the number of times one sample is joined with another, over all passes."""
    _, h, w = problem.lines
    planes = problem.planes[0] * problem.planes[1]
    return float(planes * (h.size * w.positions * w.window + h.positions * w.positions * h.window))
