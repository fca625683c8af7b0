"""Direct convolution with kernels of 3 × 3, whose sums slide down a plane in registers.

For depthwise layers, small groups, small images and volumes. Some vectors of neighbouring columns
go down an input plane, row by row. A row is under the last kernel row for one output row, which it
finishes, under the middle one for the next, and under the first for the one after: it is read
once, and adds to the sums of all three, which move up by one where the next row comes. With stride
2 every second row finishes one output row and begins another. So three loads serve nine products,
nothing but finished rows is stored, and the weights stay in registers all the way down. Input
channels and planes of depth after the first take up the sums of the output.

Bound by the multiply-add units in L2 and by the bandwidth beyond. On a 2-core AVX-512 machine
(Zen 4, 118 GFLOP/s a core in float32, 66 GB/s from L3) one thread reached 106 GFLOP/s on 64 maps
of 112², depthwise, 95 on groups of four channels and 80 to 105 on an image of 512²; with stride 2
64 maps of 112² take 62 µs, of which moving them takes 60. Of what no cache holds the output is
written past the caches and the input asked for some rows ahead: 2160 × 3840 take 1.65 to 2 ms, of
which moving them takes 1.6. Either alone is worth little, and without both it took 5 to 7 ms: every
row of a run lies in a page of its own.

Rows of 4 KiB all lie at the same places of L1, and those of large arrays of input and output at
one another's. The wider a run, the fewer of its lines are wanted there at once: 1024² take 0.19 ms
where the output lies half of that apart from the input, else 0.20 to 0.24 with six vectors abreast,
0.22 to 0.26 with five, 0.25 to 0.30 with four, 0.39 to 0.47 with two. Six are 5 % faster than five
on other images, too, though LLVM reads two weights from the stack; of seven it reads six.

Rejected: blocks of fewer rows, which stay in L1 (5 to 30 % slower where planes are small: the
first two rows of a block are read twice, and every loop has its start and its end); neighbouring
columns made by shifts in registers instead of loads (3 to 10 % slower); tiles of six rows by two
vectors that go across (4 to 30 % slower, but for 1024² with half of 4 KiB between input and
output); rows by way of a buffer in L1 (15 to 80 % slower); storing each vector between the loads of
the next (5 to 8 % faster on images, 3 to 7 % slower on small planes).
"""

from __future__ import annotations

import math
from typing import Any

import numba.np.unsafe.ndarray
import numpy as np

from .direct_runs import AHEAD, Shape, cost, cut
from .jit import kernel, threaded
from .problem import Problem
from .simd import (
    further,
    lanes,
    pointer,
    prefetch,
    splat,
    store_past,
    streamed,
    to_boundary,
)
from .simd_planes import WEIGHTS, add_row, add_run, splat_each, store_run

__all__ = ["cost", "forward", "prepare", "workspace_bytes"]

to_fixed_tuple: Any = numba.np.unsafe.ndarray.to_fixed_tuple
_NUMBERS = len(Shape._fields)


def _make_slide(vectors):
    """Go down some rows with `vectors` side by side, for stride 1."""
    two = 2 * vectors

    @kernel
    def slide(x, source, row, first, height, width, weights, at, start, done, out, target, pitch,
              rows, count, past):  # fmt: skip
        """Write `rows` output rows of `count` columns, from ``out[target]`` on, or add to them.

        The first of them begins with row `row` and column `first` of an input plane of `height`
        × `width`, which is ``x[source]``; output rows are `pitch` apart. The weights are
        ``weights[at:]``. Sums begin with ``start[0]``, and take up the output where something is
        `done` already. What goes `past` the caches begins on a boundary and is whole vectors;
        its rows of input are asked for AHEAD of use.
        """
        factors = splat_each(weights, at, WEIGHTS)
        fresh = splat(start, 0, vectors)
        upper = middle = fresh
        for i in range(rows + 2):
            lower = fresh
            if done and i < rows:
                lower = add_run(fresh, out, target + i * pitch, count)
            if past:
                for n in range(0, vectors * lanes(out), lanes(out)):
                    prefetch(x, source + (i + AHEAD) * width + n + 1)
            if 0 <= row + i < height:
                tile = add_row(upper + middle + lower, factors, x, source + i * width, first,
                               width, 2, 1, vectors)  # fmt: skip
                upper, middle, lower = tile[:vectors], tile[vectors:two], tile[two:]
            if i >= 2:
                if past:
                    store_past(out, target + (i - 2) * pitch, upper)
                else:
                    store_run(upper, out, target + (i - 2) * pitch, count)
            upper, middle = middle, lower

    return slide


def _make_halving_slide(vectors):
    """The same for stride 2."""

    @kernel
    def slide(x, source, row, first, height, width, weights, at, start, done, out, target, pitch,
              rows, count):  # fmt: skip
        factors = splat_each(weights, at, WEIGHTS)
        fresh = splat(start, 0, vectors)
        upper = fresh
        for i in range(rows + 1):
            lower = fresh
            if done and i < rows:
                lower = add_run(fresh, out, target + i * pitch, count)
            here = source + 2 * i * width
            if 0 <= row + 2 * i < height:
                tile = add_row(upper + lower, factors, x, here, first, width, 2, 2, vectors)
                upper, lower = tile[:vectors], tile[vectors:]
            if i >= 1:
                store_run(upper, out, target + (i - 1) * pitch, count)
            upper = lower
            if 0 <= row + 2 * i + 1 < height and i < rows:
                upper = add_row(upper, factors, x, here + width, first, width, 1, 2, vectors)

    return slide


