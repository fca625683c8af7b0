"""Vector registers in Numba: load, store, broadcast, fused multiply-add, transpose.

Numba has no vector type of its own, and its automatic vectorisation does not hold a block of
sums in registers. The functions here emit LLVM vector instructions directly. A `Vector` is
one register; a tuple of them is a register tile that stays in registers as long as it is
only passed through these functions.

Arrays are addressed by flat element index, whatever their shape, without bounds checks and
without any alignment: they must be C-contiguous. A width is never spelled out: an array of
float32 is read 16, 8 or 4 elements at a time, as the processor that Numba compiles for has
it (`NUMBA_CPU_NAME` included), and one source serves float32 and float64. Arguments in
capitals must be compile-time constants.
"""

from __future__ import annotations

import re
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.extending import register_model

from .jit import kernel

intrinsic: Any = numba.extending.intrinsic


def _probe() -> tuple[int, int]:
    """(bytes per register, number of registers) of the processor Numba compiles for.

    What LLVM makes of a sum of two long vectors shows the widest register it would use.
    """
    config: Any = numba.config
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    name = config.CPU_NAME or llvm.get_host_cpu_name()
    features = config.CPU_FEATURES
    if features is None:
        features = "" if config.CPU_NAME else llvm.get_host_cpu_features().flatten()
    machine = target.create_target_machine(cpu=name, features=features, opt=2)
    code = """define void @f(ptr %p) {
        %a = load <16 x float>, ptr %p, align 4
        %b = fadd <16 x float> %a, %a
        store <16 x float> %b, ptr %p, align 4
        ret void }"""
    assembly = machine.emit_assembly(llvm.parse_assembly(code))
    if re.search(r"\bzmm\d", assembly):
        return 64, 32
    if re.search(r"\bymm\d", assembly):
        return 32, 16
    return 16, 16 if re.search(r"\bxmm\d", assembly) else 32


#: Bytes that one vector register holds, and how many registers there are.
REGISTER_BYTES, REGISTERS = _probe()


