"""Images and volumes filtered by `passes` tile by tile, with scratch between two passes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from algos.backend.compiler import by_ranges, kernel
from algos.simd.copies import clear
from algos.simd.registers import lanes, pointer, streamed

from .passes import ACROSS, CHUNK, ROWS, filter_plane, pass_along_w, pass_lines

__all__ = ["TILE", "VOLUME_TILE", "filter_separably"]

#: Output samples of a tile along d, h and w: of an image, and of a volume. Tuned on Zen 4, so that
#: the rows between two passes stay in L2.
TILE, VOLUME_TILE = (1, 256, 512), (4, 64, 512)


@kernel
def _filter_tile(x, size, first, shape, taps, counts, stride, dilation, before, start, is_sum,
                 total, total_pitch, target, target_pitch, scratch, pitch, streams):  # fmt: skip
    """Apply one separable kernel to the tile of `shape` that begins at output `first`.

    `x`: pointer to the input (D, H, W) of `size`; nothing outside it is read.
    `taps`, `counts`: pointers to the taps along d, h and w, and their numbers.
    `start`: pointer to the element that sums start from, unless `is_sum`.
    `is_sum`: true to start from the tile `total` instead.
    `target`: pointer to the tile's first output, in the output or `total` itself.
    `total_pitch`, `target_pitch`: elements from plane to plane and from row to row.
    `scratch`: pointers to a zero, a line, a whole line, rows after the pass along w, planes after
        the pass along h, the stage, and row indices.
    `pitch`: elements from row to row of the scratch.
    `streams`: true to write past the caches.
    """
    depth, height, width = shape
    zero, line, whole, after_w, after_h, stage, starts = scratch
    along_d, along_h, along_w = taps
    rows = (height - 1) * stride[1] + (counts[1] - 1) * dilation[1] + 1
    planes = (depth - 1) * stride[0] + (counts[0] - 1) * dilation[0] + 1
    d0 = first[0] * stride[0] - before[0]
    r0 = first[1] * stride[1] - before[1]
    c0 = first[2] * stride[2] - before[2]
    single = counts[0] == 1
    is_dense = stride[1:] == (1, 1) and dilation[1:] == (1, 1)
    for p in range(0, planes, stride[0] if single else 1):
        inside = 0 <= d0 + p < size[0]
        h = p // stride[0]
        if is_dense:
            plane = ((d0 + p) * size[1] * size[2], r0, c0)
            area = (size[1] if inside else 0, size[2])  # a plane of padding has no rows
            if single:
                filter_plane(
                    x, area, plane, taps[1:], counts[1:], zero, line, after_w, pitch,
                    total if is_sum else start, h * total_pitch[0] if is_sum else 0,
                    total_pitch[1], is_sum, target, h * target_pitch[0], target_pitch[1], height,
                    width, starts, stage, streams,
                )  # fmt: skip
            else:
                filter_plane(
                    x, area, plane, taps[1:], counts[1:], zero, line, after_w, pitch, zero, 0,
                    0, False, after_h, p * height * pitch, pitch, height, width, starts, stage,
                    False,
                )  # fmt: skip
            continue
        for r in range(rows):
            if inside and 0 <= r0 + r < size[1]:
                row = ((d0 + p) * size[1] + r0 + r) * size[2]
                pass_along_w(
                    x, row, size[2], c0, along_w, counts[2], stride[2], dilation[2], zero, line,
                    whole, after_w, r * pitch, width,
                )  # fmt: skip
            else:
                clear(after_w, r * pitch, width)
        for j in range(height):
            origin, old = start, 0
            into, to = target, h * target_pitch[0] + j * target_pitch[1]
            if not single:
                origin, into, to = zero, after_h, (p * height + j) * pitch
            elif is_sum:
                origin, old = total, h * total_pitch[0] + j * total_pitch[1]
            pass_lines(
                after_w, j * stride[1] * pitch, dilation[1] * pitch, along_h, counts[1], origin,
                old, is_sum and single, into, to, width,
            )  # fmt: skip
    if not single:
        for h in range(depth):
            for j in range(height):
                pass_lines(
                    after_h, (h * stride[0] * height + j) * pitch, dilation[0] * height * pitch,
                    along_d, counts[0], total if is_sum else start,
                    h * total_pitch[0] + j * total_pitch[1] if is_sum else 0, is_sum,
                    target, h * target_pitch[0] + j * target_pitch[1], width,
                )  # fmt: skip


@kernel(inline="always")
def _filter_item(
    item, x, along_d, along_h, along_w, bias, stride, dilation, before, groups, tile, streams, y
):
    """Compute one tile of one output image: every input channel and term, summed from the bias on.

    The arguments are those of `filter_separably`; `item` counts outputs and tiles.
    """
    across = (y.shape[4] + tile[2] - 1) // tile[2]
    down = (y.shape[3] + tile[1] - 1) // tile[1]
    deep = (y.shape[2] + tile[0] - 1) // tile[0]
    image, place = item // (deep * down * across), item % (deep * down * across)
    b, o = image // y.shape[1], image % y.shape[1]
    first = (
        place // (down * across) * tile[0],
        place // across % down * tile[1],
        place % across * tile[2],
    )
    shape = (
        min(tile[0], y.shape[2] - first[0]),
        min(tile[1], y.shape[3] - first[1]),
        min(tile[2], y.shape[4] - first[2]),
    )
    inputs, terms = along_w.shape[1], along_w.shape[2]
    lane = lanes(pointer(x))
    # An odd number of vectors, so that consecutive rows fall into different cache sets.
    pitch = (-(-shape[2] // (ACROSS * lane)) * ACROSS + 1) * lane
    planes = (shape[0] - 1) * stride[0] + (along_d.shape[3] - 1) * dilation[0] + 1
    rows = (shape[1] - 1) * stride[1] + (along_h.shape[3] - 1) * dilation[1] + 1
    samples = (shape[2] - 1) * stride[2] + (along_w.shape[3] - 1) * dilation[2] + 1
    samples += (ACROSS + 2) * lane
    line = -(-max(samples, (ACROSS + 3) * lane + along_w.shape[3]) // lane) * lane
    is_dense = stride[1:] == (1, 1) and dilation[1:] == (1, 1)
    after_w = lane + line + (line if stride[2] > 1 else 0)
    after_h = after_w + (along_h.shape[3] + ROWS if is_dense else rows) * pitch
    sums = after_h + (planes * shape[1] * pitch if along_d.shape[3] > 1 else 0) + lane
    stage = sums + (shape[0] * shape[1] * pitch if inputs * terms > 1 else 0)
    room = stage + (ROWS * CHUNK + 2 * lane if streams else 0)
    # Every part begins on a cache line, so that each load of a pass down touches only one.
    whole = np.empty(room + 4 * lane, y.dtype)
    buffer = whole[-whole.ctypes.data % 64 // whole.itemsize :]
    buffer[0] = 0
    places = np.empty(along_h.shape[3] + ROWS, np.int64)
    scratch = (
        pointer(buffer),
        pointer(buffer[lane:]),
        pointer(buffer[lane + line :]),
        pointer(buffer[after_w:]),
        pointer(buffer[after_h:]),
        pointer(buffer[stage:]),
        pointer(places),
    )
    total = pointer(buffer[sums:])
    total_pitch = (shape[1] * pitch, pitch)
    size = (x.shape[2], x.shape[3], x.shape[4])
    counts = (along_d.shape[3], along_h.shape[3], along_w.shape[3])
    channel = o // (along_w.shape[0] // groups) * inputs
    for i in range(inputs * terms):
        c, t = i // terms, i % terms
        is_last = i == inputs * terms - 1
        target = pointer(y[b, o, first[0], first[1], first[2] :])
        _filter_tile(
            pointer(x[b, channel + c]), size, first, shape,
            (pointer(along_d[o, c, t]), pointer(along_h[o, c, t]), pointer(along_w[o, c, t])),
            counts, stride, dilation, before, pointer(bias[o:]), i > 0, total, total_pitch,
            target if is_last else total,
            (y.shape[3] * y.shape[4], y.shape[4]) if is_last else total_pitch, scratch, pitch,
            is_last and streams,
        )  # fmt: skip
    whole[0] = places[0] = 0  # used after the last pointer into them, so that Numba keeps them


@kernel(allocates=True)
def _filter_share(
    _slot, first, last, x, along_d, along_h, along_w, bias, stride, dilation, before, groups, tile,
    streams, y,
):  # fmt: skip
    """Compute tiles `first` to `last` − 1; `_slot` is the number of this thread."""
    for item in range(first, last):
        _filter_item(
            item,
            x,
            along_d,
            along_h,
            along_w,
            bias,
            stride,
            dilation,
            before,
            groups,
            tile,
            streams,
            y,
        )
    streamed()


_filter_share_shared = by_ranges(_filter_share)


@kernel
def _filter_shares(
    threads, tiles, x, along_d, along_h, along_w, bias, stride, dilation, before, groups, tile,
    streams, y,
):  # fmt: skip
    """Compute all `tiles`, split among `threads` threads."""
    _filter_share_shared(
        threads, tiles, x, along_d, along_h, along_w, bias, stride, dilation, before, groups,
        tile, streams, y,
    )  # fmt: skip


def filter_separably(*arguments: Any, threads: int) -> None:
    """Compute y = bias + Σ over input channels and terms of the separable responses.

    The arguments are, in this order:

    `x`: input (N, C, D, H, W).
    `along_d`, `along_h`, `along_w`: taps (O, C/groups, terms, F along the axis). If `along_d` has
        one tap, it must be 1: there is then no pass along depth.
    `bias`: one element per output channel.
    `stride`, `dilation`, `before`: per axis; `before` is the padding in front.
    `groups`: number of groups.
    `tile`: output samples of a tile along d, h and w.
    `streams`: true to write fused passes past the caches.
    `y`: output (N, O, D, H, W).
    """
    tile, y = arguments[9], arguments[11]
    tiles = math.prod(y.shape[:2]) * math.prod(
        -(-size // step) for size, step in zip(y.shape[2:], tile, strict=True)
    )
    if threads == 1:
        _filter_share(0, 0, tiles, *arguments)
    else:
        _filter_shares(threads, tiles, *arguments)
