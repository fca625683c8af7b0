# ruff: noqa: N803 - capitals mark what must be a constant
"""Rows of vectors that slide down a plane: vector building blocks of `direct_planes`.

A run holds neighbouring columns of one row. Of its vectors only those at the two ends may reach
beyond the row, and have masked lanes: memory under them is not touched.
"""

from __future__ import annotations

from typing import Any

import numba
from numba.core import types

from .simd_emitter import Emitter, Vector, element, literals, number

__all__ = ["TAPS", "WEIGHTS", "add_row", "add_run", "splat_each", "store_run"]

intrinsic: Any = numba.extending.intrinsic

#: Rows and columns of the kernel, and its weights.
TAPS, WEIGHTS = 3, 9


@intrinsic(prefer_literal=True)
def splat_each(typing, array, index, COUNT):
    """A tuple of COUNT vectors, the i-th holding ``array[index + i]`` in every lane."""
    kind, (count,) = Vector(array.dtype), literals(COUNT)

    def emit(context, builder, signature, arguments):
        simd = Emitter(context, builder, kind)
        array_, index_, _ = arguments
        at = [simd.pointer(signature.args[0], array_, index_, i) for i in range(count)]
        return simd.tuple_of([simd.splat(builder.load(p, typ=element(kind))) for p in at])

    return types.UniTuple(kind, count)(array, types.intp, COUNT), emit


@intrinsic(prefer_literal=True)
def add_row(typing, tile, weights, x, at, first, width, TOP, STEP, COLUMNS):
    """Add one input row to the sums of every output row that it reaches.

    `tile` holds the sums of these output rows, COLUMNS vectors each, from above; to the first
    of them the input row is number TOP under the kernel, to the next TOP − STEP, and so on:
    sums[c] += Σ_n weights[3·TOP + n] · (x[at + n + STEP·c]). STEP is the stride, 1 or 2, of
    rows and columns. The vectors at the ends may reach beyond the row: x[at] is its column
    `first`, and columns not in 0 <= column < `width` count as zeros.
    """
    kind, lanes = tile.dtype, tile.dtype.lanes
    top, step, columns = literals(TOP, STEP, COLUMNS)

    def emit(context, builder, signature, arguments):
        simd = Emitter(context, builder, kind)
        tile_, weights_, x_, at_, first_, width_ = arguments[:6]
        sums, factors = simd.items(tile_), simd.items(weights_)

        def read(plus, at_end):
            pointer = simd.pointer(signature.args[2], x_, at_, plus)
            if at_end:
                return simd.load_lanes(pointer, simd.lanes_below(first_, plus, width_))
            return simd.load(pointer)

        def neighbours():
            """Of every vector of sums, its samples under one column of the kernel after another."""
            for n in range(TAPS):
                for c in range(columns):
                    yield n, c, read(c * lanes + n, c == columns - 1 or c == n == 0)

        def halved():
            """The same where every second column is wanted: taken apart in registers."""
            count = 2 * columns + 1
            row = [read(m * lanes, m == 0 or m >= count - 3) for m in range(count)]
            pairs = list(zip(row[::2], [*row[1::2], row[-1]], strict=True))
            even, odd = (
                [simd.shuffle(a, b, list(range(phase, 2 * lanes, 2))) for a, b in pairs]
                for phase in (0, 1)
            )
            for c in range(columns):
                following = simd.shuffle(even[c], even[c + 1], list(range(1, lanes + 1)))
                yield from ((0, c, even[c]), (1, c, odd[c]), (2, c, following))

        for n, c, pixels in neighbours() if step == 1 else halved():
            for k in range(c, len(sums), columns):
                weight = factors[(top - k // columns * step) * TAPS + n]
                sums[k] = simd.fma(weight, pixels, sums[k])
        return simd.tuple_of(sums)

    numbers = [types.intp] * 3
    return tile(tile, weights, x, *numbers, TOP, STEP, COLUMNS), emit


@intrinsic
def add_run(typing, run, array, at, count):
    """The vectors of `run` plus those from ``array[at]`` on; the last ends with element `count`."""
    kind = run.dtype

    def emit(context, builder, signature, arguments):
        simd = Emitter(context, builder, kind)
        run_, array_, at_, count_ = arguments
        values = simd.items(run_)
        last = (len(values) - 1) * kind.lanes
        others = simd.load_row(signature.args[1], array_, at_, len(values) - 1)
        pointer = simd.pointer(signature.args[1], array_, at_, last)
        others.append(simd.load_lanes(pointer, simd.lanes_below(number(0), last, count_)))
        return simd.tuple_of([builder.fadd(*pair) for pair in zip(values, others, strict=True)])

    return run(run, array, types.intp, types.intp), emit


@intrinsic
def store_run(typing, run, array, at, count):
    """Write the vectors of `run` from ``array[at]`` on; the last ends with element `count`."""
    kind = run.dtype

    def emit(context, builder, signature, arguments):
        simd = Emitter(context, builder, kind)
        run_, array_, at_, count_ = arguments
        values = simd.items(run_)
        places = [
            simd.pointer(signature.args[1], array_, at_, c * kind.lanes) for c in range(len(values))
        ]
        for value, place in zip(values[:-1], places[:-1], strict=True):
            simd.store(value, place)
        left = builder.sub(count_, number((len(values) - 1) * kind.lanes))
        simd.store_lanes(values[-1], places[-1], number(0), left)
        return context.get_dummy_value()

    return types.void(run, array, types.intp, types.intp), emit
