"""Input lowered along all axes but one, then products of overlapping parts of it (MEC).

`im2col` writes each sample once per tap that meets it. Many of these copies are avoidable, because
the windows of two neighbouring output rows share most of their input rows. MEC lowers the image
along its rows only: input row r becomes the C · k_w · W_out samples that a kernel of one row would
see. The matrix of output row h is then the k_h lowered rows from h·s on. They lie one after the
other, so it is a part of the lowered image; the parts of neighbouring rows overlap. One product per
output row follows. The lowered image is k_h/s times smaller than the columns of `im2col`, and the
products have the same multiply-adds.

The axis along which parts overlap is the first, height or depth, and all others are lowered. So a
signal, with one axis, has nothing left to gain. A dilated kernel reads every d-th row: rows are
sorted by their remainder modulo d, so its rows lie one after the other, too. The paper lowers a
batch at once. Here a slab of output rows is lowered and multiplied while it is in the cache, and
neighbouring slabs lower the rows that they share twice.

*Source*: Cho & Brand, *MEC: Memory-efficient Convolution for Deep Neural Network*, ICML 2017,
arXiv:1706.06873, algorithm 2.

Measurements: docs/kernels.md.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from .backend.compiler import kernel
from .backend.threads import divide
from .core.algorithm import Algorithm, as_correlation, flipped_bytes
from .core.problem import Problem
from .im2col import SLAB_BYTES, SLABS, unroll


@kernel
def _lower(x, kernel_size, stride, dilation, before, output_size, first, phases, lowered):
    """Lower consecutive planes of the padded image, one per plane of the result.

    `x`: array (C, D, H, W); the parts overlap along D.
    `kernel_size`, `stride`, `dilation`, `before`, `output_size`: per axis; all 1 along D, except
        `before`, and `output_size`, which is the number of planes that there may be.
    `first`: the first plane to lower, counted from the first padded one.
    `phases`: planes are sorted by their number modulo this; those of one remainder lie together.
    `lowered`: array (planes, C · k_h · k_w, H_out · W_out), overwritten.
    """
    area = output_size[1] * output_size[2]
    target = 0
    for phase in range(phases):
        for plane in range(phase, lowered.shape[0], phases):
            unroll(
                x, kernel_size, stride, dilation, before, output_size, (first + plane) * area,
                lowered[target],
            )  # fmt: skip
            target += 1


class MemoryEfficient(Algorithm):
    """Input lowered along all axes but the first, products (BLAS) of its overlapping parts."""

    name = "mec"
    opt_in = True

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        if problem.axes > 1:
            return None
        return "it lowers one axis and overlaps along another, so it needs 2 or 3 axes, not 1"

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of each thread's slab of the lowered input, and of the kernel."""
        workers = threads if self._tasks(problem) >= threads else 1
        lowered = workers * _lowered(_turned(problem)) * problem.itemsize
        flipped = 0 if _is_ordered(problem) else flipped_bytes(problem)
        return max(lowered, flipped) + self.prepared_bytes(problem, threads)

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of the copied kernel; 0 if its channels need not change places."""
        is_kept = _is_ordered(problem) and not problem.flip
        return 0 if is_kept else math.prod(problem.kernel_shape) * problem.itemsize

    def _tasks(self, problem: Problem) -> int:
        """Return the number of tasks that can be split among threads."""
        v = _turned(problem)
        return v.batch * v.groups * -(-v.output_size[0] // _slab(v))

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """Return the kernel matrices, ``(groups, O/groups, k_0 · C/groups · Πother taps)``."""
        v = _turned(problem)
        w = as_correlation(problem, w).reshape(v.groups, -1, v.in_channels // v.groups, *v.kernel)
        w = np.ascontiguousarray(w.swapaxes(2, 3))
        return w.reshape(v.groups, v.out_channels // v.groups, v.taps)

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        v = _turned(problem)
        x = x.reshape(v.batch, v.groups, v.in_channels // v.groups, *v.size)
        y = out.reshape(v.batch, v.groups, v.out_channels // v.groups, v.output_size[0], -1)
        starts = range(0, v.output_size[0], _slab(v))
        tasks = [
            (prepared[g], x[n, g], start, y[n, g, :, start : start + _slab(v)].swapaxes(0, 1))
            for n, g, start in itertools.product(range(v.batch), range(v.groups), starts)
        ]
        divide(lambda some: _multiply(v, some), tasks, threads)
        if problem.bias:
            y += bias.reshape(v.groups, -1, 1, 1)


def _multiply(v: Problem, tasks: Iterable[tuple]) -> None:
    """Compute the output rows of every task, (matrix, image, first row, rows (rows, O, area))."""
    buffer = np.empty(_lowered(v), v.dtype)
    area, stride, dilation = math.prod(v.output_size[1:]), v.stride[0], v.dilation[0]
    width = v.taps // v.kernel[0]  # rows of the matrix that a lowered row is
    flat = (1, *v.kernel[1:]), (1, *v.stride[1:]), (1, *v.dilation[1:])
    step = dilation // math.gcd(stride, dilation)  # output rows whose parts are equally spaced
    with np.errstate(all="ignore"):  # NaN and infinity are data here
        for matrix, image, start, rows in tasks:
            planes = (len(rows) - 1) * stride + v.extent[0]
            lowered = buffer[: planes * width * area].reshape(planes, width, area)
            _lower(
                image, *flat, v.before, (v.reach[0], *v.output_size[1:]), start * stride, dilation,
                lowered,
            )  # fmt: skip
            for first in range(min(step, len(rows))):
                some = rows[first::step]
                part = lowered[_place(first * stride, planes, dilation) :]
                apart = step * stride // dilation * lowered.strides[0]
                parts = np.lib.stride_tricks.as_strided(
                    part, (len(some), v.taps, area), (apart, *lowered.strides[1:]),
                    writeable=False,
                )  # fmt: skip
                np.matmul(matrix, parts, out=some)


def _is_ordered(problem: Problem) -> bool:
    """Return True if the channels of the kernel need not change places."""
    return problem.kernel_shape[1] == 1 or problem.kernel[0] == 1


def _place(plane: int, planes: int, phases: int) -> int:
    """Return the position of `plane` among `planes` that are sorted by number modulo `phases`."""
    phase = plane % phases
    return phase * (planes // phases) + min(phase, planes % phases) + plane // phases


@lru_cache(maxsize=256)
def _turned(problem: Problem) -> Problem:
    """Return the problem as a volume whose first axis is the problem's own first axis."""
    if problem.axes != 2:
        return problem.volume

    def turned(values: Any, one: Any) -> Any:
        return (values[0], one, values[1])

    sizes = {name: turned(getattr(problem, name), 1) for name in _SIZES}
    return replace(problem, padding=turned(problem.padding, (0, 0)), **sizes)


#: Fields of a problem that are given per axis, and are 1 along an axis that is added.
_SIZES = ("size", "kernel", "stride", "dilation", "tile")


def _slab(v: Problem) -> int:
    """Return the output rows (of the first axis) whose lowered input is held at a time."""
    row = v.taps // v.kernel[0] * math.prod(v.output_size[1:]) * v.itemsize
    rows = v.output_size[0]
    most = (SLAB_BYTES // row - v.extent[0]) // v.stride[0] + 1
    return max(1, min(most, -(-rows // SLABS)))


def _lowered(v: Problem) -> int:
    """Return the elements of a slab of the lowered input."""
    planes = (_slab(v) - 1) * v.stride[0] + v.extent[0]
    return planes * (v.taps // v.kernel[0]) * math.prod(v.output_size[1:])
