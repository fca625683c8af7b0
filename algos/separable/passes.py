"""One-dimensional passes: a kernel that is an outer product, applied axis after axis.

Kernels of 5 or 7 taps per axis on single images are computed by `sweeps`. For other kernels with
stride 1, the two passes over an image are fused. Four rows are passed across into a ring that holds
the rows under a kernel. Then four output rows are passed down from it, 512 columns at a time. No
intermediate image exists. The ring lies in L1 for short rows and kernels of up to a dozen taps,
otherwise in L2. Other strides and dilations, and the third axis, go through `pass_lines`, axis
after axis within a tile.

The pass down is bound by the multiply-add units: a tile of 4 × 4 vectors reuses every row loaded.
The pass across needs shifted pixels for each product. An unaligned load takes two cycles; a shift
in registers takes one, half the time in a unit that products do not use.

Images that fit no cache are written past the caches and prefetched four rows ahead.

Arguments that mean the same in every kernel; all arrays are pointers, indices and lengths count
elements:

`taps`, `count`: taps of the pass and their number; `zero` points to a zero.
`target`, `to`: output, written from index `to` on.
`line`, `whole`: scratch for a padded row, and for a row at every position.
`width`: outputs of a row.

Measurements: docs/kernels.md.
"""

from __future__ import annotations

from algos.backend.compiler import kernel
from algos.simd.arithmetic import add_outer
from algos.simd.copies import clear, copy, stream
from algos.simd.registers import (
    REGISTERS,
    further,
    lanes,
    load,
    prefetch,
    splat,
    store,
    store_lanes,
)
from algos.simd.window import add_shifted, add_window, load_block, load_inside, store_block

__all__ = ["ACROSS", "CHUNK", "ROWS", "filter_plane", "pass_along_w", "pass_lines"]

#: Rows and vectors of the register tile of a pass down; vectors of the register tile of a pass
#: across. The sums of a pass down fill half of the registers.
ROWS, ABREAST, ACROSS = (4, 4, 8) if REGISTERS == 32 else (4, 2, 4)
_TILE = ROWS * ABREAST
#: Prefetch distance in rows, if they come from memory. Tuned on Zen 4.
AHEAD = 4
#: Columns that take both passes before the next ones do: a multiple of the vectors of a pass
#: across. Tuned on Zen 4.
CHUNK = 512


@kernel
def pass_lines(source, at, pitch, taps, count, start, first, is_row, target, to, width):
    """Compute target[to + k] = start + Σ_m taps[m] · source[at + m·pitch + k], k < width.

    `source`: reads up to one vector past the last element used.
    `start`: sums start from ``start[first + k]`` if `is_row`, else from ``start[first]``.

    Exactly `width` elements are written.
    """
    lane = lanes(source)
    k = 0
    while k < width:
        if width - k >= 8 * lane:
            sums = load(start, first + k, 8) if is_row else splat(start, first, 8)
            for m in range(count):
                sums = add_outer(sums, taps, m, source, at + k + m * pitch, 1, 8)
            store(target, to + k, sums)
            k += 8 * lane
        elif width - k >= 3 * lane:
            few = load(start, first + k, 3) if is_row else splat(start, first, 3)
            for m in range(count):
                few = add_outer(few, taps, m, source, at + k + m * pitch, 1, 3)
            store(target, to + k, few)
            k += 3 * lane
        else:
            one = load(start, first + k, 1) if is_row else splat(start, first, 1)
            for m in range(count):
                one = add_outer(one, taps, m, source, at + k + m * pitch, 1, 1)
            store_lanes(target, to + k, one[0], 0, width - k)
            k += lane


@kernel
def _pass_across(x, row, size, start, taps, count, zero, line, target, to, width):
    """Pass one row along contiguous samples: Σ_m taps[m] · row[start + m + k].

    `x`: the row of `size` samples begins at ``x[row]``. Samples beside it are zero. Stretches that
        reach there are first copied to `line`.

    Writes whole register tiles; the last may go beyond `width`.
    """
    lane, whole = lanes(x), count // 4 * 4
    for k in range(0, width, ACROSS * lane):
        source, at, first = x, row + start + k, start + k
        read = ACROSS * lane + count + 2 * lane
        if first < 0 or first + read > size:
            for n in range(0, read, lane):
                if first + n >= 0 and first + n + lane <= size:
                    store(line, n, load(x, at + n, 1))
                else:
                    store(line, n, load_inside(x, at + n, first + n, size))
            source, at = line, 0
        sums = splat(zero, 0, ACROSS)
        for m in range(0, whole, 4):
            sums = add_shifted(sums, taps, m, source, at + m, 4)
        if count - whole == 3:
            sums = add_shifted(sums, taps, whole, source, at + whole, 3)
        elif count - whole == 2:
            sums = add_shifted(sums, taps, whole, source, at + whole, 2)
        elif count - whole == 1:
            sums = add_shifted(sums, taps, whole, source, at + whole, 1)
        store(target, to + k, sums)


