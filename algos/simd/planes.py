# ruff: noqa: N803 - capitals mark what must be a constant
"""Rows of vectors that slide down a plane: vector building blocks of `parallel.planes`
and `parallel.sliding`.

A run holds neighbouring columns of one row. Only its first and last vectors may reach beyond the
row. They have masked lanes, whose memory is not touched. Arrays are addressed as in `simd`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from algos.backend.emitter import Emitter, Vector, element, intrinsic, literals, number, types

__all__ = ["TAPS", "WEIGHTS", "add_row", "add_run", "add_sliding", "splat_each", "store_run"]


#: Kernel rows and kernel columns, and weights of a 3 × 3 kernel.
TAPS, WEIGHTS = 3, 9


@intrinsic(prefer_literal=True)
def splat_each(typing, array, index, COUNT):
    """Return COUNT vectors, the i-th with ``array[index + i]`` in every lane."""
    kind, (count,) = Vector(array.dtype), literals(COUNT)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        array_, index_, _ = arguments
        at = [simd.pointer(signature.args[0], array_, index_, i) for i in range(count)]
        return simd.tuple_of([simd.splat(builder.load(p, typ=element(kind))) for p in at])

    return types.UniTuple(kind, count)(array, types.intp, COUNT), emit


@intrinsic(prefer_literal=True)
def add_row(typing, tile, weights, x, at, first, width, TOP, STEP, COLUMNS):
    """Add one input row to the sums of every output row that it reaches.

    ``sums[c] += Σ_n weights[3·TOP + n] · (x[at + n + STEP·c])``

    `tile` holds the sums of these output rows, COLUMNS vectors each, from top to bottom. The input
    row lies under kernel row TOP for the first of them, TOP − STEP for the next, and so on.

    `weights`: tuple of nine vectors, one weight in every lane of each.
    `x`: x[at] is column `first` of a row of `width` columns. Columns outside it are zero; the
        vectors at the ends do not read them.
    STEP: stride of rows and columns, 1 or 2.
    """
    kind, lanes = tile.dtype, tile.dtype.lanes
    top, step, columns = literals(TOP, STEP, COLUMNS)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        tile_, weights_, x_, at_, first_, width_ = arguments[:6]
        sums, factors = simd.items(tile_), simd.items(weights_)

        def read(plus: Any, at_end: Any) -> Any:
            pointer = simd.pointer(signature.args[2], x_, at_, plus)
            if at_end:
                return simd.load_lanes(pointer, simd.lanes_below(first_, plus, width_))
            return simd.load(pointer)

        def neighbours() -> Iterator[tuple[int, int, Any]]:
            """Yield, for one kernel column after the other, the samples of every vector of sums."""
            for n in range(TAPS):
                for c in range(columns):
                    yield n, c, read(c * lanes + n, c == columns - 1 or c == n == 0)

        def halved() -> Iterator[tuple[int, int, Any]]:
            """Yield the same for stride 2; even and odd columns are separated in registers."""
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


@intrinsic(prefer_literal=True)
def add_sliding(typing, tile, scalars, i, vectors, at, TAPS):
    """Add a row of an image to the sums of every output row that it reaches.

    The sum is ``tile[m, c] += Σ_n scalars[i + (TAPS−1−m)·TAPS + n] · (vector c from at + n on)``.

    `tile` holds TAPS output rows from top to bottom. The image row lies under the last kernel row
    for the first of them, and under the first kernel row for the last.

    Reads TAPS² elements of `scalars`, and the vectors of `vectors` at TAPS places.
    """
    kind = tile.dtype
    (taps,) = literals(TAPS)
    columns = tile.count // taps

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        tile_, scalars_, i_, vectors_, at_, _ = arguments
        sums = simd.items(tile_)
        for n in range(taps):
            here = builder.add(at_, number(n))
            pixels = simd.load_row(signature.args[3], vectors_, here, columns)
            for m in range(taps):
                weight = simd.pointer(signature.args[1], scalars_, i_, (taps - 1 - m) * taps + n)
                weight = simd.splat(builder.load(weight, typ=element(kind)))
                for c in range(columns):
                    sums[m * columns + c] = simd.fma(weight, pixels[c], sums[m * columns + c])
        return simd.tuple_of(sums)

    return tile(tile, scalars, types.intp, vectors, types.intp, TAPS), emit


@intrinsic
def add_run(typing, run, array, at, count):
    """Return the vectors of `run` plus `count` elements from ``array[at]`` on.

    All vectors but the last are read whole; of the last only elements below `count`.
    """
    kind = run.dtype

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
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
    """Write the vectors of `run` from ``array[at]`` on, `count` elements in all."""
    kind = run.dtype

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
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
