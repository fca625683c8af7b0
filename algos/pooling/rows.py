"""Maxima and averages over regular windows, a few output rows at a time.

The rows under a window are joined first, sample by sample in vector registers, then the samples
along the joined row. Both ways a window of F taps is either joined directly, F loads, or built
by doubling: from windows of 1 come those of 2, 4, 8, …, each from two of half its size, and a
maximum over F is that of two overlapping powers of two, a sum over F that of the powers in F's
binary digits. Blocks of rows stay in the second-level cache.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from ..jit import kernel
from ..simd import copy_every
from .geometry import Windows, windows_of
from .registers import join

#: Windows of more taps are built by doubling.
DIRECT = 8

#: Output rows of a block; larger windows take larger blocks, so that few rows are done twice.
BLOCK = 32


@kernel
def _fold(line, taps, step, span, is_max, direct, result):
    """result[k] = `taps` samples of `line` from k on, `step` apart, joined, for k < span.

    Spends the line unless `direct`. With a step of whole rows it folds rows, else samples.
    """
    size, done, length = 1, 0, span + (taps - 1) * step
    if direct:
        join(result, 0, line, 0, step, taps, span, is_max, False)
        return
    if not is_max:
        for k in range(span):
            result[k] = 0
    while size <= taps:
        if not is_max and taps & size:
            at = done * step
            for k in range(span):
                result[k] += line[at + k]
            done += size
        if 2 * size > taps:
            break
        join(line, 0, line, 0, size * step, 2, length - (2 * size - 1) * step, is_max, False)
        size *= 2
    if is_max:
        join(result, 0, line, 0, (taps - size) * step, 2, span, is_max, False)


@kernel
def _stack(target, to, x, at, deep, apart, pitch, count, width, is_max, scratch):
    """target[to + k] = `count` rows, `pitch` apart, on `deep` planes, `apart`, joined; k < width.

    `x` is flat and the first row begins at `at`.
    """
    for i in range(deep):
        into, place = (target, to) if i == 0 else (scratch, 0)
        join(into, place, x, at + i * apart, pitch, count, width, is_max, True)
        if i == 0:
            continue
        for k in range(width):
            value = scratch[k]
            if not is_max:
                target[to + k] += value
            elif value > target[to + k] or value != value:
                target[to + k] = value


@kernel
def _block(x, b, d, first, height, windows, shape, is_max, direct, empty, y):
    """`height` output rows from `first` on of depth `d`: x (B, D, H, W), y (B, *positions)."""
    taps, stride, before = shape
    dilation = windows.dilation
    tall, wide = x.shape[2], x.shape[3]
    flat_x, flat_y = x.reshape(x.size), y.reshape(y.size)
    span = (y.shape[3] - 1) * stride[2] + 1
    reach = span + (taps[2] - 1) * dilation[2]
    pitch = (wide + 63) // 64 * 64
    slack = 256  # whole vectors are read and written behind the last sample
    size = max(reach, before[2] + wide) + slack
    line, joined, picked = np.empty(size, x.dtype), np.empty(size, x.dtype), np.empty(size, x.dtype)
    plane = (b * x.shape[1] + windows.begin[0][d]) * tall
    deep, apart = windows.taps[0][d], dilation[0] * tall * wide
    # Either the rows of each window joined, or every row once, to be folded.
    rows = height if direct[1] else (height - 1) * stride[1] + taps[1]
    top = first * stride[1] - before[1]
    strip = np.empty(rows * pitch + slack, x.dtype)
    for r in range(rows):
        row, count = top + r, 1 if 0 <= top + r < tall else 0
        if direct[1]:
            row, count = windows.begin[1][first + r], windows.taps[1][first + r]
        if deep > 0 and count > 0:
            _stack(strip, r * pitch, flat_x, (plane + row) * wide, deep, apart,
                   dilation[1] * wide, count, wide, is_max, picked)  # fmt: skip
        else:
            for k in range(wide):
                strip[r * pitch + k] = empty
        for k in range(wide, pitch):
            strip[r * pitch + k] = empty
    if not direct[1]:
        folded = np.empty(rows * pitch + slack, x.dtype)
        _fold(strip, taps[1], pitch, (rows - taps[1] + 1) * pitch, is_max, False, folded)
        strip = folded
    for r in range(height):
        for k in range(before[2]):
            line[k] = empty
        for k in range(before[2] + wide, size):
            line[k] = empty
        at = r * pitch if direct[1] else r * stride[1] * pitch
        for k in range(wide):
            line[before[2] + k] = strip[at + k]
        _fold(line, taps[2], dilation[2], span, is_max, direct[2], joined)
        to = ((b * y.shape[1] + d) * y.shape[2] + first + r) * y.shape[3]
        copy_every(joined, 0, stride[2], picked, 0, y.shape[3])
        if is_max:
            for k in range(y.shape[3]):
                flat_y[to + k] = picked[k]
            continue
        count_of_rows = windows.counts[0][d] * windows.counts[1][first + r]
        for k in range(y.shape[3]):
            line[k] = count_of_rows * windows.counts[2][k]
        for k in range(y.shape[3]):
            flat_y[to + k] = picked[k] / line[k]


@kernel(parallel=True)
def _pool(
    x, begin, taps, skip, counts, weights, dilation, window, stride, before, is_max, direct, empty,
    block, y,
):  # fmt: skip
    blocks = (y.shape[2] + block - 1) // block
    for item in numba.prange(y.shape[0] * y.shape[1] * blocks):
        volume, number = divmod(np.int64(item), blocks)
        b, d = divmod(volume, y.shape[1])
        first = number * block
        height = min(block, y.shape[2] - first)
        windows = Windows(begin, taps, skip, counts, weights, dilation)
        shape = (window, stride, before)
        _block(x, b, d, first, height, windows, shape, is_max, direct, empty, y)


def applies_to(problem) -> bool:
    """Whether `problem` is one of maxima or averages over regular windows, forward."""
    return (
        problem.operation == "forward"
        and problem.kind in ("max", "average")
        and problem.layout == "regular"
    )


def _direct(problem) -> tuple[bool, bool, bool]:
    """Along which axes windows are joined tap by tap."""
    lines = problem.lines
    tall = lines[1].window > DIRECT and lines[1].stride == 1 and lines[1].dilation == 1
    return True, not tall, lines[2].window <= DIRECT


def forward(problem, x: np.ndarray, out: np.ndarray) -> None:
    """Pool `x` (N, C, *size) into `out`."""
    lines = problem.lines
    shape = tuple(
        tuple(getattr(line, name) for line in lines) for name in ("window", "stride", "before")
    )
    is_max = problem.kind == "max"
    dtype = np.dtype(problem.dtype).type
    _pool(
        x.reshape(problem.planes), *windows_of(problem), *shape, is_max, _direct(problem),
        dtype(-np.inf if is_max else 0.0), _block_rows(problem), out.reshape(problem.pooled_planes),
    )  # fmt: skip


def _block_rows(problem) -> int:
    return BLOCK if _direct(problem)[1] else max(BLOCK, problem.lines[1].window)


def scratch_elements(problem) -> int:
    """Elements of scratch per thread."""
    lines = problem.lines
    pitch = max(lines[2].reach, lines[2].before + lines[2].size) + 256
    tall = 0 if _direct(problem)[1] else _block_rows(problem) + lines[1].window
    return pitch * (2 * tall + 6)


def work(problem) -> float:
    """Joins of one sample with another, by all passes."""
    d, h, w = problem.lines
    steps = [
        line.window if direct else 2 * math.log2(line.window) + 1
        for line, direct in zip(problem.lines, _direct(problem), strict=True)
    ]
    planes = problem.planes[0] * d.positions
    return planes * (h.positions * w.size * steps[0] * steps[1] + h.positions * w.size * steps[2])
