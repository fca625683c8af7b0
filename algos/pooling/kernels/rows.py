"""Maxima and averages over regular windows, one output row after the other.

The rows under a window are joined first, in vector registers, into a line that stays in the nearest
cache. Then the samples along the line are joined. Few rows are read afresh for every output row.
Many rows are joined twice, from both sides of a block as long as the window. This is van Herk's way
(see `van_herk`). It serves sums as well as maxima, because the two parts of a window do not
overlap. Along the line a window of many taps is built by doubling: from windows of 1 come those of
2, 4, 8 and so on. A maximum joins two overlapping powers of two. A sum joins the powers in the
window's binary digits. Nothing is ever subtracted, so no error outlives its window, and no NaN.

What bounds it: loads and stores of the nearest caches, four to ten vectors for each of output,
and NaN, which costs a maximum a second instruction. On one Zen 4 core 3×3 maxima of 1024²
float32 take 0.26 ms, which is 2.6 times copying the image; 15×15 and 63×63 take seven to eight
times. Maxima of 2×2 over 64 maps of 112² at stride 2 take 0.1 ms, 1.3 times copying the maps. Rows
copied into a line with its border and folded in separate passes took 5 to 12 times as long. A line
for windows at every second sample took twice as long as none.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from algos.backend.compiler import kernel, threaded
from algos.core.arrays import read_only
from algos.pooling.core.geometry import kept, windows_of
from algos.pooling.core.problem import PoolProblem
from algos.pooling.core.windows import WindowAxis
from algos.simd.registers import lanes_of, pointer

from .registers import SLACK, advance, double, fill, join, meet, pick, pick_alternate, pick_one

#: Most samples of a window that are joined one by one along a line. Longer windows are built by
#: doubling.
DIRECT = 8

#: Most rows of a window that are joined one by one. Windows of more rows are joined from both sides
#: of a block.
FEW_ROWS = 6

#: Output rows of a block if rows are joined from scratch.
BLOCK = 32


#: Ways to join rows: into a line from scratch, into a line from both sides of a block, or into no
#: line, because only every second sample is needed.
AFRESH, BOTH_SIDES, ALTERNATE = range(3)


class RowsGeometry(NamedTuple):
    """Numbers that kernels need; sizes and windows along h and w are called tall and wide."""

    depth: int
    tall: int
    wide: int
    deep_step: int
    tall_step: int
    wide_step: int
    tall_window: int
    tall_before: int
    wide_before: int
    wide_stride: int
    reach: int
    pitch: int
    doublings: int
    pieces: int
    block: int
    wide_window: int
    inner: int
    outer: int
    method: int


@kernel
def _source(x, room, scratch, blank, shape, plane, deep, row, lowest):
    """Return (pointer, offset) of input row `row`, joined over `deep` planes from `plane`."""
    if not 0 <= row < shape.tall or deep == 0:
        return room, blank
    at = (plane * shape.tall + row) * shape.wide
    if deep == 1:
        return x, at
    join(room, scratch, x, at, shape.deep_step * shape.tall * shape.wide, deep, shape.wide, lowest)
    return room, scratch


@kernel
def _along(room, shape, offsets, y, to, width, rows, widths, empty, lowest):
    """Finish an output row from a line whose middle holds the rows under it, joined."""
    behind = shape.wide_before + shape.wide
    fill(room, behind, shape.reach - behind, empty)
    at, step, length = 0, shape.wide_step, shape.reach
    for _ in range(shape.doublings):
        length -= step
        double(room, at + shape.pitch, at, step, length, lowest)
        at, step = at + shape.pitch, 2 * step
    pick(y, to, room, offsets, shape.pieces, shape.wide_stride, width, rows, widths, lowest)


@kernel
def _block(
    x, y, room, shape, b, d, first, height, positions, places, counts, widths, offsets, lowest
):  # fmt: skip
    """Pool `height` output rows from `first` on of depth `d`; `room` is scratch."""
    pitch, wide, before = shape.pitch, shape.wide, shape.wide_before
    depths, talls, wides = positions
    running = (shape.doublings + 1) * pitch
    scratch, blank, right = running + pitch, running + 2 * pitch, running + 3 * pitch
    zero = widths[0] * 0
    empty = zero if lowest is None else lowest
    fill(room, 0, before, empty)
    fill(room, blank, pitch, empty)
    fill(room, running, pitch, empty)
    plane, deep = b * shape.depth + places[0, d], places[1, d]
    top = first - shape.tall_before
    if shape.method == BOTH_SIDES:
        fill(room, right + (height - 1) * pitch, pitch, empty)
        for i in range(shape.tall_window - 1, -1, -1):
            source, at = _source(x, room, scratch, blank, shape, plane, deep, top + i, lowest)
            to, held = right + min(i, height - 1) * pitch, right + min(i + 1, height - 1) * pitch
            meet(room, to, held, source, at, wide, lowest)
    for r in range(height):
        h = depths + first + r
        if shape.method == AFRESH:
            start, count = places[0, h], places[1, h]
            if deep == 0 or count == 0:
                fill(room, before, wide, empty)
            for i in range(deep if count > 0 else 0):
                at = ((plane + i * shape.deep_step) * shape.tall + start) * wide
                join(room, scratch if i else before, x, at, shape.tall_step * wide, count, wide,
                     lowest)  # fmt: skip
                if i:
                    meet(room, before, before, room, scratch, wide, lowest)
        elif r == 0:
            join(room, before, room, right, 0, 1, wide, lowest)
        else:
            row = top + shape.tall_window - 1 + r
            source, at = _source(x, room, scratch, blank, shape, plane, deep, row, lowest)
            advance(room, before, running, right + r * pitch, source, at, wide, lowest)
        rows = zero + counts[d] * counts[h]
        to = ((b * depths + d) * talls + first + r) * wides
        _along(room, shape, offsets, y, to, wides, rows, widths, empty, lowest)


@kernel
def _alternate_rows(
    x, y, shape, b, d, first, height, positions, places, counts, widths, lowest
):  # fmt: skip
    """Pool windows at every second sample of a row, from memory to memory without a line."""
    depths, talls, wides = positions
    wide, before = shape.wide, shape.wide_before
    zero = widths[0] * 0
    empty = zero if lowest is None else lowest
    plane = (b * shape.depth + places[0, d]) * shape.tall
    for r in range(height):
        start, count = places[0, depths + first + r], places[1, depths + first + r]
        rows = zero + counts[d] * counts[depths + first + r]
        to = ((b * depths + d) * talls + first + r) * wides
        at, pitch = (plane + start) * wide, shape.tall_step * wide
        if count == 0 or places[1, d] == 0:
            fill(y, to, wides, empty)
            continue
        pick_alternate(y, to, x, at - before, pitch, count, shape.wide_window, shape.inner,
                       shape.outer, rows, widths, lowest)  # fmt: skip
        for side in range(2):
            for k in range(shape.outer if side else 0, wides if side else shape.inner):
                begin, taps = places[0, depths + talls + k], places[1, depths + talls + k]
                value = empty
                if taps > 0:
                    value = pick_one(x, at + begin, pitch, count, taps, lowest)
                if lowest is None:
                    value /= rows * widths[k]
                y[to + k] = value


@threaded
@kernel(allocates=True)
def _item(item, x, y, numbers, places, counts, widths, offsets, lowest):
    n = numbers
    shape = RowsGeometry(
        n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11], n[12], n[13],
        n[14], n[15], n[16], n[17], n[18],
    )  # fmt: skip
    blocks = (y.shape[2] + shape.block - 1) // shape.block
    volume, number = divmod(item, blocks)
    b, d = divmod(volume, y.shape[1])
    first = number * shape.block
    height = min(shape.block, y.shape[2] - first)
    if shape.method == ALTERNATE:
        _alternate_rows(
            pointer(x), pointer(y), shape, b, d, first, height, y.shape[1:], places, counts,
            pointer(widths), lowest,
        )  # fmt: skip
        return
    room = np.empty(n[19], x.dtype)
    _block(
        pointer(x), pointer(y), pointer(room), shape, b, d, first, height, y.shape[1:], places,
        counts, pointer(widths), pointer(offsets), lowest,
    )  # fmt: skip
    room[0] = 0  # a use of the buffer behind its last pointer


@kernel
def _pool(x, y, numbers, places, counts, widths, offsets, lowest):
    blocks = (y.shape[2] + numbers[14] - 1) // numbers[14]
    items = y.shape[0] * y.shape[1] * blocks
    _item(items, x, y, numbers, places, counts, widths, offsets, lowest)


def applies_to(problem: PoolProblem) -> bool:
    """Return True for maxima and averages over regular windows, forward."""
    return (
        problem.operation == "forward"
        and problem.kind in ("max", "average")
        and problem.has_regular_windows
    )


def forward(problem: PoolProblem, x: np.ndarray, out: np.ndarray) -> None:
    """Pool `x` (N, C, *size) into `out`."""
    _pool(x.reshape(problem.planes), out.reshape(problem.pooled_planes), *_tables(problem))


@kept
def _tables(problem: PoolProblem) -> tuple[Any, ...]:
    """Return the arguments of `_pool`: numbers, places, counts, widths, offsets, lowest."""
    windows = windows_of(problem)
    dtype = np.dtype(problem.dtype).type
    shape = _geometry(problem)
    places = np.array([np.concatenate(windows.begin), np.concatenate(windows.taps)])
    widths = np.ones(problem.lines[2].positions + SLACK, dtype)
    widths[:-SLACK] = windows.counts[2]
    tables = (
        np.array([*shape, scratch_elements(problem)]),
        places,
        np.concatenate(windows.counts[:2]),
        widths,
        np.array(_offsets(problem, shape.pitch)),
    )
    lowest = dtype(-np.inf) if problem.kind == "max" else None
    return *map(read_only, tables), lowest


def _geometry(problem: PoolProblem) -> RowsGeometry:
    _d, h, w = problem.lines
    pitch = -(-(max(w.reach, w.before + w.size) + SLACK) // 16) * 16
    return RowsGeometry._make([
        *problem.planes[1:], *(line.dilation for line in problem.lines), h.window, h.before,
        w.before, w.stride, w.reach, pitch, _doublings(problem), len(_offsets(problem, pitch)),
        _block_rows(problem), w.window, *_inside(w), _method(problem),
    ])  # fmt: skip


def _method(problem: PoolProblem) -> int:
    d, h, w = problem.lines
    if h.window > FEW_ROWS and h.stride == 1 and h.dilation == 1:
        return BOTH_SIDES
    inner, outer = _inside(w)
    small = 2 <= w.window <= DIRECT and w.stride == 2 and w.dilation == 1 and d.window == 1
    return ALTERNATE if small and inner < outer else AFRESH


def _inside(line: WindowAxis) -> tuple[int, int]:
    """Return the range of positions whose window lies wholly inside the input.

    Nothing where they would not fill a register.
    """
    whole = np.flatnonzero(line.taps == line.window)
    inner, outer = (int(whole[0]), int(whole[-1]) + 1) if len(whole) else (0, 0)
    return (inner, outer) if outer - inner >= lanes_of(4) else (0, 0)


def _block_rows(problem: PoolProblem) -> int:
    """Return the output rows of a block, by the problem alone: they decide a sum's order.

    A window's worth where rows are joined from both sides, or a little less for an even number
    of blocks.
    """
    h = problem.lines[1]
    if _method(problem) != BOTH_SIDES:
        return BLOCK
    pairs = math.ceil(h.positions / (2 * h.window))
    return math.ceil(h.positions / (2 * pairs))


def _doublings(problem: PoolProblem) -> int:
    window = problem.lines[2].window
    return 0 if window <= DIRECT else window.bit_length() - 1


def _offsets(problem: PoolProblem, pitch: int) -> list[int]:
    """Return the offsets of a window's pieces along the line; line n has windows of 2^n taps."""
    w = problem.lines[2]
    top = _doublings(problem)
    if top == 0:
        return [tap * w.dilation for tap in range(w.window)]
    if problem.kind == "max":
        return [top * pitch, top * pitch + (w.window - (1 << top)) * w.dilation]
    offsets, tap = [], 0
    for line in range(top + 1):
        if w.window >> line & 1:
            offsets.append(line * pitch + tap * w.dilation)
            tap += 1 << line
    return offsets


def scratch_elements(problem: PoolProblem) -> int:
    """Return the elements of scratch per thread: lines, three rows, and joined rows."""
    shape = _geometry(problem)
    right = shape.block if shape.method == BOTH_SIDES else 0
    return (shape.doublings + 4 + right) * shape.pitch + 16 * shape.wide_stride + SLACK


def work(problem: PoolProblem) -> float:
    """Return the number of joins of two samples in all passes."""
    d, h, w = problem.lines
    rows = 3 if _method(problem) == BOTH_SIDES else h.window
    along = w.window if w.window <= DIRECT else 2 * math.log2(w.window) + 1
    planes = problem.planes[0] * d.positions
    return planes * h.positions * (w.size * d.window * rows + w.positions * along)
