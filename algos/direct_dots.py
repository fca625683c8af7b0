# ruff: noqa: N803 - capitals mark what must be a constant
"""The kernel's gradient of pointwise layers: dot products of channels, positions in the lanes.

An element of it is Σ over images and positions of one channel of the output's gradient times
one of the input, and both lie in memory as they are needed: nothing is laid out anew. A
register tile holds R × C such sums, each spread over the lanes of a vector, and takes R·C
multiply-adds for R + C loads. Only at the end are the lanes of a vector added up.

Bound by the multiply-add units where there are positions enough for the end not to count: on
a 2-core AVX-512 machine (Zen 4, 116 GFLOP/s a core in float32) a tile of 6 × 4 reached 105 in
one thread, on 64 and 252 channels of 56².
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types

from . import simd
from .direct_blocking import merged
from .jit import kernel, threaded
from .problem import Problem
from .simd import clear, intrinsic, lanes, load, pointer, store, sum_lanes
from .simd_emitter import Emitter

#: The register tile: channels of the output's gradient × channels of the input.
ROWS, COLUMNS = (6, 4) if simd.REGISTERS == 32 else (3, 3)
_SUMS = ROWS * COLUMNS
#: Register tiles that a thread sums at a time, at most, along each of the two: with what they
#: read of a stretch of positions they stay in L2.
TILES = 8, 16
#: Positions of a stretch.
STRETCH = 768
#: Vectors of positions, over all images, from which adding up lanes costs little.
FEWEST = 64


@intrinsic(prefer_literal=True)
def _add_dots(typing, tile, a, i, a_step, b, j, b_step, count, WHOLE):
    """tile[r, c] += (the vector of `a` at i + r·a_step) · (that of `b` at j + c·b_step).

    Where not WHOLE, lanes below `count` alone; the others' memory is not touched.
    """
    kind, whole = tile.dtype, WHOLE.literal_value

    def emit(context, builder, signature, arguments):
        simd = Emitter(context, builder, kind)
        tile_, a_, i_, a_step_, b_, j_, b_step_, count_, _ = arguments
        sums = simd.items(tile_)
        mask = None if whole else simd.lanes_below(ir.Constant(count_.type, 0), 0, count_)

        def vector(kind: types.Type, array: Any, index: Any, step: Any, number: int) -> Any:
            shift = builder.mul(step, ir.Constant(step.type, number))
            at = simd.pointer(kind, array, builder.add(index, shift))
            return simd.load(at) if whole else simd.load_lanes(at, mask)

        right = [vector(signature.args[4], b_, j_, b_step_, c) for c in range(COLUMNS)]
        for r in range(ROWS):
            left = vector(signature.args[1], a_, i_, a_step_, r)
            for c in range(COLUMNS):
                sums[r * COLUMNS + c] = simd.fma(left, right[c], sums[r * COLUMNS + c])
        return simd.tuple_of(sums)

    number = types.intp
    return tile(tile, a, number, number, b, number, number, number, WHOLE), emit


@kernel
def tile(a, i, b, j, step, count, sums, at):
    """Add the dot products of a stretch of `count` positions; channels lie `step` apart."""
    lane = lanes(a)
    total = load(sums, at, _SUMS)
    last = count - count % lane
    for k in range(0, last, lane):
        total = _add_dots(total, a, i + k, step, b, j + k, step, lane, 1)
    if last < count:
        total = _add_dots(total, a, i + last, step, b, j + last, step, count - last, 0)
    store(sums, at, total)


@kernel
def _block(x, g, images, groups, group, inputs, outputs, positions, o_tiles, c_tiles, sums, out):
    """The gradient of register tiles o_tiles[0] … × c_tiles[0] … of one group.

    The last tile of a group ends with its last channel, and may overlap the one before it.
    """
    lane = lanes(g)
    size = _SUMS * lane
    rows, columns = o_tiles[1] - o_tiles[0], c_tiles[1] - c_tiles[0]
    clear(sums, 0, rows * columns * size)
    for image in range(images):
        for start in range(0, positions, STRETCH):
            count = min(STRETCH, positions - start)
            for r in range(rows):
                o = min((o_tiles[0] + r) * ROWS, outputs - ROWS)
                i = ((image * groups + group) * outputs + o) * positions + start
                for q in range(columns):
                    c = min((c_tiles[0] + q) * COLUMNS, inputs - COLUMNS)
                    j = ((image * groups + group) * inputs + c) * positions + start
                    tile(g, i, x, j, positions, count, sums, (r * columns + q) * size)
    for r in range(rows):
        o = min((o_tiles[0] + r) * ROWS, outputs - ROWS)
        for q in range(columns):
            c = min((c_tiles[0] + q) * COLUMNS, inputs - COLUMNS)
            for row in range(ROWS):
                source = (r * columns + q) * size + row * COLUMNS * lane
                found = sum_lanes(load(sums, source, COLUMNS))
                target = (group * outputs + o + row) * inputs + c
                for column in range(COLUMNS):
                    out[target + column] = found[column]


@threaded
@kernel
def _work(t, x, g, groups, chunks, sums, out):
    """The blocks of thread t."""
    workers = sums.shape[0]
    images, positions = x.shape[0], x.shape[2]
    inputs, outputs = x.shape[1] // groups, g.shape[1] // groups
    o_tiles, c_tiles = -(-outputs // ROWS), -(-inputs // COLUMNS)
    items = groups * chunks[0] * chunks[1]
    for item in range(t * items // workers, (t + 1) * items // workers):
        rest, c = item // chunks[1], item % chunks[1]
        group, o = rest // chunks[0], rest % chunks[0]
        _block(
            pointer(x), pointer(g), images, groups, group, inputs, outputs, positions,
            (o * o_tiles // chunks[0], (o + 1) * o_tiles // chunks[0]),
            (c * c_tiles // chunks[1], (c + 1) * c_tiles // chunks[1]),
            pointer(sums[t]), pointer(out),
        )  # fmt: skip


@kernel
def _correlate(x, g, groups, chunks, sums, out):
    """Every block of tiles, split evenly among as many threads as there are buffers."""
    _work(sums.shape[0], x, g, groups, chunks, sums, out)


def suits(problem: Problem) -> bool:
    """Whether the layer is pointwise, and large enough for register tiles and long sums."""
    v = merged(problem)
    lane = simd.lanes_of(problem.itemsize)
    return (
        math.prod(v.kernel) == 1
        and v.size == v.output_size == (1, 1, v.size[2])
        and {*v.stride} == {1}
        and v.out_channels // v.groups >= ROWS
        and v.in_channels // v.groups >= COLUMNS
        and v.batch * (v.size[2] // lane) >= FEWEST
    )


def _chunks(problem: Problem, threads: int) -> tuple[tuple[int, int], int]:
    """Blocks of tiles along outputs and inputs, as many as threads at least; tiles of one."""
    outputs, inputs = (n // problem.groups for n in (problem.out_channels, problem.in_channels))
    tiles = -(-outputs // ROWS), -(-inputs // COLUMNS)
    along_outputs, along_inputs = (-(-n // most) for n, most in zip(tiles, TILES, strict=True))
    if problem.groups * along_outputs * along_inputs % threads:
        along_outputs = min(tiles[0], -(-along_outputs // threads) * threads)
    most = -(-tiles[0] // along_outputs) * -(-tiles[1] // along_inputs)
    return (along_outputs, along_inputs), most


def workspace_bytes(problem: Problem, threads: int) -> int:
    """Per thread the sums of a block of tiles."""
    lane = simd.lanes_of(problem.itemsize)
    return threads * _chunks(problem, threads)[1] * _SUMS * lane * problem.itemsize


def grad_weight(
    problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
) -> None:
    """Write the gradient of the kernel, a single tap."""
    chunks, tiles = _chunks(problem, threads)
    lane = simd.lanes_of(problem.itemsize)
    _correlate(
        x.reshape(*x.shape[:2], -1), g.reshape(*g.shape[:2], -1), problem.groups, chunks,
        np.empty((threads, tiles * _SUMS * lane), x.dtype), out.reshape(-1),
    )  # fmt: skip
