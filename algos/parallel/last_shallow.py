"""Direct convolution of shallow layers with their channels last, with output channels in the lanes.

A layer is shallow if it has few products per output, such as one of images of three colours. The
register tile and its steps are those of `parallel.last`: M output positions × V vectors of output
channels. But there a tile spends as long on finding its positions, and on the border, as on the few
products of such a layer. Here, the input rows under a piece of an output row are first copied to
scratch, with the zeros of the padding around them. Then no tile of the piece meets the border.

All output channels of a tile's positions are computed one block after the other, so the output is
written from front to back. The last tile of a piece ends with it, and may overlap the one before.

Arguments that mean the same in every kernel; indices and lengths count elements:

`x`, `out`: pointers to the input (N, H, W, C) and to the output (N, H, W, O), both contiguous.
`weights`: pointer to the packed kernel, [block of channels][tap][input channel][channel].
`s`: a `ShallowGeometry`.
`rows`: pointer to scratch for the laid-out input rows, `s.pitch` elements apart.
`starts`: pointer to the M offsets of a tile's positions in a laid-out row.

Measurements: docs/kernels.md.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from algos.backend.compiler import by_ranges, fixed_tuple, kernel
from algos.core.memory_order import CHANNELS_LAST, in_memory
from algos.core.problem import Problem
from algos.simd import registers as simd
from algos.simd.arithmetic import add_gathered, repeat
from algos.simd.copies import clear, copy
from algos.simd.registers import further, lanes, load, pointer, to_boundary
from algos.simd.window import store_block

from . import last as direct_last
from .last_blocking import PIECE_TAPS, POSITIONS, blocking, vectors_of

#: Bytes of laid-out rows, which stay in L1 beside the weights of a tile. Not tuned.
ROWS_BYTES = 16 * 1024
#: Input channels up to which a single tap is worth laying out rows. Measured on Zen 3 (AVX2).
SINGLE_TAP = 64


class ShallowGeometry(NamedTuple):
    """Numbers the compiled kernel works from."""

    #: Input and output channels.
    inputs: int
    outputs: int
    height: int
    width: int
    out_height: int
    out_width: int
    row_stride: int
    column_stride: int
    row_dilation: int
    rows_before: int
    columns_before: int
    row_taps: int
    #: Elements of a kernel row, which lie side by side.
    run: int
    #: Vectors of output channels of a register tile, and blocks of output channels.
    vectors: int
    blocks: int
    #: Pieces of an output row; elements from one laid-out row to the next.
    pieces: int
    pitch: int
    #: Elements of scratch of one thread: biases, rows, and a vector to align them.
    room: int


_NUMBERS = len(ShallowGeometry._fields)


@kernel
def _lay(x, s, image, h, first, count, rows):
    """Lay out the input rows under `count` output columns from column `first` of row `h` on."""
    length = (count - 1) * s.column_stride * s.inputs + s.run
    left = first * s.column_stride - s.columns_before
    skip = min(max(-left, 0) * s.inputs, length)
    end = max(min((s.width - left) * s.inputs, length), skip)
    for m in range(s.row_taps):
        r, at = h * s.row_stride - s.rows_before + m * s.row_dilation, m * s.pitch
        if 0 <= r < s.height:
            clear(rows, at, skip)
            if end > skip:
                origin = ((image * s.height + r) * s.width + left) * s.inputs
                copy(x, origin + skip, rows, at + skip, end - skip)
            clear(rows, at + end, length - end)
        else:
            clear(rows, at, length)


def _make_tile(vectors: int) -> Any:
    """Return the innermost kernel for a register tile of POSITIONS × `vectors`."""

    @kernel
    def tile(rows, starts, row_taps, run, pitch, weights, near, begin, out, target, step, positions,
             channels):  # fmt: skip
        """Compute one tile.

        `rows`: pointer to where the tile's first position begins.
        `near`: index into `weights` of the block's first element.
        `begin`: pointer to the vectors that sums start from.
        `target`: index into `out` of the first position. `positions` of them are written, `step`
            elements apart, of `channels` channels each.
        """
        width = vectors * lanes(weights)
        total = repeat(load(begin, 0, vectors), POSITIONS)
        whole = run - run % 3
        for m in range(row_taps):
            row = further(rows, m * pitch)
            for c in range(0, whole, 3):  # the colours of a pixel, or any three channels
                at = near + c * width
                total = add_gathered(total, row, starts, c, weights, at, POSITIONS, vectors)
                at += width
                total = add_gathered(total, row, starts, c + 1, weights, at, POSITIONS, vectors)
                at += width
                total = add_gathered(total, row, starts, c + 2, weights, at, POSITIONS, vectors)
            for c in range(whole, run):
                at = near + c * width
                total = add_gathered(total, row, starts, c, weights, at, POSITIONS, vectors)
            near += run * width
        store_block(total, out, target, step, positions, channels, POSITIONS, vectors)

    return tile


_tile1, _tile2 = _make_tile(1), _make_tile(2)


@kernel
def _item(x, weights, bias, out, s, item, rows, starts, begin):
    """Compute one piece of an output row.

    `bias`: pointer to one element per output channel.
    `begin`: pointer to scratch, an element for each channel of all blocks.
    """
    stretch = s.vectors * lanes(weights)
    line, piece = item // s.pieces, item % s.pieces
    image, h = line // s.out_height, line % s.out_height
    first, end = piece * s.out_width // s.pieces, (piece + 1) * s.out_width // s.pieces
    count = end - first
    _lay(x, s, image, h, first, count, rows)
    for v in range(s.blocks * stretch):
        begin[v] = bias[v] if v < s.outputs else 0
    positions = min(POSITIONS, count)
    for t in range(0, count, POSITIONS):
        k = max(min(t, count - POSITIONS), 0)
        here = further(rows, k * s.column_stride * s.inputs)
        target = (line * s.out_width + first + k) * s.outputs
        for o in range(0, s.outputs, stretch):
            near, channels = o * s.row_taps * s.run, min(stretch, s.outputs - o)
            if s.vectors == 1:
                _tile1(here, starts, s.row_taps, s.run, s.pitch, weights, near, further(begin, o),
                       out, target + o, s.outputs, positions, channels)  # fmt: skip
            else:
                _tile2(here, starts, s.row_taps, s.run, s.pitch, weights, near, further(begin, o),
                       out, target + o, s.outputs, positions, channels)  # fmt: skip


@kernel(allocates=True)
def _work(_slot, first, last, x, weights, bias, table, out):
    """Compute items `first` to `last` − 1; `x`, `weights`, `bias` and `out` are flat arrays."""
    s = ShallowGeometry(*fixed_tuple(table, _NUMBERS))
    room = np.zeros(s.room, weights.dtype)
    numbers = np.empty(POSITIONS, np.int64)
    for k in range(POSITIONS):
        numbers[k] = k * s.column_stride * s.inputs
    begin = further(pointer(room), to_boundary(pointer(room), 0))
    rows = further(begin, s.blocks * s.vectors * lanes(weights))
    for item in range(first, last):
        _item(
            pointer(x), pointer(weights), pointer(bias), pointer(out), s, item, rows,
            pointer(numbers), begin,
        )  # fmt: skip
    # Use the arrays after the last pointer into them, so that Numba keeps them alive.
    room[0] = 0
    numbers[0] = 0


_work_shared = by_ranges(_work)


@kernel
def _share(threads, items, x, weights, bias, table, out):
    """Compute all `items`, split among `threads` threads."""
    _work_shared(threads, items, x, weights, bias, table, out)


def suits(problem: Problem) -> bool:
    """Return True for shallow layers of one or two axes whose kernel rows are read as one run."""
    taps = math.prod(problem.kernel) * problem.in_channels
    is_run = problem.dilation[-1] == 1 or problem.kernel[-1] == 1
    most = SINGLE_TAP if taps == problem.in_channels else PIECE_TAPS
    is_flat = problem.axes <= 2 and problem.groups == 1
    return is_flat and is_run and taps <= most and direct_last.suits(problem)


@lru_cache(maxsize=256)
def _blocking(problem: Problem) -> tuple[np.ndarray, ShallowGeometry, int]:
    """Return the geometry of `problem`, as an array and by name, and the number of items."""
    v, itemsize = problem.volume, problem.itemsize
    lane, vectors = simd.lanes_of(itemsize), vectors_of(problem)
    run, step = v.kernel[2] * v.in_channels, v.stride[2] * v.in_channels
    columns = v.output_size[2]
    most = max(POSITIONS, ROWS_BYTES // (v.kernel[1] * step * itemsize))
    pieces = -(-columns // most)
    longest = max(-(-columns // pieces), POSITIONS)
    # Whole vectors, and an odd number of them, so that rows fall into different cache sets.
    pitch = (-(-((longest - 1) * step + run) // lane) | 1) * lane
    blocks = -(-v.out_channels // (vectors * lane))
    shape = ShallowGeometry._make((
        v.in_channels, v.out_channels, *v.size[1:], *v.output_size[1:], *v.stride[1:],
        v.dilation[1], *v.before[1:], v.kernel[1], run, vectors,
        blocks, pieces, pitch, v.kernel[1] * pitch + (blocks * vectors + 1) * lane,
    ))  # fmt: skip
    return np.array(shape), shape, v.batch * v.output_size[1] * pieces


def workspace_bytes(problem: Problem, threads: int) -> int:
    """Return the bytes of the packed kernel and of each thread's rows."""
    packed = blocking(problem, threads).packed
    kernel = packed + problem.parameters  # in another order before it is packed
    _, shape, _ = _blocking(problem)
    return (threads * shape.room + kernel) * problem.itemsize + threads * POSITIONS * 8


prepare = direct_last.prepare


def forward(
    problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray, threads: int
) -> None:
    """Write the output for `x`, with `prepared` as returned by `prepare`."""
    _, packed = prepared
    table, _, items = _blocking(problem)
    x, out = (in_memory(array, CHANNELS_LAST).reshape(-1) for array in (x, out))
    arguments = items, x, packed, bias, table, out
    if threads == 1:
        _work(0, 0, *arguments)
    else:
        _share(threads, *arguments)
