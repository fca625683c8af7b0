# ruff: noqa: N803 - capitals mark what must be a constant
"""Arithmetic on register tiles: rank-one updates, products, sums of lanes, transposition.

Arrays are addressed as in `registers`. Arguments in capitals must be compile-time constants.
"""

from __future__ import annotations

from typing import Any

from algos.backend.emitter import (
    Emitter,
    Vector,
    cgutils,
    element,
    intrinsic,
    ir,
    literals,
    number,
    types,
)

from .registers import tile_of

__all__ = [
    "add_gathered", "add_outer", "add_products", "add_scaled", "repeat", "spread", "sum_lanes",
    "transpose",
]  # fmt: skip


@intrinsic(prefer_literal=True)
def repeat(typing, tile, TIMES):
    """Return the vectors of `tile`, repeated TIMES times."""
    (times,) = literals(TIMES)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, tile.dtype)
        return simd.tuple_of(simd.items(arguments[0]) * times)

    return tile_of(tile.dtype, tile.count * times)(tile, TIMES), emit


@intrinsic(prefer_literal=True)
def spread(typing, array, index, count, ROWS, COLUMNS):
    """Return a tile of ROWS × COLUMNS vectors whose row r holds ``array[index + r]`` in every lane.

    Rows from `count` on repeat element `count` − 1, so nothing behind it is read.
    """
    kind, (rows, columns) = Vector(array.dtype), literals(ROWS, COLUMNS)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        array_, index_, count_, _, _ = arguments
        last = builder.sub(count_, number(1))
        values = []
        for r in range(rows):
            row = number(r)
            within = builder.select(builder.icmp_signed("<", row, last), row, last)
            at = simd.pointer(signature.args[0], array_, builder.add(index_, within))
            values += [simd.splat(builder.load(at, typ=element(kind)))] * columns
        return simd.tuple_of(values)

    return tile_of(kind, rows * columns)(array, types.intp, types.intp, ROWS, COLUMNS), emit


@intrinsic(prefer_literal=True)
def add_outer(typing, tile, scalars, i, vectors, j, ROWS, COLUMNS):
    """Add a rank-one update: tile[r, c] += scalars[i + r] · (vector c of `vectors` from j on).

    `tile` holds ROWS × COLUMNS vectors, row by row. This is the innermost step of most kernels:
    ROWS·COLUMNS fused multiply-adds for COLUMNS loads and ROWS broadcasts.

    Reads ROWS elements of `scalars` and COLUMNS vectors of `vectors`.
    """
    kind = tile.dtype
    rows, columns = literals(ROWS, COLUMNS)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        tile_, scalars_, i_, vectors_, j_, _, _ = arguments
        loaded = simd.load_row(signature.args[3], vectors_, j_, columns)

        def scalar(row: int) -> Any:
            return simd.load_lane(simd.pointer(signature.args[1], scalars_, i_, row))

        sums = simd.add_outer(simd.items(tile_), map(scalar, range(rows)), loaded, simd.fma)
        return simd.tuple_of(sums)

    return tile(tile, scalars, types.intp, vectors, types.intp, ROWS, COLUMNS), emit


@intrinsic(prefer_literal=True)
def add_gathered(typing, tile, scalars, starts, i, vectors, j, ROWS, COLUMNS):
    """Add a rank-one update of scattered scalars.

    The sum is ``tile[r, c] += scalars[starts[r] + i] · (vector c of vectors from j on)``.

    `starts`: pointer to ROWS signed integers. In a loop over `i` they stay in registers.

    Reads ROWS elements of `scalars` and COLUMNS vectors of `vectors`.
    """
    kind = tile.dtype
    rows, columns = literals(ROWS, COLUMNS)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        tile_, scalars_, starts_, i_, vectors_, j_, _, _ = arguments
        loaded = simd.load_row(signature.args[4], vectors_, j_, columns)

        def scalar(row: int) -> Any:
            start = builder.load(builder.gep(starts_, [number(row)]))
            at = builder.add(builder.sext(start, ir.IntType(64)), i_)
            return simd.load_lane(simd.pointer(signature.args[1], scalars_, at))

        sums = simd.add_outer(simd.items(tile_), map(scalar, range(rows)), loaded, simd.fma)
        return simd.tuple_of(sums)

    return tile(tile, scalars, starts, types.intp, vectors, types.intp, ROWS, COLUMNS), emit


