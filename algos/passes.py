"""One-dimensional passes: a kernel that is an outer product, applied axis after axis.

A tile of the output is finished before the next is begun, so what one pass hands to the next
stays in the cache and no full intermediate image exists.
"""

from __future__ import annotations

import numba
import numpy as np

from .jit import kernel

#: Output samples of a tile along w, h and d. 512 float32 columns are 2 KiB, so a strip of a
#: few hundred rows stays in the second-level cache.
TILE = (4, 64, 512)


@kernel
def _accumulate(line, taps, step, dilation, total):
    """total[k] += Σ_n taps[n] · line[k·step + n·dilation], four taps to a sweep."""
    n = 0
    while n + 4 <= taps.size:
        a, b, c, d = taps[n], taps[n + 1], taps[n + 2], taps[n + 3]
        p = line[n * dilation :]
        q = line[(n + 1) * dilation :]
        r = line[(n + 2) * dilation :]
        s = line[(n + 3) * dilation :]
        if step == 1:
            for k in range(total.size):
                total[k] += a * p[k] + b * q[k] + c * r[k] + d * s[k]
        else:
            for k in range(total.size):
                i = k * step
                total[k] += a * p[i] + b * q[i] + c * r[i] + d * s[i]
        n += 4
    while n < taps.size:
        a = taps[n]
        p = line[n * dilation :]
        for k in range(total.size):
            total[k] += a * p[k * step]
        n += 1


@kernel
def _accumulate_rows(strip, taps, first, dilation, total):
    """total[k] += Σ_m taps[m] · strip[first + m·dilation, k], four rows to a sweep."""
    m = 0
    while m + 4 <= taps.size:
        a, b, c, d = taps[m], taps[m + 1], taps[m + 2], taps[m + 3]
        p = strip[first + m * dilation]
        q = strip[first + (m + 1) * dilation]
        r = strip[first + (m + 2) * dilation]
        s = strip[first + (m + 3) * dilation]
        for k in range(total.size):
            total[k] += a * p[k] + b * q[k] + c * r[k] + d * s[k]
        m += 4
    while m < taps.size:
        a = taps[m]
        p = strip[first + m * dilation]
        for k in range(total.size):
            total[k] += a * p[k]
        m += 1


@kernel
def _fetch(row, start, line):
    """line = row[start:], with zeros wherever that lies outside the row."""
    lo = min(max(-start, 0), line.size)
    hi = max(min(row.size - start, line.size), lo)
    line[:lo] = 0
    for k in range(lo, hi):
        line[k] = row[start + k]
    line[hi:] = 0


@kernel
def _filter_tile(
    x, first, along_d, along_h, along_w, stride, dilation, before, after_w, after_h, total
):
    """Add one separable kernel's response to the tile `total` that begins at output `first`.

    x : (D, H, W); along_d, along_h, along_w : taps per axis; total : (d, h, w) of the tile;
    after_w (rows, w), after_h (planes, h, w) : scratch for what the passes hand on.
    """
    depth, height, width = total.shape
    planes = (depth - 1) * stride[0] + (along_d.size - 1) * dilation[0] + 1
    line = np.empty((width - 1) * stride[2] + (along_w.size - 1) * dilation[2] + 1, x.dtype)
    d0 = first[0] * stride[0] - before[0]
    r0 = first[1] * stride[1] - before[1]
    c0 = first[2] * stride[2] - before[2]
    single = along_d.size == 1
    for plane in range(planes):
        if single and (plane % stride[0] or d0 + plane < 0 or d0 + plane >= x.shape[0]):
            continue
        for row in range(after_w.shape[0]):
            target = after_w[row]
            target[:] = 0
            if 0 <= d0 + plane < x.shape[0] and 0 <= r0 + row < x.shape[1]:
                _fetch(x[d0 + plane, r0 + row], c0, line)
                _accumulate(line, along_w, stride[2], dilation[2], target)
        for j in range(height):
            if single:
                result = total[plane // stride[0], j]
            else:
                result = after_h[plane, j]
                result[:] = 0
            _accumulate_rows(after_w, along_h, j * stride[1], dilation[1], result)
    if not single:
        rows = after_h.reshape(planes, height * width)
        results = total.reshape(depth, height * width)
        for h in range(depth):
            _accumulate_rows(rows, along_d, h * stride[0], dilation[0], results[h])


@kernel
def _filter_item(
    item, x, along_d, along_h, along_w, bias, stride, dilation, before, groups, tile, y
):
    """One tile of one output image: bias, then every channel and term added."""
    per_group = along_w.shape[0] // groups
    across = (y.shape[4] + tile[2] - 1) // tile[2]
    down = (y.shape[3] + tile[1] - 1) // tile[1]
    deep = (y.shape[2] + tile[0] - 1) // tile[0]
    image, place = divmod(item, deep * down * across)
    b, o = divmod(image, y.shape[1])
    plane, column = divmod(place, across)
    block, row = divmod(plane, down)
    first = (block * tile[0], row * tile[1], column * tile[2])
    depth = min(tile[0], y.shape[2] - first[0])
    height = min(tile[1], y.shape[3] - first[1])
    width = min(tile[2], y.shape[4] - first[2])
    planes = (depth - 1) * stride[0] + (along_d.shape[3] - 1) * dilation[0] + 1
    rows = (height - 1) * stride[1] + (along_h.shape[3] - 1) * dilation[1] + 1
    total = np.empty((depth, height, width), y.dtype)
    total[:] = bias[o]
    after_w = np.empty((rows, width), y.dtype)
    after_h = np.empty((planes if along_d.shape[3] > 1 else 0, height, width), y.dtype)
    group = o // per_group * along_w.shape[1]
    for c in range(along_w.shape[1]):
        for t in range(along_w.shape[2]):
            _filter_tile(
                x[b, group + c], first, along_d[o, c, t], along_h[o, c, t], along_w[o, c, t],
                stride, dilation, before, after_w, after_h, total,
            )  # fmt: skip
    for h in range(depth):
        for j in range(height):
            target = y[b, o, first[0] + h, first[1] + j]
            for k in range(width):
                target[first[2] + k] = total[h, j, k]


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
