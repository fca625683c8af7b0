"""Direct sums of small integers in 32 bits, and their conversion to the result's type.

Every input row is copied once, extended beyond the border, with each number beside its right
neighbour in one lane. So one instruction serves two columns of the kernel. A register tile holds
two output rows × four vectors; an input row serves both. Sums go to a scratch row and are
converted from there, in L1.

A kernel that is the product of a column and a row is applied one axis after the other. The sums
down the columns then take the place of the copied rows.

Every partial sum is exact, because the caller has shown that none exceeds 31 bits.

Arguments that mean the same in every kernel:

`x`: image (H, W) of integers: int8, uint8 or int16.
`weights`: pairs of kernel columns, (2 + taps + 1 rows, pairs); the first two rows and the last are
    zero.
`rows`: (h + taps − 1,) row of `x` that stands at each position, or −1 for `fill`.
`columns`: the same for columns, (w + 2·pairs,); `before` of them lie ahead of the first of `x`.
`y`: result (h, w).
`least`, `most`: ends of the range that results are limited to, and with `limited` False only
    compared with.
`extremes`: (2,) per thread, the least and the largest sum so far.
"""

from __future__ import annotations

import numpy as np

from algos.backend.compiler import by_ranges, kernel
from algos.simd.integers import add_multiples, add_pairs, zeros
from algos.simd.registers import further, lanes, pointer, store

#: Output rows that are computed from one set of copied input rows.
BLOCK = 16
#: Output rows and vectors of a register tile.
TILE_ROWS, TILE_COLUMNS, TILE = 2, 4, 8


@kernel
def _edge(x, row, columns, k, fill):
    """Return the sample at position `k` of a row: `fill` where the image has none."""
    source = columns[k] if k < columns.size else -1
    return np.int32(x[row, source]) if source >= 0 else fill


@kernel
def _pack(x, row, columns, before, fill, pairs, at):
    """Copy one input row: ``pairs[at + k]`` holds positions k and k + 1.

    `row`: its number in `x`, or −1, where all is `fill`.
    """
    count, target = columns.size, further(pointer(pairs), at)
    if row < 0:
        both = (fill & 0xFFFF) | (fill << 16)
        for k in range(count):
            target[k] = both
        return
    inside = max(min(x.shape[1], count - before), 1) - 1  # positions whose neighbour is inside too
    source, middle = further(pointer(x), row * x.shape[1]), further(target, before)
    if x.itemsize == 1:
        for k in range(inside):
            middle[k] = (np.int32(source[k]) & 0xFFFF) | (np.int32(source[k + 1]) << 16)
    else:  # LLVM would read both numbers as one, at every second byte, and use no vectors
        for k in range(inside + 1):
            middle[k] = np.int32(source[k])
        for k in range(inside):
            middle[k] = (middle[k] & 0xFFFF) | (middle[k + 1] << 16)
    for k in range(before):
        value, beside = _edge(x, row, columns, k, fill), _edge(x, row, columns, k + 1, fill)
        target[k] = (value & 0xFFFF) | (beside << 16)
    for k in range(before + inside, count):
        value, beside = _edge(x, row, columns, k, fill), _edge(x, row, columns, k + 1, fill)
        target[k] = (value & 0xFFFF) | (beside << 16)


@kernel
def _sum_rows(pairs, first, pitch, weights, taps, count, sums):
    """Compute two rows of sums, from the copied rows `first` to `first` + `taps`.

    `count`: columns. `sums`: scratch of two rows of `pitch`; whole register tiles are written.
    """
    lane, width = lanes(sums), weights.shape[1]
    w, source, target = pointer(weights), pointer(pairs), pointer(sums)
    for c in range(0, count, TILE_COLUMNS * lane):
        total = zeros(sums, TILE)
        for p in range(taps + 1):
            at, j = (first + p) * pitch + c, (p + 2) * width
            for q in range(width):
                total = add_pairs(
                    total, w, j + q, width, source, at + 2 * q, TILE_ROWS, TILE_COLUMNS
                )
        store(target, c, total[:4])
        store(target, pitch + c, total[4:])


