"""Direct convolution of arrays with their channels last, with output channels in the lanes.

A register tile holds M output positions × V vectors of output channels, as in `channels`. Here the
channels of a pixel lie side by side, and so do those of the tap beside it. A kernel row is thus one
run of input elements, which begins at another place for each of the M positions. For every element
of the run the tile broadcasts M of them and loads V vectors of packed weights. Nothing is copied:
sums are written where the next layer reads them, with the channels of a pixel side by side.

At the border, some of the M positions lack a kernel row. They read a row of zeros instead. Where
they lack a column, taps are taken one by one.

The sum is cut into pieces whose weights stay in L1 while all tiles of a band meet them. Sums of
tiles stay in scratch from piece to piece.

Arguments that mean the same in every kernel; indices and lengths count elements:

`x`, `out`: pointers to the input (N, D, H, W, C) and to the output (N, D, H, W, O), both
    contiguous.
`weights`: pointer to the packed kernel, [group][block of channels][tap][input channel][channel].
`s`: the `LastGeometry` at the head of the array `LastBlocking.table`.
`places`: pointer to four integers for each position of a band, [tile][which][position]. They are
    the index into `x` of its first tap, and the plane, row and column of that tap. All may be
    negative.
`zeros`: index, counted from `x`, of a run of zeros in scratch.
`starts`: pointer to scratch for M places.

Measurements: docs/kernels.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from algos.backend.compiler import by_ranges, fixed_tuple, kernel
from algos.core.memory_order import CHANNELS_LAST, in_memory
from algos.core.problem import Problem
from algos.simd import registers as simd
from algos.simd.arithmetic import add_gathered, repeat
from algos.simd.registers import distance, further, lanes, load, pointer, store, to_boundary
from algos.simd.window import store_block

from .channels_packing import pack_weights
from .last_blocking import POSITIONS, LastBlocking, LastGeometry, Piece, blocking

_NUMBERS = len(LastGeometry._fields)
_PIECE = len(Piece._fields)
#: Integers of a tile in `places`.
_PLACES = 4 * POSITIONS


@kernel
def _find_places(s, origin, first, tiles, places, kinds):
    """Write the places of `tiles` tiles, from output position `first` of an image on.

    `origin`: index into `x` of the image's first element of this group.
    `kinds`: pointer to one integer per tile: 2 if all taps of all positions lie inside the input, 1
        if all columns do, 0 otherwise.

    Positions past the last repeat it.
    """
    pixel = s.groups * s.inputs
    area = s.out_height * s.out_width
    deep = (s.depth_taps - 1) * s.depth_dilation
    tall = (s.row_taps - 1) * s.row_dilation
    wide = (s.column_taps - 1) * s.column_dilation
    for t in range(tiles):
        columns, rows = True, True
        for m in range(POSITIONS):
            position = min(first + t * POSITIONS + m, s.out_depth * area - 1)
            h, rest = position // area, position % area
            d = h * s.depth_stride - s.depth_before
            r = rest // s.out_width * s.row_stride - s.rows_before
            c = rest % s.out_width * s.column_stride - s.columns_before
            at = t * _PLACES + m
            places[at] = origin + ((d * s.height + r) * s.width + c) * pixel
            places[at + POSITIONS] = d
            places[at + 2 * POSITIONS] = r
            places[at + 3 * POSITIONS] = c
            columns = columns and c >= 0 and c + wide < s.width
            rows = rows and d >= 0 and d + deep < s.depth and r >= 0 and r + tall < s.height
        kinds[t] = (2 if rows else 1) if columns else 0


@kernel
def _begin(s, places, column, shift, p, m, n, zeros, starts):
    """Write where the M positions read a run for kernel row (p, m); return how many are inside.

    `column`: true if column n of the kernel has to be checked, too.
    `shift`: elements from a position's first tap to the run.
    """
    found = 0
    for k in range(POSITIONS):
        d = places[POSITIONS + k] + p * s.depth_dilation
        r = places[2 * POSITIONS + k] + m * s.row_dilation
        inside = 0 <= d < s.depth and 0 <= r < s.height
        if column:
            c = places[3 * POSITIONS + k] + n * s.column_dilation
            inside = inside and 0 <= c < s.width
        starts[k] = places[k] + shift if inside else zeros
        found += inside
    return found


def _make_tile(vectors: int) -> Any:
    """Return the innermost kernel for a register tile of POSITIONS × `vectors`."""
    registers = POSITIONS * vectors

    @kernel
    def tile(x, s, places, kind, piece, weights, near, zeros, starts, sums, at, begin, is_first,
             is_last, out, target, rows, count):  # fmt: skip
        """Add the products of one piece to one tile of sums.

        `kind`: of the tile, see `_find_places`.
        `piece`: pointer to the numbers of a `Piece`.
        `near`: index into `weights` of the piece's first element, for this block.
        `at`: index into `sums` of this tile; `begin` points to the vectors that sums start from.
        `target`: index into `out` of the first position, written if `is_last`: `rows` positions of
            `count` channels.
        """
        step, pixel = vectors * lanes(weights), s.groups * s.inputs
        if is_first:
            total = repeat(load(begin, 0, vectors), POSITIONS)
        else:
            total = load(sums, at, registers)
        is_run = s.is_run and kind > 0
        first, last, channel, end = piece[2], piece[3], piece[4], piece[5]
        length = end - channel
        taps = 1
        if is_run:
            taps = last - first
            length += (taps - 1) * pixel
        for row in range(piece[0], piece[1]):
            p, m = row // s.row_taps, row % s.row_taps
            for n in range(first, last, taps):
                shift = (p * s.depth_dilation * s.height + m * s.row_dilation) * s.width
                shift = (shift + n * s.column_dilation) * pixel + channel
                source, chosen, found = x, starts, 1
                if kind == 2:
                    source, chosen = further(x, shift), places
                else:
                    found = _begin(s, places, kind == 0, shift, p, m, n, zeros, starts)
                if found:
                    for c in range(length):
                        total = add_gathered(
                            total, source, chosen, c, weights, near + c * step, POSITIONS, vectors
                        )
                near += length * step
        if is_last:
            store_block(total, out, target, s.groups * s.outputs, rows, count, POSITIONS, vectors)
        else:
            store(sums, at, total)

    return tile


_tile1, _tile2 = _make_tile(1), _make_tile(2)


@kernel
def _item(x, weights, bias, out, s, pieces, item, places, kinds, starts, zeros, begin, sums):
    """Compute one band of one image and group, for some blocks of output channels.

    `bias`: pointer to one element per output channel. `pieces`: pointer to those of the table.
    `begin`, `sums`: pointers to scratch.
    """
    stretch = s.vectors * lanes(weights)
    chunks = -(-s.blocks // s.blocks_per_item)
    item, chunk = item // chunks, item % chunks
    item, band = item // s.bands, item % s.bands
    image, g = item // s.groups, item % s.groups
    positions = s.out_depth * s.out_height * s.out_width
    all_tiles = -(-positions // POSITIONS)
    low, high = band * all_tiles // s.bands, (band + 1) * all_tiles // s.bands
    tiles, pixel = high - low, s.groups * s.inputs
    origin = image * s.depth * s.height * s.width * pixel + g * s.inputs
    _find_places(s, origin, low * POSITIONS, tiles, places, kinds)
    row_size = s.column_taps * s.inputs
    first_block = chunk * s.blocks_per_item
    for block in range(first_block, min(first_block + s.blocks_per_item, s.blocks)):
        o = block * stretch
        for v in range(stretch):
            begin[v] = bias[g * s.outputs + o + v] if o + v < s.outputs else 0
        count = min(stretch, s.outputs - o)
        base = (g * s.blocks + block) * s.depth_taps * s.row_taps * row_size
        for number in range(s.pieces):
            piece = further(pieces, number * _PIECE)
            near = (base + piece[0] * row_size + piece[2] * s.inputs + piece[4]) * stretch
            is_first, is_last = number == 0, number == s.pieces - 1
            for t in range(tiles):
                position = (low + t) * POSITIONS
                rows = min(POSITIONS, positions - position)
                target = (image * positions + position) * s.groups * s.outputs
                target += g * s.outputs + o
                here, at = further(places, t * _PLACES), 0
                if s.pieces > 1:
                    at = t * POSITIONS * stretch
                if s.vectors == 1:
                    _tile1(x, s, here, kinds[t], piece, weights, near, zeros, starts, sums, at,
                           begin, is_first, is_last, out, target, rows, count)  # fmt: skip
                else:
                    _tile2(x, s, here, kinds[t], piece, weights, near, zeros, starts, sums, at,
                           begin, is_first, is_last, out, target, rows, count)  # fmt: skip


@kernel(allocates=True)
def _work(_slot, first, last, x, weights, bias, table, out):
    """Compute items `first` to `last` − 1; `x`, `weights`, `bias` and `out` are flat arrays."""
    s = LastGeometry(*fixed_tuple(table, _NUMBERS))
    stretch = s.vectors * lanes(weights)
    room = np.zeros(s.room, weights.dtype)
    numbers = np.empty(s.tiles * (_PLACES + 1) + POSITIONS, np.int64)
    begin = further(pointer(room), to_boundary(pointer(room), 0))
    sums = further(begin, stretch)
    empty = further(pointer(room), s.room - s.column_taps * s.inputs)
    kinds = further(pointer(numbers), s.tiles * _PLACES)
    starts = further(kinds, s.tiles)
    for item in range(first, last):
        _item(
            pointer(x), pointer(weights), pointer(bias), pointer(out), s,
            further(pointer(table), _NUMBERS), item, pointer(numbers), kinds, starts,
            distance(pointer(x), empty), begin, sums,
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
    """Return True if output channels fill at least half a vector, so that few lanes are idle."""
    return 2 * (problem.out_channels // problem.groups) >= simd.lanes_of(problem.itemsize)


def workspace_bytes(problem: Problem, threads: int) -> int:
    """Return the bytes of the packed kernel and of each thread's places and sums."""
    blocks = blocking(problem, threads)
    numbers = blocks.shape.tiles * (_PLACES + 1) + POSITIONS
    kernel = blocks.packed + problem.parameters  # in another order before it is packed
    return (threads * blocks.shape.room + kernel) * problem.itemsize + threads * numbers * 8


def prepare(problem: Problem, w: np.ndarray, threads: int) -> tuple[LastBlocking, np.ndarray]:
    """Return the blocking, and the correlation kernel `w` packed in the order of its use."""
    blocks = blocking(problem, threads)
    rows = np.ascontiguousarray(w.reshape(*w.shape[:2], -1).swapaxes(1, 2))
    packed = simd.aligned(blocks.packed, w.dtype)
    flat = rows.reshape(w.shape[0], -1)
    pack_weights(flat, blocks.shape.groups, blocks.stretch, packed, threads)
    return blocks, packed


def forward(
    problem: Problem, x: np.ndarray, prepared: tuple[LastBlocking, np.ndarray],
    bias: np.ndarray, out: np.ndarray, threads: int,
) -> None:  # fmt: skip
    """Write the output for `x`, with `prepared` as returned by `prepare`."""
    blocks, packed = prepared
    x, out = (in_memory(array, CHANNELS_LAST).reshape(-1) for array in (x, out))
    arguments = blocks.items, x, packed, bias, blocks.table, out
    if threads == 1:
        _work(0, 0, *arguments)
    else:
        _share(threads, *arguments)
