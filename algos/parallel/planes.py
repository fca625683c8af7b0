"""Direct convolution with 3 × 3 kernels whose sums slide down a plane in registers.

Meant for depthwise layers, small groups, small images and volumes. A few vectors of neighbouring
columns go down an input plane, row by row. Each input row lies under the last kernel row of one
output row, the middle kernel row of the next, and the first of the one after. It is read once and
added to the sums of all three. The first of them is then finished and stored, and the other two
move up by one. With stride 2, every second input row finishes one output row and begins another.

So three loads serve nine products, only finished rows are stored, and the weights stay in registers
all the way down. Further input channels and planes of depth continue from the sums in the output.

Outputs that do not fit the caches are written past them (non-temporal stores), and their input is
prefetched some rows ahead.

Arguments that mean the same in every kernel; indices and lengths count elements:

`x`, `out`: pointers to the input (N, C, D, H, W) and to the output (N, O, D, H, W), both
    contiguous.
`weights`: pointer to the correlation kernel (O, C/groups, depth taps, 3, 3), with one zero behind
    it.
`bias`: pointer to one element per output channel.
`table`: the numbers of a `PlanesGeometry`; `s` is that `PlanesGeometry`.
`_slot`, `first`, `last`: number of this thread; its runs are `first` to `last` − 1.

Measurements and rejected variants: docs/kernels.md.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from algos.backend.compiler import by_ranges, fixed_tuple, kernel
from algos.core.problem import Problem
from algos.simd.planes import WEIGHTS, add_row, add_run, splat_each, store_run
from algos.simd.registers import (
    further,
    lanes,
    pointer,
    prefetch,
    splat,
    store_past,
    streamed,
    to_boundary,
)

from .planes_blocking import AHEAD, PlanesGeometry, blocking, cost

__all__ = ["cost", "forward", "prepare", "workspace_bytes"]

_NUMBERS = len(PlanesGeometry._fields)


def _make_slide(vectors: int) -> Any:
    """Return the kernel for stride 1 that goes down some rows with `vectors` side by side."""
    two = 2 * vectors

    @kernel
    def slide(x, source, row, first, height, width, weights, at, start, done, out, target, pitch,
              rows, count, past):  # fmt: skip
        """Write `rows` output rows of `count` columns, from ``out[target]`` on, or add to them.

        `x`: ``x[source]`` is row `row`, column `first` of an input plane of `height` × `width`.
            There the first output's taps begin; both are negative in the padding. Nothing outside
            the plane is read.
        `weights`: read from `at` to `at` + 8.
        `start`: pointer to the one element that sums begin with.
        `done`: true if the output already holds sums to add to.
        `pitch`: elements from one output row to the next.
        `count`: columns written: at most `vectors` vectors, the last of them possibly in part.
        `past`: true to write past the caches and to prefetch input AHEAD rows early. Then
            ``out[target]`` must be aligned and `count` must be whole vectors.
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


def _make_halving_slide(vectors: int) -> Any:
    """Return the same kernel for stride 2."""

    @kernel
    def slide(x, source, row, first, height, width, weights, at, start, done, out, target, pitch,
              rows, count):  # fmt: skip
        """Write or add to output rows, as `slide` for stride 1 does, but never past the caches."""
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
    """Run the kernel for this stride and for as many vectors as `count` columns need.

    `streams`: true if whole vectors are to go past the caches; the other arguments are those of
        `slide`.
    """
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
    """Compute `count` columns of a block of output rows of plane h.

    The first output is row j, column k, and is written to ``out[target]``.

    `channel`: number of the first input channel, counted over images.
    `o`: number of the output channel.
    """
    rows = min(s.rows, s.out_height - j)
    row, first = j * s.stride - s.rows_before, k * s.stride - s.columns_before
    at = o * s.inputs * s.depth_taps * WEIGHTS
    done = channel < 0  # false, but not a literal: Numba would compile a second version of `slide`
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
    if not done:  # every tap lies in the padding
        for r in range(rows):
            for n in range(count):
                out[target + r * s.out_width + n] = bias[o]


@kernel
def _work(_slot, first, last, x, weights, bias, table, out):
    """Compute some runs; the arguments are flat arrays."""
    s = PlanesGeometry(*fixed_tuple(table, _NUMBERS))
    # Rows written past the caches must begin aligned, so the first run is narrower.
    shift = -to_boundary(pointer(out), 0) % s.columns if s.streams else 0
    for item in range(first, last):
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


_work_shared = by_ranges(_work)


@kernel
def _share(threads, runs, x, weights, bias, table, out):
    """Compute all `runs`, split among `threads` threads."""
    _work_shared(threads, runs, x, weights, bias, table, out)


def workspace_bytes(problem: Problem, threads: int) -> int:
    """Return the bytes of the copied kernel and the zero behind it."""
    return (math.prod(problem.kernel_shape) + 1) * problem.itemsize


def prepare(problem: Problem, w: np.ndarray, threads: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the blocking, and a copy of the correlation kernel with a zero."""
    return blocking(problem, threads), np.append(w, w.dtype.type(0))


def forward(
    problem: Problem, x: np.ndarray, prepared: tuple[np.ndarray, np.ndarray], bias: np.ndarray,
    out: np.ndarray, threads: int,
) -> None:  # fmt: skip
    """Write the output for `x`, with `prepared` as returned by `prepare`."""
    table, weights = prepared
    runs = table[PlanesGeometry._fields.index("items")]
    arguments = runs, x.ravel(), weights, bias, table, out.ravel()
    if threads == 1:
        _work(0, 0, *arguments)
    else:
        _share(threads, *arguments)
