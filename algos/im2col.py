"""Patches unrolled into columns, then one matrix product per group.

Every output position becomes a column of the C/groups · ΠF samples that its kernel sees. The layer
is then kernel matrix × column matrix, a product that BLAS computes. *Sources*: Chellapilla, Puri &
Simard, *High Performance Convolutional Neural Networks for Document Processing*, 2006; the "matrix
multiplication" section of the CS231n notes. The price is memory: overlapping windows copy each
sample up to ΠF times. Columns are therefore built and multiplied in slabs of bounded size. One
thread builds a slab and multiplies it. Two thread pools that took turns would wait for each other's
spinning to end. A 1×1 kernel with stride 1 and no padding needs no columns: the input already is
the column matrix. BLAS then spreads the one product over the threads. A kernel that covers the
whole input, a fully connected layer, needs none either (see `dense`).

The gradients are products of the same matrices. For the kernel: output gradient × transposed
columns. For the input: transposed kernel × output gradient, whose columns are added back to their
places in the input (col2im).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from . import im2col_last
from .adapters.dense import Dense, is_fully_connected
from .backend.compiler import kernel
from .backend.threads import blas_threads, divide
from .core.algorithm import Algorithm, as_correlation, flipped_bytes
from .core.arrays import new, take
from .core.family import check_problem
from .core.memory_order import CHANNELS_LAST
from .core.problem import Problem
from .parallel.generic import inside

#: Bytes of columns that a thread holds at a time. They are still in the cache when the product
#: reads them, and enough for the product to run at full speed.
SLAB_BYTES = 2 << 20
#: Slabs per image, if each is worth waking a thread, so that a few threads have work. Their number
#: does not depend on that of the threads, so neither does the result.
SLABS = 4
#: Bytes of columns from which on a slab is worth waking a thread.
LEAST_BYTES = 1 << 17
#: Fewest output channels of a group for which channels-last arrays are read in place. With fewer,
#: as in depthwise layers, products by group are slower than copies (Zen 3).
FEWEST = 4


@kernel
def unroll(
    x: np.ndarray, kernel_size: tuple[int, int, int], stride: tuple[int, int, int],
    dilation: tuple[int, int, int], before: tuple[int, int, int], output_size: tuple[int, int, int],
    start: int, columns: np.ndarray,
) -> None:  # fmt: skip
    """Copy the columns of the output positions from `start` on, for one image and one group.

    `x`: array (C/groups, D, H, W). Nothing outside it is read.
    `kernel_size`, `stride`, `dilation`, `before`, `output_size`: per axis; `before` is the padding
        in front.
    `columns`: array (C/groups · ΠF, count), its rows ordered by channel, then tap; overwritten.
    """
    taps = kernel_size[0] * kernel_size[1] * kernel_size[2]
    count = columns.shape[1]
    for row in range(columns.shape[0]):
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


@kernel
def _fold(
    columns: np.ndarray, kernel_size: tuple[int, int, int], stride: tuple[int, int, int],
    dilation: tuple[int, int, int], before: tuple[int, int, int], output_size: tuple[int, int, int],
    start: int, x: np.ndarray,
) -> None:  # fmt: skip
    """Add `columns` back to the samples of `x` that `unroll` would copy them from.

    The arguments are those of `unroll`, with `x` as the result.
    """
    taps = kernel_size[0] * kernel_size[1] * kernel_size[2]
    count = columns.shape[1]
    for row in range(columns.shape[0]):
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
            source = columns[row, done : done + length]
            done += length
            if d < 0 or d >= x.shape[1] or r < 0 or r >= x.shape[2]:
                continue
            origin = first * stride[2] + shift
            low, high = inside(length, stride[2], origin, x.shape[3])
            if low < high:
                add_strided(
                    x[channel, d, r, origin + low * stride[2] :], source[low:high], stride[2]
                )


@kernel
def add_strided(target: np.ndarray, source: np.ndarray, stride: int) -> None:
    """Add target[k·stride] += source[k] for every k of the array `source`.

    The case `stride` = 1 is separate, so that it vectorises.
    """
    if stride == 1:
        for k in range(source.size):
            target[k] += source[k]
    else:
        for k in range(source.size):
            target[k * stride] += source[k]


def columns(problem: Problem, x: np.ndarray) -> np.ndarray:
    """Return the patches of `x` as columns: ``w.reshape(O, -1) @ columns`` is the convolution.

    A column holds the samples under the kernel at one output position, channel by channel and
    tap by tap. Columns of further images follow those of the first. Where the problem flips
    its kernel, so must the one that is multiplied here.

    Parameters
    ----------
    problem : Problem
    x : ndarray, shape (N, C, *size)

    Returns
    -------
    ndarray, shape (C/groups·Πkernel, N·Πoutput_size)
        With several groups one matrix each: ``(groups, C/groups·Πkernel, N·Πoutput_size)``.

    Examples
    --------
    AlexNet's first layer is one product of 96 × 363 and 363 × 3025:

    >>> conv1 = Problem(size=(227, 227), kernel=11, in_channels=3, out_channels=96, stride=4)
    >>> columns(conv1, np.zeros(conv1.input_shape, "float32")).shape
    (363, 3025)

    Each column holds the samples under the kernel:

    >>> x = np.arange(5.0).reshape(1, 1, 5)
    >>> columns(Problem(size=(5,), kernel=3, dtype="float64"), x)
    array([[0., 1., 2.],
           [1., 2., 3.],
           [2., 3., 4.]])
    """
    check_problem(problem, Problem)
    v, dtype = problem.volume, np.dtype(problem.dtype)
    x = take("input", x, problem.input_shape, dtype)
    x = x.reshape(v.batch, v.groups, v.in_channels // v.groups, *v.size)
    positions = math.prod(v.output_size)
    result = new((v.groups, v.taps, v.batch, positions), dtype)
    for n, g in np.ndindex(v.batch, v.groups):
        one = new((v.taps, positions), dtype)
        unroll(x[n, g], v.kernel, v.stride, v.dilation, v.before, v.output_size, 0, one)
        result[g, :, n] = one
    result = result.reshape(v.groups, v.taps, v.batch * positions)
    return result if v.groups > 1 else result[0]


class Im2col(Algorithm):
    """Patches unrolled into columns, one matrix product (BLAS) per group, slab by slab."""

    name = "im2col"
    operations = ("forward", "grad_input", "grad_weight")

    def stand_in(self, problem: Problem) -> Algorithm | None:
        """Return the object that computes `problem`: `Dense` for a fully connected layer."""
        return Dense(self) if is_fully_connected(problem) else None

    def reads_layout(self, problem: Problem) -> bool:
        few = problem.out_channels // problem.groups < FEWEST  # then a product is mostly calls
        return problem.operation == "forward" and not (few or is_fully_connected(problem))

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of each thread's slab of columns, and of the kernel in another order."""
        columns = 0 if _is_pointwise(problem) else problem.taps * _slab(problem)
        kernel = math.prod(problem.kernel_shape)
        # Each product of the kernel gradient is held next to the sum of all.
        share = kernel // problem.groups if problem.operation == "grad_weight" else 0
        workers = threads if self._tasks(problem) >= threads else 1
        working = workers * (columns + share) * problem.itemsize
        if problem.layout == CHANNELS_LAST:
            return kernel * problem.itemsize + max(working, flipped_bytes(problem))
        if problem.operation == "grad_weight":  # the sum is flipped at the end
            return max(working, flipped_bytes(problem))
        return working + flipped_bytes(problem)

    def _tasks(self, problem: Problem) -> int:
        """Return the number of tasks that can be split among threads."""
        images = 1 if problem.operation == "grad_weight" else problem.batch
        slabs = -(-math.prod(problem.output_size) // _slab(problem))
        return images * problem.groups * (slabs if problem.operation == "forward" else 1)

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """Return the kernel matrices, ``(groups, O/groups, C/groups · ΠF)``.

        With channels last they are transposed, and ordered by tap first (see `im2col_last`).
        """
        if problem.layout == CHANNELS_LAST:
            return im2col_last.prepare(problem, w)
        w = as_correlation(problem, w)
        return w.reshape(problem.groups, problem.out_channels // problem.groups, problem.taps)

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        if problem.layout == CHANNELS_LAST:
            slab = 0 if _is_pointwise(problem) else _slab(problem)
            im2col_last.forward(problem, x, prepared, bias, out, slab, threads)
            return
        v = problem.volume
        x = x.reshape(v.batch, v.groups, v.in_channels // v.groups, *v.size)
        y = out.reshape(v.batch, v.groups, v.out_channels // v.groups, -1)
        slab = y.shape[3] if _is_pointwise(problem) else _slab(problem)
        places = itertools.product(range(v.batch), range(v.groups), range(0, y.shape[3], slab))
        tasks = [
            (prepared[g], x[n, g], start, y[n, g, :, start : start + slab])
            for n, g, start in places
        ]
        if _is_pointwise(problem):
            with blas_threads(threads), np.errstate(all="ignore"):
                for matrix, channels, _, part in tasks:
                    np.matmul(matrix, channels.reshape(matrix.shape[1], -1), out=part)
        else:
            divide(lambda some: _multiply(v, some), tasks, threads)
        if problem.bias:
            y += bias.reshape(v.groups, -1, 1)

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        v = problem.volume
        g = g.reshape(v.batch, v.groups, v.out_channels // v.groups, -1)
        images = out.reshape(v.batch, v.groups, v.in_channels // v.groups, *v.size)
        tasks = [
            (prepared[group].T, g[n, group], images[n, group])
            for n, group in itertools.product(range(v.batch), range(v.groups))
        ]
        divide(lambda some: _spread(problem, some), tasks, threads)

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        v = problem.volume
        x = x.reshape(v.batch, v.groups, v.in_channels // v.groups, *v.size)
        g = g.reshape(v.batch, v.groups, v.out_channels // v.groups, -1)
        matrices = out.reshape(v.groups, v.out_channels // v.groups, v.taps)
        tasks = [(x[:, group], g[:, group], matrices[group]) for group in range(v.groups)]
        divide(lambda some: _correlate(problem, some), tasks, threads)
        if problem.flip:
            out[...] = np.flip(out, tuple(range(2, out.ndim))).copy()


def _multiply(v: Problem, tasks: Iterable[tuple]) -> None:
    """Compute ``part = matrix @ columns`` for each (matrix, channels, start, part) in turn."""
    buffer = _buffer(v)
    with np.errstate(all="ignore"):  # NaN and infinity are data here
        for matrix, channels, start, part in tasks:
            count = part.shape[1]
            columns = buffer[: v.taps * count].reshape(-1, count)
            unroll(
                channels, v.kernel, v.stride, v.dilation, v.before, v.output_size, start, columns
            )
            np.matmul(matrix, columns, out=part)


def _spread(problem: Problem, tasks: Iterable[tuple]) -> None:
    """Compute ``columns(image) = matrix @ outputs``, overlaps added, for every task.

    A task is (matrix, outputs, image).
    """
    v, buffer = problem.volume, _buffer(problem)
    with np.errstate(all="ignore"):
        for matrix, outputs, image in tasks:
            if _is_pointwise(problem):
                np.matmul(matrix, outputs, out=image.reshape(matrix.shape[0], -1))
                continue
            image[...] = 0
            for start, columns in _slabs(problem, buffer):
                stop = start + columns.shape[1]
                np.matmul(matrix, outputs[:, start:stop], out=columns)
                _fold(
                    columns, v.kernel, v.stride, v.dilation, v.before, v.output_size, start, image
                )


def _correlate(problem: Problem, tasks: Iterable[tuple]) -> None:
    """Compute ``matrix = Σ outputs @ columns(channels)ᵀ`` over the images of each task."""
    v, buffer = problem.volume, _buffer(problem)
    with np.errstate(all="ignore"):
        for images, gradients, matrix in tasks:
            matrix[...] = 0
            for channels, outputs in zip(images, gradients, strict=True):
                if _is_pointwise(problem):
                    matrix += outputs @ channels.reshape(matrix.shape[1], -1).T
                    continue
                for start, columns in _slabs(problem, buffer):
                    part = outputs[:, start : start + columns.shape[1]]
                    unroll(
                        channels, v.kernel, v.stride, v.dilation, v.before, v.output_size, start,
                        columns,
                    )  # fmt: skip
                    matrix += part @ columns.T


def _buffer(problem: Problem) -> np.ndarray:
    """Return scratch for the columns of a slab."""
    return np.empty(problem.taps * _slab(problem), problem.dtype)


def _slabs(problem: Problem, buffer: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the first output position of every slab, and its columns, always in `buffer`."""
    positions, slab = math.prod(problem.output_size), _slab(problem)
    for start in range(0, positions, slab):
        count = min(slab, positions - start)
        yield start, buffer[: problem.taps * count].reshape(-1, count)


def _is_pointwise(problem: Problem) -> bool:
    """Return True if the input is its own column matrix."""
    return problem.taps == problem.in_channels // problem.groups and (
        problem.input_shape[2:] == problem.output_size
        and set(problem.stride) == {1}
        and not any(map(any, problem.padding))
    )


def _slab(problem: Problem) -> int:
    """Return the number of output positions whose columns are held at a time."""
    positions = math.prod(problem.output_size)
    row = problem.taps * problem.itemsize
    fair = max(64, -(-positions // SLABS), LEAST_BYTES // row)
    return min(positions, fair, max(64, SLAB_BYTES // row))
