"""Outer products of 5 or 7 taps per axis: both passes in registers, swept from left to right.

The passes of `passes` keep filtered rows in a ring and read each of them once for every four output
rows. A kernel this small needs no ring. Four output rows are made at a time, one vector of each per
step. The pass down makes one vector for each from the rows under them. The pass across takes those
of the two steps before, and gets neighbouring columns by shifts in registers. Only finished rows
are stored, and rows are read in the order of the hardware prefetcher.

If taps read the same backwards, as those of a Gaussian or a box do, the two samples of equal taps
are added first. This takes half the products, and sums run in other units. Samples beyond half the
largest number overflow.

Loads are aligned and stores are not, since there are at least two loads per store. If rows lie 4
KiB apart, all lines of a column share a set of L1, and unaligned loads would need each line in two
steps. Images that fit no cache are written past the caches, if their rows begin aligned, and are
prefetched four rows ahead.

Measurements and rejected variants: docs/kernels.md.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from algos.backend.compiler import by_ranges, kernel
from algos.core.problem import Problem
from algos.simd import registers as simd
from algos.simd.copies import STREAMED_BYTES
from algos.simd.planes import splat_each
from algos.simd.registers import (
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
from algos.simd.window import pass_both, store_block

__all__ = ["filter_planes", "suits"]

#: Taps per axis of the two kernels.
SMALL, LARGE = 5, 7
#: Output rows swept together. Six cause register spills and two or three are slower, see
#: docs/kernels.md.
ROWS = 4


def _make_sweep(taps: int, is_even: int) -> Any:
    """Return the kernel for `taps` taps; `is_even` is 1 if they read the same backwards, else 0."""

    @kernel
    def sweep(x, source, top, height, width, down, across, before, start, out, target, pitch, rows,
              columns, is_far):  # fmt: skip
        """Write `rows` output rows of `columns` columns, ROWS at most, from ``out[target]`` on.

        `x`: pointer; the input plane of `height` × `width` begins at ``x[source]``. The first
            output's taps begin at row `top` and `before` columns ahead of the plane.
        `down`, `across`: pointers to the taps of the two passes.
        `start`: pointer to the one element that sums begin with.
        `out`: pointer; output rows lie `pitch` elements apart.
        `is_far`: true if input and output exceed the caches: then rows are prefetched, and written
            past the caches where alignment permits.

        Nothing outside the plane is read; exactly the output is written.
        """
        lane = lanes(out)
        along_h, along_w = splat_each(down, 0, taps), splat_each(across, 0, taps)
        fresh, behind = splat(start, 0, 1), splat(start, 0, ROWS)
        at, following = source + top * width, behind
        is_inside = top >= 0 and top + ROWS + taps - 1 <= height
        past = is_far and pitch % lane == 0 and rows == ROWS
        lead = to_boundary(out, target) if past else to_boundary(x, at - before)
        first = -(-lead % lane)
        # Before a vector is passed across, it and the next one must have been passed down.
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
    """Return True if the taps read the same backwards."""
    is_even = True
    for m in range(taps // 2):
        is_even = is_even and weights[m] == weights[taps - 1 - m]
    return is_even


@kernel
def _work(_slot, first, last, x, along_h, along_w, bias, before, is_far, y):
    """Compute some groups of ROWS rows; the arguments are those of `filter_planes`.

    `_slot`: number of this thread; its groups are `first` to `last` − 1.
    `before`: padding in front, per axis of the volume.
    """
    height, width, out_height, out_width = x.shape[3], x.shape[4], y.shape[3], y.shape[4]
    source, target, taps = pointer(x), pointer(y), along_h.shape[3]
    groups = (out_height + ROWS - 1) // ROWS
    for item in range(first, last):
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


_work_shared = by_ranges(_work)


@kernel
def _share(threads, groups, x, along_h, along_w, bias, before, is_far, y):
    """Compute all `groups` of rows, split among `threads` threads."""
    _work_shared(threads, groups, x, along_h, along_w, bias, before, is_far, y)


@lru_cache(maxsize=256)
def suits(v: Problem, terms: int) -> bool:
    """Return True if each output of the volume `v` sums one image, with 5 or 7 taps per axis.

    Narrower registers are also half as many; for them the passes are faster.
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
    """Compute y = bias + both passes over x.

    Parameters
    ----------
    x : (N, C, 1, H, W)
    along_h, along_w : (O, 1, 1, F)
    y : (N, O, 1, H, W)
    """
    is_far = v.compulsory_bytes > STREAMED_BYTES
    arguments = x, along_h, along_w, bias, v.before, is_far, y
    groups = y.shape[0] * y.shape[1] * -(-y.shape[3] // ROWS)
    if threads == 1:
        _work(0, 0, groups, *arguments)
    else:
        _share(threads, groups, *arguments)