class Vector(types.Type):
    """Numba's name for one register full of `dtype`."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        self.lanes = lanes_of(dtype.bitwidth // 8)
        super().__init__(name=f"Vector({dtype}, {self.lanes})")


def lanes_of(itemsize: int) -> int:
    """How many elements of `itemsize` bytes one register holds."""
    return REGISTER_BYTES // itemsize


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, ir.VectorType(_element(kind), kind.lanes))


def _element(kind: Vector) -> ir.Type:
    return ir.FloatType() if kind.dtype.bitwidth == 32 else ir.DoubleType()


class _Emitter:
    """Writes vector instructions for one call of an intrinsic."""

    def __init__(self, context: Any, builder: ir.IRBuilder, kind: Vector) -> None:
        self.context, self.builder, self.kind = context, builder, kind
        self.type = ir.VectorType(_element(kind), kind.lanes)
        self.mangled = f"v{kind.lanes}f{kind.dtype.bitwidth}"
        self.align = kind.dtype.bitwidth // 8

    def pointer(self, kind: types.Array, array: ir.Value, index: ir.Value, plus: int = 0) -> Any:
        """Address of element `index + plus` of an array."""
        data = self.context.make_array(kind)(self.context, self.builder, value=array).data
        at = self.builder.gep(data, [index])
        return self.builder.gep(at, [ir.Constant(ir.IntType(64), plus)]) if plus else at

    def load(self, pointer: ir.Value) -> ir.Value:
        pointer = self.builder.bitcast(pointer, self.type.as_pointer())
        value = self.builder.load(pointer, typ=self.type)
        value.align = self.align
        return value

    def store(self, value: ir.Value, pointer: ir.Value) -> None:
        pointer = self.builder.bitcast(pointer, self.type.as_pointer())
        self.builder.store(value, pointer, align=self.align)

    def splat(self, scalar: ir.Value) -> ir.Value:
        """A vector with `scalar` in every lane."""
        lane = ir.Constant(ir.IntType(32), 0)
        one = self.builder.insert_element(ir.Constant(self.type, ir.Undefined), scalar, lane)
        return self.shuffle(one, one, [0] * self.kind.lanes)

    def shuffle(self, a: ir.Value, b: ir.Value, lanes: list[int]) -> ir.Value:
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
        return self.builder.shuffle_vector(a, b, mask)

    def fma(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """a·b + c: fused where the processor can, a product and a sum where it cannot."""
        kind = ir.FunctionType(self.type, [self.type] * 3)
        name = f"llvm.fmuladd.{self.mangled}"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [a, b, c])

    def store_lanes(self, value: ir.Value, pointer: Any, first: ir.Value, last: ir.Value) -> None:
        """Store lanes first <= lane < last alone; memory under the others is not touched."""
        lanes, i32 = self.kind.lanes, ir.IntType(32)
        numbers = ir.Constant(ir.VectorType(i32, lanes), list(range(lanes)))

        def spread(scalar: ir.Value) -> ir.Value:
            small = self.builder.trunc(scalar, i32)
            zero = ir.Constant(i32, 0)
            undefined = ir.Constant(numbers.type, ir.Undefined)
            one = self.builder.insert_element(undefined, small, zero)
            return self.shuffle(one, one, [0] * lanes)

        mask = self.builder.and_(
            self.builder.icmp_signed(">=", numbers, spread(first)),
            self.builder.icmp_signed("<", numbers, spread(last)),
        )
        pointer = self.builder.bitcast(pointer, self.type.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [self.type, pointer.type, i32, mask.type])
        function = cgutils.get_or_insert_function(
            self.builder.module, kind, f"llvm.masked.store.{self.mangled}.p0"
        )
        align = ir.Constant(i32, self.align)
        self.builder.call(function, [value, pointer, align, mask])

    def tuple_of(self, values: list[ir.Value]) -> ir.Value:
        return cgutils.pack_array(self.builder, values, self.type)

    def items(self, values: ir.Value) -> list[ir.Value]:
        return cgutils.unpack_tuple(self.builder, values)


def _tile(kind: Vector, count: int) -> types.UniTuple:
    return types.UniTuple(kind, count)


def _literal(*values: Any) -> list[int]:
    return [value.literal_value for value in values]


@intrinsic
def lanes(typing, array):
    """Elements of `array` that one register holds."""
    count = lanes_of(array.dtype.bitwidth // 8)

    def emit(context, builder, signature, arguments):
        return context.get_constant(types.intp, count)

    return types.intp(array), emit


@intrinsic(prefer_literal=True)
def load(typing, array, index, COUNT):  # noqa: N803
    """A tuple of COUNT vectors: consecutive elements of `array` from `index` on."""
    kind, (count,) = Vector(array.dtype), _literal(COUNT)

    def emit(context, builder, signature, arguments):
        simd = _Emitter(context, builder, kind)
        at = [
            simd.pointer(signature.args[0], arguments[0], arguments[1], i * kind.lanes)
            for i in range(count)
        ]
        return simd.tuple_of([simd.load(pointer) for pointer in at])

    return _tile(kind, count)(array, types.intp, COUNT), emit


@intrinsic
def store(typing, array, index, tile):
    """Write the vectors of `tile` to consecutive elements of `array` from `index` on."""
    kind = tile.dtype

    def emit(context, builder, signature, arguments):
        simd = _Emitter(context, builder, kind)
        for i, value in enumerate(simd.items(arguments[2])):
            at = simd.pointer(signature.args[0], arguments[0], arguments[1], i * kind.lanes)
            simd.store(value, at)

    return types.void(array, types.intp, tile), emit


@intrinsic
def store_lanes(typing, array, index, vector, first, last):
    """Write lanes first <= lane < last of `vector` to ``array[index + lane]``, no others."""
    kind = vector

    def emit(context, builder, signature, arguments):
        simd = _Emitter(context, builder, kind)
        at = simd.pointer(signature.args[0], arguments[0], arguments[1])
        simd.store_lanes(arguments[2], at, arguments[3], arguments[4])

    return types.void(array, types.intp, vector, types.intp, types.intp), emit


@intrinsic(prefer_literal=True)
def load_alternate(typing, array, index, FIRST):  # noqa: N803
    """One vector of every second element of the two vectors at `index`, from FIRST (0 or 1) on."""
    kind, (odd,) = Vector(array.dtype), _literal(FIRST)

    def emit(context, builder, signature, arguments):
        simd = _Emitter(context, builder, kind)
        array_, index_, _ = arguments
        low = simd.load(simd.pointer(signature.args[0], array_, index_))
        high = simd.load(simd.pointer(signature.args[0], array_, index_, kind.lanes))
        chosen = list(range(odd, 2 * kind.lanes, 2))
        return simd.tuple_of([simd.shuffle(low, high, chosen)])

    return _tile(kind, 1)(array, types.intp, FIRST), emit


@intrinsic
def load_square(typing, array, index, step):
    """As many vectors as a vector has lanes, the i-th from ``array[index + i·step]`` on."""
    kind = Vector(array.dtype)

    def emit(context, builder, signature, arguments):
        simd = _Emitter(context, builder, kind)
        values = []
        for i in range(kind.lanes):
            shift = builder.mul(arguments[2], ir.Constant(ir.IntType(64), i))
            at = builder.add(arguments[1], shift)
            values.append(simd.load(simd.pointer(signature.args[0], arguments[0], at)))
        return simd.tuple_of(values)

    return _tile(kind, kind.lanes)(array, types.intp, types.intp), emit


@intrinsic
def store_rows(typing, tile, array, index, step, rows, first, last):
    """Write lanes first <= lane < last of the leading `rows` vectors, `step` elements apart.

    Lane 0 of vector i belongs at ``array[index + i·step]``.
    """
    kind = tile.dtype

    def emit(context, builder, signature, arguments):
        simd = _Emitter(context, builder, kind)
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
    """Ask for the cache line of ``array[index]`` to be brought into L2; any index is harmless."""

    def emit(context, builder, signature, arguments):
        simd = _Emitter(context, builder, Vector(array.dtype))
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
def splat(typing, array, index, COUNT):  # noqa: N803
    """A tuple of COUNT vectors, each holding ``array[index]`` in every lane."""
    kind, (count,) = Vector(array.dtype), _literal(COUNT)

    def emit(context, builder, signature, arguments):
        simd = _Emitter(context, builder, kind)
        at = simd.pointer(signature.args[0], arguments[0], arguments[1])
        return simd.tuple_of([simd.splat(builder.load(at, typ=_element(kind)))] * count)

    return _tile(kind, count)(array, types.intp, COUNT), emit


@intrinsic(prefer_literal=True)
def repeat(typing, tile, TIMES):  # noqa: N803
    """The vectors of `tile`, TIMES times over."""
    (times,) = _literal(TIMES)

    def emit(context, builder, signature, arguments):
        simd = _Emitter(context, builder, tile.dtype)
        return simd.tuple_of(simd.items(arguments[0]) * times)

    return _tile(tile.dtype, tile.count * times)(tile, TIMES), emit


@intrinsic(prefer_literal=True)
def add_outer(typing, tile, scalars, i, step, vectors, j, ROWS, COLUMNS):  # noqa: N803
    """tile[r, c] += scalars[i + r·step] · (vector c of `vectors` from j on), a rank-one update.

    `tile` holds ROWS × COLUMNS vectors, row by row. The workhorse: ROWS·COLUMNS fused
    multiply-adds for COLUMNS loads and ROWS broadcasts. A constant `step` costs nothing.
    """
    kind = tile.dtype
    rows, columns = _literal(ROWS, COLUMNS)

    def emit(context, builder, signature, arguments):
        simd = _Emitter(context, builder, kind)
        sums = simd.items(arguments[0])
        loaded = [
            simd.load(simd.pointer(signature.args[4], arguments[4], arguments[5], c * kind.lanes))
            for c in range(columns)
        ]
        for r in range(rows):
            shift = builder.mul(arguments[3], ir.Constant(ir.IntType(64), r))
            at = simd.pointer(signature.args[1], arguments[1], builder.add(arguments[2], shift))
            scalar = simd.splat(builder.load(at, typ=_element(kind)))
            for c in range(columns):
                k = r * columns + c
                sums[k] = simd.fma(scalar, loaded[c], sums[k])
        return simd.tuple_of(sums)

    arguments = (tile, scalars, types.intp, types.intp, vectors, types.intp, ROWS, COLUMNS)
    return tile(*arguments), emit


@intrinsic
def transpose(typing, tile):
    """As many vectors as a vector has lanes: lane i of vector k is lane k of `tile[i]`.

    A shorter `tile` leaves the last lanes undefined. log2(lanes) rounds of exchanging
    blocks (Eklundh, IEEE Trans. Computers C-21, 1972, doi:10.1109/T-C.1972.223584).
    """
    kind = tile.dtype

    def emit(context, builder, signature, arguments):
        simd = _Emitter(context, builder, kind)
        rows = simd.items(arguments[0])
        undefined = ir.Constant(simd.type, ir.Undefined)
        rows += [undefined] * (kind.lanes - len(rows))
        numbers = range(kind.lanes)
        step = 1
        while step < kind.lanes:
            upper = [n if not n & step else kind.lanes + n - step for n in numbers]
            lower = [n + step if not n & step else kind.lanes + n for n in numbers]
            for i in numbers:
                if not i & step:
                    a, b = rows[i], rows[i + step]
                    rows[i] = simd.shuffle(a, b, upper)
                    rows[i + step] = simd.shuffle(a, b, lower)
            step *= 2
        return simd.tuple_of(rows)

    return _tile(kind, kind.lanes)(tile), emit


@kernel
def copy(source, origin, target, at, count):
    """target[at + k] = source[origin + k] for k < count."""
    lane = lanes(target)
    if count < lane:
        for k in range(count):
            target[at + k] = source[origin + k]
        return
    for k in range(0, count - lane, lane):
        store(target, at + k, load(source, origin + k, 1))
    # The last vector ends at the last element and may overlap the one before it.
    store(target, at + count - lane, load(source, origin + count - lane, 1))


@kernel
def clear(target, at, count):
    """target[at + k] = 0 for k < count."""
    for k in range(at, at + count):
        target[k] = 0


@kernel
def copy_every(source, origin, stride, target, at, count):
    """target[at + k] = source[origin + k·stride] for k < count."""
    lane = lanes(target)
    if stride == 2 and count > lane:
        for k in range(0, count - lane, lane):
            store(target, at + k, load_alternate(source, origin + 2 * k, 0))
        # Ends with the last element wanted, for there may be none behind it.
        last = load_alternate(source, origin + 2 * (count - lane) - 1, 1)
        store(target, at + count - lane, last)
    else:
        for k in range(count):
            target[at + k] = source[origin + k * stride]


def aligned(size: int, dtype: Any) -> np.ndarray:
    """An uninitialised array of `size` elements that starts on a cache line."""
    itemsize = np.dtype(dtype).itemsize
    room = np.empty(size * itemsize + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size * itemsize].view(dtype)
