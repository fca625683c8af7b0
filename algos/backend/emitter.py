"""LLVM side of `simd`: the type of a vector register, and the instructions on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import llvmlite.binding as llvm
import numba
from llvmlite import ir as ir
from numba.core import cgutils as cgutils
from numba.core import types as types
from numba.core.datamodel import models
from numba.extending import register_model

#: Decorator of functions that emit LLVM code; what kernels call as one instruction or a few.
intrinsic: Any = numba.extending.intrinsic


def target_cpu() -> str:
    """Return the processor that kernels are compiled for, by the name LLVM has for it."""
    config: Any = numba.config
    return config.CPU_NAME or llvm.get_host_cpu_name()


def is_x86() -> bool:
    """Return True if kernels are compiled for an x86 processor."""
    return llvm.get_process_triple().startswith(("x86_64", "i386", "i686"))


def _probe() -> tuple[int, int]:
    """Return (bytes per register, number of registers) of the processor Numba compiles for.

    LLVM compiles a sum of two long vectors; the registers in its assembly are the widest it uses.
    """
    config: Any = numba.config
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    target = llvm.Target.from_default_triple()
    features = config.CPU_FEATURES
    if features is None:
        features = "" if config.CPU_NAME else llvm.get_host_cpu_features().flatten()
    machine = target.create_target_machine(cpu=target_cpu(), features=features, opt=2)
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


#: Bytes of one vector register, and number of registers, on Numba's target processor.
REGISTER_BYTES, REGISTERS = _probe()
#: True if loads of whole registers limit a kernel sooner than its products. Ice Lake multiplies two
#: registers of 64 bytes per cycle and loads little more than one. Zen 4 multiplies one.
FEW_LOADS = REGISTER_BYTES == 64 and not target_cpu().startswith("znver")


class Vector(types.Type):
    """Numba type of one register full of `dtype`."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.lanes = lanes_of(dtype.bitwidth // 8)
        super().__init__(name=f"Vector({dtype}, {self.lanes})")


def lanes_of(itemsize: int) -> int:
    """Return the number of elements of `itemsize` bytes that one register holds."""
    return REGISTER_BYTES // itemsize


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, ir.VectorType(element(kind), kind.lanes))


def element(kind: Vector) -> ir.Type:
    """Return the LLVM type of one lane."""
    bits: int = kind.dtype.bitwidth
    if isinstance(kind.dtype, types.Integer):
        return ir.IntType(bits)
    return ir.FloatType() if bits == 32 else ir.DoubleType()


def literals(*values: Any) -> list[int]:
    """Return the values of the constant arguments of an intrinsic."""
    return [value.literal_value for value in values]


def number(value: int) -> ir.Value:
    """Return a constant index."""
    return ir.Constant(ir.IntType(64), value)


