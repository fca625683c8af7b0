# ruff: noqa: N803 - capitals mark what must be a constant
"""Register tiles over rows of an image: the vector building blocks of `parallel.rows`.

A tile holds ROWS × COLUMNS vectors, row by row. Borders are masked lanes: their memory is not
touched, so no loop tests for the end of the image. Arrays are addressed as in `simd`.
"""

from __future__ import annotations

from typing import Any

from algos.backend.emitter import Emitter, Vector, element, intrinsic, ir, literals, number, types

__all__ = [
    "add_shifted", "add_window", "load_block", "load_inside", "pass_both",
    "split_pairs", "store_block",
]  # fmt: skip


@intrinsic(prefer_literal=True)
def add_window(
    typing, tile, scalars, i, vectors, starts, shift, low, high, TAPS, ROWS, COLUMNS, IS_INSIDE
):
    """Add a column of weights to a tile of sums, as it slides down the rows of an image.

    The sum is ``tile[r, c] += Σ_m scalars[i + m] · (vector c from starts[r + m] + shift on)``.

    The TAPS weights meet ROWS + TAPS − 1 rows. Each vector is loaded once and serves every row of
    the tile that it reaches.

    `scalars`: read from `i` to `i` + TAPS − 1.
    `vectors`: rows of the image; `starts` points to the index of each row's column 0 in it.
    `low`, `high`: only columns low <= column < high are read; others are zero.
    IS_INSIDE: 1 promises that every column read lies in that range; otherwise 0.
    """
    kind = tile.dtype
    taps, rows, columns, is_inside = literals(TAPS, ROWS, COLUMNS, IS_INSIDE)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        tile_, scalars_, i_, vectors_, starts_, shift_, low_, high_ = arguments[:8]
        sums = simd.items(tile_)
        weights = []
        for m in range(taps):
            at = simd.pointer(signature.args[1], scalars_, i_, m)
            weights.append(simd.splat(builder.load(at, typ=element(kind))))
        first = builder.sub(shift_, low_)
        count = builder.sub(high_, low_)
        masks = [simd.lanes_below(first, c * kind.lanes, count) for c in range(columns)]
        for q in range(taps + rows - 1):
            start = builder.load(builder.gep(starts_, [number(q)]))
            row = builder.add(start, shift_)
            for c in range(columns):
                at = simd.pointer(signature.args[3], vectors_, row, c * kind.lanes)
                pixels = simd.load(at) if is_inside else simd.load_lanes(at, masks[c])
                for r in range(max(0, q - taps + 1), min(rows, q + 1)):
                    k = r * columns + c
                    sums[k] = simd.fma(weights[q - r], pixels, sums[k])
        return simd.tuple_of(sums)

    numbers = [types.intp] * 3
    starts_type = types.CPointer(types.int64)
    constants = TAPS, ROWS, COLUMNS, IS_INSIDE
    return tile(tile, scalars, types.intp, vectors, starts_type, *numbers, *constants), emit


