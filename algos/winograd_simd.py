# ruff: noqa: N803 - capitals mark what must be a constant
"""Vector instructions of Winograd's transforms: small constant matrices times vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types

from .simd import Vector, intrinsic
from .simd_emitter import Emitter
from .winograd_points import TAPS, matrices

#: What to multiply with: the last argument of `transform` and `transform_square`.
OUTPUT, WEIGHTS, INPUT = range(3)


def _multiply(simd: Emitter, matrix: np.ndarray, values: list[Any]) -> list[Any]:
    """matrix @ values, with what the points ±p share computed once.

    Points come as 0, then pairs ±p, then infinity. A pair's rows of G and Bᵀ differ in the
    sign of every other column alone, a pair's columns of Aᵀ in that of every other row.
    """
    rows, columns = matrix.shape
    pairs = range(1, max(rows, columns) - 2, 2)
    if rows < columns:
        both = list(values)
        for k in pairs:
            both[k] = simd.builder.fadd(values[k], values[k + 1])
            both[k + 1] = simd.builder.fsub(values[k], values[k + 1])
        folded = matrix.copy()
        for k in pairs:
            folded[1::2, k + 1] = matrix[1::2, k]
            folded[1::2, k] = folded[::2, k + 1] = 0
        return [_dot(simd, row, both) for row in folded]
    even = np.arange(columns) % 2 == 0
    found = [_dot(simd, matrix[0], values)]
    for k in pairs:
        ahead, behind = (_dot(simd, np.where(part, matrix[k], 0), values) for part in (even, ~even))
        found += [simd.builder.fadd(ahead, behind), simd.builder.fsub(ahead, behind)]
    return [*found, _dot(simd, matrix[-1], values)]


def _dot(simd: Emitter, row: np.ndarray, values: list[Any]) -> Any:
    """Σ row[k]·values[k] over the coefficients that are not zero, one rounding for each."""
    total = None
    for k in np.flatnonzero(row):
        factor = ir.Constant(simd.type, [float(row[k])] * simd.kind.lanes)
        if total is None:
            total = values[k] if row[k] == 1 else simd.builder.fmul(factor, values[k])
        elif row[k] == 1:
            total = simd.builder.fadd(values[k], total)
        else:
            total = simd.fma(factor, values[k], total)
    return total


def _tile(kind: Vector, count: int) -> types.UniTuple:
    return types.UniTuple(kind, count)


@intrinsic(prefer_literal=True)
def transform(typing, tile, OUTPUTS, WHICH):
    """The matrix WHICH of F(OUTPUTS, 3) times the vectors of `tile`."""
    matrix = matrices(OUTPUTS.literal_value)[WHICH.literal_value]

    def emit(context, builder, signature, arguments):
        simd = Emitter(context, builder, tile.dtype)
        return simd.tuple_of(_multiply(simd, matrix, simd.items(arguments[0])))

    return _tile(tile.dtype, len(matrix))(tile, OUTPUTS, WHICH), emit


@intrinsic(prefer_literal=True)
def transform_square(typing, array, index, step, OUTPUTS, WHICH):
    """M X Mᵀ, row by row, for M the matrix WHICH of F(OUTPUTS, 3).

    X is square, its elements are vectors, the i-th from ``array[index + i·step]`` on.
    """
    kind = Vector(array.dtype)
    matrix = matrices(OUTPUTS.literal_value)[WHICH.literal_value]
    rows, columns = matrix.shape

    def emit(context, builder, signature, arguments):
        simd = Emitter(context, builder, kind)
        array_, index_, step_ = arguments[:3]
        turned = []
        for j in range(columns):
            column = []
            for i in range(columns):
                shift = builder.mul(step_, ir.Constant(ir.IntType(64), i * columns + j))
                at = simd.pointer(signature.args[0], array_, builder.add(index_, shift))
                column.append(simd.load(at))
            turned.append(_multiply(simd, matrix, column))
        found: list[Any] = []
        for i in range(rows):
            found += _multiply(simd, matrix, [column[i] for column in turned])
        return simd.tuple_of(found)

    numbers = [types.intp] * 2
    return _tile(kind, rows * rows)(array, *numbers, OUTPUTS, WHICH), emit


@intrinsic(prefer_literal=True)
def load_spaced(typing, array, index, step, COUNT):
    """A tuple of COUNT vectors, the i-th from ``array[index + i·step]`` on."""
    kind, count = Vector(array.dtype), COUNT.literal_value

    def emit(context, builder, signature, arguments):
        simd = Emitter(context, builder, kind)
        found = []
        for i in range(count):
            shift = builder.mul(arguments[2], ir.Constant(ir.IntType(64), i))
            at = builder.add(arguments[1], shift)
            found.append(simd.load(simd.pointer(signature.args[0], arguments[0], at)))
        return simd.tuple_of(found)

    return _tile(kind, count)(array, types.intp, types.intp, COUNT), emit


@intrinsic
def store_spaced(typing, tile, array, index, step):
    """Write vector i of `tile` to ``array[index + i·step]`` on."""
    kind = tile.dtype

    def emit(context, builder, signature, arguments):
        simd = Emitter(context, builder, kind)
        values, array_, index_, step_ = arguments
        for i, value in enumerate(simd.items(values)):
            at = builder.add(index_, builder.mul(step_, ir.Constant(ir.IntType(64), i)))
            simd.store(value, simd.pointer(signature.args[1], array_, at))
        return context.get_dummy_value()

    return types.void(tile, array, types.intp, types.intp), emit


@intrinsic(prefer_literal=True)
def store_tile(typing, tile, array, index, step, bias, first, COLUMNS):
    """Write a tile plus a vector of bias: COLUMNS neighbouring vectors a row, rows `step` apart.

    The bias is the vector at ``bias[first]``.
    """
    kind, columns = tile.dtype, COLUMNS.literal_value

    def emit(context, builder, signature, arguments):
        simd = Emitter(context, builder, kind)
        values, array_, index_, step_, bias_, first_ = arguments[:6]
        offset = simd.load(simd.pointer(signature.args[4], bias_, first_))
        for i, value in enumerate(simd.items(values)):
            row = builder.mul(step_, ir.Constant(ir.IntType(64), i // columns))
            at = builder.add(index_, row)
            pointer = simd.pointer(signature.args[1], array_, at, i % columns * kind.lanes)
            simd.store(builder.fadd(value, offset), pointer)
        return context.get_dummy_value()

    numbers = [types.intp] * 2
    return types.void(tile, array, *numbers, bias, types.intp, COLUMNS), emit


@intrinsic(prefer_literal=True)
def load_overlapping(typing, array, index, STEP):
    """STEP + 2 vectors: lane l of vector k is ``array[index + k + l·STEP]``.

    STEP is a power of two. Neighbouring pieces share two elements, as tiles of input do.
    """
    kind, step = Vector(array.dtype), STEP.literal_value

    def phases(simd: Emitter, at: Any) -> list[Any]:
        """The vectors of every STEP-th element, from each of the first STEP elements on."""
        values = [simd.load(simd.builder.gep(at, [ir.Constant(ir.IntType(64), i * kind.lanes)]))
                  for i in range(step)]  # fmt: skip
        parts = [values]
        while len(parts[0]) > 1:  # every part into its even and its odd elements
            halves = [
                [
                    simd.shuffle(a, b, list(range(odd, 2 * kind.lanes, 2)))
                    for a, b in zip(part[::2], part[1::2], strict=True)
                ]
                for odd in (0, 1)
                for part in parts
            ]
            parts = halves
        return [part[0] for part in parts]

    def emit(context, builder, signature, arguments):
        simd = Emitter(context, builder, kind)
        here = simd.pointer(signature.args[0], arguments[0], arguments[1])
        next_ = builder.gep(here, [ir.Constant(ir.IntType(64), step)])
        return simd.tuple_of(phases(simd, here) + phases(simd, next_)[: TAPS - 1])

    return _tile(kind, step + TAPS - 1)(array, types.intp, STEP), emit