class Emitter:
    """Writer of vector instructions for one call of an intrinsic."""

    def __init__(self, context: Any, builder: ir.IRBuilder, kind: Vector) -> None:
        self.context, self.builder, self.kind = context, builder, kind
        self.type = ir.VectorType(element(kind), kind.lanes)
        self.mangled = f"v{kind.lanes}f{kind.dtype.bitwidth}"
        self.align = kind.dtype.bitwidth // 8

    def pointer(self, kind: types.Type, array: ir.Value, index: ir.Value, plus: int = 0) -> Any:
        """Return the address of element `index + plus` of an array."""
        data = array
        if isinstance(kind, types.Array):
            data = self.context.make_array(kind)(self.context, self.builder, value=array).data
        at = self.builder.gep(data, [index])
        return self.builder.gep(at, [ir.Constant(ir.IntType(64), plus)]) if plus else at

    def load(self, pointer: ir.Value) -> ir.Value:
        """Load one vector, at any alignment."""
        pointer = self.builder.bitcast(pointer, self.type.as_pointer())
        value = self.builder.load(pointer, typ=self.type)
        value.align = self.align
        return value

    def load_lane(self, pointer: ir.Value) -> ir.Value:
        """Load one element."""
        return self.builder.load(pointer, typ=element(self.kind))

    def load_row(self, kind: types.Type, array: Any, index: Any, count: int) -> list[ir.Value]:
        """Load `count` consecutive vectors from element `index` on."""
        lanes = self.kind.lanes
        return [self.load(self.pointer(kind, array, index, c * lanes)) for c in range(count)]

    def store(self, value: ir.Value, pointer: ir.Value) -> None:
        """Store one vector, at any alignment."""
        pointer = self.builder.bitcast(pointer, self.type.as_pointer())
        self.builder.store(value, pointer, align=self.align)

    def store_past(self, value: ir.Value, pointer: ir.Value) -> None:
        """Store one vector to an aligned address, past the caches if the processor can."""
        pointer = self.builder.bitcast(pointer, self.type.as_pointer())
        stored = self.builder.store(value, pointer, align=REGISTER_BYTES)
        one = ir.Constant(ir.IntType(32), 1)
        stored.set_metadata("nontemporal", self.builder.module.add_metadata([one]))

    def splat(self, scalar: ir.Value) -> ir.Value:
        """Return a vector with `scalar` in every lane."""
        lane = ir.Constant(ir.IntType(32), 0)
        one = self.builder.insert_element(ir.Constant(self.type, ir.Undefined), scalar, lane)
        return self.shuffle(one, one, [0] * self.kind.lanes)

    def shuffle(self, a: ir.Value, b: ir.Value, lanes: list[int]) -> ir.Value:
        """Return the lanes number `lanes` of `a` and `b` taken as one vector."""
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
        return self.builder.shuffle_vector(a, b, mask)

    def shifted(self, a: ir.Value, b: ir.Value, count: int) -> ir.Value:
        """Return the lanes of `a` from number `count` on, then the first lanes of `b`.

        LLVM would permute floating-point lanes, which occupies the multiply-add units for half as
        long again. With AVX-512, inline assembly names the instruction `valign` instead.
        """
        lanes = self.kind.lanes
        if REGISTER_BYTES < 64:
            return self.shuffle(a, b, list(range(count, count + lanes)))
        text = f"valign{'d' if lanes == 16 else 'q'} $${count}, $1, $2, $0"
        kind = ir.FunctionType(self.type, [self.type] * 2)
        return self.builder.asm(kind, text, "=v,v,v", [a, b], side_effect=False)

    def transposed(self, rows: list[ir.Value]) -> list[ir.Value]:
        """Return the transposed square: lane i of vector k is lane k of ``rows[i]``."""
        rows = rows + [ir.Constant(self.type, ir.Undefined)] * (self.kind.lanes - len(rows))
        lanes = self.kind.lanes
        step = 1
        while step < lanes:
            upper = [n if not n & step else lanes + n - step for n in range(lanes)]
            lower = [n + step if not n & step else lanes + n for n in range(lanes)]
            for i in range(lanes):
                if not i & step:
                    a, b = rows[i], rows[i + step]
                    rows[i] = self.shuffle(a, b, upper)
                    rows[i + step] = self.shuffle(a, b, lower)
            step *= 2
        return rows

    def fma(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """Return a·b + c: fused if the processor can, otherwise a product and a sum."""
        kind = ir.FunctionType(self.type, [self.type] * 3)
        name = f"llvm.fmuladd.{self.mangled}"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [a, b, c])

    def add_outer(
        self,
        sums: list[ir.Value],
        scalars: Iterable[ir.Value],
        vectors: list[ir.Value],
        add: Callable[[ir.Value, ir.Value, ir.Value], ir.Value],
    ) -> list[ir.Value]:
        """Return ``add(scalar r, vector c, sum)`` for each of the sums, which lie row by row.

        Each of `scalars` is spread over all lanes when its row begins.
        """
        found: list[ir.Value] = []
        for scalar in scalars:
            row = self.splat(scalar)
            start = len(found)
            found += [add(row, vector, sums[start + c]) for c, vector in enumerate(vectors)]
        return found

    def lanes_below(self, first: ir.Value, plus: int, count: ir.Value) -> ir.Value:
        """Return the mask of lanes with 0 <= first + plus + lane < count."""
        lanes, i32 = self.kind.lanes, ir.IntType(32)
        numbers = ir.Constant(ir.VectorType(i32, lanes), list(range(plus, plus + lanes)))

        def spread(scalar: ir.Value) -> ir.Value:
            undefined = ir.Constant(numbers.type, ir.Undefined)
            small = self.builder.trunc(scalar, i32)
            one = self.builder.insert_element(undefined, small, ir.Constant(i32, 0))
            return self.shuffle(one, one, [0] * lanes)

        # An unsigned comparison, so that negative numbers count as large.
        return self.builder.icmp_unsigned(
            "<", self.builder.add(numbers, spread(first)), spread(count)
        )

    def load_lanes(self, pointer: ir.Value, mask: ir.Value) -> ir.Value:
        """Load the lanes of `mask`; the others are zero and their memory is not touched."""
        pointer = self.builder.bitcast(pointer, self.type.as_pointer())
        i32 = ir.IntType(32)
        kind = ir.FunctionType(self.type, [pointer.type, i32, mask.type, self.type])
        function = cgutils.get_or_insert_function(
            self.builder.module, kind, f"llvm.masked.load.{self.mangled}.p0"
        )
        zero = ir.Constant(self.type, None)
        return self.builder.call(function, [pointer, ir.Constant(i32, self.align), mask, zero])

    def store_lanes(self, value: ir.Value, pointer: Any, first: ir.Value, last: ir.Value) -> None:
        """Store lanes first <= lane < last only; the memory of the others is not touched.

        A masked store is slow without AVX-512 (12 cycles with AVX2 on Zen 3), so a whole vector is
        stored without a mask there.
        """
        if REGISTER_BYTES == 64:
            self._store_masked(value, pointer, first, last)
            return
        starts = self.builder.icmp_signed("<=", first, ir.Constant(first.type, 0))
        ends = self.builder.icmp_signed(">=", last, ir.Constant(last.type, self.kind.lanes))
        whole = self.builder.and_(starts, ends)
        with self.builder.if_else(whole, likely=True) as (then, otherwise):
            with then:
                self.store(value, pointer)
            with otherwise:
                self._store_masked(value, pointer, first, last)

    def _store_masked(self, value: ir.Value, pointer: Any, first: ir.Value, last: ir.Value) -> None:
        i32 = ir.IntType(32)
        count = self.builder.sub(last, first)
        zero = ir.Constant(count.type, 0)
        count = self.builder.select(self.builder.icmp_signed(">", count, zero), count, zero)
        mask = self.lanes_below(self.builder.neg(first), 0, count)
        pointer = self.builder.bitcast(pointer, self.type.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [self.type, pointer.type, i32, mask.type])
        function = cgutils.get_or_insert_function(
            self.builder.module, kind, f"llvm.masked.store.{self.mangled}.p0"
        )
        align = ir.Constant(i32, self.align)
        self.builder.call(function, [value, pointer, align, mask])

    def tuple_of(self, values: list[ir.Value]) -> ir.Value:
        """Return `values` as one LLVM tuple of vectors."""
        return cgutils.pack_array(self.builder, values, self.type)

    def items(self, values: ir.Value) -> list[ir.Value]:
        """Return the vectors of an LLVM tuple."""
        return cgutils.unpack_tuple(self.builder, values)
