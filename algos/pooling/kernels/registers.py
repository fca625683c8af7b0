"""Rows of samples joined in vector registers: by the maximum, which keeps NaN, or by the sum.

Which of the two is decided by the type of `lowest`, so that no loop tests for it: -inf for maxima,
None for sums. The sign ⊕ below stands for either. Arrays are addressed as in
`algos.simd.registers`. All may be pointers. Rows of scratch have `SLACK` elements behind the last
one in use, which may be read and overwritten.

Arguments that mean the same in every kernel; indices, pitches and widths count elements:

`room`: scratch; the other names index into it.
`source`, `x`: rows that are read no further than stated.
`target`, `y`: rows written from index `to` on.
`at`: index of the first row; rows lie `pitch` apart, and `count` of them are joined.
`rows`, `widths`: divisors of an average, the number for the row and a pointer to those of columns.
"""

from __future__ import annotations

from typing import Any

from algos.backend.compiler import kernel
from algos.backend.emitter import Emitter, Vector, element, intrinsic, ir, types
from algos.simd.registers import lanes, load, load_alternate, splat, store, store_lanes

#: Elements behind a row of scratch: four of the widest registers in float32.
SLACK = 64


@intrinsic
def combine(typing, tile, other, lowest):
    """Return the larger of each two elements, or their sum if `lowest` is None.

    A maximum takes two instructions: the processor's own, which returns the second operand if
    either is NaN, and a selection of the first operand if that is NaN.
    """
    kind = tile.dtype
    is_sum = isinstance(lowest, types.NoneType)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        joined = []
        for a, b in zip(simd.items(arguments[0]), simd.items(arguments[1]), strict=True):
            if is_sum:
                joined.append(builder.fadd(a, b))
            else:
                larger = builder.select(builder.fcmp_ordered(">", a, b), a, b)
                joined.append(builder.select(builder.fcmp_ordered("ord", a, a), larger, a))
        return simd.tuple_of(joined)

    return tile(tile, tile, lowest), emit


@intrinsic
def load_part(typing, array, index, count):
    """Return `count` elements of `array` from `index` on, then zeros.

    Other memory is not touched.
    """
    kind = Vector(array.dtype)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        at = simd.pointer(signature.args[0], arguments[0], arguments[1])
        mask = simd.lanes_below(ir.Constant(ir.IntType(64), 0), 0, arguments[2])
        return simd.tuple_of([simd.load_lanes(at, mask)])

    return types.UniTuple(kind, 1)(array, types.intp, types.intp), emit


@intrinsic
def load_every(typing, array, index, stride):
    """Return a vector of every `stride`-th element of `array` from `index` on.

    Reads lane by lane, and nothing in between.
    """
    kind = Vector(array.dtype)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        array_, index_, stride_ = arguments
        value = ir.Constant(simd.type, ir.Undefined)
        for lane in range(kind.lanes):
            steps = builder.mul(stride_, ir.Constant(ir.IntType(64), lane))
            at = simd.pointer(signature.args[0], array_, builder.add(index_, steps))
            scalar = builder.load(at, typ=element(kind))
            value = builder.insert_element(value, scalar, ir.Constant(ir.IntType(32), lane))
        return simd.tuple_of([value])

    return types.UniTuple(kind, 1)(array, types.intp, types.intp), emit


@intrinsic
def halves(typing, tile):
    """Return the even and the odd elements of two vectors, as two vectors."""
    kind = tile.dtype

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        a, b = simd.items(arguments[0])
        even = list(range(0, 2 * kind.lanes, 2))
        return simd.tuple_of([simd.shuffle(a, b, even), simd.shuffle(a, b, [n + 1 for n in even])])

    return tile(tile), emit


@intrinsic
def follow(typing, tile, last):
    """Return a vector's elements from the second on, then the first of `last`."""
    kind = tile.dtype

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        (a,), (b,) = simd.items(arguments[0]), simd.items(arguments[1])
        return simd.tuple_of([simd.shuffle(a, b, list(range(1, kind.lanes + 1)))])

    return tile(tile, tile), emit


@intrinsic
def over(typing, tile, factor, array, index):
    """Return tile / (factor · array[index:]), element by element."""
    kind = tile.dtype

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        tile_, factor_, array_, index_ = arguments
        values = simd.items(tile_)
        counts = simd.load_row(signature.args[2], array_, index_, len(values))
        spread = simd.splat(factor_)
        return simd.tuple_of(
            [builder.fdiv(v, builder.fmul(spread, c)) for v, c in zip(values, counts, strict=True)]
        )

    return tile(tile, kind.dtype, array, types.intp), emit


@kernel
def fill(target, at, count, value):
    """Set target[at + k] = value for k < count."""
    for k in range(at, at + count):
        target[k] = value


@kernel
def join(target, to, source, at, pitch, count, width, lowest):
    """Set target[to + k] = ⊕ over m < count of source[at + m·pitch + k], for k < width.

    Nothing else of the source is read. The target is written in whole vectors.
    """
    lane = lanes(source)
    k = 0
    while k + 4 * lane <= width:
        tile = load(source, at + k, 4)
        for m in range(1, count):
            tile = combine(tile, load(source, at + m * pitch + k, 4), lowest)
        store(target, to + k, tile)
        k += 4 * lane
    while k < width:
        one = load_part(source, at + k, width - k)
        for m in range(1, count):
            one = combine(one, load_part(source, at + m * pitch + k, width - k), lowest)
        store(target, to + k, one)
        k += lane