@intrinsic(prefer_literal=True)
def add_shifted(typing, tile, scalars, i, vectors, at, TAPS):
    """Add shifted samples: tile[c] += Σ_m scalars[i + m] · (vector c of `vectors` from at + m on).

    Neighbouring vectors are read once and shifted in registers. An unaligned load takes two cycles;
    a shift takes one, in another unit. Reads up to two vectors past the tile's.
    """
    kind = tile.dtype
    (taps,) = literals(TAPS)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        tile_, scalars_, i_, vectors_, at_, _ = arguments
        sums, lanes = simd.items(tile_), kind.lanes
        count = len(sums) + -(-(taps - 1) // lanes)
        loaded = simd.load_row(signature.args[3], vectors_, at_, count)
        for m in range(taps):
            weight = simd.pointer(signature.args[1], scalars_, i_, m)
            weight = simd.splat(builder.load(weight, typ=element(kind)))
            skip, shift = divmod(m, lanes)
            for c in range(len(sums)):
                pixels = loaded[c + skip]
                if shift:
                    pixels = simd.shifted(pixels, loaded[c + skip + 1], shift)
                sums[c] = simd.fma(weight, pixels, sums[c])
        return simd.tuple_of(sums)

    return tile(tile, scalars, types.intp, vectors, types.intp, TAPS), emit


def _weighted(simd: Emitter, taps: list, samples: list, total: Any, is_even: int) -> ir.Value:
    """Return total + Σ_m taps[m]·samples[m]; if `is_even`, equal taps' samples are added first."""
    half = len(taps) // 2
    if is_even:
        pairs = zip(samples[:half], reversed(samples[half + 1 :]), strict=True)
        samples = [simd.builder.fadd(a, b) for a, b in pairs] + [samples[half]]
    for tap, sample in zip(taps, samples, strict=False):
        total = simd.builder.fmul(tap, sample) if total is None else simd.fma(tap, sample, total)
    return total


@intrinsic(prefer_literal=True)
def pass_both(
    typing, down, across, start, behind, following, x, at, pitch, first, width, top, height,
    IS_INSIDE, IS_EVEN,
):  # fmt: skip
    """Pass ROWS vectors across, and the next but one down; return both, ROWS sums each.

    Across: sums[r] = start + Σ_n across[n] · (``behind[r]`` shifted by n lanes, followed by lanes
    of ``following[r]``). Down: sums[r] = Σ_m down[m] · (the vector of `x` at + (r + m)·pitch).

    `down`, `across`: tuples of vectors, one per tap, each tap in every lane.
    `start`: tuple of one vector.
    `x`: x[at] is column `first` of row `top` of a plane of `height` × `width`. Samples outside the
        plane are zero and are not read.
    IS_INSIDE: 1 promises that all samples lie inside the plane; otherwise 0.
    IS_EVEN: 1 promises an odd number of taps that read the same backwards; otherwise 0.
    """
    kind, rows = behind.dtype, behind.count
    is_inside, is_even = literals(IS_INSIDE, IS_EVEN)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        along_h, along_w, (total,), left, right = (simd.items(a) for a in arguments[:5])
        x_, at_, pitch_, first_, width_, top_, height_ = arguments[5:12]

        def read(q: Any) -> Any:
            index = builder.add(at_, builder.mul(pitch_, number(q)))
            pointer = simd.pointer(signature.args[5], x_, index)
            if is_inside:
                return simd.load(pointer)
            exists = builder.icmp_unsigned("<", builder.add(top_, number(q)), height_)
            some = builder.select(exists, width_, number(0))
            return simd.load_lanes(pointer, simd.lanes_below(first_, 0, some))

        pixels = [read(q) for q in range(rows + len(along_h) - 1)]
        passed_across, passed_down = [], []
        for r in range(rows):  # alternating, so that neither waits for the other's units
            passed_down.append(
                _weighted(simd, along_h, pixels[r : r + len(along_h)], None, is_even)
            )
            shifted = [simd.shifted(left[r], right[r], n) for n in range(1, len(along_w))]
            passed_across.append(_weighted(simd, along_w, [left[r], *shifted], total, is_even))
        return simd.tuple_of(passed_across + passed_down)

    numbers, constants = [types.intp] * 6, (IS_INSIDE, IS_EVEN)
    result = types.UniTuple(kind, 2 * rows)
    return result(down, across, start, behind, following, x, *numbers, *constants), emit


@intrinsic(prefer_literal=True)
def load_block(typing, array, index, step, rows, count, ROWS, COLUMNS):
    """Return a tile whose row r is read from ``array[index + r·step]`` on.

    Only the first `count` elements of a row are read; the rest is zero. Rows from `rows` on repeat
    row `rows` − 1.
    """
    kind = Vector(array.dtype)
    most, columns = literals(ROWS, COLUMNS)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        array_, index_, step_, rows_, count_, _, _ = arguments
        masks = [simd.lanes_below(number(0), c * kind.lanes, count_) for c in range(columns)]
        values, at = [], index_
        for r in range(most):
            for c in range(columns):
                pointer = simd.pointer(signature.args[0], array_, at, c * kind.lanes)
                values.append(simd.load_lanes(pointer, masks[c]))
            more = builder.icmp_signed("<", number(r + 1), rows_)
            at = builder.add(at, builder.select(more, step_, number(0)))
        return simd.tuple_of(values)

    numbers = [types.intp] * 4
    tile = types.UniTuple(kind, most * columns)
    return tile(array, *numbers, ROWS, COLUMNS), emit


@intrinsic(prefer_literal=True)
def store_block(typing, tile, array, index, step, rows, count, ROWS, COLUMNS):
    """Write the first `count` elements of each of the first `rows` rows of a tile.

    Row r, of COLUMNS vectors, goes to ``array[index + r·step]`` on.
    """
    kind = tile.dtype
    most, columns = literals(ROWS, COLUMNS)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        tile_, array_, index_, step_, rows_, count_, _, _ = arguments
        values = simd.items(tile_)

        def pointer(r: Any, c: Any) -> Any:
            at = builder.add(index_, builder.mul(step_, number(r)))
            return simd.pointer(signature.args[1], array_, at, c * kind.lanes)

        whole = builder.and_(
            builder.icmp_signed("<=", number(most), rows_),
            builder.icmp_signed("<=", number(columns * kind.lanes), count_),
        )
        with builder.if_else(whole, likely=True) as (then, otherwise):
            with then:
                for k, value in enumerate(values):
                    simd.store(value, pointer(k // columns, k % columns))
            with otherwise:
                for r in range(most):
                    with builder.if_then(builder.icmp_signed("<", number(r), rows_)):
                        for c in range(columns):
                            left = builder.sub(count_, number(c * kind.lanes))
                            value = values[r * columns + c]
                            simd.store_lanes(value, pointer(r, c), number(0), left)
        return context.get_dummy_value()

    numbers = [types.intp] * 4
    return types.void(tile, array, *numbers, ROWS, COLUMNS), emit


@intrinsic
def load_inside(typing, array, index, first, count):
    """Return the vector at ``array[index]``, with zero in lanes outside a range.

    Lane i is read only if 0 <= first + i < count.
    """
    kind = Vector(array.dtype)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        array_, index_, first_, count_ = arguments
        at = simd.pointer(signature.args[0], array_, index_)
        return simd.tuple_of([simd.load_lanes(at, simd.lanes_below(first_, 0, count_))])

    numbers = [types.intp] * 3
    return types.UniTuple(kind, 1)(array, *numbers), emit


@intrinsic
def split_pairs(typing, array, index, first, count):
    """Return the even and the odd elements of the two vectors at ``array[index]``.

    Element i is read only if 0 <= first + i < count; otherwise it is zero.
    """
    kind = Vector(array.dtype)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        array_, index_, first_, count_ = arguments
        both = [
            simd.load_lanes(
                simd.pointer(signature.args[0], array_, index_, plus),
                simd.lanes_below(first_, plus, count_),
            )
            for plus in (0, kind.lanes)
        ]
        chosen = [list(range(odd, 2 * kind.lanes, 2)) for odd in (0, 1)]
        return simd.tuple_of([simd.shuffle(both[0], both[1], lanes) for lanes in chosen])

    numbers = [types.intp] * 3
    return types.UniTuple(kind, 2)(array, *numbers), emit
