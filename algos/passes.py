"""One-dimensional passes: a kernel that is an outer product, applied axis after axis.

A tile of the output is finished before the next is begun, so what one pass hands to the next
stays in the second-level cache and no full intermediate image exists. Along every axis a pass
is the same sum of shifted stretches, Σ_m taps[m] · source[at + m·pitch …]: shifted by samples
along the last axis, by whole rows or planes along the others.

Bound by loads: each fused multiply-add reads one vector, from the first-level cache as long as
the rows under a kernel, one stretch wide, fit in it.
"""

from __future__ import annotations

import numba
import numpy as np

from .jit import kernel
from .simd import add_outer, clear, copy, lanes, load, pointer, splat, store, store_lanes

#: Output samples of a tile along d, h and w.
TILE = (4, 64, 512)


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
                 total, total_pitch, target, target_pitch, scratch, pitch):  # fmt: skip
    """One separable kernel's response on the tile of `shape` that begins at output `first`.

    `x` points to the image (D, H, W) of `size`; `taps` to the kernel's taps along d, h, w, of
    which there are `counts`. The sum starts from the tile `total` where `is_sum`, else from
    ``start[0]``, and goes to `target`, which may be the output or `total` itself; both have a
    (plane, row) pitch. `scratch` points to zero, a line, a whole line, the rows after the pass
    along w and the planes after the one along h, rows being `pitch` apart.
    """
    depth, height, width = shape
    zero, line, whole, after_w, after_h = scratch
    along_d, along_h, along_w = taps
    rows = (height - 1) * stride[1] + (counts[1] - 1) * dilation[1] + 1
    planes = (depth - 1) * stride[0] + (counts[0] - 1) * dilation[0] + 1
    d0 = first[0] * stride[0] - before[0]
    r0 = first[1] * stride[1] - before[1]
    c0 = first[2] * stride[2] - before[2]
    single = counts[0] == 1
    for p in range(0, planes, stride[0] if single else 1):
        inside = 0 <= d0 + p < size[0]
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
            h = p // stride[0]
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


@kernel
def _filter_item(
    item, x, along_d, along_h, along_w, bias, stride, dilation, before, groups, tile, y
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
    pitch = ((shape[2] + lane - 1) // lane + 1 | 1) * lane
    planes = (shape[0] - 1) * stride[0] + (along_d.shape[3] - 1) * dilation[0] + 1
    rows = (shape[1] - 1) * stride[1] + (along_h.shape[3] - 1) * dilation[1] + 1
    samples = (shape[2] - 1) * stride[2] + (along_w.shape[3] - 1) * dilation[2] + 1 + lane
    room = (
        1,
        samples,
        samples if stride[2] > 1 else 0,
        rows * pitch + lane,
        (planes * shape[1] * pitch if along_d.shape[3] > 1 else 0) + lane,
        shape[0] * shape[1] * pitch if inputs * terms > 1 else 0,
    )
    buffer = np.empty(room[0] + room[1] + room[2] + room[3] + room[4] + room[5], y.dtype)
    buffer[0] = 0
    scratch = (
        pointer(buffer),
        pointer(buffer[room[0] :]),
        pointer(buffer[room[0] + room[1] :]),
        pointer(buffer[room[0] + room[1] + room[2] :]),
        pointer(buffer[room[0] + room[1] + room[2] + room[3] :]),
    )
    total = pointer(buffer[room[0] + room[1] + room[2] + room[3] + room[4] :])
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
        )  # fmt: skip
    buffer[0] = 0  # a use after the last pointer into it, so that Numba keeps it till here


@kernel(parallel=True)
def filter_separably(x, along_d, along_h, along_w, bias, stride, dilation, before, groups, tile, y):
    """y = bias + Σ over input channels and terms of the separable responses.

    x : (N, C, D, H, W); along_* : (O, C/groups, terms, F along the axis); y : (N, O, D, H, W).
    Where `along_d` has one tap it must be 1: depth is then not a pass of its own.
    """
    tiles = (
        ((y.shape[2] + tile[0] - 1) // tile[0])
        * ((y.shape[3] + tile[1] - 1) // tile[1])
        * ((y.shape[4] + tile[2] - 1) // tile[2])
    )
    for item in numba.prange(y.shape[0] * y.shape[1] * tiles):
        _filter_item(
            np.int64(item), x, along_d, along_h, along_w, bias, stride, dilation, before, groups,
            tile, y,
        )  # fmt: skip