@kernel
def _convert(sums, at, count, least, most, limited, y, row, extremes):
    """Write `count` sums from `at` on to a row of the result; update the extremes."""
    source, target = further(pointer(sums), at), further(pointer(y), row * y.shape[1])
    low, high = extremes[0], extremes[1]
    for c in range(count):
        low = min(low, source[c])
        high = max(high, source[c])
    extremes[0], extremes[1] = low, high
    if limited and (low < least or high > most):
        for c in range(count):
            target[c] = min(max(source[c], least), most)
    else:
        for c in range(count):
            target[c] = source[c]


@kernel
def _sum_line(pairs, weights, count, target, at):
    """Compute one row of sums over columns: ``target[at + c]``, in whole register tiles.

    `pairs`: one copied row. `weights`: (pairs of columns,).
    """
    lane, w, source, out = lanes(target), pointer(weights), pointer(pairs), pointer(target)
    for c in range(0, count, TILE_COLUMNS * lane):
        total = zeros(target, TILE_COLUMNS)
        for q in range(weights.size):
            total = add_pairs(total, w, q, 0, source, c + 2 * q, 1, TILE_COLUMNS)
        store(out, at + c, total)


@kernel
def _sum_lines(lines, first, pitch, weights, taps, count, sums):
    """Compute two rows of sums over rows, from the rows `first` to `first` + `taps` of `lines`.

    `weights`: (1 + taps + 1,), the first and the last are zero.
    """
    lane, w, source, target = lanes(sums), pointer(weights), pointer(lines), pointer(sums)
    for c in range(0, count, TILE_COLUMNS * lane):
        total = zeros(sums, TILE)
        for p in range(taps + 1):
            at = (first + p) * pitch + c
            total = add_multiples(total, w, p + 1, source, at, TILE_ROWS, TILE_COLUMNS)
        store(target, c, total[:4])
        store(target, pitch + c, total[4:])


@kernel(allocates=True)
def compute(slot, start, stop, x, weights, down, taps, rows, columns, before, fill, least, most,
            limited, y, extremes):  # fmt: skip
    """Compute blocks `start` to `stop` − 1 of `BLOCK` output rows; `slot` numbers the thread.

    `down`: weights of the rows, (1 + taps + 1,), where the kernel is their product with `weights`,
    one row of pairs. Empty where `weights` is the whole kernel.
    """
    height, width = y.shape
    span = TILE_COLUMNS * lanes(extremes)
    pitch = (columns.size + span - 1) // span * span + span
    held = np.zeros((BLOCK + taps) * pitch, np.int32)  # copied rows, or their sums over columns
    line = np.zeros(pitch if down.size else 0, np.int32)
    sums = np.empty(2 * pitch, np.int32)
    for block in range(start, stop):
        first = block * BLOCK
        count = min(BLOCK, height - first)
        for i in range(count + taps - 1):
            if down.size:
                _pack(x, rows[first + i], columns, before, fill, line, 0)
                _sum_line(line, weights[0], width, held, i * pitch)
            else:
                _pack(x, rows[first + i], columns, before, fill, held, i * pitch)
        for r in range(0, count, TILE_ROWS):
            if down.size:
                _sum_lines(held, r, pitch, down, taps, width, sums)
            else:
                _sum_rows(held, r, pitch, weights, taps, width, sums)
            for t in range(min(TILE_ROWS, count - r)):
                _convert(
                    sums, t * pitch, width, least, most, limited, y, first + r + t, extremes[slot]
                )


share = by_ranges(compute)


@kernel
def compute_shared(threads, blocks, x, weights, down, taps, rows, columns, before, fill, least,
                   most, limited, y, extremes):  # fmt: skip
    """Compute all blocks, shared among `threads`."""
    share(
        threads, blocks, x, weights, down, taps, rows, columns, before, fill, least, most, limited,
        y, extremes,
    )  # fmt: skip
