"""Locally connected and tiled layers: each kernel is read once, for all positions that use it.

The samples under a kernel are copied into patches, as in im2col, one for each position that uses
it. If nothing is shared, that is one per image. An output is the product of a row of the kernel,
read in place, with a patch in L1. The gradient of the input gathers multiples of rows into patches,
which are added back afterwards. The gradient of the kernel is a sum of multiples of patches.

If nothing is shared there is one multiply-add per weight, so the bottleneck is the bandwidth of the
memory or cache that holds the weights. Kernels are split evenly among threads. The order of
summation does not depend on their number.

Arguments that mean the same in every kernel:

`x`: input (N, C, D, H, W); `y`: output (N, O, d, h, w); `g`: its gradient.
`w`: kernels, or their gradient, (kernels of the tile, O, C/groups · ΠF).
`bias`: one element per output channel.
`taps`, `tile`, `stride`, `dilation`, `before`: per axis; `before` is the padding in front.
`kernels`: number of kernels of the tile that are used; an item is one group of one of them.
`patches`: scratch of one thread, (`block`, C/groups · ΠF).
`uses`: positions per axis that use the kernel; `phase` is the first of them.
`at`: place of the kernel in the tile.
`workers`: number of threads.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from algos.adapters.adapter import Adapter
from algos.adapters.parts import MOST_PARTS
from algos.backend.compiler import by_ranges, kernel, threaded
from algos.backend.threads import share
from algos.core.algorithm import as_correlation, flipped_bytes
from algos.core.problem import Problem
from algos.simd.arithmetic import add_products, sum_lanes
from algos.simd.copies import clear
from algos.simd.registers import lanes, pointer, splat

#: Multiply-adds of a kernel from which on one convolution per kernel is faster.
WORTH_A_PART = 1e6
#: Bytes of patches held at a time, well within L2. A kernel with more positions is read again for
#: the next patches.
PATCH_BYTES = 1 << 17


@kernel
def _row_products(w, row, step, patch, at, size, zero, ROWS):  # noqa: N803
    """Return Σ w·patch for ROWS rows of `size` weights that lie `step` apart, as a tuple.

    `w`, `patch`: pointers, read from `row` and `at` on, `size` elements each row and no further.
    `zero`: pointer to a zero.
    """
    total = splat(zero, 0, ROWS)
    for k in range(0, size, lanes(w)):
        total = add_products(total, w, row + k, step, patch, at + k, size - k)
    return sum_lanes(total)


@kernel
def _add_scaled(target, factor, source):
    """Add `factor` times the array `source` to the array `target`."""
    for k in range(target.size):
        target[k] += factor * source[k]


@kernel
def _place(number, phase, tile, uses):
    """Return (image, depth, row, column) of the output position of use `number` of a kernel."""
    number, k = divmod(number, uses[2])
    number, j = divmod(number, uses[1])
    n, h = divmod(number, uses[0])
    return n, phase[0] + h * tile[0], phase[1] + j * tile[1], phase[2] + k * tile[2]


@kernel
def _take(x, n, first, corner, taps, dilation, patch):
    """Copy the samples under a kernel at `corner` of the padded input, from channel `first` on.

    `corner` may lie outside the input; samples there are zero. `patch` is overwritten.
    """
    at = 0
    for c in range(first, first + patch.size // (taps[0] * taps[1] * taps[2])):
        for p in range(taps[0]):
            d = corner[0] + p * dilation[0]
            for m in range(taps[1]):
                r = corner[1] + m * dilation[1]
                outside = d < 0 or d >= x.shape[2] or r < 0 or r >= x.shape[3]
                for q in range(taps[2]):
                    s = corner[2] + q * dilation[2]
                    inside = not outside and 0 <= s < x.shape[4]
                    patch[at] = x[n, c, d, r, s] if inside else 0
                    at += 1


@kernel
def _sample(tap, h, j, k, taps, stride, dilation, before):
    """Return (channel, depth, row, column) of the sample under tap number `tap` of a kernel."""
    rest, q = divmod(tap, taps[2])
    rest, m = divmod(rest, taps[1])
    c, p = divmod(rest, taps[0])
    return (
        c, h * stride[0] + p * dilation[0] - before[0],
        j * stride[1] + m * dilation[1] - before[1], k * stride[2] + q * dilation[2] - before[2],
    )  # fmt: skip


@kernel
def _of_kernel(number, tile, output_size):
    """Return the phase of used kernel `number`, its place in the tile, and its uses per axis."""
    used = (
        min(tile[0], output_size[0]), min(tile[1], output_size[1]), min(tile[2], output_size[2])
    )  # fmt: skip
    rest, c = divmod(number, used[2])
    a, b = divmod(rest, used[1])
    uses = (
        (output_size[0] - a + tile[0] - 1) // tile[0],
        (output_size[1] - b + tile[1] - 1) // tile[1],
        (output_size[2] - c + tile[2] - 1) // tile[2],
    )
    return (a, b, c), (a * tile[1] + b) * tile[2] + c, uses


@kernel
def _patches(x, first, start, count, phase, tile, uses, taps, stride, dilation, before, patches):
    """Copy the patches of `count` uses of a kernel, from use `start` on."""
    for i in range(count):
        n, h, j, k = _place(start + i, phase, tile, uses)
        corner = (
            h * stride[0] - before[0], j * stride[1] - before[1], k * stride[2] - before[2]
        )  # fmt: skip
        _take(x, n, first, corner, taps, dilation, patches[i])


@kernel
def _multiply(w, at, first, outputs, patches, count, start, phase, tile, uses, bias, zero, y):
    """Compute the outputs of `count` uses of a kernel, four output channels at a time.

    `first`, `outputs`: first output channel of the group, and their number.
    `zero`: array of one zero.
    """
    size, last = w.shape[2], first + outputs
    whole = first + outputs // 4 * 4
    for o in range(first, whole, 4):
        row = (at * w.shape[1] + o) * size
        for i in range(count):
            n, h, j, k = _place(start + i, phase, tile, uses)
            sums = _row_products(
                pointer(w), row, size, pointer(patches), i * size, size, pointer(zero), 4
            )
            for r in range(4):
                y[n, o + r, h, j, k] = bias[o + r] + sums[r]
    for o in range(whole, last):
        row = (at * w.shape[1] + o) * size
        for i in range(count):
            n, h, j, k = _place(start + i, phase, tile, uses)
            sums = _row_products(
                pointer(w), row, size, pointer(patches), i * size, size, pointer(zero), 1
            )
            y[n, o, h, j, k] = bias[o] + sums[0]


@kernel(allocates=True)
def _forward_item(item, x, w, bias, taps, tile, stride, dilation, before, groups, patches, y):
    """Compute the outputs of one group of one kernel, as many patches at a time as fit."""
    outputs, inputs = w.shape[1] // groups, x.shape[1] // groups
    block, zero = len(patches), np.zeros(1, x.dtype)
    number, group = divmod(item, groups)
    phase, at, uses = _of_kernel(number, tile, y.shape[2:])
    total = x.shape[0] * uses[0] * uses[1] * uses[2]
    for start in range(0, total, block):
        count = min(block, total - start)
        _patches(
            x, group * inputs, start, count, phase, tile, uses, taps, stride, dilation, before,
            patches,
        )  # fmt: skip
        _multiply(
            w, at, group * outputs, outputs, patches, count, start, phase, tile, uses, bias, zero,
            y,
        )  # fmt: skip


@by_ranges
@kernel(allocates=True)
def _forward_some(_slot, first, last, x, w, bias, taps, tile, stride, dilation, before, groups,
                  block, y):  # fmt: skip
    """Compute items `first` to `last` − 1; `_slot` is the number of this thread."""
    patches = np.empty((block, w.shape[2]), x.dtype)
    for item in range(first, last):
        _forward_item(item, x, w, bias, taps, tile, stride, dilation, before, groups, patches, y)


@kernel
def _forward(x, w, bias, taps, tile, stride, dilation, before, groups, kernels, workers, block, y):
    """Compute `y` for all used kernels, `block` patches at a time, split among threads."""
    _forward_some(
        workers, kernels * groups, x, w, bias, taps, tile, stride, dilation, before, groups, block,
        y,
    )  # fmt: skip


@threaded
@kernel
def _forward_present_item(item, x, w, bias, taps, tile, stride, dilation, before, groups, y):
    """Compute the outputs of one group of one kernel from the samples inside the input alone."""
    outputs, inputs = w.shape[1] // groups, x.shape[1] // groups
    number, group = divmod(item, groups)
    phase, at, uses = _of_kernel(number, tile, y.shape[2:])
    for i in range(x.shape[0] * uses[0] * uses[1] * uses[2]):
        n, h, j, k = _place(i, phase, tile, uses)
        for o in range(group * outputs, (group + 1) * outputs):
            total = bias[o]
            for t in range(w.shape[2]):
                c, d, r, s = _sample(t, h, j, k, taps, stride, dilation, before)
                if 0 <= d < x.shape[2] and 0 <= r < x.shape[3] and 0 <= s < x.shape[4]:
                    total += w[at, o, t] * x[n, group * inputs + c, d, r, s]
            y[n, o, h, j, k] = total


@kernel
def _forward_present(x, w, bias, taps, tile, stride, dilation, before, groups, kernels, y):
    """Compute `y` for all used kernels, which may hold infinities: padding is not multiplied."""
    _forward_present_item(
        kernels * groups, x, w, bias, taps, tile, stride, dilation, before, groups, y
    )


@threaded
@kernel
def _spread_item(item, g, w, tile, groups, columns):
    """Compute the patches' gradients for one group of one kernel."""
    outputs = w.shape[1] // groups
    number, group = divmod(item, groups)
    phase, at, uses = _of_kernel(number, tile, g.shape[2:])
    for i in range(g.shape[0] * uses[0] * uses[1] * uses[2]):
        n, h, j, k = _place(i, phase, tile, uses)
        patch = columns[n, group, h, j, k]
        clear(patch, 0, patch.size)  # a slice takes Numba seconds to compile
        for o in range(group * outputs, (group + 1) * outputs):
            _add_scaled(patch, g[n, o, h, j, k], w[at, o])