@kernel
def meet(room, to, held, source, at, width, lowest):
    """Set room[to + k] = room[held + k] ⊕ source[at + k] for k < width.

    Nothing else of the source is read.
    """
    lane = lanes(room)
    k = 0
    while k + 4 * lane <= width:
        tile = combine(load(room, held + k, 4), load(source, at + k, 4), lowest)
        store(room, to + k, tile)
        k += 4 * lane
    while k < width:
        one = combine(load(room, held + k, 1), load_part(source, at + k, width - k), lowest)
        store(room, to + k, one)
        k += lane


@kernel
def advance(room, to, running, finished, source, at, width, lowest):
    """Join a row to the running row, and write the result joined with a finished row.

    ``room[running + k] ⊕= source[at + k]; room[to + k] = room[finished + k] ⊕ room[running + k]``
    """
    lane = lanes(room)
    k = 0
    while k + 2 * lane <= width:
        tile = combine(load(room, running + k, 2), load(source, at + k, 2), lowest)
        store(room, running + k, tile)
        store(room, to + k, combine(load(room, finished + k, 2), tile, lowest))
        k += 2 * lane
    while k < width:
        one = combine(load(room, running + k, 1), load_part(source, at + k, width - k), lowest)
        store(room, running + k, one)
        store(room, to + k, combine(load(room, finished + k, 1), one, lowest))
        k += lane


@kernel
def double(room, to, at, step, width, lowest):
    """Set room[to + k] = room[at + k] ⊕ room[at + k + step] for k < width."""
    for k in range(0, width, 2 * lanes(room)):
        tile = combine(load(room, at + k, 2), load(room, at + k + step, 2), lowest)
        store(room, to + k, tile)


@kernel
def scale(room, to, source, at, rows, widths, width):
    """Set room[to + k] = source[at + k] / (rows·widths[k]) for k < width."""
    lane = lanes(room)
    for k in range(0, width, lane):
        one = load_part(source, at + k, width - k)
        store(room, to + k, over(one, rows, widths, k))


@kernel
def pick(y, to, lines, offsets, pieces, stride, width, rows, widths, lowest):
    """Set y[to + k] = ⊕ over m < pieces of lines[offsets[m] + k·stride], for k < width.

    A sum is divided by rows·widths[k]. Exactly `width` elements of y are written.

    `lines`: scratch, read in whole vectors.
    `offsets`: array of `pieces` indices into `lines`.
    """
    lane = lanes(y)
    k = 0
    while stride == 1 and k + 2 * lane <= width:
        tile = load(lines, offsets[0] + k, 2)
        for m in range(1, pieces):
            tile = combine(tile, load(lines, offsets[m] + k, 2), lowest)
        if lowest is None:
            tile = over(tile, rows, widths, k)
        store(y, to + k, tile)
        k += 2 * lane
    while k < width:
        one = _every(lines, offsets[0], stride, k)
        for m in range(1, pieces):
            one = combine(one, _every(lines, offsets[m], stride, k), lowest)
        if lowest is None:
            one = over(one, rows, widths, k)
        if k + lane <= width:
            store(y, to + k, one)
        else:
            store_lanes(y, to + k, one[0], 0, width - k)
        k += lane


@kernel
def _every(lines, at, stride, k):
    """Return a vector of lines[at + (k + lane)·stride]."""
    if stride == 1:
        return load(lines, at + k, 1)
    if stride == 2:
        return load_alternate(lines, at + 2 * k, 0)
    return load_every(lines, at + stride * k, stride)


@kernel
def pick_alternate(y, to, x, at, pitch, count, taps, first, last, rows, widths, lowest):
    """Reduce windows of `count` rows and `taps` >= 2 samples, at every second sample, in place.

    The result is ``y[to + k] = ⊕ over m < count and t < taps of x[at + m·pitch + 2k + t]``. It is
    computed for first <= k < last, at least a register full. Nothing else is read or written. A sum
    is divided by rows·widths[k].
    """
    lane = lanes(y)
    k = first
    while k < last:
        k = min(k, last - lane)  # the last vector may overlap the one before it
        start = at + 2 * k
        pair = _stacked(x, start, pitch, count, lowest)
        even, odd = halves(pair)
        one = combine((even,), (odd,), lowest)
        for t in range(3, taps, 2):
            even, odd = halves(_stacked(x, start + t - 1, pitch, count, lowest))
            one = combine(combine(one, (even,), lowest), (odd,), lowest)
        if taps % 2:
            # All but one element are in registers; loading whole vectors would cross cache lines.
            one = combine(one, follow((even,), _edge(x, start + taps - 3 + 2 * lane, pitch, count,
                                                     lowest)), lowest)  # fmt: skip
        if lowest is None:
            one = over(one, rows, widths, k)
        store(y, to + k, one)
        k += lane


@kernel
def _stacked(x, at, pitch, count, lowest):
    """Return two vectors from x[at] on, joined over `count` rows."""
    pair = load(x, at, 2)
    for m in range(1, count):
        pair = combine(pair, load(x, at + m * pitch, 2), lowest)
    return pair


@kernel
def _edge(x, at, pitch, count, lowest):
    """Return x[at], joined over `count` rows, in every lane of a vector."""
    one = splat(x, at, 1)
    for m in range(1, count):
        one = combine(one, splat(x, at + m * pitch, 1), lowest)
    return one


@kernel
def pick_one(x, at, pitch, count, taps, lowest):
    """Return `count` rows of `taps` samples from x[at] on, joined into one number."""
    best = x[at]
    for m in range(count):
        for t in range(1 if m == 0 else 0, taps):
            value = x[at + m * pitch + t]
            if lowest is None:
                best += value
            elif value > best or value != value:
                best = value
    return best
