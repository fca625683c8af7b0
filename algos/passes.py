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
from .simd import add_outer, lanes, load, splat, store, store_lanes

#: Output samples of a tile along d, h and w.
TILE = (4, 64, 512)


@kernel
def _pass(source, at, pitch, taps, start, first, is_row, target, to, width):
    """target[to + k] = start + Σ_m taps[m] · source[at + m·pitch + k], for k < width.

    The sum starts from ``start[first + k]`` where `is_row`, else from ``start[first]``. Reads
    up to one vector past the stretches; writes exactly `width` elements.
    """
    lane = lanes(source)
    k = 0
    while k < width:
        if width - k >= 8 * lane:
            sums = load(start, first + k, 8) if is_row else splat(start, first, 8)
            for m in range(taps.size):
                sums = add_outer(sums, taps, m, 0, source, at + k + m * pitch, 1, 8)
            store(target, to + k, sums)
            k += 8 * lane
        elif width - k >= 3 * lane:
            few = load(start, first + k, 3) if is_row else splat(start, first, 3)
            for m in range(taps.size):
                few = add_outer(few, taps, m, 0, source, at + k + m * pitch, 1, 3)
            store(target, to + k, few)
            k += 3 * lane
        else:
            one = load(start, first + k, 1) if is_row else splat(start, first, 1)
            for m in range(taps.size):
                one = add_outer(one, taps, m, 0, source, at + k + m * pitch, 1, 1)
            store_lanes(target, to + k, one[0], 0, width - k)
            k += lane


@kernel
def _pass_along_w(
    x, row, size, start, taps, stride, dilation, zero, line, whole, target, to, width
):
    """One row through the first pass; x flat, `row` where the row of `size` samples begins.

    `start` is the first sample under the kernel, negative in the padding. Where the stretch
    is not wholly inside the row, or the stride is not 1, it is copied to `line` first; with a
    stride every position is computed, in `whole`, and those it keeps are picked.
    """
    stretch = (width - 1) * stride + 1
    samples = stretch + (taps.size - 1) * dilation
    source, at = x, row + start
    if stride != 1 or start < 0 or start + samples + lanes(x) > size:
        source, at = line, 0
        lo = min(max(-start, 0), samples)
        hi = max(min(size - start, samples), lo)
        for k in range(lo):
            line[k] = 0
        for k in range(lo, hi):
            line[k] = x[row + start + k]
        for k in range(hi, samples):
            line[k] = 0
    into, put = (target, to) if stride == 1 else (whole, 0)
    _pass(source, at, dilation, taps, zero, 0, False, into, put, stretch)
    if stride != 1:
        for k in range(width):
            target[to + k] = whole[k * stride]


@kernel
def _filter_tile(
    x, image, size, first, shape, along_d, along_h, along_w, stride, dilation, before,
    start, is_sum, total, target, base, plane_pitch, row_pitch, after_w, after_h, line, whole,
):  # fmt: skip
    """One separable kernel's response on the tile of `shape` that begins at output `first`.

    x : flat input, the image (D, H, W) of `size` beginning at `image`. The sum starts from the
    tile `total` where `is_sum`, else from ``start[0]``, and goes to ``target[base + …]``, which
    may be the output or `total` itself. after_w holds rows, after_h planes of rows, line and
    whole a row each; rows of all of them and of `total` are `pitch` apart.
    """
    depth, height, width = shape
    pitch = total.shape[2]
    flat_total, zero = total.reshape(total.size), np.zeros(1, x.dtype)
    rows = (height - 1) * stride[1] + (along_h.size - 1) * dilation[1] + 1
    planes = (depth - 1) * stride[0] + (along_d.size - 1) * dilation[0] + 1
    d0 = first[0] * stride[0] - before[0]
    r0 = first[1] * stride[1] - before[1]
    c0 = first[2] * stride[2] - before[2]
    single = along_d.size == 1
    for p in range(0, planes, stride[0] if single else 1):
        inside = 0 <= d0 + p < size[0]
        for r in range(rows):
            if inside and 0 <= r0 + r < size[1]:
                row = image + ((d0 + p) * size[1] + r0 + r) * size[2]
                _pass_along_w(
                    x, row, size[2], c0, along_w, stride[2], dilation[2], zero, line, whole,
                    after_w, r * pitch, width,
                )  # fmt: skip
            else:
                after_w[r * pitch : r * pitch + width] = 0
        for j in range(height):
            h = p // stride[0]
            old = (h * total.shape[1] + j) * pitch if is_sum else 0
            origin = flat_total if is_sum else start
            into, to = target, base + h * plane_pitch + j * row_pitch
            if not single:
                origin, old = zero, 0
                into, to = after_h, (p * height + j) * pitch
            _pass(
                after_w, j * stride[1] * pitch, dilation[1] * pitch, along_h, origin, old,
                is_sum and single, into, to, width,
            )  # fmt: skip
    if not single:
        for h in range(depth):
            for j in range(height):
                old = (h * total.shape[1] + j) * pitch if is_sum else 0
                _pass(
                    after_h, (h * stride[0] * height + j) * pitch, dilation[0] * height * pitch,
                    along_d, flat_total if is_sum else start, old, is_sum,
                    target, base + h * plane_pitch + j * row_pitch, width,
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
    lane = lanes(x)
    # An odd number of vectors, so that rows one below the other fall in different cache sets.
    pitch = ((shape[2] + lane - 1) // lane + 1 | 1) * lane
    planes = (shape[0] - 1) * stride[0] + (along_d.shape[3] - 1) * dilation[0] + 1
    rows = (shape[1] - 1) * stride[1] + (along_h.shape[3] - 1) * dilation[1] + 1
    samples = (shape[2] - 1) * stride[2] + (along_w.shape[3] - 1) * dilation[2] + 1 + lane
    total = np.empty((shape[0] if inputs * terms > 1 else 0, shape[1], pitch), y.dtype)
    after_w = np.empty(rows * pitch + lane, y.dtype)
    after_h = np.empty((planes * shape[1] * pitch if along_d.shape[3] > 1 else 0) + lane, y.dtype)
    line = np.empty(samples, y.dtype)
    whole = np.empty(samples if stride[2] > 1 else 0, y.dtype)
    size = (x.shape[2], x.shape[3], x.shape[4])
    voxels = size[0] * size[1] * size[2]
    row_pitch, plane_pitch = y.shape[4], y.shape[3] * y.shape[4]
    base = ((b * y.shape[1] + o) * y.shape[2] + first[0]) * plane_pitch
    base += first[1] * row_pitch + first[2]
    channel = b * x.shape[1] + o // (along_w.shape[0] // groups) * inputs
    flat_x, flat_y, flat_total = x.reshape(x.size), y.reshape(y.size), total.reshape(total.size)
    for i in range(inputs * terms):
        c, t = i // terms, i % terms
        is_last = i == inputs * terms - 1
        _filter_tile(
            flat_x, (channel + c) * voxels, size, first, shape,
            along_d[o, c, t], along_h[o, c, t], along_w[o, c, t], stride, dilation, before,
            bias[o : o + 1], i > 0, total,
            flat_y if is_last else flat_total, base if is_last else 0,
            plane_pitch if is_last else shape[1] * pitch, row_pitch if is_last else pitch,
            after_w, after_h, line, whole,
        )  # fmt: skip


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
