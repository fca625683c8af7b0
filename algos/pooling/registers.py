"""Combining rows in vector registers: the maximum with NaN kept, or the sum.

`combine` joins a register tile with memory; the two functions above it are all that `rows`
needs. Arrays are addressed as in `algos.simd`.
"""

from __future__ import annotations

from typing import Any

import numba
from numba.core import types

from ..jit import kernel
from ..simd import lanes, load, store
from ..simd_emitter import Emitter

intrinsic: Any = numba.extending.intrinsic


def _combine(is_max: bool) -> Any:
    @intrinsic
    def combine(typing, tile, array, index):
        """tile[c] = tile[c] joined with vector c of `array` from `index` on."""
        kind = tile.dtype

        def emit(context, builder, signature, arguments):
            simd = Emitter(context, builder, kind)
            values = simd.items(arguments[0])
            loaded = simd.load_row(signature.args[1], arguments[1], arguments[2], len(values))
            joined = []
            for a, b in zip(values, loaded, strict=True):
                if is_max:
                    wins = builder.or_(
                        builder.fcmp_ordered(">", b, a), builder.fcmp_unordered("uno", b, b)
                    )
                    joined.append(builder.select(wins, b, a))
                else:
                    joined.append(builder.fadd(a, b))
            return simd.tuple_of(joined)

        return tile(tile, array, types.intp), emit

    return combine


raise_tile, add_tile = _combine(True), _combine(False)


@kernel
def join(target, to, source, at, pitch, count, width, is_max, exact):
    """target[to + k] = joined over m < count of source[at + m·pitch + k], for k < width.

    Where `exact`, nothing beyond the width is read or written, and target and source must be
    apart; else whole vectors are, and target may be the first stretch of the source.
    """
    lane = lanes(source)
    k = 0
    while k + 4 * lane <= width:
        tile = load(source, at + k, 4)
        for m in range(1, count):
            if is_max:
                tile = raise_tile(tile, source, at + m * pitch + k)
            else:
                tile = add_tile(tile, source, at + m * pitch + k)
        store(target, to + k, tile)
        k += 4 * lane
    while k < width:
        if exact and k + lane > width:
            if width < lane:
                break
            k = width - lane
        one = load(source, at + k, 1)
        for m in range(1, count):
            if is_max:
                one = raise_tile(one, source, at + m * pitch + k)
            else:
                one = add_tile(one, source, at + m * pitch + k)
        store(target, to + k, one)
        k += lane
    if k < width:
        for k in range(width):
            best = source[at + k]
            for m in range(1, count):
                value = source[at + m * pitch + k]
                if not is_max:
                    best += value
                elif value > best or value != value:
                    best = value
            target[to + k] = best
