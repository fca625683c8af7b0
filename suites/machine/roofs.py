"""Kernels that reach the machine's limits: by arithmetic alone, or by memory traffic alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from algos.backend.compiler import kernel
from algos.simd.arithmetic import add_outer, repeat
from algos.simd.registers import REGISTERS, lanes, load, pointer, splat, store

#: Sums held in registers, as rows × columns of one update: enough to hide the latency of a
#: fused multiply-add, few enough to leave room for its operands.
ROWS, COLUMNS = (5, 4) if REGISTERS >= 32 else (2, 5)
#: Vectors moved in one turn of a loop; array lengths are multiples of this.
UNROLLED = 8


@kernel
def multiply_add(scalars: Any, vectors: Any, rounds: int, out: np.ndarray) -> float:
    """Do ROWS × COLUMNS fused multiply-adds of whole registers, `rounds` times.

    All operands stay in registers.

    scalars : (ROWS,); vectors : (COLUMNS · lanes,); out : (ROWS · COLUMNS · lanes,).
    """
    s, v = pointer(scalars), pointer(vectors)
    tile = repeat(splat(s, 0, COLUMNS), ROWS)
    for _ in range(rounds):
        tile = add_outer(tile, s, 0, v, 0, ROWS, COLUMNS)
    store(pointer(out), 0, tile)
    return scalars[0] + vectors[0]


@kernel
def read(
    scalars: Any, source: np.ndarray, other: np.ndarray, rounds: int, target: np.ndarray
) -> float:
    """Read `source` `rounds` times; storing the sum stops the compiler from skipping the reads."""
    s, p = pointer(scalars), pointer(source)
    step = UNROLLED * lanes(p)
    tile = splat(s, 0, UNROLLED)
    for _ in range(rounds):
        for at in range(0, source.size, step):
            tile = add_outer(tile, s, 0, p, at, 1, UNROLLED)
    store(pointer(target), 0, tile)
    return scalars[0] + source[0]


@kernel
def copy(
    scalars: Any, source: np.ndarray, other: np.ndarray, rounds: int, target: np.ndarray
) -> float:
    """Copy `source` to `target`, `rounds` times."""
    p, q = pointer(source), pointer(target)
    step = UNROLLED * lanes(p)
    for _ in range(rounds):
        for at in range(0, source.size, step):
            store(q, at, load(p, at, UNROLLED))
    return source[0] + target[0]


@kernel
def triad(
    scalars: Any, source: np.ndarray, other: np.ndarray, rounds: int, target: np.ndarray
) -> float:
    """Compute target = source + scalar · other, `rounds` times (STREAM's triad)."""
    s, p, o, q = pointer(scalars), pointer(source), pointer(other), pointer(target)
    step = UNROLLED * lanes(p)
    for _ in range(rounds):
        for at in range(0, source.size, step):
            tile = load(p, at, UNROLLED)
            store(q, at, add_outer(tile, s, 0, o, at, 1, UNROLLED))
    return source[0] + other[0] + target[0]