@intrinsic(prefer_literal=True)
def add_scaled(typing, tile, factors, i, vectors, j, step, ROWS, COLUMNS):
    """Add rows of vectors, all multiplied by the same factors, element by element.

    The sum is ``tile[r, c] += (vector c of factors from i on) · (vector c from j + r·step on)``.

    Reads COLUMNS vectors of `factors`, and as many of each of ROWS rows of `vectors`.
    """
    kind = tile.dtype
    rows, columns = literals(ROWS, COLUMNS)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        tile_, factors_, i_, vectors_, j_, step_, _, _ = arguments
        weights = simd.load_row(signature.args[1], factors_, i_, columns)
        sums = simd.items(tile_)
        for r in range(rows):
            at = builder.add(j_, builder.mul(step_, number(r)))
            for c, row in enumerate(simd.load_row(signature.args[3], vectors_, at, columns)):
                k = r * columns + c
                sums[k] = simd.fma(weights[c], row, sums[k])
        return simd.tuple_of(sums)

    numbers = types.intp, types.intp
    return tile(tile, factors, types.intp, vectors, *numbers, ROWS, COLUMNS), emit


@intrinsic
def add_products(typing, tile, a, i, step, b, j, count):
    """Add products of vectors: tile[r] += a[i + r·step :] · b[j :], in lanes below `count`.

    The memory of other lanes is not touched.
    """
    kind, rows = tile.dtype, tile.count

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        tile_, a_, i_, step_, b_, j_, count_ = arguments
        sums = simd.items(tile_)
        mask = simd.lanes_below(ir.Constant(count_.type, 0), 0, count_)
        vector = simd.load_lanes(simd.pointer(signature.args[4], b_, j_), mask)
        for r in range(rows):
            at = simd.pointer(signature.args[1], a_, i_)
            sums[r] = simd.fma(simd.load_lanes(at, mask), vector, sums[r])
            i_ = builder.add(i_, step_)
        return simd.tuple_of(sums)

    return tile(tile, a, types.intp, types.intp, b, types.intp, types.intp), emit


@intrinsic
def sum_lanes(typing, tile):
    """Return the sum of the lanes of each vector of `tile`, added pairwise by halves."""
    kind, rows = tile.dtype, tile.count

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        sums = []
        for vector in simd.items(arguments[0]):
            lanes = kind.lanes
            while lanes > 1:
                lanes //= 2
                upper = simd.shuffle(vector, vector, list(range(lanes, 2 * lanes)))
                vector = builder.fadd(simd.shuffle(vector, vector, list(range(lanes))), upper)
            sums.append(builder.extract_element(vector, ir.Constant(ir.IntType(32), 0)))
        return cgutils.pack_array(builder, sums, element(kind))

    return types.UniTuple(kind.dtype, rows)(tile), emit


@intrinsic
def transpose(typing, tile):
    """Return the transposed square: lane i of vector k is lane k of `tile[i]`.

    There are as many vectors as lanes; a shorter `tile` leaves the last lanes undefined. Blocks are
    exchanged in log2(lanes) rounds (Eklundh, IEEE Trans. Computers C-21, 1972,
    doi:10.1109/T-C.1972.223584).
    """
    kind = tile.dtype

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        rows = simd.transposed(simd.items(arguments[0]))
        return simd.tuple_of(rows)

    return tile_of(kind, kind.lanes)(tile), emit
