"""Rows of tiles: gathered and transformed, and later transformed back and written.

Rows of zeros, and rows whose results would be discarded, are skipped. The arguments are those of
`tiles`.
"""

from __future__ import annotations

from algos.backend.compiler import kernel
from algos.simd.border import standing
from algos.simd.copies import clear, copy

from .transform import restore_row, restore_squares, transform_row, transform_squares


@kernel
def _place(s, unit):
    """Return (image, first stride-1 output along each axis) of tile `unit`."""
    image, rest = unit % s.images, unit // s.images
    third, rest = rest % s.row_tiles, rest // s.row_tiles
    return (
        image, rest // s.middle_tiles * s.outer_step, rest % s.middle_tiles * s.middle_step,
        third * s.row_step,
    )  # fmt: skip


@kernel
def _read_row(x, s, unit, channel, row, tile, at):
    """Copy a row of a tile, with zeros outside the input; return True if it holds any sample.

    Exactly `s.tile_row` elements are written. Nothing outside the input is read.
    """
    if unit < s.images * s.outer_tiles * s.middle_tiles * s.row_tiles:
        image, a0, b0, c0 = _place(s, unit)
        a = a0 + row // s.tile_middle - s.outer_before
        b = b0 + row % s.tile_middle - s.middle_before
        first = c0 - s.row_before
        left = min(max(-first, 0), s.tile_row)
        right = max(left, min(s.tile_row, s.width - first))
        if 0 <= a < s.outer and 0 <= b < s.middle and left < right:
            plane = (image * s.groups * s.inputs + channel) * s.outer
            start = ((plane + a) * s.middle + b) * s.width + first
            clear(tile, at, left)
            copy(x, start + left, tile, at + left, right - left)
            clear(tile, at + right, s.tile_row - right)
            return True
    clear(tile, at, s.tile_row)
    return False


@kernel
def _extend_row(x, s, start, first, begin, end, value, tile, at):
    """Write elements `begin` to `end` − 1 of a row of a tile, which lie beyond the border.

    `start`: index of the input row's first sample.
    `first`: position of the tile row's first element, counted from that sample.
    `value`: pointer to the value where no sample stands. Elements no output reads are zero.
    """
    read = max(begin, min(end, s.row_end - first))
    for k in range(begin, read):
        sample = standing(s.boundary, first + k, s.width)
        tile[at + k] = x[start + sample] if sample >= 0 else value[0]
    clear(tile, at + read, end - read)


@kernel
def _read_extended_row(x, s, unit, channel, row, value, tile, at):
    """Copy a row of a tile as `_read_row` does, where the boundary is not zeros."""
    if unit < s.images * s.outer_tiles * s.middle_tiles * s.row_tiles:
        image, a0, b0, c0 = _place(s, unit)
        a = a0 + row // s.tile_middle - s.outer_before
        b = b0 + row % s.tile_middle - s.middle_before
        first = c0 - s.row_before
        if a < s.outer_end and b < s.middle_end and first < s.row_end:
            a, b = standing(s.boundary, a, s.outer), standing(s.boundary, b, s.middle)
            if a < 0 or b < 0:
                read = min(s.tile_row, s.row_end - first)
                for k in range(read):
                    tile[at + k] = value[0]
                clear(tile, at + read, s.tile_row - read)
                return True
            left = min(max(-first, 0), s.tile_row)
            right = max(left, min(s.tile_row, s.width - first))
            plane = (image * s.groups * s.inputs + channel) * s.outer
            start = ((plane + a) * s.middle + b) * s.width
            _extend_row(x, s, start, first, 0, left, value, tile, at)
            copy(x, start + first + left, tile, at + left, right - left)
            _extend_row(x, s, start, first, right, s.tile_row, value, tile, at)
            return True
    clear(tile, at, s.tile_row)
    return False


@kernel
def read(x, s, pair, channel, value, tile, at, passes, factors):
    """Gather a pair of tiles and transform their rows."""
    for row in range(0, s.tile_outer * s.tile_middle, s.rows):
        here = at + row * s.pitch
        is_empty = True
        for r in range(s.rows):
            for part in range(2):
                target = here + r * s.pitch + part * s.plane
                unit = 2 * pair + part
                if s.boundary:
                    held = _read_extended_row(x, s, unit, channel, row + r, value, tile, target)
                else:
                    held = _read_row(x, s, unit, channel, row + r, tile, target)
                if held:
                    is_empty = False
        if not is_empty:
            for r in range(s.rows):
                transform_row(
                    tile, here + r * s.pitch, s.plane, s.tile_row, 1, 1, passes, s.row_passes,
                    factors,
                )  # fmt: skip
            transform_squares(tile, here, s.plane, s.tile_row, s.square_between, s.square_step)


@kernel
def _is_kept(s, a, b):
    """Return True if the stride keeps a row at stride-1 outputs (a, b)."""
    return (
        a % s.outer_stride == 0 and a // s.outer_stride < s.out_outer
        and b % s.middle_stride == 0 and b // s.middle_stride < s.out_middle
    )  # fmt: skip


@kernel
def _keeps(s, unit, row):
    """Return True if a row of a tile is output: not wrapped around, not past the end, kept."""
    if unit >= s.images * s.outer_tiles * s.middle_tiles * s.row_tiles:
        return False
    a, b = row // s.tile_middle, row % s.tile_middle
    if a >= s.outer_step or b >= s.middle_step:
        return False
    _, a0, b0, _ = _place(s, unit)
    return _is_kept(s, a0 + a, b0 + b)


@kernel
def _write_row(y, s, unit, channel, row, tile, at, offset):
    """Write the outputs of a row of a tile, plus the number `offset`."""
    image, a0, b0, c0 = _place(s, unit)
    a = (a0 + row // s.tile_middle) // s.outer_stride
    b = (b0 + row % s.tile_middle) // s.middle_stride
    plane = (image * s.groups * s.outputs + channel) * s.out_outer
    start = ((plane + a) * s.out_middle + b) * s.out_width
    first = (c0 + s.row_stride - 1) // s.row_stride
    last = min((c0 + s.row_step + s.row_stride - 1) // s.row_stride, s.out_width)
    if s.row_stride == 1 and offset == 0:
        copy(tile, at, y, start + first, max(last - first, 0))
        return
    for k in range(first, last):
        y[start + k] = tile[at + k * s.row_stride - c0] + offset


@kernel
def write(y, s, pair, channel, tile, at, offset, passes, factors):
    """Transform back those rows of a pair of tiles that are output, and write them."""
    for row in range(0, s.tile_outer * s.tile_middle, s.rows):
        here = at + row * s.pitch
        is_wanted = False
        for r in range(s.rows):
            if _keeps(s, 2 * pair, row + r) or _keeps(s, 2 * pair + 1, row + r):
                is_wanted = True
        if not is_wanted:
            continue
        restore_squares(tile, here, s.plane, s.tile_row, s.square_between, s.square_step)
        for r in range(s.rows):
            wanted = _keeps(s, 2 * pair, row + r), _keeps(s, 2 * pair + 1, row + r)
            place = here + r * s.pitch
            if wanted[0] or wanted[1]:
                restore_row(tile, place, s.plane, s.tile_row, 1, 1, passes, s.row_passes, factors)
            for part in range(2):
                if wanted[part]:
                    _write_row(
                        y, s, 2 * pair + part, channel, row + r, tile, place + part * s.plane,
                        offset,
                    )  # fmt: skip