@kernel
def _pass_down(source, taps, count, start, first, start_pitch, is_sum, target, to, target_pitch,
               rows, width, starts):  # fmt: skip
    """Pass up to ROWS rows down: Σ_m taps[m] · source[starts[r + m] + k], plus the start.

    `start`: sums start from ``start[first + r·start_pitch + k]`` if `is_sum`, else from
        ``start[first]``.
    `target_pitch`: elements from output row to output row; only the first `rows` are written.
    `starts`: pointer to the index in `source` of each row, ROWS + count − 1 of them.
    """
    whole = count // 4 * 4
    for k in range(0, width, ABREAST * lanes(source)):
        if is_sum:
            sums = load_block(start, first + k, start_pitch, rows, width - k, ROWS, ABREAST)
        else:
            sums = splat(start, first, _TILE)
        for m in range(0, whole, 4):
            sums = add_window(
                sums, taps, m, source, further(starts, m), k, 0, 0, 4, ROWS, ABREAST, 1
            )  # fmt: skip
        if count - whole == 3:
            sums = add_window(
                sums, taps, whole, source, further(starts, whole), k, 0, 0, 3, ROWS, ABREAST, 1
            )  # fmt: skip
        elif count - whole == 2:
            sums = add_window(
                sums, taps, whole, source, further(starts, whole), k, 0, 0, 2, ROWS, ABREAST, 1
            )  # fmt: skip
        elif count - whole == 1:
            sums = add_window(
                sums, taps, whole, source, further(starts, whole), k, 0, 0, 1, ROWS, ABREAST, 1
            )  # fmt: skip
        store_block(sums, target, to + k, target_pitch, rows, width - k, ROWS, ABREAST)


@kernel
def filter_plane(x, size, start, taps, counts, zero, line, ring, pitch, origin, first, old_pitch,
                  is_sum, target, to, target_pitch, height, width, starts, stage,
                  streams):  # fmt: skip
    """Apply both passes to a tile of one plane, ROWS output rows at a time, with stride 1.

    `x`: the plane of `size` (rows, columns) begins at ``x[start[0]]``. The tile needs its rows from
        `start[1]` and its columns from `start[2]` on; samples outside are zero and are not read.
    `taps`, `counts`: taps down and across, and their numbers.
    `ring`: scratch for `counts[0]` + ROWS − 1 rows, `pitch` elements apart.
    `origin`, `first`, `old_pitch`, `is_sum`: start of the sums, as in `_pass_down`.
    `height`, `width`: output rows and columns of the tile.
    `starts`: scratch for as many indices as the ring has rows.
    `stage`: scratch for ROWS × CHUNK elements on their way past the caches.
    `streams`: true to write past the caches and to prefetch rows.
    """
    room, lane = counts[0] + ROWS - 1, lanes(x)
    made = 0
    for j in range(0, height, ROWS):
        rows, old = min(ROWS, height - j), first + j * old_pitch if is_sum else first
        for k in range(0, width, CHUNK):
            some = min(CHUNK, width - k)
            for r in range(made, j + room):
                row, slot = start[1] + r, r % room * pitch + k
                if 0 <= row < size[0]:
                    at, left = start[0] + row * size[1], start[2] + k
                    if streams:
                        for n in range(0, some, lane):
                            prefetch(x, at + AHEAD * size[1] + left + n)
                    _pass_across(
                        x, at, size[1], left, taps[1], counts[1], zero, line, ring, slot, some
                    )
                else:
                    clear(ring, slot, some)
            for q in range(room):
                starts[q] = (j + q) % room * pitch + k
            to_here = to + j * target_pitch + k
            if streams:
                _pass_down(
                    ring, taps[0], counts[0], origin, old + k if is_sum else old, old_pitch, is_sum,
                    stage, 0, CHUNK, rows, some, starts,
                )  # fmt: skip
                for r in range(rows):
                    stream(stage, r * CHUNK, target, to_here + r * target_pitch, some)
            else:
                _pass_down(
                    ring, taps[0], counts[0], origin, old + k if is_sum else old, old_pitch, is_sum,
                    target, to_here, target_pitch, rows, some, starts,
                )  # fmt: skip
        made = j + room


@kernel
def pass_along_w(x, row, size, start, taps, count, stride, dilation, zero, line, whole,
                  target, to, width):  # fmt: skip
    """Pass one row across with any stride and dilation.

    The row of `size` samples begins at ``x[row]``; `start` is the first sample under the kernel,
    negative in the padding. If the stretch is not wholly inside the row, or the stride is not 1, it
    is first copied to `line`. With a stride, every position is computed in `whole`, and those the
    stride keeps are copied.
    """
    stretch = (width - 1) * stride + 1
    samples = stretch + (count - 1) * dilation
    source, at = x, row + start
    if stride != 1 or start < 0 or start + samples + lanes(x) > size:
        source, at = line, 0
        lo = min(max(-start, 0), samples)
        hi = max(min(size - start, samples), lo)
        clear(line, 0, lo)
        copy(x, row + start + lo, line, lo, hi - lo)
        clear(line, hi, samples - hi)
    into, put = (target, to) if stride == 1 else (whole, 0)
    pass_lines(source, at, dilation, taps, count, zero, 0, False, into, put, stretch)
    if stride != 1:
        for k in range(width):
            target[to + k] = whole[k * stride]
