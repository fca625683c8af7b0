"""Convolution as the product with a Toeplitz matrix.

A convolution is linear, so a matrix computes it. For one axis it is a Toeplitz matrix: every row is
the one above, shifted by a sample. For two axes it is a block Toeplitz matrix of such blocks. If
the image is wrapped around instead of padded, it is doubly block circulant (Goodfellow, Bengio &
Courville, *Deep Learning*, 2016, 9.1). It is the matrix of a fully connected layer in which most
weights are zero and the others are tied (9.4). Its transpose is the gradient of the input (9.5).

The dense matrix multiplies by all its zeros, too: it has O·ΠO × C·ΠW elements for a kernel of a few
taps. The sparse matrix holds every product of the definition once. Both are included for teaching
and for small problems; a matrix that would not fit is refused with its size.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .adapters.border_layout import whole
from .backend.threads import blas_threads, load
from .core.algorithm import Algorithm, as_correlation
from .core.boundary import sources
from .core.errors import ConvbenchError
from .core.problem import Problem

#: Most bytes of a matrix. Reading half a GiB once already takes a tenth of a second.
MOST_BYTES = 512 << 20


def matrix(problem: Problem, w: np.ndarray) -> np.ndarray:
    """Return the matrix M with ``conv(x, w)[n].ravel() == M @ x[n].ravel()``.

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
    ConvbenchError
        If the boundary is "constant": the layer then adds a constant, which no matrix does.
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
    if problem.boundary != "zeros":
        return _with_boundary(problem, w)
    groups = problem.groups
    parts = _dense(problem, as_correlation(problem, w))
    rows, columns = parts.shape[1:]
    whole = np.zeros((groups * rows, groups * columns), w.dtype)
    for g, part in enumerate(parts):
        whole[g * rows : (g + 1) * rows, g * columns : (g + 1) * columns] = part
    return whole


def _with_boundary(problem: Problem, w: np.ndarray) -> np.ndarray:
    """Return the matrix of the layer on its extended input, with equal samples added up."""
    if problem.boundary == "constant":
        raise ConvbenchError(
            f"a boundary with cval {problem.cval} adds a constant, which no matrix does; "
            f"extend the input yourself, or take another boundary"
        )
    layout = whole(problem)
    assert layout.whole is not None
    found = matrix(layout.whole, w)
    found = found.reshape(len(found), problem.in_channels, *layout.whole.size)
    for axis, (size, ends) in enumerate(zip(problem.size, layout.region, strict=True)):
        at = sources(problem.boundary, size, *ends)
        lines = np.moveaxis(found, axis + 2, 0)
        added = np.zeros((size, *lines.shape[1:]), w.dtype)
        np.add.at(added, at, lines)
        found = np.moveaxis(added, 0, axis + 2)
    return found.reshape(len(found), -1)


def mask(problem: Problem) -> np.ndarray:
    """Return the weights of the equivalent fully connected layer that exist at all (9.4).

    Returns
    -------
    ndarray of bool, shape (O·Πoutput_size, C·Πsize)
        True if output and input are connected. An infinitely strong prior makes every other
        weight zero.

    Examples
    --------
    >>> mask(Problem(size=(4,), kernel=2)).astype(int)
    array([[1, 1, 0, 0],
           [0, 1, 1, 0],
           [0, 0, 1, 1]])
    """
    return matrix(problem, np.ones(problem.kernel_shape, np.int8)) != 0