@kernel
def _spread(g, w, tile, groups, kernels, columns):
    """Compute every patch's gradient: columns[n, group, h, j, k] = Σ_o g · w[kernel, o]."""
    _spread_item(kernels * groups, g, w, tile, groups, columns)


@threaded
@kernel
def _fold_item(item, columns, taps, stride, dilation, before, out):
    """Add the patches of all positions to one channel of one image."""
    inputs = out.shape[1] // columns.shape[1]
    size = taps[0] * taps[1] * taps[2]
    n, channel = divmod(item, out.shape[1])
    group, c = divmod(channel, inputs)
    plane = out[n, channel]
    clear(plane.reshape(plane.size), 0, plane.size)
    for h in range(columns.shape[2]):
        for j in range(columns.shape[3]):
            for k in range(columns.shape[4]):
                part = columns[n, group, h, j, k, c * size : (c + 1) * size]
                for at in range(size):
                    rest, q = divmod(at, taps[2])
                    p, m = divmod(rest, taps[1])
                    d = h * stride[0] + p * dilation[0] - before[0]
                    r = j * stride[1] + m * dilation[1] - before[1]
                    s = k * stride[2] + q * dilation[2] - before[2]
                    inside = 0 <= d < plane.shape[0] and 0 <= r < plane.shape[1]
                    if inside and 0 <= s < plane.shape[2]:
                        plane[d, r, s] += part[at]


