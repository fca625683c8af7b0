"""One matrix product per tap of the kernel, shifted and added up: no columns of patches.

A kernel of one tap is a product of matrices, kernel (O × C) times image (C × H·W). A kernel of K²
taps is K² such products: that of a tap, shifted by the tap's position, adds to the output. The
accumulating variant adds each product before it computes the next, so it needs room for one of
them, O·H·W elements, instead of the C·K²·H·W of `im2col`. Here a product covers a slab of output
rows that stays in the cache, and the addition skips what would fall outside the output. So neither
the input nor the product is padded.

The papers treat stride 1. A strided layer is split by the phases of its stride. Each phase is an
image that is read with stride 1. These are copies, as large as the input in all.

*Sources*: Vasudevan, Anderson & Gregg, *Parallel Multi Channel Convolution using General Matrix
Multiplication*, 2017, arXiv:1704.04428 (kn2row); Anderson, Vasudevan, Keane & Gregg, *Low-memory
GEMM-based convolution algorithms for deep neural networks*, 2017, arXiv:1709.03395 (the
accumulating variant).

Measurements: docs/kernels.md.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .backend.compiler import kernel
from .backend.threads import divide
from .core.algorithm import Algorithm, as_correlation, flipped_bytes
from .core.problem import Problem
from .parallel.generic import add_scaled

#: Bytes of the product of one tap that a thread holds at a time, so that it is still in L2 when it
#: is added: half of the 1 MiB of a Zen 4 core.
SLAB_BYTES = 1 << 19
#: Slabs of an output plane, if each is worth waking a thread. Their number does not depend on that
#: of the threads, so neither does the result.
SLABS = 4
#: Fewest output positions of a slab, and fewest output channels where they are cut as well:
#: products of fewer columns or rows are slow.
LEAST_POSITIONS, LEAST_OUTPUTS = 256, 64
#: Most products of one call. Each takes some 10 µs besides its multiply-adds, so all take seconds.
MOST_PRODUCTS = 1 << 18
#: Fixed cost of a product, 10 µs, in multiply-adds of BLAS at 25 GFLOP/s.
PRODUCT_WORK = 1 << 17


class Slab(NamedTuple):
    """Part of the output of a group: channels `first` to `last` − 1, rows and columns likewise."""

    first: int
    last: int
    depth: int
    first_row: int
    last_row: int
    first_column: int
    last_column: int


@kernel
def _add(product, row, column, rows, out):
    """Add the product of one tap to the part of the output that it reaches.

    `product`: array (O, rows of the image, columns of the image), those that were multiplied.
    `row`, `column`: output row and column, within `out`, that its first element belongs to; they
        may be negative.
    `rows`: rows of `product` to add, those that reach the output.
    `out`: array (O, rows, columns), a part of the output.
    """
    first, last = max(column, 0), min(column + product.shape[2], out.shape[2])
    if first >= last:  # a negative end would count from the right
        return
    for o in range(product.shape[0]):
        for r in range(rows):
            add_scaled(out[o, row + r, first:last], product[o, r, first - column :], 1, 1)


class KernelToRow(Algorithm):
    """One matrix product (BLAS) per tap of the kernel, shifted and accumulated (kn2row)."""

    name = "kn2row"
    opt_in = True

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        products = self._products(problem)
        if products <= MOST_PRODUCTS:
            return None
        return (
            f"it needs a product for each of {math.prod(problem.kernel)} taps, for every group and "
            f"image {products} in all; {MOST_PRODUCTS} are the most that is tried"
        )

    def _products(self, problem: Problem) -> int:
        """Return the number of matrix products of one call."""
        return self._tasks(problem) * math.prod(problem.kernel)

    def work(self, problem: Problem) -> float:
        """Return the multiply-adds, and the cost of every product beside them."""
        return float(problem.multiply_adds + PRODUCT_WORK * self._products(problem))

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of the kernel by taps, of each thread's product, and of the phases."""
        workers = threads if self._tasks(problem) >= threads else 1
        elements = workers * _product(problem.volume)
        if max(problem.stride) > 1:
            elements += math.prod(problem.input_shape)
        flipped = 0 if _is_ordered(problem) else flipped_bytes(problem)
        held = max(elements * problem.itemsize, flipped)
        return held + self.prepared_bytes(problem, threads)

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of the copied kernel; 0 if it lies in the order of taps already."""
        is_kept = _is_ordered(problem) and not problem.flip
        return 0 if is_kept else math.prod(problem.kernel_shape) * problem.itemsize

    def _tasks(self, problem: Problem) -> int:
        """Return the number of tasks that can be split among threads."""
        v = problem.volume
        blocks = -(-(v.out_channels // v.groups) // _outputs(v))
        return v.batch * v.groups * blocks * _cuts(v)

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """Return the matrix of every tap, ``(groups, taps, O/groups, C/groups)``."""
        v = problem.volume
        w = as_correlation(problem, w)
        matrices = w.reshape(v.groups, v.out_channels // v.groups, w.shape[1], -1)
        return np.ascontiguousarray(matrices.transpose(0, 3, 1, 2))

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        v = problem.volume
        images = _phases(v, x.reshape(v.batch, v.groups, v.in_channels // v.groups, *v.size))
        y = out.reshape(v.batch, v.groups, v.out_channels // v.groups, *v.output_size)
        y[...] = bias.reshape(v.groups, -1, 1, 1, 1)
        tasks = [
            (prepared[g], {phase: image[n, g] for phase, image in images.items()}, slab, y[n, g])
            for n, g, slab in itertools.product(range(v.batch), range(v.groups), _slabs(v))
        ]
        divide(lambda some: _accumulate(v, some), tasks, threads)


def _is_ordered(problem: Problem) -> bool:
    """Return True if the kernel lies in the order of taps."""
    single = (problem.out_channels, problem.kernel_shape[1]) == (problem.groups, 1)
    return single or math.prod(problem.kernel) == 1


def _accumulate(v: Problem, tasks: Iterable[tuple]) -> None:
    """Add up the products of all taps for every task, (matrices, images, slab, output)."""
    buffer = np.empty(_product(v), v.dtype)
    with np.errstate(all="ignore"):  # NaN and infinity are data here
        for matrices, images, slab, out in tasks:
            for matrix, tap in zip(matrices, _taps(v), strict=True):
                part = matrix[slab.first : slab.last]
                _add_tap(v, part, images, tap, slab, out[slab.first : slab.last], buffer)


def _taps(v: Problem) -> Iterator[tuple[int, int, int]]:
    """Yield the taps in order, one at a time: gradients may have a hundred thousand."""
    for p in range(v.kernel[0]):
        for m in range(v.kernel[1]):
            for n in range(v.kernel[2]):
                yield p, m, n


def _add_tap(
    v: Problem, matrix: np.ndarray, images: dict, tap: tuple[int, ...], slab: Slab,
    out: np.ndarray, buffer: np.ndarray,
) -> None:  # fmt: skip
    """Add the product of one tap to the slab of the output `out`, (O, D, H, W).

    `matrix`: (O, C), O being the channels of the slab. `images`: the phases, (C, D, H, W) each.
    `buffer`: room for the product.
    """
    places = [n * d - b for n, d, b in zip(tap, v.dilation, v.before, strict=True)]
    image = images.get(tuple(p % s for p, s in zip(places, v.stride, strict=True)))
    if image is None:  # the phase lies beyond the input
        return
    plane, row, column = (p // s for p, s in zip(places, v.stride, strict=True))
    plane += slab.depth
    first, last = max(slab.first_row + row, 0), min(slab.last_row + row, image.shape[2])
    left, right = 0, image.shape[3]
    if slab.last_row - slab.first_row == 1:  # rows of others would follow in a longer slab
        left, right = max(slab.first_column + column, 0), min(slab.last_column + column, right)
    if not 0 <= plane < image.shape[1] or first >= last or left >= right:
        return
    rows, columns = last - first, right - left
    seen = image[:, plane, first:last, left:right].reshape(matrix.shape[1], -1)
    product = buffer[: matrix.shape[0] * rows * columns].reshape(matrix.shape[0], -1)
    np.matmul(matrix, seen, out=product)
    _add(
        product.reshape(-1, rows, columns), first - row - slab.first_row,
        left - column - slab.first_column, rows,
        out[:, slab.depth, slab.first_row : slab.last_row, slab.first_column : slab.last_column],
    )  # fmt: skip


def _phases(v: Problem, x: np.ndarray) -> dict[tuple[int, ...], np.ndarray]:
    """Return every phase of the stride as an image of its own; `x` itself if the stride is 1."""
    if set(v.stride) == {1}:
        return {(0, 0, 0): x}
    found = {}
    firsts = (range(min(s, n)) for s, n in zip(v.stride, v.size, strict=True))
    for phase in itertools.product(*firsts):
        every: Any = (slice(p, None, s) for p, s in zip(phase, v.stride, strict=True))
        found[phase] = np.ascontiguousarray(x[(..., *every)])
    return found


def _extent(v: Problem) -> tuple[int, int]:
    """Return the output rows and the output columns of a slab."""
    _, rows, columns = v.output_size
    widest = -(-v.size[2] // v.stride[2])  # all columns of a phase are multiplied
    outputs = v.out_channels // v.groups
    most = max(SLAB_BYTES // (outputs * v.itemsize), LEAST_POSITIONS)
    fair = max(LEAST_POSITIONS, -(-rows * columns // SLABS))
    most = min(most, fair)
    if most < 2 * max(columns, widest):
        return 1, min(columns, most)
    return min(rows, most // max(columns, widest)), columns


def _product(v: Problem) -> int:
    """Return the elements of the largest product of one tap and slab."""
    rows, columns = _extent(v)
    widest = -(-v.size[2] // v.stride[2])
    return _outputs(v) * rows * (widest if rows > 1 else min(columns, widest))


def _outputs(v: Problem) -> int:
    """Return the output channels of a slab, fewer than the group's if an image gives few slabs."""
    outputs = v.out_channels // v.groups
    blocks = max(1, min(SLABS // _cuts(v), outputs // LEAST_OUTPUTS))
    return -(-outputs // blocks)


def _cuts(v: Problem) -> int:
    """Return the number of slabs of an image, if its output channels are not cut."""
    rows, columns = _extent(v)
    return v.output_size[0] * -(-v.output_size[1] // rows) * -(-v.output_size[2] // columns)


def _slabs(v: Problem) -> Iterator[Slab]:
    """Yield the parts into which the output of a group is cut."""
    rows, columns = _extent(v)
    ranges = (
        [(n, min(n + step, count)) for n in range(0, count, step)]
        for count, step in (
            (v.out_channels // v.groups, _outputs(v)), (v.output_size[0], 1),
            (v.output_size[1], rows), (v.output_size[2], columns),
        )
    )  # fmt: skip
    for outputs, (depth, _), lines, samples in itertools.product(*ranges):
        yield Slab(*outputs, depth, *lines, *samples)
