"""One-dimensional passes: a kernel that is an outer product, applied axis after axis.

Kernels of 5 or 7 taps a side on single images have a way of their own, `sweeps`. Of the others,
with stride 1 the two passes over an image are fused: four rows are passed across into a ring that
holds the rows under a kernel, then four rows of the output are passed down from it, 512 columns at
a time. No intermediate image exists; the ring lies in the first-level cache for short rows and
kernels of up to a dozen taps, in the second for longer ones. Other strides and dilations, and the
third axis, go through `pass_lines`, axis after axis within a tile.

Bound by the multiply-add units on the way down, where a tile of 4 × 4 vectors reuses every row
loaded. Across, each product needs its own shifted pixels: a load at any column takes two cycles,
a shift in registers one, half the time in a unit that products do not use. On a 2-core AVX-512
machine (Zen 4, 118 GFLOP/s a core in float32) one thread reached 72 % of the peak with 15 taps on
512², 78 % with 31, 83 % with 127. Passing over a tile's rows wholly before its columns,
through the second-level cache, cost 20 to 30 %.

Images that no cache holds: at 2160 × 3840, rows as wide as the image, written past the caches and
asked for four rows ahead, took 5.4 ms with 5 taps, before these were swept, where tiles of 512
columns, written as usual, took 7.2 to 9. Without asking ahead it took 20 % longer. An image that
stays in the caches takes 1.3 times as long that way, hence `simd.STREAMED_BYTES`.
"""

from __future__ import annotations

from .jit import kernel
from .simd import (
    REGISTERS,
    add_outer,
    clear,
    copy,
    further,
    lanes,
    load,
    prefetch,
    splat,
    store,
    store_lanes,
    stream,
)
from .simd_window import add_shifted, add_window, load_block, load_inside, store_block

__all__ = ["ACROSS", "CHUNK", "ROWS", "filter_plane", "pass_along_w", "pass_lines"]

#: Rows and vectors of the register tile of a pass down, vectors of one across.
ROWS, ABREAST, ACROSS = (4, 4, 8) if REGISTERS == 32 else (4, 2, 4)
_TILE = ROWS * ABREAST
#: Rows that are asked for before they are needed, where they come from memory.
AHEAD = 4
#: Columns that go through both passes before the next ones do, whole stretches across.
CHUNK = 512


@kernel
def pass_lines(source, at, pitch, taps, count, start, first, is_row, target, to, width):
    """target[to + k] = start + Σ_m taps[m] · source[at + m·pitch + k], k < width, m < count.

    All arrays are pointers. The sum starts from ``start[first + k]`` where `is_row`, else from
    ``start[first]``. Reads up to one vector past the stretches; writes exactly `width` elements.
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
    """A row through the pass along contiguous samples: Σ_m taps[m] · row[start + m + k].

    ``x[row]`` is where the row of `size` samples begins; beside them it is zero. Only where a
    stretch reaches there it is copied. Writes whole stretches, the last beyond `width`.
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
    """target[to + r·target_pitch + k] = start + Σ_m taps[m] · source[starts[r + m] + k].

    For the first `rows` of ROWS rows; the sum starts from ``start[first + r·start_pitch + k]``
    where `is_sum`, else from ``start[first]``.
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
    """Both passes over a tile of one plane, ROWS output rows at a time, with stride 1.

    ``x[start[0]]`` is where the plane begins, of which the tile needs rows from `start[1]` and
    columns from `start[2]` on. The rows that the pass across has made stay in `ring`, room for
    those under a kernel, until the pass down has used them. What `streams` goes to memory past
    the caches, from `stage`, and comes from there ahead of its use.
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
    """One row through the first pass; ``x[row]`` is where the row of `size` samples begins.

    `start` is the first sample under the kernel, negative in the padding. Where the stretch
    is not wholly inside the row, or the stride is not 1, it is copied to `line` first; with a
    stride every position is computed, in `whole`, and those it keeps are picked.
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