@kernel
def _fold(columns, taps, stride, dilation, before, out):
    """Add every patch back to the samples it was taken from, one channel of an image at a time."""
    _fold_item(out.shape[0] * out.shape[1], columns, taps, stride, dilation, before, out)


@kernel
def _correlate_item(item, x, g, taps, tile, stride, dilation, before, groups, patches, w):
    """Compute the gradient of one group of one kernel."""
    outputs, inputs = w.shape[1] // groups, x.shape[1] // groups
    block = len(patches)
    number, group = divmod(item, groups)
    phase, at, uses = _of_kernel(number, tile, g.shape[2:])
    total = x.shape[0] * uses[0] * uses[1] * uses[2]
    for start in range(0, total, block):
        count = min(block, total - start)
        _patches(
            x, group * inputs, start, count, phase, tile, uses, taps, stride, dilation, before,
            patches,
        )  # fmt: skip
        for o in range(group * outputs, (group + 1) * outputs):
            row = w[at, o]
            if start == 0:
                clear(row, 0, row.size)
            for i in range(count):
                n, h, j, k = _place(start + i, phase, tile, uses)
                _add_scaled(row, g[n, o, h, j, k], patches[i])


@threaded
@kernel
def _correlate_present_item(item, x, g, taps, tile, stride, dilation, before, groups, w):
    """Compute the gradient of one group of one kernel from the samples inside the input alone."""
    outputs, inputs = w.shape[1] // groups, x.shape[1] // groups
    number, group = divmod(item, groups)
    phase, at, uses = _of_kernel(number, tile, g.shape[2:])
    for o in range(group * outputs, (group + 1) * outputs):
        for t in range(w.shape[2]):
            w[at, o, t] = 0
            for i in range(x.shape[0] * uses[0] * uses[1] * uses[2]):
                n, h, j, k = _place(i, phase, tile, uses)
                c, d, r, s = _sample(t, h, j, k, taps, stride, dilation, before)
                if 0 <= d < x.shape[2] and 0 <= r < x.shape[3] and 0 <= s < x.shape[4]:
                    w[at, o, t] += g[n, o, h, j, k] * x[n, group * inputs + c, d, r, s]


