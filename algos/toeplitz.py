"""Convolution as the product with a matrix that repeats itself.

A convolution is linear, so there is a matrix that does it: of one axis a Toeplitz matrix, every
row the one above moved by a sample; of two axes a block Toeplitz matrix of such blocks, doubly
block circulant where the image is wrapped around instead of padded (Goodfellow, Bengio &
Courville, *Deep Learning*, 2016, 9.1). It is the matrix of a fully connected layer in which
most weights are zero and the others are tied (9.4), and its transpose is the gradient of the
input (9.5).

Written out, all its zeros are multiplied too: O·ΠO × C·ΠW elements for a kernel of a few taps.
Kept as a sparse matrix it holds every product of the definition once. Both are for
understanding and for small problems; what would not fit is refused with the figure.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .algorithm import Algorithm, as_correlation
from .problem import Problem
from .threads import blas_threads, load

#: Bytes of matrix at the most. Half a GiB takes a tenth of a second to read just once.
MOST_BYTES = 512 << 20


def matrix(problem: Problem, w: np.ndarray) -> np.ndarray:
    """The matrix M with ``conv(x, w)[n].ravel() == M @ x[n].ravel()``.

    Parameters
    ----------
    problem : Problem
    w : ndarray, shape (O, C/groups, *kernel)

    Returns
    -------
    ndarray, shape (O·Πoutput_size, C·Πsize)
        Of the dtype of `w`; blocks that pair different groups are zero.

    Raises
    ------
    MemoryError
        If it is larger than the memory there is.

    Examples
    --------
    >>> matrix(Problem(size=(4,), kernel=2, padding=((1, 0),)), np.array([[[2.0, 3.0]]]))
    array([[3., 0., 0., 0.],
           [2., 3., 0., 0.],
           [0., 2., 3., 0.],
           [0., 0., 2., 3.]])
    """
    groups = problem.groups
    parts = _dense(problem, as_correlation(problem, w))
    rows, columns = parts.shape[1:]
    whole = np.zeros((groups * rows, groups * columns), w.dtype)
    for g, part in enumerate(parts):
        whole[g * rows : (g + 1) * rows, g * columns : (g + 1) * columns] = part
    return whole


def mask(problem: Problem) -> np.ndarray:
    """Which weights of the equivalent fully connected layer are there at all (9.4).

    Returns
    -------
    ndarray of bool, shape (O·Πoutput_size, C·Πsize)
        True where output and input are connected: an infinitely strong prior says that every
        other weight is zero.

    Examples
    --------
    >>> mask(Problem(size=(4,), kernel=2)).astype(int)
    array([[1, 1, 0, 0],
           [0, 1, 1, 0],
           [0, 0, 1, 1]])
    """
    return matrix(problem, np.ones(problem.kernel_shape, np.int8)) != 0


def _meetings(problem: Problem, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(output position, tap, input sample) of every product along one axis of the volume."""
    v = problem.volume
    position, tap = np.indices((v.output_size[axis], v.kernel[axis])).reshape(2, -1)
    sample = position * v.stride[axis] + tap * v.dilation[axis] - v.padding[axis][0]
    inside = (sample >= 0) & (sample < v.size[axis])
    return position[inside], tap[inside], sample[inside]


