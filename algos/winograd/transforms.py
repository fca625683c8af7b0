# ruff: noqa: N803 - capitals mark what must be a constant
"""Vector instructions of Winograd's transforms: small constant matrices times vectors.

`array`, `x`, `bias`, `zeros` are pointers or arrays, addressed by element. `tile` is a tuple of
vectors. Arguments in capitals must be compile-time constants. A number among them may also be a
tuple of that length. DOWN and ACROSS are F(m, r) along an axis: such numbers m, r and m + r − 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from algos.backend.emitter import Emitter, element, ir, number, types
from algos.simd.registers import Vector, intrinsic

from .points import matrices

#: Matrix to multiply with: the last argument of `transform` and `transform_tile`.
OUTPUT, WEIGHTS, INPUT, OUTPUT_TURNED, WEIGHTS_TURNED = range(5)


def _constant(kind: Any) -> int:
    """Return the number that a constant or the length of a tuple stands for."""
    return kind.count if isinstance(kind, types.UniTuple) else kind.literal_value


def _matrix(outputs: Any, taps: Any, which: Any) -> np.ndarray:
    """Return one of the matrices of F(`outputs`, `taps`), or its transpose; constants."""
    a, g, b = matrices(_constant(outputs), _constant(taps))
    return (a, g, b, a.T, g.T)[which.literal_value]


def _multiply(simd: Emitter, matrix: np.ndarray, values: list[Any]) -> list[Any]:
    """Return matrix @ values, computing once what the points ±p share.

    Points come as 0, then pairs ±p, then infinity. A pair's rows of G and Bᵀ differ only in the
    sign of every other column. A pair's columns of Aᵀ differ only in the sign of every other row.
    """
    rows, columns = matrix.shape
    if rows == columns == 1:  # F(1, 1)
        return list(values)
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
    """Return Σ row[k]·values[k] over the nonzero coefficients, with one rounding for each."""
    total = None
    for k in sorted(np.flatnonzero(row), key=lambda k: row[k] != 1):
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
def transform(typing, tile, OUTPUTS, TAPS, WHICH):
    """Return the matrix WHICH of F(OUTPUTS, TAPS) times the vectors of `tile`."""
    matrix = _matrix(OUTPUTS, TAPS, WHICH)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, tile.dtype)
        return simd.tuple_of(_multiply(simd, matrix, simd.items(arguments[0])))

    return _tile(tile.dtype, len(matrix))(tile, OUTPUTS, TAPS, WHICH), emit


@intrinsic(prefer_literal=True)
def transform_tile(typing, array, index, step, DOWN, ACROSS, WHICH):
    """Return M X Nᵀ, row by row, for M and N the matrices WHICH of DOWN and of ACROSS.

    X is row-major. Its i-th element is the vector from ``array[index + i·step]`` on.
    """
    kind = Vector(array.dtype)
    left, right = (_matrix(axis[0], axis[1], WHICH) for axis in (DOWN, ACROSS))
    rows, columns = left.shape[1], right.shape[1]

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        array_, index_, step_ = arguments[:3]
        turned = []
        for j in range(columns):
            column = []
            for i in range(rows):
                shift = builder.mul(step_, ir.Constant(ir.IntType(64), i * columns + j))
                at = simd.pointer(signature.args[0], array_, builder.add(index_, shift))
                column.append(simd.load(at))
            turned.append(_multiply(simd, left, column))
        found: list[Any] = []
        for i in range(len(left)):
            found += _multiply(simd, right, [column[i] for column in turned])
        return simd.tuple_of(found)

    numbers = [types.intp] * 2
    return _tile(kind, len(left) * len(right))(array, *numbers, DOWN, ACROSS, WHICH), emit


@intrinsic(prefer_literal=True)
def load_spaced(typing, array, index, step, COUNT):
    """Return a tuple of COUNT vectors, the i-th from ``array[index + i·step]`` on."""
    kind, count = Vector(array.dtype), _constant(COUNT)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
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

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        values, array_, index_, step_ = arguments
        for i, value in enumerate(simd.items(values)):
            at = builder.add(index_, builder.mul(step_, ir.Constant(ir.IntType(64), i)))
            simd.store(value, simd.pointer(signature.args[1], array_, at))
        return context.get_dummy_value()

    return types.void(tile, array, types.intp, types.intp), emit


@intrinsic(prefer_literal=True)
def store_tile(typing, tile, array, index, step, bias, first, COLUMNS):
    """Write a tile plus a vector of bias: COLUMNS neighbouring vectors per row.

    Rows lie `step` elements apart from `index` on. The bias is the vector at ``bias[first]``.
    """
    kind, columns = tile.dtype, _constant(COLUMNS)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
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


#: Place of a row outside the image, which reads as zeros: below every valid index.
NOWHERE = -(1 << 62)


@intrinsic(prefer_literal=True)
def load_windows(
    typing, x, start, places, at, below, first, before, width, zeros, zero, fold, run, OUTPUTS, TAPS
):
    """Return one row of a register's width of tiles: lane l of vector k is column k of tile l.

    Reads m = OUTPUTS vectors' worth of columns, from column `first` of the padded image on. Of
    these vectors `run` come from one row, the next from m rows further down, `fold` rows in all.

    `start`, `places`: the rows lie at ``x[start + places[at]]``, ``x[start + places[at + below]]``
        and so on. A place of NOWHERE stands for a row of zeros.
    `before`, `width`: zeros ahead of a row, and columns of it. No other column is read.
    `zeros`: holds a register's width of zeros and m + TAPS − 1 more, from `zero` on.
    """
    kind, m, taps = Vector(x.dtype), _constant(OUTPUTS), _constant(TAPS)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        x_, start_, places_, at_, below_, first_, before_, width_, zeros_, zero_ = arguments[:10]
        fold_, run_ = arguments[10:12]
        zeros_ = builder.gep(zeros_, [zero_])
        shifts = range(0, m + taps - 1, m)
        columns: list[list[Any]] = [[] for _ in shifts]
        for j in range(m):
            down = builder.udiv(builder.mul(number(j), fold_), number(m))
            across = builder.sub(number(j), builder.mul(down, run_))
            across = builder.mul(across, number(kind.lanes))
            row = builder.add(at_, builder.mul(down, below_))
            place = builder.load(builder.gep(places_, [row]), typ=at_.type)
            column = builder.add(builder.sub(first_, before_), across)
            pixels = builder.gep(x_, [builder.add(builder.add(start_, place), column)])
            is_somewhere = builder.icmp_signed(">", place, number(NOWHERE))
            pixels = builder.select(is_somewhere, pixels, zeros_)
            for plus, values in zip(shifts, columns, strict=True):
                mask = simd.lanes_below(column, plus, width_)
                values.append(simd.load_lanes(builder.gep(pixels, [number(plus)]), mask))
        found = [vector for values in columns for vector in _every(simd, values)]
        return simd.tuple_of(found[: m + taps - 1])

    before, after = [types.intp] * 5, [types.intp] * 3
    return _tile(kind, m + taps - 1)(
        x, types.intp, places, *before, zeros, *after, OUTPUTS, TAPS
    ), emit


def _every(simd: Emitter, values: Sequence[Any]) -> list[Any]:
    """Return n vectors: the elements k, k + n, … of the `values` taken as one, for k < n."""
    parts = [list(values)]
    while (count := len(parts[0])) > 1:  # split every part, into two while that is possible
        ways = 2 if count % 2 == 0 else count
        parts = [
            [_one_in(simd, part[i : i + ways], first) for i in range(0, count, ways)]
            for first in range(ways)
            for part in parts
        ]
    return [part[0] for part in parts]


def _one_in(simd: Emitter, values: Sequence[Any], first: int) -> Any:
    """Return a vector: the elements first, first + n, … of the n `values` taken as one."""
    lanes = simd.kind.lanes
    wanted = range(first, len(values) * lanes, len(values))
    found = simd.shuffle(values[0], values[1], [k % (2 * lanes) for k in wanted])
    for seen, value in enumerate(values[2:], 2):
        places = [k - (seen - 1) * lanes for k in wanted]
        found = simd.shuffle(
            found, value, [i if p < lanes else p % (2 * lanes) for i, p in enumerate(places)]
        )
    return found


@intrinsic(prefer_literal=True)
def store_pieces(typing, tile, array, index, step, between, PIECES):
    """Write the vectors as `store_spaced` does, in PIECES equal parts `between` elements apart."""
    kind, pieces = tile.dtype, PIECES.literal_value

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        values, array_, index_, step_, between_ = arguments[:5]
        width = kind.lanes // pieces
        part = ir.VectorType(element(kind), width)
        for i, value in enumerate(simd.items(values) if width else []):
            at = builder.add(index_, builder.mul(step_, number(i)))
            for j in range(pieces):
                piece = simd.shuffle(value, value, list(range(j * width, (j + 1) * width)))
                pointer = builder.gep(array_, [at])
                builder.store(piece, builder.bitcast(pointer, part.as_pointer()), align=simd.align)
                at = builder.add(at, between_)
        return context.get_dummy_value()

    numbers = [types.intp] * 3
    return types.void(tile, array, *numbers, PIECES), emit
