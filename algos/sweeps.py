"""Outer products of 5 or 7 taps a side: both passes in registers, rows swept from left to right.

The passes of `passes` keep filtered rows in a ring and read each of them once for every four
output rows. A kernel this small needs no ring: four output rows are made at a time, a vector of
each in a step. The pass down makes of the rows under them one vector each; the pass across takes
those of the two steps before, and gets at neighbouring columns by shifts in registers. Nothing but
finished rows is stored, and rows are read in the order in which the processor fetches ahead. Of
taps that are the same read backwards, a Gaussian's or a box's, samples are added in pairs first:
that takes half the products, and sums run in other units. (Samples beyond half the largest number
overflow.)

Loads are aligned and stores lie as they may, for there are two or more of the former to one of the
latter: where rows are 4 KiB apart, all lines of a column share a set of the first-level cache, and
each would be needed in two steps. Images that no cache holds are written past the caches where
their rows begin on boundaries; four rows are asked for ahead.

Bound by the units. With taps that are the same backwards a vector takes F + 1 products, F − 1 sums
and F − 1 shifts, each two cycles of one of four units: 7 cycles for 5 taps, 10 for 7. On a 2-core
AVX-512 machine (Zen 4, 3.7 GHz) one thread took 9 and 13.5 in the first-level cache; 11 and 16 on
1024², 200 and 280 µs, of which a copy takes 88 and sums of 64 or 48 columns that slide down the
image in registers had taken 350 and 460; and 1.6 and 2.0 ms on 2160 × 3840, where a copy
past the caches takes 1.6. With other taps, 2F products a vector, it took 250, 350 µs, 1.9, 2.8 ms.

Sliding lost to addresses: image and output that lie equally in their pages, as NumPy's do, made
loads wait for stores of the rows above, a multiple of 4 KiB away. Rejected: six rows at a time
(spill), two or three (up to 10 % slower); stores aligned instead of loads (40 % slower with 7 taps
on 1024²); passing down and across the same vector in a step (10 % slower: one waits for the other).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from . import simd
from .jit import kernel, threaded
from .problem import Problem
from .simd import (
    further,
    lanes,
    pointer,
    prefetch,
    splat,
    store_past,
    store_rows,
    streamed,
    to_boundary,
)
from .simd_planes import splat_each
from .simd_window import pass_both, store_block

__all__ = ["filter_planes", "suits"]

#: Taps of a side.
SMALL, LARGE = 5, 7
#: Output rows that are swept together.
ROWS = 4


def _make_sweep(taps, is_even):
    """Sweep over some rows; `is_even`, 1 or 0, says that taps read backwards are the same."""

    @kernel
    def sweep(x, source, top, height, width, down, across, before, start, out, target, pitch, rows,
              columns, is_far):  # fmt: skip
        """Write `rows` rows of `columns` columns, ROWS at the most, from ``out[target]`` on.

        They are `pitch` apart. The first begins with row `top` of an input plane of `height` ×
        `width`, which is ``x[source]``, and `before` columns ahead of it. Sums begin with
        ``start[0]``. What `is_far` comes from memory, and goes there past the caches.
        """
        lane = lanes(out)
        along_h, along_w = splat_each(down, 0, taps), splat_each(across, 0, taps)
        fresh, behind = splat(start, 0, 1), splat(start, 0, ROWS)
        at, following = source + top * width, behind
        is_inside = top >= 0 and top + ROWS + taps - 1 <= height
        past = is_far and pitch % lane == 0 and rows == ROWS
        lead = to_boundary(out, target) if past else to_boundary(x, at - before)
        first = -(-lead % lane)
        # Before a vector is passed across, it and the next have been passed down.
        c = first - before
        sums = pass_both(along_h, along_w, fresh, behind, following, x, at + c, width, c, width,
                         top, height, 0, is_even)  # fmt: skip
        behind, c = sums[ROWS:], c + lane
        sums = pass_both(along_h, along_w, fresh, behind, following, x, at + c, width, c, width,
                         top, height, 0, is_even)  # fmt: skip
        following = sums[ROWS:]
        for k in range(first, columns, lane):
            c = k + 2 * lane - before
            if is_far:
                for n in range(taps - 1, taps - 1 + ROWS):
                    prefetch(x, at + (n + ROWS) * width + c)
            if is_inside and c >= 0 and c + lane <= width:
                sums = pass_both(along_h, along_w, fresh, behind, following, x, at + c, width, c,
                                 width, top, height, 1, is_even)  # fmt: skip
            else:
                sums = pass_both(along_h, along_w, fresh, behind, following, x, at + c, width, c,
                                 width, top, height, 0, is_even)  # fmt: skip
            behind, following = following, sums[ROWS:]
            to = target + k
            if past and k >= 0 and k + lane <= columns:
                store_past(out, to, sums[:1])
                store_past(out, to + pitch, sums[1:2])
                store_past(out, to + 2 * pitch, sums[2:3])
                store_past(out, to + 3 * pitch, sums[3:4])
            elif k >= 0:
                store_block(sums[:ROWS], out, to, pitch, rows, columns - k, ROWS, 1)
            else:
                store_rows(sums[:ROWS], out, to, pitch, rows, -k, columns - k)

    return sweep


_any5, _even5 = _make_sweep(SMALL, 0), _make_sweep(SMALL, 1)
_any7, _even7 = _make_sweep(LARGE, 0), _make_sweep(LARGE, 1)


@kernel
def _is_even(weights, taps):
    """Whether taps are the same read backwards."""
    is_even = True
    for m in range(taps // 2):
        is_even = is_even and weights[m] == weights[taps - 1 - m]
    return is_even


@kernel
def _work(worker, workers, x, along_h, along_w, bias, before, is_far, y):
    """The rows that fall to one of `workers`."""
    height, width, out_height, out_width = x.shape[3], x.shape[4], y.shape[3], y.shape[4]
    source, target, taps = pointer(x), pointer(y), along_h.shape[3]
    groups = (out_height + ROWS - 1) // ROWS
    items = y.shape[0] * y.shape[1] * groups
    for item in range(worker * items // workers, (worker + 1) * items // workers):
        plane, j = item // groups, item % groups * ROWS
        b, o = plane // y.shape[1], plane % y.shape[1]
        channel = b * x.shape[1] + o * x.shape[1] // y.shape[1]
        down, across = further(pointer(along_h), o * taps), further(pointer(along_w), o * taps)
        is_even = _is_even(down, taps) and _is_even(across, taps)
        where = channel * height * width, j - before[1], height, width, down, across, before[2]
        to = (plane * out_height + j) * out_width, out_width, min(ROWS, out_height - j), out_width
        start = further(pointer(bias), o)
        if taps == SMALL and is_even:
            _even5(source, *where, start, target, *to, is_far)
        elif taps == SMALL:
            _any5(source, *where, start, target, *to, is_far)
        elif is_even:
            _even7(source, *where, start, target, *to, is_far)
        else:
            _any7(source, *where, start, target, *to, is_far)
    if is_far:
        streamed()


_work_shared = threaded(_work)


@kernel
def _share(workers, x, along_h, along_w, bias, before, is_far, y):
    _work_shared(workers, workers, x, along_h, along_w, bias, before, is_far, y)


@lru_cache(maxsize=256)
def suits(v: Problem, terms: int) -> bool:
    """Whether every output of the volume `v` is one image, passed over by 5 or 7 taps a side.

    With narrower registers, and half as many, the passes are faster.
    """
    return (
        simd.REGISTER_BYTES == 64
        and v.kernel in ((1, SMALL, SMALL), (1, LARGE, LARGE))
        and v.size[0] == v.output_size[0] == 1
        and v.stride[1:] == v.dilation[1:] == (1, 1)
        and v.in_channels // v.groups * terms == 1
    )


def filter_planes(
    v: Problem, x: np.ndarray, along_h: np.ndarray, along_w: np.ndarray, bias: np.ndarray,
    y: np.ndarray, threads: int,
) -> None:  # fmt: skip
    """y = bias + what both passes make of x.

    x : (N, C, 1, H, W); along_* : (O, 1, 1, F); y : (N, O, 1, H, W).
    """
    is_far = v.compulsory_bytes > simd.STREAMED_BYTES
    arguments = x, along_h, along_w, bias, v.before, is_far, y
    if threads == 1:
        _work(0, 1, *arguments)
    else:
        _share(threads, *arguments)
