"""Packing of both operands of `parallel.channels`: strips of input, blocks of the kernel.

A packed strip has no irregularity. Padding has become zeros, and a strided input lies in phases. A
packed kernel lies in the order of its use. Arguments are those of `channels`.
"""

from __future__ import annotations

import numpy as np

from algos.backend.compiler import kernel, threaded
from algos.backend.threads import share
from algos.simd.arithmetic import transpose
from algos.simd.copies import clear, copy_every
from algos.simd.registers import (
    aligned,
    lanes,
    load,
    load_square,
    prefetch,
    store,
    store_lanes,
    store_rows,
)
from algos.simd.window import load_inside, split_pairs

from .channels_blocking import ChannelsBlocking


@kernel
def _pack_row(x, start, first, width, target, at, count, ahead):
    """Copy target[at + k] = row[first + k] for k < count, with zeros outside 0 … width − 1.

    `x`: pointer; the row is its `width` elements from `start` on. Nothing outside the row is read.
    `target`: pointer to the strip; exactly `count` elements are written, from `at` on.
    `ahead`: distance in elements to the row that is prefetched, normally the same row of the next
        channel.

    The prefetch is explicit because rows of a strip are too short for the hardware prefetcher.
    """
    lane = lanes(x)
    for k in range(start + first + ahead, start + first + ahead + count, lane):
        prefetch(x, k)
    if count < lane:
        store_lanes(target, at, load_inside(x, start + first, first, width)[0], 0, count)
        return
    for n in range(0, count, lane):
        # The last vector ends at the last element and may overlap the one before it.
        k = min(n, count - lane)
        here = first + k
        if 0 <= here <= width - lane:
            store(target, at + k, load(x, start + here, 1))
        else:
            store(target, at + k, load_inside(x, start + here, here, width))


