# ruff: noqa: N803 - capitals mark what must be a constant
"""Kernel gradient of pointwise layers as dot products of channels, with positions in the lanes.

An element of the gradient is the sum, over images and positions, of one channel of the output
gradient times one channel of the input. Both operands lie in memory as needed, so nothing is
copied. A register tile holds R × C such sums, each spread over the lanes of a vector. It performs
R·C multiply-adds for R + C loads. The lanes of each vector are added up only at the end.

Arguments that mean the same in every kernel; indices and lengths count elements:

`x`, `g`: input (N, C, positions) and output gradient (N, O, positions), or pointers to them.
`sums`: scratch of one thread, [tile][row][column][lane].
`out`: flat gradient of the kernel, [group][output channel][input channel].

Measurements: docs/kernels.md.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from algos.backend.compiler import by_ranges, kernel
from algos.backend.emitter import Emitter, ir, types
from algos.core.problem import Problem
from algos.simd import registers as simd
from algos.simd.arithmetic import sum_lanes
from algos.simd.copies import clear
from algos.simd.registers import intrinsic, lanes, load, pointer, store

from .channels_blocking import merged

#: Register tile: channels of the output gradient × channels of the input. The sums, one row of
#: operands and one more vector fit the register file.
ROWS, COLUMNS = (6, 4) if simd.REGISTERS == 32 else (3, 3)
_SUMS = ROWS * COLUMNS
#: Most register tiles that a thread sums at a time, along output and input channels. Their operands
#: for one stretch of positions stay in L2. Tuned on Zen 4 with 1 MiB of L2.
TILES = 8, 16
#: Positions of a stretch: a multiple of every vector width. Tuned on Zen 4 together with TILES.
STRETCH = 768
#: Vectors of positions, over all images, from which on adding up the lanes costs little.
FEWEST = 64


@intrinsic(prefer_literal=True)
def _add_dots(typing, tile, a, i, a_step, b, j, b_step, count, WHOLE):
    """Add products of vectors: tile[r, c] += a[i + r·a_step :] · b[j + c·b_step :].

    `a`, `b`: pointers; one vector is read at each of these indices.
    `count`: if not WHOLE, only lanes below `count` are read and added. Other memory is not touched.
    """
    kind, whole = tile.dtype, WHOLE.literal_value

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
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
    """Add the dot products of a stretch of `count` positions to one register tile of sums.

    `a`: pointer to the output gradient, read from `i` on; channels lie `step` elements apart.
    `b`: pointer to the input, read from `j` on; channels lie `step` elements apart.
    `at`: index into `sums` of this tile.

    Reads `count` elements of ROWS channels of `a` and of COLUMNS channels of `b`.
    """
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
    """Compute the gradient for a block of register tiles of one group.

    `o_tiles`, `c_tiles`: first tile and one past the last, along output and input channels.
    `images`, `positions`: sizes of the two operands; `inputs` and `outputs` are channels of a
        group.

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


@by_ranges
@kernel
def _work(t, first, last, x, g, groups, chunks, sums, out):
    """Compute blocks `first` to `last` − 1 as thread t.

    `chunks`: number of blocks along output and input channels.
    `sums`: array (threads, elements of scratch).
    """
    images, positions = x.shape[0], x.shape[2]
    inputs, outputs = x.shape[1] // groups, g.shape[1] // groups
    o_tiles, c_tiles = -(-outputs // ROWS), -(-inputs // COLUMNS)
    for item in range(first, last):
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
    """Compute every block of tiles, split among as many threads as `sums` has rows."""
    _work(sums.shape[0], groups * chunks[0] * chunks[1], x, g, groups, chunks, sums, out)


def suits(problem: Problem) -> bool:
    """Return True if the layer is pointwise, and large enough for register tiles and long sums."""
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
    """Return the number of blocks along outputs and inputs, and the most tiles in one block.

    There are at least as many blocks as threads.
    """
    outputs, inputs = (n // problem.groups for n in (problem.out_channels, problem.in_channels))
    tiles = -(-outputs // ROWS), -(-inputs // COLUMNS)
    along_outputs, along_inputs = (-(-n // most) for n, most in zip(tiles, TILES, strict=True))
    if problem.groups * along_outputs * along_inputs % threads:
        along_outputs = min(tiles[0], -(-along_outputs // threads) * threads)
    most = -(-tiles[0] // along_outputs) * -(-tiles[1] // along_inputs)
    return (along_outputs, along_inputs), most


def workspace_bytes(problem: Problem, threads: int) -> int:
    """Return the bytes of sums of a block of tiles, for all threads."""
    lane = simd.lanes_of(problem.itemsize)
    return threads * _chunks(problem, threads)[1] * _SUMS * lane * problem.itemsize


def grad_weight(
    problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
) -> None:
    """Write the gradient of a kernel with a single tap."""
    chunks, tiles = _chunks(problem, threads)
    lane = simd.lanes_of(problem.itemsize)
    _correlate(
        x.reshape(*x.shape[:2], -1), g.reshape(*g.shape[:2], -1), problem.groups, chunks,
        np.empty((threads, tiles * _SUMS * lane), x.dtype), out.reshape(-1),
    )  # fmt: skip