_slide1, _slide2, _slide3, _slide4, _slide5, _slide6 = map(_make_slide, range(1, 7))
_halve1, _halve2, _halve3, _halve4 = map(_make_halving_slide, range(1, 5))


@kernel(inline="always")
def _slide(stride, x, source, row, first, height, width, weights, at, start, done, out, target,
           pitch, rows, count, streams):  # fmt: skip
    vectors = (count + lanes(out) - 1) // lanes(out)
    past = streams and count == vectors * lanes(out)
    work = (x, source, row, first, height, width, weights, at, start, done, out, target, pitch,
            rows, count)  # fmt: skip
    if stride == 2:
        if vectors == 1:
            _halve1(*work)
        elif vectors == 2:
            _halve2(*work)
        elif vectors == 3:
            _halve3(*work)
        else:
            _halve4(*work)
    elif vectors == 1:
        _slide1(*work, past)
    elif vectors == 2:
        _slide2(*work, past)
    elif vectors == 3:
        _slide3(*work, past)
    elif vectors == 4:
        _slide4(*work, past)
    elif vectors == 5:
        _slide5(*work, past)
    else:
        _slide6(*work, past)


@kernel(inline="always")
def _run(x, weights, bias, out, s, channel, o, h, j, k, count, target):
    """Output rows j … and `count` columns k … of plane h, a block of a run, ``out[target]`` on.

    The input channels are `channel` and on, the output channel is `o`.
    """
    rows = min(s.rows, s.out_height - j)
    row, first = j * s.stride - s.rows_before, k * s.stride - s.columns_before
    at = o * s.inputs * s.depth_taps * WEIGHTS
    done = channel < 0  # false, and no literal, for which Numba would compile what takes it anew
    start = further(bias, o)
    for c in range(channel, channel + s.inputs):
        for p in range(s.depth_taps):
            d = h * s.depth_stride + p * s.depth_dilation - s.depth_before
            if 0 <= d < s.depth:
                source = ((c * s.depth + d) * s.height + row) * s.width + first
                _slide(s.stride, x, source, row, first, s.height, s.width, weights, at,
                       start, done, out, target, s.out_width, rows, count,
                       s.streams == 1)  # fmt: skip
                done, start = True, further(weights, s.outputs * s.inputs * s.depth_taps * WEIGHTS)
            at += WEIGHTS
    if not done:  # everything lies in the padding
        for r in range(rows):
            for n in range(count):
                out[target + r * s.out_width + n] = bias[o]


@kernel
def _work(worker, workers, x, weights, bias, table, out):
    """Every run that falls to one of `workers`."""
    s = Shape(*to_fixed_tuple(table, _NUMBERS))
    # What goes past the caches begins on a boundary: the first run is narrower.
    shift = -to_boundary(pointer(out), 0) % s.columns if s.streams else 0
    for item in range(worker * s.items // workers, (worker + 1) * s.items // workers):
        block, run = item // s.runs, item % s.runs
        plane, block = block // s.blocks, block % s.blocks
        image, h = plane // s.out_depth, plane % s.out_depth
        b, o = image // s.outputs, image % s.outputs
        channel = (b * s.groups + o // s.group) * s.inputs
        j, k = block * s.rows, max(run * s.columns - shift, 0)
        count = min((run + 1) * s.columns - shift, s.out_width) - k
        if count > 0:
            _run(
                pointer(x), pointer(weights), pointer(bias), pointer(out), s, channel, o, h, j, k,
                count, (plane * s.out_height + j) * s.out_width + k,
            )  # fmt: skip
    if s.streams:
        streamed()


_work_shared = threaded(_work)


@kernel
def _share(workers, x, weights, bias, table, out):
    """Every run, split evenly among `workers` threads."""
    _work_shared(workers, workers, x, weights, bias, table, out)


def workspace_bytes(problem: Problem, threads: int) -> int:
    """The kernel, kept, and a zero."""
    return (math.prod(problem.kernel_shape) + 1) * problem.itemsize


def prepare(problem: Problem, w: np.ndarray, threads: int) -> tuple[np.ndarray, np.ndarray]:
    """How it is cut, and a copy of the correlation kernel `w`, with a zero behind it."""
    return cut(problem, threads), np.append(w, w.dtype.type(0))


def forward(
    problem: Problem, x: np.ndarray, prepared: tuple[np.ndarray, np.ndarray], bias: np.ndarray,
    out: np.ndarray, threads: int,
) -> None:  # fmt: skip
    """Write the output for `x`."""
    table, weights = prepared
    arguments = x.ravel(), weights, bias, table, out.ravel()
    if threads == 1:
        _work(0, 1, *arguments)
    else:
        _share(threads, *arguments)
