"""The forward pass of `im2col` for arrays with their channels last, read and written in place.

Here every output position is a row of the unrolled matrix, ordered by tap, then channel. A tap is a
run of channels that lie side by side in the input. The product with the kernel matrix, of shape
(ΠF · C/groups, O/groups), is the output as it lies in memory. A 1×1 kernel with stride 1 and no
padding needs no copy: the input already is the matrix.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from .backend.compiler import kernel
from .backend.threads import blas_threads, divide
from .core.algorithm import as_correlation
from .core.memory_order import CHANNELS_LAST, in_memory
from .core.problem import Problem

#: Output positions of an image and group whose rows are made: (group, image, first, result).
Task = tuple[int, np.ndarray, int, np.ndarray]


@kernel
def unroll_rows(
    x: np.ndarray, first: int, channels: int, kernel_size: tuple[int, int, int],
    stride: tuple[int, int, int], dilation: tuple[int, int, int], before: tuple[int, int, int],
    output_size: tuple[int, int, int], start: int, rows: np.ndarray,
) -> None:  # fmt: skip
    """Copy the samples under the kernel at the output positions from `start` on, for one image.

    `x`: array (D, H, W, C). Nothing outside it is read.
    `first`, `channels`: first channel to copy, and number of channels.
    `kernel_size`, `stride`, `dilation`, `before`, `output_size`: per axis; `before` is the padding
        in front.
    `rows`: array (positions, ΠF · `channels`), overwritten.
    """
    for i in range(rows.shape[0]):
        line, k = divmod(start + i, output_size[2])
        h, j = divmod(line, output_size[1])
        at = 0
        for p in range(kernel_size[0]):
            d = h * stride[0] + p * dilation[0] - before[0]
            for m in range(kernel_size[1]):
                r = j * stride[1] + m * dilation[1] - before[1]
                inside = 0 <= d < x.shape[0] and 0 <= r < x.shape[1]
                for n in range(kernel_size[2]):
                    c = k * stride[2] + n * dilation[2] - before[2]
                    target = rows[i, at : at + channels]
                    at += channels
                    if inside and 0 <= c < x.shape[2]:
                        source = x[d, r, c, first : first + channels]
                        for q in range(channels):
                            target[q] = source[q]
                    else:
                        target[:] = 0


def prepare(problem: Problem, w: np.ndarray) -> np.ndarray:
    """Return the kernel matrices, ``(groups, ΠF · C/groups, O/groups)``."""
    w = as_correlation(problem, w)
    by_tap = w.reshape(problem.groups, -1, w.shape[1], math.prod(problem.kernel))
    return np.ascontiguousarray(by_tap.transpose(0, 3, 2, 1)).reshape(
        problem.groups, problem.taps, -1
    )


def forward(
    problem: Problem, x: np.ndarray, prepared: np.ndarray, bias: np.ndarray, out: np.ndarray,
    slab: int, threads: int,
) -> None:  # fmt: skip
    """Write the output for `x`, a product for each `slab` positions; 0 if `x` needs no copy."""
    v = problem.volume
    outputs = v.out_channels // v.groups
    x, y = in_memory(x, CHANNELS_LAST), in_memory(out, CHANNELS_LAST)
    y = y.reshape(v.batch, -1, v.out_channels)
    if not slab:
        matrix = x.reshape(-1, v.groups, v.in_channels // v.groups)
        parts = y.reshape(-1, v.groups, outputs)
        with blas_threads(threads), np.errstate(all="ignore"):
            for g in range(v.groups):
                np.matmul(matrix[:, g], prepared[g], out=parts[:, g])
    else:
        x = x.reshape(v.batch, *v.size, v.in_channels)
        tasks: list[Task] = [
            (g, x[n], start, y[n, start : start + slab, g * outputs : (g + 1) * outputs])
            for n in range(v.batch)
            for g in range(v.groups)
            for start in range(0, y.shape[1], slab)
        ]
        divide(lambda some: _multiply(v, prepared, slab, some), tasks, threads)
    if problem.bias:
        y += bias


def _multiply(v: Problem, prepared: np.ndarray, slab: int, tasks: Iterable[Task]) -> None:
    """Compute ``part = rows @ prepared[group]`` for each task in turn."""
    buffer = np.empty((slab, v.taps), prepared.dtype)
    channels = v.in_channels // v.groups
    with np.errstate(all="ignore"):  # NaN and infinity are data here
        for g, image, start, part in tasks:
            rows = buffer[: len(part)]
            unroll_rows(
                image, g * channels, channels, v.kernel, v.stride, v.dilation, v.before,
                v.output_size, start, rows,
            )  # fmt: skip
            np.matmul(rows, prepared[g], out=part)
