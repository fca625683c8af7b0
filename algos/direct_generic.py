"""Direct convolution for whatever a problem can ask: rows of output, one tap at a time.

Each output row is a run of contiguous elements; every tap adds a scaled, shifted row of the
input to the part of it that the tap reaches. The inner loop has neither branch nor border,
so the compiler turns it into vector instructions.

Bound by L1: each multiply-add moves an element of input and one of output through registers,
so 10 to 20 % of the FMA peak is what to expect. It reads nothing outside the input and
multiplies nothing by padding, which makes it the path for kernels holding inf or NaN too.
"""

from __future__ import annotations

import numpy as np

from .jit import kernel, threaded
from .problem import Problem


@kernel
def add_scaled(row, source, weight, stride):
    """row[k] += weight · source[k·stride] for every k; `stride` 1 apart, so that it vectorises."""
    if stride == 1:
        for k in range(row.size):
            row[k] += weight * source[k]
    else:
        for k in range(row.size):
            row[k] += weight * source[k * stride]


@kernel
def inside(positions, stride, offset, size):
    """The half-open range of k in [0, positions) with 0 <= k·stride + offset < size."""
    first = 0 if offset >= 0 else (-offset + stride - 1) // stride
    last = 0 if offset >= size else (size - 1 - offset) // stride + 1
    return min(first, positions), max(min(last, positions), 0)


@kernel
def one_row(x, w, bias, stride, dilation, before, h, j, row):
    """Output row (h, j) of one output channel: `x` (C/groups, D, H, W), `w` (C/groups, …)."""
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
    """All output rows; threads take rows, so every thread count sums in the same order."""
    rows = out.shape[0] * out.shape[1] * out.shape[2] * out.shape[3]
    _row(rows, x, w, bias, stride, dilation, before, groups, out)


def forward(
    problem: Problem, x: np.ndarray, w: np.ndarray, bias: np.ndarray, out: np.ndarray
) -> None:
    """Write the output for `x`; `w` is a volume kernel for correlation, (O, C/groups, d, h, w)."""
    v = problem.volume
    generic(
        x.reshape(v.input_shape), w, bias, v.stride, v.dilation,
        v.before, v.groups, out.reshape(v.output_shape),
    )  # fmt: skip
