"""Transposed copies of matrices, by squares in registers and by threads.

A layer's input with its channels first is a matrix (C, pixels) for each image; with its channels
last it is the transposed one.
"""

from __future__ import annotations

from algos.backend.compiler import kernel, threaded

from .arithmetic import transpose
from .registers import lanes, load_part, load_square, pointer, store_rows

#: Bytes of a cache line. A column of squares is as wide, so that a line is read once.
LINE_BYTES = 64


@threaded
@kernel
def _columns(item, source, rows, columns, target, pitch):
    """Transpose one line's width of columns; arguments are those of `transpose_all`.

    `item`: number of the line, counted over matrices and columns.
    """
    lane = lanes(source)
    wide = max(lane, LINE_BYTES // source.itemsize)
    lines = -(-columns // wide)
    matrix, first = item // lines, item % lines * wide
    end = min(first + wide, columns)
    origin, start = matrix * rows * columns, matrix * pitch
    for r in range(0, rows, lane):
        high = min(lane, rows - r)
        for c in range(first, end, lane):
            count = min(lane, end - c)
            at, to = origin + r * columns + c, start + c * rows + r
            if high == lane and count == lane:
                square = load_square(pointer(source), at, columns)
            else:
                square = load_part(pointer(source), at, columns, high, count)
            store_rows(transpose(square), pointer(target), to, rows, count, 0, high)


@kernel
def transpose_all(source, rows, columns, target, pitch):
    """Set target[m·pitch + c·rows + r] = source[(m·rows + r)·columns + c], split among threads.

    `source`: flat array of matrices (rows, columns), one after the other.
    `target`: flat array; its matrices (columns, rows) lie `pitch` elements apart.
    """
    wide = max(lanes(source), LINE_BYTES // source.itemsize)
    matrices = source.size // (rows * columns)
    _columns(matrices * -(-columns // wide), source, rows, columns, target, pitch)