def _meetings(problem: Problem, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (output position, tap, input sample) of every product along one axis."""
    v = problem.volume
    position, tap = np.indices((v.output_size[axis], v.kernel[axis])).reshape(2, -1)
    sample = position * v.stride[axis] + tap * v.dilation[axis] - v.padding[axis][0]
    inside = (sample >= 0) & (sample < v.size[axis])
    return position[inside], tap[inside], sample[inside]


def _entries(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (row, tap, column) of every element that the shape allows, for a pair of channels."""
    v = problem.volume
    rows, taps, columns = (np.zeros(1, np.int64) for _ in range(3))
    for axis in range(3):
        position, tap, sample = _meetings(problem, axis)
        rows = (rows[:, None] * v.output_size[axis] + position).reshape(-1)
        taps = (taps[:, None] * v.kernel[axis] + tap).reshape(-1)
        columns = (columns[:, None] * v.size[axis] + sample).reshape(-1)
    return rows, taps, columns


def _dense(problem: Problem, w: np.ndarray) -> np.ndarray:
    """Return every group's matrix, ``(groups, O/groups·Πoutput_size, C/groups·Πsize)``."""
    groups, inputs = problem.groups, problem.in_channels // problem.groups
    outputs = problem.out_channels // groups
    positions, samples = math.prod(problem.output_size), math.prod(problem.size)
    rows, taps, columns = _entries(problem)
    # Zeros are written explicitly: untouched pages of zeros share one physical page, which stays in
    # the cache and would make the product look too fast.
    parts = np.full((groups, outputs, positions, inputs, samples), 0, w.dtype)
    kernels = w.reshape(groups, outputs, inputs, -1)
    for o in range(outputs):
        for c in range(inputs):
            parts[:, o, rows, c, columns] = kernels[:, o, c][:, taps]
    return parts.reshape(groups, outputs * positions, inputs * samples)


def _too_large(problem: Problem, needed: int) -> str | None:
    """Return the reason for refusing a matrix of `needed` bytes, or None."""
    if needed <= MOST_BYTES:
        return None
    rows = problem.out_channels * math.prod(problem.output_size)
    columns = problem.in_channels * math.prod(problem.size)
    return (
        f"its matrix of {rows} × {columns} would take {needed / 2**30:.3g} GiB, "
        f"{MOST_BYTES / 2**30:g} GiB are the most that is tried"
    )


class Toeplitz(Algorithm):
    """Whole Toeplitz matrix, zeros included, and one product with it (BLAS)."""

    name = "toeplitz"
    operations = ("forward", "grad_input")
    confines_nonfinite = False  # zero times NaN is NaN
    opt_in = True

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        return _too_large(problem, self.workspace_bytes(problem, 1))

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of the matrix, and of the places and elements of a pair of channels."""
        there = _entry_count(problem) * (24 + problem.groups * problem.itemsize)
        return int(self._elements(problem)) * problem.itemsize + there

    def _elements(self, problem: Problem) -> int:
        """Return the elements of the matrices of all groups."""
        rows = problem.out_channels * math.prod(problem.output_size)
        return rows * problem.in_channels * math.prod(problem.size) // problem.groups

    def work(self, problem: Problem) -> float:
        """Return the elements of the matrix, times the number of images."""
        return float(problem.batch * self._elements(problem))

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """Return the matrix of every group."""
        return _dense(problem, as_correlation(problem, w))

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        x, y = (a.reshape(problem.batch, problem.groups, -1) for a in (x, out))
        with blas_threads(threads), np.errstate(all="ignore"):
            for g, part in enumerate(prepared):
                np.matmul(x[:, g], part.T, out=y[:, g])
        out += bias.reshape(-1, *[1] * problem.axes)

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        g, result = (a.reshape(problem.batch, problem.groups, -1) for a in (g, out))
        with blas_threads(threads), np.errstate(all="ignore"):
            for number, part in enumerate(prepared):
                np.matmul(g[:, number], part, out=result[:, number])


class SparseToeplitz(Algorithm):
    """Toeplitz matrix without its zeros (scipy.sparse), and one product with it."""

    name = "toeplitz-sparse"
    operations = ("forward", "grad_input")
    opt_in = True

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        return _too_large(problem, self.workspace_bytes(problem, 1))

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of elements and their columns, and of the group being built.

        If there are many images, the product of a group takes more than building it.
        """
        elements, places = problem.multiply_adds // problem.batch, _entry_count(problem)
        building = elements // problem.groups * (8 + problem.itemsize) + 24 * places
        product = math.prod(problem.result_shape) // problem.groups * problem.itemsize
        return elements * (4 + problem.itemsize) + max(building, product)

    def work(self, problem: Problem) -> float:
        """Return the products, each with its index, and two operations per output."""
        return float(problem.multiply_adds + 2 * math.prod(problem.output_shape))

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> list[Any]:
        """Return a compressed sparse row matrix for every group."""
        sparse = load("scipy.sparse")
        groups, inputs = problem.groups, problem.in_channels // problem.groups
        outputs = problem.out_channels // groups
        positions, samples = math.prod(problem.output_size), math.prod(problem.size)
        rows, taps, columns = _entries(problem)

        def everywhere(index: np.ndarray) -> np.ndarray:
            """Repeat `index` for every pair of channels, as int32."""
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

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        x, y = (a.reshape(problem.batch, problem.groups, -1) for a in (x, out))
        for g, part in enumerate(prepared):
            y[:, g] = (part @ x[:, g].T).T
        out += bias.reshape(-1, *[1] * problem.axes)

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        g, result = (a.reshape(problem.batch, problem.groups, -1) for a in (g, out))
        for number, part in enumerate(prepared):
            result[:, number] = (part.T @ g[:, number].T).T


def _entry_count(problem: Problem) -> int:
    """Return the number of products of a pair of channels."""
    pairs = problem.out_channels * (problem.in_channels // problem.groups)
    return problem.multiply_adds // (problem.batch * pairs)