@kernel
def _correlate_present(x, g, taps, tile, stride, dilation, before, groups, kernels, w):
    """Compute the gradients of all used kernels where g may hold infinities."""
    _correlate_present_item(kernels * groups, x, g, taps, tile, stride, dilation, before, groups, w)


@by_ranges
@kernel(allocates=True)
def _correlate_some(_slot, first, last, x, g, taps, tile, stride, dilation, before, groups, block,
                    w):  # fmt: skip
    """Compute items `first` to `last` − 1; `_slot` is the number of this thread."""
    patches = np.empty((block, w.shape[2]), x.dtype)
    for item in range(first, last):
        _correlate_item(item, x, g, taps, tile, stride, dilation, before, groups, patches, w)


@kernel
def _correlate(x, g, taps, tile, stride, dilation, before, groups, kernels, workers, block, w):
    """Compute the gradients of all used kernels, split among threads."""
    _correlate_some(
        workers, kernels * groups, x, g, taps, tile, stride, dilation, before, groups, block, w
    )


class Kernels(NamedTuple):
    """Kernels as ``(kernels, O, C/groups · ΠF)``; zeros are multiplied by finite ones alone."""

    w: np.ndarray
    is_finite: bool


class Unshared(Adapter):
    """Tiled layers with the kernels of this module, for the algorithm `parallel`."""

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Bytes of each thread's patches, or of all patches for the gradient of the input."""
        held = threads * _block(problem)
        if problem.operation == "grad_input":
            held = problem.batch * problem.groups * math.prod(problem.output_size)
        return held * problem.taps * problem.itemsize + flipped_bytes(problem)

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Kernels:
        """Return the kernels, flipped for convolution."""
        w = as_correlation(problem, w).reshape(-1, problem.out_channels, problem.taps)
        return Kernels(w, bool(np.isfinite(w).all()))

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        v = problem.volume
        if not prepared.is_finite:
            with share(threads):
                _forward_present(
                    x.reshape(v.input_shape), prepared.w, bias, v.kernel, v.tile, v.stride,
                    v.dilation, v.before, v.groups, _kernels(v), out.reshape(v.output_shape),
                )  # fmt: skip
            return
        _forward(
            x.reshape(v.input_shape), prepared.w, bias, v.kernel, v.tile, v.stride, v.dilation,
            v.before, v.groups, _kernels(v), threads, _block(v), out.reshape(v.output_shape),
        )  # fmt: skip

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        v = problem.volume
        columns = np.empty((v.batch, v.groups, *v.output_size, v.taps), out.dtype)
        g = g.reshape(v.output_shape)
        _spread(g, prepared.w, v.tile, v.groups, _kernels(v), columns)
        _fold(columns, v.kernel, v.stride, v.dilation, v.before, out.reshape(v.input_shape))

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        v = problem.volume
        if _kernels(v) < math.prod(v.tile):
            out[...] = 0
        x, g = x.reshape(v.input_shape), g.reshape(v.output_shape)
        geometry = v.kernel, v.tile, v.stride, v.dilation, v.before, v.groups, _kernels(v)
        kernels = out.reshape(-1, v.out_channels, v.taps)
        if np.isfinite(g).all():
            _correlate(x, g, *geometry, threads, _block(v), kernels)
        else:  # the zeros of the padding must not be multiplied by it
            with share(threads):
                _correlate_present(x, g, *geometry, kernels)
        if problem.flip:
            out[...] = np.flip(out, tuple(range(out.ndim - problem.axes, out.ndim))).copy()


def few_share(problem: Problem) -> bool:
    """Return True if each kernel has too few uses to make a convolution of its own worthwhile."""
    kernels = _kernels(problem)
    return kernels > MOST_PARTS or problem.multiply_adds / kernels < WORTH_A_PART


def _kernels(problem: Problem) -> int:
    """Return the number of kernels of the tile that are used."""
    return math.prod(map(min, problem.tile, problem.output_size))


def _block(problem: Problem) -> int:
    """Return the patches held at a time, at most as many as a kernel has uses."""
    uses = (-(-o // t) for o, t in zip(problem.output_size, problem.tile, strict=True))
    fitting = max(1, PATCH_BYTES // (problem.taps * problem.itemsize))
    return min(problem.batch * math.prod(uses), fitting)
