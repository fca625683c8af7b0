# ruff: noqa: N803 - capitals mark what must be a constant
"""Vector registers in Numba: pointers, load, store, broadcast, prefetch.

Numba has no vector type of its own, and its automatic vectorisation does not keep a block of sums
in registers. The functions here emit LLVM vector instructions directly. A `Vector` is one register.
A tuple of them is a register tile: it stays in registers as long as it only passes through these
functions and those of `arithmetic`.

An array is addressed by flat element index for any shape, without bounds checks and without any
alignment. It must be C-contiguous. Arguments named `array`, `source`, `target`, `a`, `b`, `scalars`
or `vectors` may be arrays or a `pointer`. Indices, steps and counts are in elements. Every function
states how far it reads and writes.

The width of a register is never spelled out. Numba's target processor (`NUMBA_CPU_NAME` included)
decides whether 16, 8 or 4 float32 are read at a time. One source serves float32 and float64.
Arguments in capitals must be compile-time constants.
"""

from __future__ import annotations

from ctypes import addressof, c_char
from typing import Any

import numpy as np

from algos.backend.emitter import (
    FEW_LOADS,
    REGISTER_BYTES,
    REGISTERS,
    Emitter,
    Vector,
    cgutils,
    element,
    intrinsic,
    ir,
    lanes_of,
    literals,
    types,
)

__all__ = [
    "FEW_LOADS", "LINE_VECTORS", "REGISTERS", "REGISTER_BYTES", "Vector", "aligned", "distance",
    "further", "lanes", "lanes_of",
    "load", "load_alternate", "load_part", "load_square", "pointer", "prefetch", "splat", "store",
    "store_lanes", "store_past", "store_rows", "streamed", "tile_of", "to_boundary",
]  # fmt: skip


#: Vector registers that hold a cache line of 64 bytes.
LINE_VECTORS = 64 // REGISTER_BYTES


def tile_of(kind: Vector, count: int) -> types.UniTuple:
    """Return the Numba type of `count` vectors."""
    return types.UniTuple(kind, count)


@intrinsic
def pointer(typing, array):
    """Return the address of an array's first element; ``p[i]`` then reads and writes element i.

    All functions here accept a pointer for an array. Kernels pass pointers to one another because
    Numba counts references to arrays. It does so atomically at every call, and empties the vector
    registers. The array must outlive the pointer.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, value=arguments[0]).data

    return types.CPointer(array.dtype)(array), emit


@intrinsic
def further(typing, start, count):
    """Return the pointer `count` elements further."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]])

    return start(start, types.intp), emit


@intrinsic
def distance(typing, start, end):
    """Return the elements between two pointers: ``start[distance(start, end)]`` is ``end[0]``.

    The pointers may belong to different arrays, if these lie whole elements apart.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        i64 = ir.IntType(64)
        first, last = (builder.ptrtoint(argument, i64) for argument in arguments)
        size = ir.Constant(i64, start.dtype.bitwidth // 8)
        return builder.sdiv(builder.sub(last, first), size)

    return types.intp(start, end), emit


@intrinsic
def lanes(typing, array):
    """Return the number of elements of `array` that one register holds."""
    count = lanes_of(array.dtype.bitwidth // 8)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.get_constant(types.intp, count)

    return types.intp(array), emit


@intrinsic(prefer_literal=True)
def load(typing, array, index, COUNT):
    """Return COUNT vectors of consecutive elements of `array`, from `index` on."""
    kind, (count,) = Vector(array.dtype), literals(COUNT)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        return simd.tuple_of(simd.load_row(signature.args[0], arguments[0], arguments[1], count))

    return tile_of(kind, count)(array, types.intp, COUNT), emit


@intrinsic
def store(typing, array, index, tile):
    """Write the vectors of `tile` to consecutive elements of `array`, from `index` on."""
    kind = tile.dtype

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        simd = Emitter(context, builder, kind)
        for i, value in enumerate(simd.items(arguments[2])):
            at = simd.pointer(signature.args[0], arguments[0], arguments[1], i * kind.lanes)
            simd.store(value, at)

    return types.void(array, types.intp, tile), emit


@intrinsic
def store_past(typing, array, index, tile):
    """Write the vectors of `tile` as `store` does, but past the caches (non-temporal).

    ``array[index]`` must be aligned to a register, see `to_boundary`. Such a store neither reads
    the line before writing it nor evicts lines that are still needed. Other threads may see the
    data only after `streamed`.
    """
    kind = tile.dtype

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        for i, value in enumerate(simd.items(arguments[2])):
            at = simd.pointer(signature.args[0], arguments[0], arguments[1], i * kind.lanes)
            simd.store_past(value, at)
        return context.get_dummy_value()

    return types.void(array, types.intp, tile), emit


@intrinsic
def streamed(typing):
    """Wait until other threads can see all that this thread wrote by `store_past`."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), emit


