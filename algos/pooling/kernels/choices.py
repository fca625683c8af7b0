"""Gradients of maxima in vector registers: the sample each window chose, and its gradient.

Tap numbers are kept as floating-point numbers, next to the samples they belong to.

Arguments that mean the same in every kernel; indices and widths count elements:

`room`: pointer to the scratch of one thread; the other names index into it.
`best`, `which`: index of a row of maxima, and of the tap numbers of these maxima.
`gains`: index of a row of gradients that maxima receive.
`width`: elements of a row that count. Scratch is read and written in whole vectors.
`zero`: the number 0 of the arrays' dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from algos.backend.compiler import kernel
from algos.backend.emitter import Emitter, Vector, intrinsic, ir, types
from algos.simd.registers import lanes, load, load_alternate, store, store_lanes

from .registers import combine, load_every, load_part


@intrinsic
def challenge(typing, best, which, value, number):
    """Return (best, which), with `value` and `number` in lanes where `value` wins.

    It wins if it is larger than `best`, or is NaN and `best` is not. `best`, `which` and `value`
    are tuples of one vector.
    """
    kind = best.dtype

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        (a,), (old,), (b,) = (simd.items(argument) for argument in arguments[:3])
        larger = builder.fcmp_unordered(">", b, a)
        wins = builder.and_(larger, builder.fcmp_ordered("ord", a, a))
        new = simd.splat(arguments[3])
        return simd.tuple_of([builder.select(wins, b, a), builder.select(wins, new, old)])

    return types.UniTuple(kind, 2)(best, best, best, kind.dtype), emit


@intrinsic
def where(typing, which, number, value):
    """Return `value` in lanes where `which` is `number`, zero in others; tuples of one vector."""
    kind = value.dtype

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        (a,), (b,) = simd.items(arguments[0]), simd.items(arguments[2])
        same = builder.fcmp_ordered("==", a, simd.splat(arguments[1]))
        return simd.tuple_of([builder.select(same, b, ir.Constant(simd.type, None))])

    return value(value, kind.dtype, value), emit


@intrinsic
def interleave(typing, even, odd):
    """Return two vectors that hold the elements of `even` and `odd` in turn."""
    kind = even.dtype

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        (a,), (b,) = simd.items(arguments[0]), simd.items(arguments[1])
        order = [n // 2 + kind.lanes * (n % 2) for n in range(2 * kind.lanes)]
        halves = order[: kind.lanes], order[kind.lanes :]
        return simd.tuple_of([simd.shuffle(a, b, half) for half in halves])

    return types.UniTuple(kind, 2)(even, even), emit


@intrinsic
def nothing(typing, array):
    """Return a vector of zeros."""
    kind = Vector(array.dtype)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        return simd.tuple_of([ir.Constant(simd.type, None)])

    return types.UniTuple(kind, 1)(array), emit


@kernel
def choose_along(room, best, which, line, taps, stride, width, skips):
    """Find the first largest sample of every window along a line, and the number of its tap.

    Sets room[best + k] and room[which + k] from room[line + k·stride + t], t < taps, k < width.

    `line`: index of the row of samples; taps outside the input must hold -inf.
    `skips`: pointer; skips[k] is the first tap inside the input, `width` elements and a vector.
    """
    lane = lanes(room)
    for k in range(0, width, lane):
        at = line + k * stride
        top, number = _every(room, at, stride), load(skips, k, 1)
        for t in range(1, taps):
            high, chosen = challenge(top, number, _every(room, at + t, stride), skips[0] * 0 + t)
            top, number = (high,), (chosen,)
        store(room, best + k, top)
        store(room, which + k, number)


@kernel
def _every(room, at, stride):
    """Return a vector of room[at + lane·stride]."""
    if stride == 1:
        return load(room, at, 1)
    if stride == 2:
        return load_alternate(room, at, 0)
    return load_every(room, at, stride)


@kernel
def choose_row(room, best, gains, pitch, count, first, last, grad, at, width, zero):
    """Give each gradient to the one of `count` rows that has the first largest sample.

    Adds grad[at + k] to room[gains + m·pitch + k] if row m has it, for first <= m < last.

    `best`: index of the first of the rows of maxima, which lie `pitch` apart.
    `grad`: pointer to the output gradient; exactly `width` elements are read from `at` on.
    """
    lane = lanes(room)
    for k in range(0, width, lane):
        top, number = load(room, best + k, 1), nothing(room)
        for m in range(1, count):
            value = load(room, best + m * pitch + k, 1)
            high, chosen = challenge(top, number, value, zero + m)
            top, number = (high,), (chosen,)
        g = load_part(grad, at + k, width - k)
        for m in range(first, last):
            to = gains + m * pitch + k
            given = where(number, zero + m, g)
            store(room, to, combine(load(room, to, 1), given, None))


@kernel
def spread(y, to, room, gains, which, taps, stride, before, width, zero):
    """Compute an input row's gradient from the gradients of windows along it.

    ``y[to + i] = Σ over t < taps of room[gains + (i + before − t)/stride]``, where the quotient is
    a whole number. If `which` >= 0, only taps t equal to the number at room[which + …] count.

    `y`: pointer to the input gradient; exactly `width` elements are written from `to` on.
    `gains`: must have zeros in front of and behind its row.
    `before`: padding in front of the row.
    """
    lane = lanes(y)
    if stride > 2:
        for i in range(width):
            total = zero
            for t in range((i + before) % stride, taps, stride):
                place = (i + before - t) // stride
                if which < 0 or room[which + place] == t:
                    total += room[gains + place]
            y[to + i] = total
        return
    # Samples i, i + stride, … have taps of one residue and consecutive windows.
    tap = before % stride
    at, chosen = gains + before // stride, which + before // stride if which >= 0 else -1
    if stride == 1:
        for k in range(0, width, lane):
            _finish(y, to, _phase(room, at + k, chosen, k, tap, taps, 1, zero), k, width)
        return
    odd = 1 - tap
    for k in range(0, width, 2 * lane):
        half = k // 2
        even_ones = _phase(room, at + half, chosen, half, tap, taps, 2, zero)
        odd_ones = _phase(room, at + tap + half, chosen, tap + half, odd, taps, 2, zero)
        low, high = interleave(even_ones, odd_ones)
        _finish(y, to, (low,), k, width)
        if k + lane < width:
            _finish(y, to, (high,), k + lane, width)


@kernel
def _phase(room, gains, which, place, first, taps, stride, zero):
    """Return a vector of sums over the taps from `first` on, in steps of `stride`.

    Each tap reads its gradients one element before the previous tap's, from index `gains` on, and
    its tap numbers likewise from `which` + `place` on.
    """
    total = nothing(room)
    for t in range(first, taps, stride):
        value = load(room, gains, 1)
        if which >= 0:
            value = where(load(room, which + place, 1), zero + t, value)
        total = combine(total, value, None)
        gains, place = gains - 1, place - 1
    return total


@kernel
def _finish(y, to, one, k, width):
    """Write the vector `one` to y[to + k:], at most up to `width`."""
    if k + lanes(y) <= width:
        store(y, to + k, one)
    else:
        store_lanes(y, to + k, one[0], np.int64(0), width - k)
