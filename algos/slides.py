"""Outer products of 5 or 7 taps a side, whose sums slide down an image in registers.

The passes of `passes` keep filtered rows in a ring and read each of them once for every four
output rows. A kernel this small needs no ring: some vectors of neighbouring columns go down the
image, row by row; each row is passed across in registers and added, times one tap of the pass down,
to the sums of every output row that it reaches, the uppermost of which is then finished. Nothing
but finished rows is stored. Images that no cache holds are written past the caches, in blocks of
rows low enough that those of the next can be asked for meanwhile (see `direct_planes`).

Bound by loads as much as by products: F of each kind a vector and pass across, at two cycles for a
load that touches two cache lines. On a 2-core AVX-512 machine (Zen 4, 116 GFLOP/s a core in
float32) one thread reached 60 % of the peak on 512² with 5 taps and 62 % with 7, where the passes
reach 49 and 54; 2160 × 3840 take 2.8 ms instead of 5.3 with 5 taps, 4.2 to 5.5 instead of 5.7 with
7, and a copy 1.6.

Rejected: neighbouring columns made by shifts in registers instead of loads (10 to 20 % slower;
half of them so, as fast in the caches and 10 % slower beyond); four vectors abreast with 7 taps
(spill: 20 % slower in the caches, as fast or faster beyond).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from . import simd
from .direct_runs import AHEAD, block_rows, streams
from .jit import kernel, threaded
from .problem import Problem
from .simd import further, lanes, pointer, prefetch, splat, store_past, streamed, to_boundary
from .simd_planes import add_passed, store_run

__all__ = ["filter_planes", "suits"]

#: Taps of a side, and for each vectors side by side, at most: their sums fit the registers.
SMALL, LARGE = 5, 7
WIDE5, WIDE7 = 4, 3


def _make_slide(taps, vectors):
    """Go down some rows with `vectors` side by side."""
    sums = taps * vectors

    @kernel
    def slide(x, source, row, first, height, width, down, across, at, start, out, target, pitch,
              rows, count, past):  # fmt: skip
        """Write `rows` output rows of `count` columns, from ``out[target]`` on, `pitch` apart.

        The first of them begins with row `row` and column `first` of an input plane of `height`
        × `width`, which is ``x[source]``. The taps are ``down[at:]`` and ``across[at:]``; sums
        begin with ``start[0]``. What goes `past` the caches begins on a boundary and is whole
        vectors; its rows of input are asked for AHEAD of use.
        """
        stretch = vectors * lanes(out)
        fresh = splat(start, 0, vectors)
        tile = splat(start, 0, sums)
        is_inside = first >= 0 and first + stretch + taps - 1 <= width
        for i in range(rows + taps - 1):
            here = source + i * width
            if past:
                for n in range(0, stretch, lanes(out)):
                    prefetch(x, here + AHEAD * width + n + taps // 2)
            if 0 <= row + i < height:
                if is_inside:
                    tile = add_passed(tile, down, across, at, x, here, first, width, taps,
                                      vectors, 1)  # fmt: skip
                else:
                    tile = add_passed(tile, down, across, at, x, here, first, width, taps,
                                      vectors, 0)  # fmt: skip
            if i >= taps - 1:
                finished = target + (i - taps + 1) * pitch
                if past:
                    store_past(out, finished, tile[:vectors])
                else:
                    store_run(tile[:vectors], out, finished, count)
            tile = tile[vectors:] + fresh

    return slide


_wide5, _narrow5 = _make_slide(SMALL, WIDE5), _make_slide(SMALL, 1)
_wide7, _narrow7 = _make_slide(LARGE, WIDE7), _make_slide(LARGE, 1)


@kernel
def _run(x, source, row, first, height, width, down, across, o, taps, start, out, target, pitch,
         rows, count, is_streamed):  # fmt: skip
    """A run of columns: with all vectors side by side where they are filled, else one by one."""
    lane, wide, at = lanes(out), WIDE5 if taps == SMALL else WIDE7, o * taps
    stretch = wide * lane if count > (wide - 1) * lane else lane
    for k in range(0, count, stretch):
        some = min(stretch, count - k)
        past = is_streamed and some == stretch
        if taps == SMALL and stretch > lane:
            _wide5(x, source + k, row, first + k, height, width, down, across, at, start, out,
                   target + k, pitch, rows, some, past)  # fmt: skip
        elif taps == SMALL:
            _narrow5(x, source + k, row, first + k, height, width, down, across, at, start, out,
                     target + k, pitch, rows, some, past)  # fmt: skip
        elif stretch > lane:
            _wide7(x, source + k, row, first + k, height, width, down, across, at, start, out,
                   target + k, pitch, rows, some, past)  # fmt: skip
        else:
            _narrow7(x, source + k, row, first + k, height, width, down, across, at, start, out,
                     target + k, pitch, rows, some, past)  # fmt: skip


@kernel
def _work(worker, workers, x, along_h, along_w, bias, before, rows, is_streamed, y):
    """Every run of a block of `rows` rows that falls to one of `workers`."""
    height, width, out_height, out_width = x.shape[3], x.shape[4], y.shape[3], y.shape[4]
    source, target = pointer(x), pointer(y)
    taps = along_h.shape[3]
    columns = (WIDE5 if taps == SMALL else WIDE7) * lanes(target)
    # What goes past the caches begins on a boundary: the first run is narrower.
    shift = -to_boundary(target, 0) % columns if is_streamed else 0
    runs = (out_width + shift + columns - 1) // columns
    blocks = (out_height + rows - 1) // rows
    items = y.shape[0] * y.shape[1] * blocks * runs
    for item in range(worker * items // workers, (worker + 1) * items // workers):
        block, run = item // runs, item % runs
        plane, block = block // blocks, block % blocks
        b, o = plane // y.shape[1], plane % y.shape[1]
        channel = b * x.shape[1] + o * x.shape[1] // y.shape[1]
        j, k = block * rows, max(run * columns - shift, 0)
        row, first = j - before[1], k - before[2]
        _run(
            source, (channel * height + row) * width + first, row, first, height, width,
            pointer(along_h), pointer(along_w), o, taps, further(pointer(bias), o),
            target, (plane * out_height + j) * out_width + k, out_width,
            min(rows, out_height - j), min((run + 1) * columns - shift, out_width) - k,
            is_streamed,
        )  # fmt: skip
    if is_streamed:
        streamed()


_work_shared = threaded(_work)


@kernel
def _share(workers, x, along_h, along_w, bias, before, rows, is_streamed, y):
    _work_shared(workers, workers, x, along_h, along_w, bias, before, rows, is_streamed, y)


@lru_cache(maxsize=256)
def suits(v: Problem, terms: int) -> bool:
    """Whether every output of the volume `v` is one image, passed over by 5 or 7 taps a side.

    Large ones must have rows that all begin on a boundary, or else cannot go past the caches.
    With narrower registers, and half as many, the passes are faster.
    """
    return (
        simd.REGISTER_BYTES == 64
        and v.kernel in ((1, SMALL, SMALL), (1, LARGE, LARGE))
        and v.size[0] == v.output_size[0] == 1
        and v.stride[1:] == v.dilation[1:] == (1, 1)
        and v.in_channels // v.groups * terms == 1
        and (streams(v) or v.compulsory_bytes <= simd.STREAMED_BYTES)
    )


@lru_cache(maxsize=256)
def _cut(v: Problem, threads: int) -> tuple[int, bool]:
    """Rows of a block, and whether they are written past the caches."""
    columns = (WIDE5 if v.kernel[1] == SMALL else WIDE7) * simd.lanes_of(v.itemsize)
    runs = v.batch * v.out_channels * -(-v.output_size[2] // columns)
    return block_rows(v, runs, threads), streams(v)


def filter_planes(
    v: Problem, x: np.ndarray, along_h: np.ndarray, along_w: np.ndarray, bias: np.ndarray,
    y: np.ndarray, threads: int,
) -> None:  # fmt: skip
    """y = bias + what both passes make of x.

    x : (N, C, 1, H, W); along_* : (O, 1, 1, F); y : (N, O, 1, H, W).
    """
    arguments = x, along_h, along_w, bias, v.before, *_cut(v, threads), y
    if threads == 1:
        _work(0, 1, *arguments)
    else:
        _share(threads, *arguments)