def _entries(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(row, tap, column) of every element of one pair of channels that is not zero by shape."""
    v = problem.volume
    rows, taps, columns = (np.zeros(1, np.int64) for _ in range(3))
    for axis in range(3):
        position, tap, sample = _meetings(problem, axis)
        rows = (rows[:, None] * v.output_size[axis] + position).reshape(-1)
        taps = (taps[:, None] * v.kernel[axis] + tap).reshape(-1)
        columns = (columns[:, None] * v.size[axis] + sample).reshape(-1)
    return rows, taps, columns


def _dense(problem: Problem, w: np.ndarray) -> np.ndarray:
    """Every group's matrix, ``(groups, O/groups·Πoutput_size, C/groups·Πsize)``."""
    groups, inputs = problem.groups, problem.in_channels // problem.groups
    outputs = problem.out_channels // groups
    positions, samples = math.prod(problem.output_size), math.prod(problem.size)
    rows, taps, columns = _entries(problem)
    # Written, for pages of zeros that nobody has touched are one page, and in the cache.
    parts = np.full((groups, outputs, positions, inputs, samples), 0, w.dtype)
    kernels = w.reshape(groups, outputs, inputs, -1)
    for o in range(outputs):
        for c in range(inputs):
            parts[:, o, rows, c, columns] = kernels[:, o, c][:, taps]
    return parts.reshape(groups, outputs * positions, inputs * samples)


def _too_large(problem: Problem, needed: int) -> str | None:
    if needed <= MOST_BYTES:
        return None
    rows = problem.out_channels * math.prod(problem.output_size)
    columns = problem.in_channels * math.prod(problem.size)
    return (
        f"its matrix of {rows} × {columns} would take {needed / 2**30:.3g} GiB, "
        f"{MOST_BYTES / 2**30:g} GiB are the most that is tried"
    )


class Toeplitz(Algorithm):
    """The whole Toeplitz matrix written out, zeros too, and one product with it (BLAS)."""

    name = "toeplitz"
    operations = ("forward", "grad_input")
    confines_nonfinite = False  # zero times NaN is NaN
    opt_in = True

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        return _too_large(problem, self.workspace_bytes(problem, 1))

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """The matrix; places of a pair of channels, and what goes there in every group."""
        there = _entry_count(problem) * (24 + problem.groups * problem.itemsize)
        return int(self._elements(problem)) * problem.itemsize + there

    def _elements(self, problem: Problem) -> int:
        rows = problem.out_channels * math.prod(problem.output_size)
        return rows * problem.in_channels * math.prod(problem.size) // problem.groups

    def work(self, problem: Problem) -> float:
        """Elements of the matrix, for every image."""
        return float(problem.batch * self._elements(problem))

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """The matrix of every group."""
        return _dense(problem, as_correlation(problem, w))

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        x, y = (a.reshape(problem.batch, problem.groups, -1) for a in (x, out))
        with blas_threads(threads), np.errstate(all="ignore"):
            for g, part in enumerate(prepared):
                y[:, g] = x[:, g] @ part.T
        out += bias.reshape(-1, *[1] * problem.axes)

    def grad_input(self, problem, g, prepared, out, threads) -> None:
        g, result = (a.reshape(problem.batch, problem.groups, -1) for a in (g, out))
        with blas_threads(threads), np.errstate(all="ignore"):
            for number, part in enumerate(prepared):
                result[:, number] = g[:, number] @ part


class SparseToeplitz(Algorithm):
    """The Toeplitz matrix without its zeros (scipy.sparse), one product with it."""

    name = "toeplitz-sparse"
    operations = ("forward", "grad_input")
    opt_in = True

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        return _too_large(problem, self.workspace_bytes(problem, 1))

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Elements with their columns; while a group is built its own again, and its rows."""
        elements, places = problem.multiply_adds // problem.batch, _entry_count(problem)
        building = elements // problem.groups * (8 + problem.itemsize)
        return elements * (4 + problem.itemsize) + building + 24 * places

    def work(self, problem: Problem) -> float:
        """Products, each with its index, and a row of the matrix for every output."""
        return float(problem.multiply_adds + 2 * math.prod(problem.output_shape))

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> list[Any]:
        """A compressed sparse row matrix for every group."""
        sparse = load("scipy.sparse")
        groups, inputs = problem.groups, problem.in_channels // problem.groups
        outputs = problem.out_channels // groups
        positions, samples = math.prod(problem.output_size), math.prod(problem.size)
        rows, taps, columns = _entries(problem)

        def everywhere(index: np.ndarray) -> np.ndarray:
            spread = np.broadcast_to(index, (outputs, inputs, len(taps)))
            return spread.astype(np.int32, order="C").reshape(-1)

        row = everywhere(np.arange(outputs)[:, None, None] * positions + rows)
        column = everywhere(np.arange(inputs)[:, None] * samples + columns)
        shape = (outputs * positions, inputs * samples)
        kernels = as_correlation(problem, w).reshape(groups, outputs, inputs, -1)
        return [
            sparse.coo_array((part[:, :, taps].ravel(), (row, column)), shape=shape).tocsr()
            for part in kernels
        ]

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        x, y = (a.reshape(problem.batch, problem.groups, -1) for a in (x, out))
        for g, part in enumerate(prepared):
            y[:, g] = (part @ x[:, g].T).T
        out += bias.reshape(-1, *[1] * problem.axes)

    def grad_input(self, problem, g, prepared, out, threads) -> None:
        g, result = (a.reshape(problem.batch, problem.groups, -1) for a in (g, out))
        for number, part in enumerate(prepared):
            result[:, number] = (part.T @ g[:, number].T).T


def _entry_count(problem: Problem) -> int:
    """Products of a pair of channels, each with a row, a tap and a column."""
    pairs = problem.out_channels * (problem.in_channels // problem.groups)
    return problem.multiply_adds // (problem.batch * pairs)