@intrinsic
def to_boundary(typing, array, index):
    """Return the elements from ``array[index]`` to the next address aligned to a register."""
    kind = Vector(array.dtype)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        i64 = ir.IntType(64)
        at = builder.ptrtoint(simd.pointer(signature.args[0], *arguments), i64)
        beyond = builder.and_(builder.neg(at), ir.Constant(i64, REGISTER_BYTES - 1))
        return builder.udiv(beyond, ir.Constant(i64, kind.dtype.bitwidth // 8))

    return types.intp(array, types.intp), emit


@intrinsic
def store_lanes(typing, array, index, vector, first, last):
    """Write lanes first <= lane < last of `vector` to ``array[index + lane]``, no others."""
    kind = vector

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        simd = Emitter(context, builder, kind)
        at = simd.pointer(signature.args[0], arguments[0], arguments[1])
        simd.store_lanes(arguments[2], at, arguments[3], arguments[4])

    return types.void(array, types.intp, vector, types.intp, types.intp), emit


@intrinsic(prefer_literal=True)
def load_alternate(typing, array, index, FIRST):
    """Return every second element of the two vectors at `index`, from FIRST (0 or 1) on."""
    kind, (odd,) = Vector(array.dtype), literals(FIRST)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        array_, index_, _ = arguments
        low = simd.load(simd.pointer(signature.args[0], array_, index_))
        high = simd.load(simd.pointer(signature.args[0], array_, index_, kind.lanes))
        chosen = list(range(odd, 2 * kind.lanes, 2))
        return simd.tuple_of([simd.shuffle(low, high, chosen)])

    return tile_of(kind, 1)(array, types.intp, FIRST), emit


@intrinsic
def load_square(typing, array, index, step):
    """Return as many vectors as a vector has lanes, the i-th from ``array[index + i·step]`` on."""
    kind = Vector(array.dtype)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        values = []
        for i in range(kind.lanes):
            shift = builder.mul(arguments[2], ir.Constant(ir.IntType(64), i))
            at = builder.add(arguments[1], shift)
            values.append(simd.load(simd.pointer(signature.args[0], arguments[0], at)))
        return simd.tuple_of(values)

    return tile_of(kind, kind.lanes)(array, types.intp, types.intp), emit


@intrinsic
def load_part(typing, array, index, step, rows, count):
    """Return the vectors of `load_square`, but read only a part of them; the rest is zero.

    Reads the lanes below `count` of the first `rows` vectors. Other memory is not touched.
    """
    kind = Vector(array.dtype)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        array_, index_, step_, rows_, count_ = arguments
        none = ir.Constant(count_.type, 0)
        values = []
        for i in range(kind.lanes):
            number = ir.Constant(ir.IntType(64), i)
            at = builder.add(index_, builder.mul(step_, number))
            some = builder.select(builder.icmp_signed("<", number, rows_), count_, none)
            pointer = simd.pointer(signature.args[0], array_, at)
            values.append(simd.load_lanes(pointer, simd.lanes_below(none, 0, some)))
        return simd.tuple_of(values)

    return tile_of(kind, kind.lanes)(array, *[types.intp] * 4), emit


@intrinsic
def store_rows(typing, tile, array, index, step, rows, first, last):
    """Write lanes first <= lane < last of the first `rows` vectors of `tile`.

    Lane 0 of vector i belongs at ``array[index + i·step]``. Other memory is not touched.
    """
    kind = tile.dtype

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        simd = Emitter(context, builder, kind)
        values, array_, index_, step_, rows_, first_, last_ = arguments
        for i, value in enumerate(simd.items(values)):
            number = ir.Constant(ir.IntType(64), i)
            with builder.if_then(builder.icmp_signed("<", number, rows_), likely=True):
                at = builder.add(index_, builder.mul(step_, number))
                pointer = simd.pointer(signature.args[1], array_, at)
                simd.store_lanes(value, pointer, first_, last_)

    return types.void(tile, array, *[types.intp] * 5), emit


@intrinsic
def prefetch(typing, array, index):
    """Prefetch the cache line of ``array[index]`` into L2; any index is harmless."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, Vector(array.dtype))
        at = builder.bitcast(
            simd.pointer(signature.args[0], *arguments), ir.IntType(8).as_pointer()
        )
        i32 = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [at.type, i32, i32, i32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        read, locality, data = (ir.Constant(i32, number) for number in (0, 2, 1))
        builder.call(function, [at, read, locality, data])
        return context.get_dummy_value()

    return types.void(array, types.intp), emit


@intrinsic(prefer_literal=True)
def splat(typing, array, index, COUNT):
    """Return COUNT vectors, each with ``array[index]`` in every lane."""
    kind, (count,) = Vector(array.dtype), literals(COUNT)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        at = simd.pointer(signature.args[0], arguments[0], arguments[1])
        return simd.tuple_of([simd.splat(builder.load(at, typ=element(kind)))] * count)

    return tile_of(kind, count)(array, types.intp, COUNT), emit


def aligned(size: int, dtype: Any) -> np.ndarray:
    """Return an uninitialised array of `size` elements that starts on a cache line."""
    room = np.empty(size + 16, dtype)
    buffer: Any = room  # NumPy's stubs do not declare the buffer protocol
    start = -addressof(c_char.from_buffer(buffer)) % 64 // room.itemsize
    return room[start : start + size]