@kernel
def _pack_strided(x, start, first, stride, width, target, at, count, phases, phase_size, ahead):
    """Copy every `stride`-th element of a row, for `phases` neighbouring first elements.

    The arguments are those of `_pack_row`. Phase b begins at ``target[at + b·phase_size]`` and
    holds the elements from `first` + b on.
    """
    lane = lanes(x)
    for k in range(start + first + ahead, start + first + ahead + count * stride, lane):
        prefetch(x, k)
    if stride == 2 and count >= lane:
        for b in range(0, phases, 2):
            for n in range(0, count, lane):
                k = min(n, count - lane)
                here = first + b + 2 * k
                even, odd = split_pairs(x, start + here, here, width)
                store(target, at + b * phase_size + k, (even,))
                if b + 1 < phases:
                    store(target, at + (b + 1) * phase_size + k, (odd,))
        return
    for b in range(phases):
        here, there = first + b, at + b * phase_size
        left = min(count, max(0, -(here // stride)))
        right = min(count, max(left, -((here - width) // stride)))
        clear(target, there, left)
        copy_every(x, start + here + left * stride, stride, target, there + left, right - left)
        clear(target, there + right, count - right)


@kernel
def strip_of(item, s):
    """Return what an item computes: (image, plane, row, column, rows, columns, first, last block).

    `image` counts the groups of all images. `first` is the first block of output channels, `last`
    one past the last.
    """
    chunks = -(-s.blocks // s.blocks_per_item)
    bands = -(-s.out_width // s.columns)
    item, chunk = item // chunks, item % chunks
    item, band = item // bands, item % bands
    item, strip = item // s.strips, item % s.strips
    image, h = item // s.out_depth, item % s.out_depth
    j, k = strip * s.out_height // s.strips, band * s.columns
    rows, columns = (strip + 1) * s.out_height // s.strips - j, min(s.columns, s.out_width - k)
    first = chunk * s.blocks_per_item
    return image, h, j, k, rows, columns, first, min(first + s.blocks_per_item, s.blocks)


@kernel
def pack_strip(x, plane, channels, s, h, j, k, rows, target):
    """Copy the input that output rows j … j + rows − 1 of plane h need, for `channels` channels.

    The layout in `target` is [channel][depth tap][row phase][column phase][row][column].

    `plane`: number of the first channel's volume in `x`.
    `k`: first output column of the strip.
    `target`: pointer to the strip, `s.channel_size` elements per channel.
    """
    phase_size = s.phase_rows * s.pitch
    first = k * s.column_stride - s.columns_before
    ahead = s.depth * s.height * s.width
    for c in range(channels):
        at = c * s.channel_size
        for p in range(s.depth_taps):
            d = h * s.depth_stride + p * s.depth_dilation - s.depth_before
            for a in range(s.row_phases):
                for i in range(s.phase_rows - s.rows + rows):
                    r = (j + i) * s.row_stride + a - s.rows_before
                    start = (((plane + c) * s.depth + d) * s.height + r) * s.width
                    # A row outside the input counts as a row of width 0, so the copy is all zeros.
                    width = s.width if 0 <= d < s.depth and 0 <= r < s.height else 0
                    row = at + i * s.pitch
                    if s.column_stride > 1 and s.phase_step == 1:
                        _pack_strided(
                            x, start, first, s.column_stride, width, target, row, s.pitch,
                            s.column_phases, phase_size, ahead,
                        )  # fmt: skip
                        continue
                    for b in range(s.column_phases):
                        here, there = first + b * s.phase_step, row + b * phase_size
                        if s.column_stride == 1:
                            _pack_row(x, start, here, width, target, there, s.pitch, ahead)
                        else:
                            _pack_strided(
                                x, start, here, s.column_stride, width, target, there, s.pitch,
                                1, phase_size, ahead,
                            )  # fmt: skip
                at += s.column_phases * phase_size


@kernel
def _pack_blocks(first, last, w, groups, stretch, packed):
    """Pack the blocks `first` to `last` − 1; the arguments are those of `pack_weights`."""
    outputs, taps = w.shape[0] // groups, w.shape[1]
    blocks = -(-outputs // stretch)
    lane = lanes(w)
    flat = w.reshape(w.size)
    target = packed.reshape(packed.size)
    for i in range(first, last):
        o = i // blocks * outputs + i % blocks * stretch
        end = (i // blocks + 1) * outputs
        base = i * taps * stretch
        for v in range(0, stretch, lane):
            whole, count = 0, min(lane, stretch - v)
            if o + v + lane <= end:
                for t in range(0, taps - lane + 1, lane):
                    turned = transpose(load_square(flat, (o + v) * taps + t, taps))
                    store_rows(turned, target, base + t * stretch + v, stretch, lane, 0, count)
                    whole = t + lane
            for t in range(whole, taps):
                for m in range(v, v + count):
                    inside = o + m < end
                    target[base + t * stretch + m] = flat[(o + m) * taps + t] if inside else 0


@threaded
@kernel
def _pack_one(block, w, groups, stretch, packed):
    """Pack one block of `pack_weights`."""
    _pack_blocks(block, block + 1, w, groups, stretch, packed)


@kernel
def _share_packing(blocks, w, groups, stretch, packed):
    """Pack all blocks, split among threads."""
    _pack_one(blocks, w, groups, stretch, packed)


def pack_weights(
    w: np.ndarray, groups: int, stretch: int, packed: np.ndarray, threads: int
) -> None:
    """Pack `w` (O, K) as [group][block of `stretch` channels][K][channel], padded with zeros."""
    blocks = groups * -(-(w.shape[0] // groups) // stretch)
    if threads == 1:
        _pack_blocks(0, blocks, w, groups, stretch, packed)
        return
    with share(threads):
        _share_packing(blocks, w, groups, stretch, packed)


def packed_kernel(w: np.ndarray, blocks: ChannelsBlocking, threads: int) -> np.ndarray:
    """Return the correlation kernel `w` (O, C/groups, *kernel), packed as `blocks` says."""
    packed = aligned(blocks.packed, w.dtype)
    pack_weights(w.reshape(w.shape[0], -1), blocks.shape.groups, blocks.stretch, packed, threads)
    return packed
