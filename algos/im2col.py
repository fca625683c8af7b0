"""Patches unrolled into columns, then one matrix product per group.

Every output position becomes a column that holds the C/groups · ΠF samples its kernel sees;
the layer is then kernel matrix × column matrix, and BLAS does the work (Chellapilla, Puri &
Simard, *High Performance Convolutional Neural Networks for Document Processing*, 2006; the
"matrix multiplication" section of the CS231n notes). The price is memory: overlapping
windows copy each sample up to ΠF times. Columns are therefore built and multiplied in slabs
of bounded size. A 1×1 kernel with stride 1 and no padding needs no columns at all: the input
is the column matrix already.
"""

from __future__ import annotations

import numba
import numpy as np

from .algorithm import Algorithm, as_correlation
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


class Im2col(Algorithm):
    """Patches unrolled into columns, one matrix product (BLAS) per group, slab by slab."""

    name = "im2col"

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        if _is_pointwise(problem):
            return 0
        return problem.taps * _slab(problem) * problem.itemsize

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
        positions, slab = part.shape[1], _slab(problem)
        buffer = np.empty(matrix.shape[1] * min(slab, positions), part.dtype)
        for start in range(0, positions, slab):
            count = min(slab, positions - start)
            columns = buffer[: matrix.shape[1] * count].reshape(-1, count)
            _unroll(channels, v.kernel, v.stride, v.dilation, before, v.output_size, start, columns)
            np.matmul(matrix, columns, out=part[:, start : start + count])


def _is_pointwise(problem: Problem) -> bool:
    """Whether the input is its own column matrix."""
    return problem.taps == problem.in_channels // problem.groups and (
        problem.input_shape[2:] == problem.output_size
        and set(problem.stride) == {1}
        and not any(map(any, problem.padding))
    )


def _slab(problem: Problem) -> int:
    """Output positions whose columns are held at a time."""
    positions = int(np.prod(problem.output_size))
    return min(positions, max(64, SLAB_BYTES // (problem.taps * problem.itemsize)))
