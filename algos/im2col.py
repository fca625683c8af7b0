"""Patches unrolled into columns, then one matrix product per group.

Every output position becomes a column that holds the C/groups · ΠF samples its kernel sees;
the layer is then kernel matrix × column matrix, and BLAS does the work (Chellapilla, Puri &
Simard, *High Performance Convolutional Neural Networks for Document Processing*, 2006; the
"matrix multiplication" section of the CS231n notes). The price is memory: overlapping
windows copy each sample up to ΠF times. Columns are therefore built and multiplied in slabs
of bounded size. A 1×1 kernel with stride 1 and no padding needs no columns at all: the input
is the column matrix already.

The gradients are products of the same matrices: of the kernel, output gradient × transposed
columns; of the input, transposed kernel × output gradient, whose columns are then added back to
where they would have been taken from (col2im).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numba
import numpy as np

from .algorithm import Algorithm, as_correlation
from .direct_generic import inside
from .jit import kernel
from .problem import Problem
from .threads import blas_threads

#: Bytes of columns held at a time. Past a few MiB the product no longer runs faster, and the
#: columns no longer fit the cache between being written and being read.
SLAB_BYTES = 4 << 20


@kernel(parallel=True)
def _unroll(x, kernel_size, stride, dilation, before, output_size, start, columns):
    """Columns of the output positions from `start` on, for one image and one group.

    x : (C/groups, D, H, W); columns : (C/groups · ΠF, count), row-major over channel and tap.
    """
    taps = kernel_size[0] * kernel_size[1] * kernel_size[2]
    count = columns.shape[1]
    for index in numba.prange(columns.shape[0]):
        row = np.int64(index)  # prange counts unsigned, which mixed with signed turns to float
        channel, tap = divmod(row, taps)
        plane, n = divmod(tap, kernel_size[2])
        p, m = divmod(plane, kernel_size[1])
        shift = n * dilation[2] - before[2]
        done = 0
        while done < count:
            line, first = divmod(start + done, output_size[2])
            h, j = divmod(line, output_size[1])
            length = min(output_size[2] - first, count - done)
            d = h * stride[0] + p * dilation[0] - before[0]
            r = j * stride[1] + m * dilation[1] - before[1]
            target = columns[row, done : done + length]
            done += length
            if d < 0 or d >= x.shape[1] or r < 0 or r >= x.shape[2]:
                target[:] = 0
                continue
            source = x[channel, d, r]
            for k in range(length):
                c = (first + k) * stride[2] + shift
                target[k] = source[c] if 0 <= c < source.size else 0


@kernel(parallel=True)
def _fold(columns, kernel_size, stride, dilation, before, output_size, start, x):
    """Add what `_unroll` would put into `columns` back to `x`, one channel a task."""
    taps = kernel_size[0] * kernel_size[1] * kernel_size[2]
    count = columns.shape[1]
    for index in numba.prange(x.shape[0]):
        channel = np.int64(index)
        for tap in range(taps):
            plane, n = divmod(tap, kernel_size[2])
            p, m = divmod(plane, kernel_size[1])
            shift = n * dilation[2] - before[2]
            done = 0
            while done < count:
                line, first = divmod(start + done, output_size[2])
                h, j = divmod(line, output_size[1])
                length = min(output_size[2] - first, count - done)
                d = h * stride[0] + p * dilation[0] - before[0]
                r = j * stride[1] + m * dilation[1] - before[1]
                source = columns[channel * taps + tap, done : done + length]
                done += length
                if d < 0 or d >= x.shape[1] or r < 0 or r >= x.shape[2]:
                    continue
                target = x[channel, d, r]
                low, high = inside(length, stride[2], first * stride[2] + shift, target.size)
                for k in range(low, high):
                    target[(first + k) * stride[2] + shift] += source[k]


class Im2col(Algorithm):
    """Patches unrolled into columns, one matrix product (BLAS) per group, slab by slab."""

    name = "im2col"
    operations = ("forward", "grad_input", "grad_weight")

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        if _is_pointwise(problem):
            return 0
        columns = problem.taps * _slab(problem) * problem.itemsize
        # A slab's share of the kernel's gradient stands beside the sum of all.
        share = problem.taps * (problem.out_channels // problem.groups) * problem.itemsize
        return columns + (share if problem.operation == "grad_weight" else 0)

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """The kernel matrices, ``(groups, O/groups, C/groups · ΠF)``."""
        w = as_correlation(problem, w)
        return w.reshape(problem.groups, problem.out_channels // problem.groups, problem.taps)

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        v = problem.volume
        x = x.reshape(v.batch, v.groups, v.in_channels // v.groups, *v.size)
        y = out.reshape(v.batch, v.groups, v.out_channels // v.groups, -1)
        with blas_threads(threads), np.errstate(all="ignore"):  # NaN and infinity are data
            for image, result in zip(x, y, strict=True):
                for matrix, channels, part in zip(prepared, image, result, strict=True):
                    self._multiply(problem, matrix, channels, part)
        if problem.bias:
            y += bias.reshape(v.groups, -1, 1)

    def _multiply(self, problem: Problem, matrix, channels, part) -> None:
        """``part = matrix @ columns(channels)`` for one image and group."""
        if _is_pointwise(problem):
            np.matmul(matrix, channels.reshape(matrix.shape[1], -1), out=part)
            return
        v = problem.volume
        before = tuple(before for before, _ in v.padding)
        for start, columns in _slabs(problem, part.dtype):
            _unroll(channels, v.kernel, v.stride, v.dilation, before, v.output_size, start, columns)
            np.matmul(matrix, columns, out=part[:, start : start + columns.shape[1]])

    def grad_input(self, problem, g, prepared, out, threads) -> None:
        v = problem.volume
        g = g.reshape(v.batch, v.groups, v.out_channels // v.groups, -1)
        images = out.reshape(v.batch, v.groups, v.in_channels // v.groups, *v.size)
        if not _is_pointwise(problem):
            out[...] = 0
        with blas_threads(threads), np.errstate(all="ignore"):
            for image, result in zip(g, images, strict=True):
                for matrix, outputs, part in zip(prepared, image, result, strict=True):
                    self._spread(problem, matrix.T, outputs, part)

    def _spread(self, problem: Problem, matrix, outputs, part) -> None:
        """Add ``matrix @ outputs`` back to the samples it belongs to, for one image and group."""
        if _is_pointwise(problem):
            np.matmul(matrix, outputs, out=part.reshape(matrix.shape[0], -1))
            return
        v = problem.volume
        before = tuple(before for before, _ in v.padding)
        for start, columns in _slabs(problem, part.dtype):
            stop = start + columns.shape[1]
            np.matmul(matrix, outputs[:, start:stop], out=columns)
            _fold(columns, v.kernel, v.stride, v.dilation, before, v.output_size, start, part)

    def grad_weight(self, problem, x, g, out, threads) -> None:
        v = problem.volume
        x = x.reshape(v.batch, v.groups, v.in_channels // v.groups, *v.size)
        g = g.reshape(v.batch, v.groups, v.out_channels // v.groups, -1)
        out[...] = 0
        matrices = out.reshape(v.groups, v.out_channels // v.groups, v.taps)
        with blas_threads(threads), np.errstate(all="ignore"):
            for image, outputs in zip(x, g, strict=True):
                for channels, part, matrix in zip(image, outputs, matrices, strict=True):
                    self._correlate(problem, channels, part, matrix)
        if problem.flip:
            out[...] = np.flip(out, tuple(range(2, out.ndim))).copy()

    def _correlate(self, problem: Problem, channels, outputs, matrix) -> None:
        """``matrix += outputs @ columns(channels)ᵀ`` for one image and group."""
        if _is_pointwise(problem):
            matrix += outputs @ channels.reshape(matrix.shape[1], -1).T
            return
        v = problem.volume
        before = tuple(before for before, _ in v.padding)
        for start, columns in _slabs(problem, matrix.dtype):
            stop = start + columns.shape[1]
            _unroll(channels, v.kernel, v.stride, v.dilation, before, v.output_size, start, columns)
            matrix += outputs[:, start:stop] @ columns.T


def _slabs(problem: Problem, dtype: np.dtype) -> Iterator[tuple[int, np.ndarray]]:
    """The first output position of every slab, and its columns, in memory used anew each time."""
    positions, slab = math.prod(problem.output_size), _slab(problem)
    buffer = np.empty(problem.taps * slab, dtype)
    for start in range(0, positions, slab):
        count = min(slab, positions - start)
        yield start, buffer[: problem.taps * count].reshape(-1, count)


def _is_pointwise(problem: Problem) -> bool:
    """Whether the input is its own column matrix."""
    return problem.taps == problem.in_channels // problem.groups and (
        problem.input_shape[2:] == problem.output_size
        and set(problem.stride) == {1}
        and not any(map(any, problem.padding))
    )


def _slab(problem: Problem) -> int:
    """Output positions whose columns are held at a time."""
    positions = math.prod(problem.output_size)
    return min(positions, max(64, SLAB_BYTES // (problem.taps * problem.itemsize)))
