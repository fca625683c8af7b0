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
def _fetch(x, d, r, start, line):
    """line = x[d, r, start:], with zeros wherever that lies outside x."""
    lo = min(max(-start, 0), line.size)
    hi = lo
    if 0 <= d < x.shape[0] and 0 <= r < x.shape[1]:
        hi = max(min(x.shape[2] - start, line.size), lo)
        line[lo:hi] = x[d, r, start + lo : start + hi]
    line[:lo] = 0
    line[hi:] = 0


@kernel
def _filter_tile(x, first, along_d, along_h, along_w, stride, dilation, before, strip, total):
    """Add one separable kernel's response to the tile `total` that begins at output `first`.

    x : (D, H, W); along_d, along_h, along_w : taps per axis; total : (d, h, w) of the tile;
    strip : (2, planes, rows, columns) scratch: after the pass along w, and along h.
    """
    depth, height, width = total.shape
    planes = (depth - 1) * stride[0] + (along_d.size - 1) * dilation[0] + 1
    rows = (height - 1) * stride[1] + (along_h.size - 1) * dilation[1] + 1
    samples = (width - 1) * stride[2] + (along_w.size - 1) * dilation[2] + 1
    line = np.empty(samples, x.dtype)
    d0 = first[0] * stride[0] - before[0]
    r0 = first[1] * stride[1] - before[1]
    c0 = first[2] * stride[2] - before[2]
    single = along_d.size == 1
    for plane in range(planes):
        if single and plane % stride[0]:
            continue
        if d0 + plane < 0 or d0 + plane >= x.shape[0]:
            if not single:
                strip[1, plane, :height, :width] = 0
            continue
        for row in range(rows):
            target = strip[0, 0, row, :width]
            target[:] = 0
            if 0 <= r0 + row < x.shape[1]:
                _fetch(x, d0 + plane, r0 + row, c0, line)
                _accumulate(line, along_w, stride[2], dilation[2], target)
        for j in range(height):
            if single:
                result = total[plane // stride[0], j]
            else:
                result = strip[1, plane, j, :width]
                result[:] = 0
            _accumulate_rows(strip[0, 0], along_h, j * stride[1], dilation[1], result)
    if not single:
        for h in range(depth):
            for j in range(height):
                result = total[h, j]
                for p in range(along_d.size):
                    a = along_d[p]
                    source = strip[1, h * stride[0] + p * dilation[0], j]
                    for k in range(width):
                        result[k] += a * source[k]


@kernel(parallel=True)
def filter_separably(x, along_d, along_h, along_w, bias, stride, dilation, before, groups, tile, y):
    """y = bias + Σ over input channels and terms of the separable responses.

    x : (N, C, D, H, W); along_* : (O, C/groups, terms, F along the axis); y : (N, O, D, H, W).
    Where `along_d` has one tap it must be 1: depth is then not a pass of its own.
    """
    per_group = along_w.shape[0] // groups
    counts = (
        (y.shape[2] + tile[0] - 1) // tile[0],
        (y.shape[3] + tile[1] - 1) // tile[1],
        (y.shape[4] + tile[2] - 1) // tile[2],
    )
    tiles = counts[0] * counts[1] * counts[2]
    planes = (tile[0] - 1) * stride[0] + (along_d.shape[3] - 1) * dilation[0] + 1
    rows = (tile[1] - 1) * stride[1] + (along_h.shape[3] - 1) * dilation[1] + 1
    for item in numba.prange(y.shape[0] * y.shape[1] * tiles):
        image, place = divmod(np.int64(item), tiles)
        b, o = divmod(image, y.shape[1])
        plane, column = divmod(place, counts[2])
        block, row = divmod(plane, counts[1])
        first = (block * tile[0], row * tile[1], column * tile[2])
        depth = min(tile[0], y.shape[2] - first[0])
        height = min(tile[1], y.shape[3] - first[1])
        width = min(tile[2], y.shape[4] - first[2])
        total = np.empty((depth, height, width), y.dtype)
        total[:] = bias[o]
        strip = np.empty((2, planes if along_d.shape[3] > 1 else 1, rows, width), y.dtype)
        group = o // per_group * along_w.shape[1]
        for c in range(along_w.shape[1]):
            for t in range(along_w.shape[2]):
                _filter_tile(
                    x[b, group + c], first, along_d[o, c, t], along_h[o, c, t], along_w[o, c, t],
                    stride, dilation, before, strip, total,
                )  # fmt: skip
        y[
            b, o, first[0] : first[0] + depth, first[1] : first[1] + height,
            first[2] : first[2] + width,
        ] = total  # fmt: skip
