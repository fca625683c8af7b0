"""Direct convolution for every problem: one output row at a time, one tap at a time.

Each output row is a run of contiguous elements. Every tap adds a scaled, shifted row of the input
to the part of the row that the tap reaches. The inner loop has no branch and no border, so the
compiler vectorises it.

The bottleneck is L1: each multiply-add moves one element of input and one of output. The kernel
reads nothing outside the input and multiplies nothing by padding. So it is also the path for
kernels that hold inf or NaN.

Measurements: docs/kernels.md.
"""

from __future__ import annotations

import numpy as np

from algos.backend.compiler import kernel, threaded
from algos.core.problem import Problem


@kernel
def add_scaled(row, source, weight, stride):
    """Add row[k] += weight · source[k·stride] for every k of the array `row`.

    The case `stride` = 1 is separate, so that it vectorises.
    """
    if stride == 1:
        for k in range(row.size):
            row[k] += weight * source[k]
    else:
        for k in range(row.size):
            row[k] += weight * source[k * stride]


@kernel
def inside(positions, stride, offset, size):
    """Return the half-open range of k in [0, positions) with 0 <= k·stride + offset < size."""
    first = 0 if offset >= 0 else (-offset + stride - 1) // stride
    last = 0 if offset >= size else (size - 1 - offset) // stride + 1
    return min(first, positions), max(min(last, positions), 0)


@kernel
def one_row(x, w, bias, stride, dilation, before, h, j, row):
    """Compute output row (h, j) of one output channel.

    `x`: array (C/groups, D, H, W).
    `w`: array (C/groups, *kernel), a correlation kernel.
    `bias`: the number that the sums start from.
    `stride`, `dilation`, `before`: per axis; `before` is the padding in front.
    `row`: array (output width,), overwritten.
    """
    row[:] = bias
    for c in range(w.shape[0]):
        for p in range(w.shape[1]):
            d = h * stride[0] + p * dilation[0] - before[0]
            if d < 0 or d >= x.shape[1]:
                continue
            for m in range(w.shape[2]):
                r = j * stride[1] + m * dilation[1] - before[1]
                if r < 0 or r >= x.shape[2]:
                    continue
                for n in range(w.shape[3]):
                    offset = n * dilation[2] - before[2]
                    first, last = inside(row.size, stride[2], offset, x.shape[3])
                    if first < last:
                        source = x[c, d, r, first * stride[2] + offset :]
                        add_scaled(row[first:last], source, w[c, p, m, n], stride[2])


@threaded
@kernel
def _row(item, x, w, bias, stride, dilation, before, groups, out):
    """Compute output row number `item`, counted over images, channels, planes and rows."""
    inputs, outputs = w.shape[1], w.shape[0] // groups
    channels, depth, height = out.shape[1], out.shape[2], out.shape[3]
    j = item % height
    h = item // height % depth
    o = item // (height * depth) % channels
    b = item // (height * depth * channels)
    first = o // outputs * inputs
    one_row(
        x[b, first : first + inputs], w[o], bias[o], stride, dilation, before, h, j,
        out[b, o, h, j],
    )  # fmt: skip


@kernel
def generic(x, w, bias, stride, dilation, before, groups, out):
    """Compute all output rows, split among threads.

    Each row is summed by one thread, so the order of summation is the same for every thread count.

    `x`: array (N, C, D, H, W); `out`: array (N, O, D, H, W).
    `w`: correlation kernel (O, C/groups, *kernel); `bias`: array (O,).
    """
    rows = out.shape[0] * out.shape[1] * out.shape[2] * out.shape[3]
    _row(rows, x, w, bias, stride, dilation, before, groups, out)


def forward(
    problem: Problem, x: np.ndarray, w: np.ndarray, bias: np.ndarray, out: np.ndarray
) -> None:
    """Write the output for `x`; `w` is a correlation kernel, (O, C/groups, d, h, w)."""
    v = problem.volume
    generic(
        x.reshape(v.input_shape), w, bias, v.stride, v.dilation,
        v.before, v.groups, out.reshape(v.output_shape),
    )  # fmt: skip
