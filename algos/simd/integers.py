# ruff: noqa: N803 - capitals mark what must be a constant
"""Sums of products of 16-bit integers in 32-bit lanes.

A lane holds two neighbouring numbers. On x86, ``pmaddwd`` multiplies the pairs of two lanes and
adds the two products. With VNNI, ``vpdpwssd`` also adds them to a sum. Arrays are addressed as in
`registers`. They hold int32; the lower half is the first number.
"""

from __future__ import annotations

from typing import Any

from algos.backend.emitter import (
    REGISTER_BYTES,
    Emitter,
    Vector,
    cgutils,
    intrinsic,
    ir,
    is_x86,
    literals,
    number,
    types,
)

from .registers import tile_of

__all__ = ["add_multiples", "add_pairs", "zeros"]

#: Instructions by the bytes of a register.
_NAMES = {
    64: "llvm.x86.avx512.pmaddw.d.512", 32: "llvm.x86.avx2.pmadd.wd", 16: "llvm.x86.sse2.pmadd.wd",
}  # fmt: skip


@intrinsic(prefer_literal=True)
def zeros(typing, array, COUNT):
    """Return COUNT vectors of zeros, of the type of `array`."""
    kind, (count,) = Vector(array.dtype), literals(COUNT)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        return simd.tuple_of([ir.Constant(simd.type, None)] * count)

    return tile_of(kind, count)(array, COUNT), emit


@intrinsic(prefer_literal=True)
def add_pairs(typing, tile, weights, j, step, pairs, i, ROWS, COLUMNS):
    """Add products of pairs: tile[r, c] += weights[j − r·step] · (vector c of `pairs` from i on).

    A product of two lanes is the sum of the products of their halves. `tile` holds ROWS × COLUMNS
    vectors of int32, row by row. Reads ROWS elements of `weights`, and COLUMNS vectors of `pairs`.
    """
    kind = tile.dtype
    rows, columns = literals(ROWS, COLUMNS)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        tile_, weights_, j_, step_, pairs_, i_, _, _ = arguments
        loaded = simd.load_row(signature.args[4], pairs_, i_, columns)

        def weight(row: int) -> Any:
            at = builder.sub(j_, builder.mul(step_, number(row)))
            return simd.load_lane(simd.pointer(signature.args[1], weights_, at))

        def add(both: Any, pair: Any, total: Any) -> Any:
            return builder.add(total, _products(simd, both, pair))

        sums = simd.add_outer(simd.items(tile_), map(weight, range(rows)), loaded, add)
        return simd.tuple_of(sums)

    returned = tile(tile, weights, types.intp, types.intp, pairs, types.intp, ROWS, COLUMNS)
    return returned, emit


@intrinsic(prefer_literal=True)
def add_multiples(typing, tile, weights, j, vectors, i, ROWS, COLUMNS):
    """Add multiples: tile[r, c] += weights[j − r] · (vector c of `vectors` from i on), in 32 bits.

    `tile` holds ROWS × COLUMNS vectors of int32, row by row. Reads ROWS elements of `weights`, and
    COLUMNS vectors of `vectors`.
    """
    kind = tile.dtype
    rows, columns = literals(ROWS, COLUMNS)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        tile_, weights_, j_, vectors_, i_, _, _ = arguments
        loaded = simd.load_row(signature.args[3], vectors_, i_, columns)

        def weight(row: int) -> Any:
            return simd.load_lane(simd.pointer(signature.args[1], weights_, j_, -row))

        def add(weight: Any, vector: Any, total: Any) -> Any:
            return builder.add(total, builder.mul(weight, vector))

        sums = simd.add_outer(simd.items(tile_), map(weight, range(rows)), loaded, add)
        return simd.tuple_of(sums)

    return tile(tile, weights, types.intp, vectors, types.intp, ROWS, COLUMNS), emit


def _products(simd: Emitter, a: ir.Value, b: ir.Value) -> ir.Value:
    """Return the sum of the products of the halves, in every lane."""
    builder = simd.builder
    if is_x86():
        halves = ir.VectorType(ir.IntType(16), 2 * simd.kind.lanes)
        kind = ir.FunctionType(simd.type, [halves] * 2)
        function = cgutils.get_or_insert_function(builder.module, kind, _NAMES[REGISTER_BYTES])
        return builder.call(function, [builder.bitcast(value, halves) for value in (a, b)])
    sixteen = ir.Constant(simd.type, [16] * simd.kind.lanes)
    upper = [builder.ashr(value, sixteen) for value in (a, b)]
    lower = [builder.ashr(builder.shl(value, sixteen), sixteen) for value in (a, b)]
    return builder.add(builder.mul(*upper), builder.mul(*lower))
