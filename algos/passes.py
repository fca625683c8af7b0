"""One-dimensional passes: a kernel that is an outer product, applied axis after axis.

Kernels of 5 or 7 taps a side on single images have a way of their own, `sweeps`. Of the others,
with stride 1 the two passes over an image are fused: four rows are passed across into a ring that
holds the rows under a kernel, then four rows of the output are passed down from it, 512 columns at
a time. No intermediate image exists; the ring lies in the first-level cache for short rows and
kernels of up to a dozen taps, in the second for longer ones. Other strides and dilations, and the
third axis, go through `_pass`, axis after axis within a tile.

Bound by the multiply-add units on the way down, where a tile of 4 × 4 vectors reuses every row
loaded. Across, each product needs its own shifted pixels: a load at any column takes two cycles,
a shift in registers one, half the time in a unit that products do not use. On a 2-core AVX-512
machine (Zen 4, 118 GFLOP/s a core in float32) one thread reached 72 % of the peak with 15 taps on
512², 78 % with 31, 83 % with 127. Passing over a tile's rows wholly before its columns,
through the second-level cache, cost 20 to 30 %.

Images that no cache holds are bound by memory up to 7 taps or so: at 2160 × 3840 with 5 taps, rows
as wide as the image, written past the caches and asked for four rows ahead, took 5.4 ms where tiles
of 512 columns, written as usual, took 7.2 to 9; a copy of the image takes 3.4, past the caches 1.6.
Without asking ahead it took 20 % longer. An image that stays in the caches takes 1.3 times as long
that way, hence `simd.STREAMED_BYTES`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import kernel, threaded
from .simd import (
    REGISTERS,
    add_outer,
    clear,
    copy,
    further,
    lanes,
    load,
    pointer,
    prefetch,
    splat,
    store,
    store_lanes,
    stream,
    streamed,
)
from .simd_window import add_shifted, add_window, load_block, load_inside, store_block

#: Output samples of a tile along d, h and w, of an image and of a volume.
TILE, VOLUME_TILE = (1, 256, 512), (4, 64, 512)
#: Rows and vectors of the register tile of a pass down, vectors of one across.
ROWS, ABREAST, ACROSS = (4, 4, 8) if REGISTERS == 32 else (4, 2, 4)
_TILE = ROWS * ABREAST
#: Rows that are asked for before they are needed, where they come from memory.
AHEAD = 4
#: Columns that go through both passes before the next ones do, whole stretches across.
CHUNK = 512


@kernel
def _pass(source, at, pitch, taps, count, start, first, is_row, target, to, width):
    """target[to + k] = start + Σ_m taps[m] · source[at + m·pitch + k], k < width, m < count.

    All arrays are pointers. The sum starts from ``start[first + k]`` where `is_row`, else from
    ``start[first]``. Reads up to one vector past the stretches; writes exactly `width` elements.
    """
    lane = lanes(source)
    k = 0
    while k < width:
        if width - k >= 8 * lane:
            sums = load(start, first + k, 8) if is_row else splat(start, first, 8)
            for m in range(count):
                sums = add_outer(sums, taps, m, source, at + k + m * pitch, 1, 8)
            store(target, to + k, sums)
            k += 8 * lane
        elif width - k >= 3 * lane:
            few = load(start, first + k, 3) if is_row else splat(start, first, 3)
            for m in range(count):
                few = add_outer(few, taps, m, source, at + k + m * pitch, 1, 3)
            store(target, to + k, few)
            k += 3 * lane
        else:
            one = load(start, first + k, 1) if is_row else splat(start, first, 1)
            for m in range(count):
                one = add_outer(one, taps, m, source, at + k + m * pitch, 1, 1)
            store_lanes(target, to + k, one[0], 0, width - k)
            k += lane


@kernel
def _pass_across(x, row, size, start, taps, count, zero, line, target, to, width):
    """A row through the pass along contiguous samples: Σ_m taps[m] · row[start + m + k].

    ``x[row]`` is where the row of `size` samples begins; beside them it is zero. Only where a
    stretch reaches there it is copied. Writes whole stretches, the last beyond `width`.
    """
    lane, whole = lanes(x), count // 4 * 4
    for k in range(0, width, ACROSS * lane):
        source, at, first = x, row + start + k, start + k
        read = ACROSS * lane + count + 2 * lane
        if first < 0 or first + read > size:
            for n in range(0, read, lane):
                if first + n >= 0 and first + n + lane <= size:
                    store(line, n, load(x, at + n, 1))
                else:
                    store(line, n, load_inside(x, at + n, first + n, size))
            source, at = line, 0
        sums = splat(zero, 0, ACROSS)
        for m in range(0, whole, 4):
            sums = add_shifted(sums, taps, m, source, at + m, 4)
        if count - whole == 3:
            sums = add_shifted(sums, taps, whole, source, at + whole, 3)
        elif count - whole == 2:
            sums = add_shifted(sums, taps, whole, source, at + whole, 2)
        elif count - whole == 1:
            sums = add_shifted(sums, taps, whole, source, at + whole, 1)
        store(target, to + k, sums)


@kernel
def _pass_down(source, taps, count, start, first, start_pitch, is_sum, target, to, target_pitch,
               rows, width, starts):  # fmt: skip
    """target[to + r·target_pitch + k] = start + Σ_m taps[m] · source[starts[r + m] + k].

    For the first `rows` of ROWS rows; the sum starts from ``start[first + r·start_pitch + k]``
    where `is_sum`, else from ``start[first]``.
    """
    whole = count // 4 * 4
    for k in range(0, width, ABREAST * lanes(source)):
        if is_sum:
            sums = load_block(start, first + k, start_pitch, rows, width - k, ROWS, ABREAST)
        else:
            sums = splat(start, first, _TILE)
        for m in range(0, whole, 4):
            sums = add_window(
                sums, taps, m, source, further(starts, m), k, 0, 0, 4, ROWS, ABREAST, 1
            )  # fmt: skip
        if count - whole == 3:
            sums = add_window(
                sums, taps, whole, source, further(starts, whole), k, 0, 0, 3, ROWS, ABREAST, 1
            )  # fmt: skip
        elif count - whole == 2:
            sums = add_window(
                sums, taps, whole, source, further(starts, whole), k, 0, 0, 2, ROWS, ABREAST, 1
            )  # fmt: skip
        elif count - whole == 1:
            sums = add_window(
                sums, taps, whole, source, further(starts, whole), k, 0, 0, 1, ROWS, ABREAST, 1
            )  # fmt: skip
        store_block(sums, target, to + k, target_pitch, rows, width - k, ROWS, ABREAST)


@kernel
def _filter_plane(x, size, start, taps, counts, zero, line, ring, pitch, origin, first, old_pitch,
                  is_sum, target, to, target_pitch, height, width, starts, stage,
                  streams):  # fmt: skip
    """Both passes over a tile of one plane, ROWS output rows at a time, with stride 1.

    ``x[start[0]]`` is where the plane begins, of which the tile needs rows from `start[1]` and
    columns from `start[2]` on. The rows that the pass across has made stay in `ring`, room for
    those under a kernel, until the pass down has used them. What `streams` goes to memory past
    the caches, from `stage`, and comes from there ahead of its use.
    """
    room, lane = counts[0] + ROWS - 1, lanes(x)
    made = 0
    for j in range(0, height, ROWS):
        rows, old = min(ROWS, height - j), first + j * old_pitch if is_sum else first
        for k in range(0, width, CHUNK):
            some = min(CHUNK, width - k)
            for r in range(made, j + room):
                row, slot = start[1] + r, r % room * pitch + k
                if 0 <= row < size[0]:
                    at, left = start[0] + row * size[1], start[2] + k
                    if streams:
                        for n in range(0, some, lane):
                            prefetch(x, at + AHEAD * size[1] + left + n)
                    _pass_across(
                        x, at, size[1], left, taps[1], counts[1], zero, line, ring, slot, some
                    )
                else:
                    clear(ring, slot, some)
            for q in range(room):
                starts[q] = (j + q) % room * pitch + k
            to_here = to + j * target_pitch + k
            if streams:
                _pass_down(
                    ring, taps[0], counts[0], origin, old + k if is_sum else old, old_pitch, is_sum,
                    stage, 0, CHUNK, rows, some, starts,
                )  # fmt: skip
                for r in range(rows):
                    stream(stage, r * CHUNK, target, to_here + r * target_pitch, some)
            else:
                _pass_down(
                    ring, taps[0], counts[0], origin, old + k if is_sum else old, old_pitch, is_sum,
                    target, to_here, target_pitch, rows, some, starts,
                )  # fmt: skip
        made = j + room


@kernel
def _pass_along_w(x, row, size, start, taps, count, stride, dilation, zero, line, whole,
                  target, to, width):  # fmt: skip
    """One row through the first pass; ``x[row]`` is where the row of `size` samples begins.

    `start` is the first sample under the kernel, negative in the padding. Where the stretch
    is not wholly inside the row, or the stride is not 1, it is copied to `line` first; with a
    stride every position is computed, in `whole`, and those it keeps are picked.
    """
    stretch = (width - 1) * stride + 1
    samples = stretch + (count - 1) * dilation
    source, at = x, row + start
    if stride != 1 or start < 0 or start + samples + lanes(x) > size:
        source, at = line, 0
        lo = min(max(-start, 0), samples)
        hi = max(min(size - start, samples), lo)
        clear(line, 0, lo)
        copy(x, row + start + lo, line, lo, hi - lo)
        clear(line, hi, samples - hi)
    into, put = (target, to) if stride == 1 else (whole, 0)
    _pass(source, at, dilation, taps, count, zero, 0, False, into, put, stretch)
    if stride != 1:
        for k in range(width):
            target[to + k] = whole[k * stride]


@kernel
def _filter_tile(x, size, first, shape, taps, counts, stride, dilation, before, start, is_sum,
                 total, total_pitch, target, target_pitch, scratch, pitch, streams):  # fmt: skip
    """One separable kernel's response on the tile of `shape` that begins at output `first`.

    `x` points to the image (D, H, W) of `size`; `taps` to the kernel's taps along d, h, w, of
    which there are `counts`. The sum starts from the tile `total` where `is_sum`, else from
    ``start[0]``, and goes to `target`, which may be the output or `total` itself; both have a
    (plane, row) pitch. `scratch` points to zero, a line, a whole line, the rows after the pass
    along w and the planes after the one along h, rows being `pitch` apart.
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
                _filter_plane(
                    x, area, plane, taps[1:], counts[1:], zero, line, after_w, pitch,
                    total if is_sum else start, h * total_pitch[0] if is_sum else 0,
                    total_pitch[1], is_sum, target, h * target_pitch[0], target_pitch[1], height,
                    width, starts, stage, streams,
                )  # fmt: skip
            else:
                _filter_plane(
                    x, area, plane, taps[1:], counts[1:], zero, line, after_w, pitch, zero, 0,
                    0, False, after_h, p * height * pitch, pitch, height, width, starts, stage,
                    False,
                )  # fmt: skip
            continue
        for r in range(rows):
            if inside and 0 <= r0 + r < size[1]:
                row = ((d0 + p) * size[1] + r0 + r) * size[2]
                _pass_along_w(
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
            _pass(
                after_w, j * stride[1] * pitch, dilation[1] * pitch, along_h, counts[1], origin,
                old, is_sum and single, into, to, width,
            )  # fmt: skip
    if not single:
        for h in range(depth):
            for j in range(height):
                _pass(
                    after_h, (h * stride[0] * height + j) * pitch, dilation[0] * height * pitch,
                    along_d, counts[0], total if is_sum else start,
                    h * total_pitch[0] + j * total_pitch[1] if is_sum else 0, is_sum,
                    target, h * target_pitch[0] + j * target_pitch[1], width,
                )  # fmt: skip


@kernel(inline="always")
def _filter_item(
    item, x, along_d, along_h, along_w, bias, stride, dilation, before, groups, tile, streams, y
):
    """One tile of one output image: every input channel and term, summed from the bias on."""
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
    # An odd number of vectors, so that rows one below the other fall in different cache sets.
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
    # Every part begins on a cache line, so that loads of the passes down touch one each.
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
    whole[0] = places[0] = 0  # a use after the last pointer into them, so that Numba keeps them


@kernel(allocates=True)
def _filter_share(
    worker, workers, x, along_d, along_h, along_w, bias, stride, dilation, before, groups, tile,
    streams, y,
):  # fmt: skip
    """The tiles that fall to one of `workers`."""
    tiles = (
        ((y.shape[2] + tile[0] - 1) // tile[0])
        * ((y.shape[3] + tile[1] - 1) // tile[1])
        * ((y.shape[4] + tile[2] - 1) // tile[2])
    )
    items = y.shape[0] * y.shape[1] * tiles
    for item in range(worker * items // workers, (worker + 1) * items // workers):
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


_filter_share_shared = threaded(_filter_share)


@kernel
def _filter_shares(
    workers, x, along_d, along_h, along_w, bias, stride, dilation, before, groups, tile, streams, y
):
    _filter_share_shared(
        workers, workers, x, along_d, along_h, along_w, bias, stride, dilation, before, groups,
        tile, streams, y,
    )  # fmt: skip


def filter_separably(*arguments: Any, threads: int) -> None:
    """y = bias + Σ over input channels and terms of the separable responses.

    `arguments` are x, along_d, along_h, along_w, bias, stride, dilation, before, groups, tile,
    whether what is fused `streams` past the caches, and y; x : (N, C, D, H, W); along_* :
    (O, C/groups, terms, F along the axis); y : (N, O, D, H, W). Where `along_d` has one tap it
    must be 1: depth is then not a pass of its own.
    """
    if threads == 1:
        _filter_share(0, 1, *arguments)
    else:
        _filter_shares(threads, *arguments)
