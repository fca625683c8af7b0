"""Strided and dilated layers as dense layers with stride 1, for Winograd's filtering.

With stride s, a kernel moves from sample to sample of equal position modulo s. Each of these
phases becomes a channel of its own (space to depth). The kernel then has ⌈F/s⌉ taps and stride 1,
over s times the channels for each axis. Taps that a phase lacks are zeros: AlexNet's first kernel,
11 × 11 with stride 4 over 3 channels, is one of 3 × 3 over 48. A kernel of 4 × 4 taps is one of
5 × 5 with zeros.

With dilation d, a kernel combines samples of equal position modulo d. Each phase becomes an image
of its own with a dense kernel, and its outputs are put back between those of the others.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from algos.adapters.adapter import Adapter
from algos.backend.compiler import kernel, threaded
from algos.core.algorithm import Algorithm, as_correlation
from algos.core.problem import Problem
from algos.parallel.generic import inside


@lru_cache(maxsize=256)
def dense(problem: Problem, sizes: tuple[int, ...]) -> Problem | None:
    """Return the layer of stride 1 that computes `problem`; None if none does, or it is one itself.

    Its kernel is square, of the smallest of `sizes` that fits. Padding a kernel of stride 1 with
    zeros is worthwhile for one tap, so a kernel of 4 × 4 becomes one of 5 × 5. Two taps have to be
    there: a kernel of 3 × 3 with stride 2 would be slower so than as a direct sum.
    """
    if problem.operation != "forward" or problem.axes != 2:
        return None
    if not problem.is_plain or isinstance(problem.bias, str):  # made of plain layers by others
        return None
    steps = [*zip(problem.stride, problem.dilation, strict=True)]
    least = max(-(-f // s) for f, s in zip(problem.kernel, problem.stride, strict=True))
    taps = next((size for size in sizes if least <= size <= least + 1), 0)
    is_dense = all(s == d == 1 for s, d in steps)
    if not taps or any(s > 1 and d > 1 for s, d in steps):
        return None
    if is_dense and problem.kernel == (taps, taps):
        return None
    has_few = any(f < 2 * s for f, s in zip(problem.kernel, problem.stride, strict=True))
    if min(problem.kernel) == 1 or (taps == 2 and has_few):
        return None
    counts = [-(-o // d) for o, d in zip(problem.output_size, problem.dilation, strict=True)]
    return replace(
        problem,
        size=tuple(count + taps - 1 for count in counts),
        kernel=taps,
        batch=problem.batch * math.prod(problem.dilation),
        in_channels=problem.in_channels * math.prod(problem.stride),
        stride=1, dilation=1, padding=0, flip=False, fit="floor", name="",
    )  # fmt: skip


class Rearranged(Adapter):
    """Strided or dilated layer by an algorithm for square kernels of some `sizes` with stride 1."""

    def __init__(self, algorithm: Algorithm, sizes: tuple[int, ...]) -> None:
        super().__init__(algorithm)
        self.sizes = sizes

    def dense(self, problem: Problem) -> Problem:
        """Return the dense layer that computes `problem`."""
        found = dense(problem, self.sizes)
        assert found is not None, f"{problem} is no layer for this adapter"
        return found

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        """Return the reason why the algorithm cannot do the dense layer."""
        return self.algorithm.why_not(self.dense(problem))

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Bytes of the dense layer's workspace, its input and kernel, and its output if apart."""
        inner = self.dense(problem)
        elements = math.prod(inner.input_shape) + math.prod(inner.kernel_shape)
        if inner.batch > problem.batch:
            elements += math.prod(inner.output_shape)
        return self.algorithm.workspace_bytes(inner, threads) + elements * problem.itemsize

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        return self.algorithm.prepared_bytes(self.dense(problem), threads)

    def work(self, problem: Problem) -> float:
        return self.algorithm.work(self.dense(problem))

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Any:
        """Return the prepared kernel of the dense layer."""
        inner = self.dense(problem)
        return self.algorithm.prepare(inner, dense_kernel(problem, inner, w), threads)

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        inner = self.dense(problem)
        images = dense_input(problem, inner, x)
        if inner.batch == problem.batch:
            self.algorithm.forward(inner, images, prepared, bias, out, threads)
            return
        phases = np.empty(inner.output_shape, out.dtype)
        self.algorithm.forward(inner, images, prepared, bias, phases, threads)
        _scatter(
            phases.reshape(problem.batch, *problem.dilation, *phases.shape[1:]),
            problem.dilation, out,
        )  # fmt: skip

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return the bound of the dense layer: the same products, and zeros."""
        inner = self.dense(problem)
        images, kernels = dense_input(problem, inner, x), dense_kernel(problem, inner, w)
        return self.algorithm.error_bound(inner, images, kernels, magnitude)


def dense_kernel(problem: Problem, inner: Problem, w: np.ndarray) -> np.ndarray:
    """Return the kernel of the dense layer `inner`, zeros where it has more taps; not flipped."""
    (down, across), axes = problem.stride, (problem.out_channels, -1, *problem.kernel)
    w = as_correlation(problem, w).reshape(axes)
    found = np.zeros((*w.shape[:2], down, across, *inner.kernel), w.dtype)
    for i, j in np.ndindex(down, across):
        taps = w[:, :, i::down, j::across]
        found[:, :, i, j, : taps.shape[2], : taps.shape[3]] = taps
    return found.reshape(inner.kernel_shape)


def dense_input(problem: Problem, inner: Problem, x: np.ndarray) -> np.ndarray:
    """Return the input of the dense layer `inner`: phases as images (dilation) or channels."""
    found = np.empty(inner.input_shape, x.dtype)
    phases = (
        problem.batch, *problem.dilation, problem.in_channels, *problem.stride, *inner.size,
    )  # fmt: skip
    _gather(x, problem.stride, problem.dilation, problem.before, found.reshape(phases))
    return found


@threaded
@kernel
def _gather_plane(
    item: int, x: np.ndarray, stride: tuple[int, int], dilation: tuple[int, int],
    before: tuple[int, int], phases: np.ndarray,
) -> None:  # fmt: skip
    """Copy the phases of one channel of one image.

    `item`: number of the image times channels, plus number of the channel.
    `x`: input (N, C, H, W). `before`: padding in front, per axis.
    `phases`: (N, d_h, d_w, C, s_h, s_w, U, V).
    """
    n, c = item // x.shape[1], item % x.shape[1]
    height, width = x.shape[2:]
    down, across = stride[0] * dilation[0], stride[1] * dilation[1]
    for phase_down in range(down):
        for phase_across in range(across):
            target = phases[
                n, phase_down // stride[0], phase_across // stride[1], c,
                phase_down % stride[0], phase_across % stride[1],
            ]  # fmt: skip
            first = phase_across - before[1]
            low, high = inside(target.shape[1], across, first, width)
            for u in range(target.shape[0]):
                row = u * down + phase_down - before[0]
                line = target[u]
                if row < 0 or row >= height:
                    line[:] = 0
                    continue
                source = x[n, c, row]
                line[:low] = 0
                line[high:] = 0
                for v in range(low, high):
                    line[v] = source[v * across + first]


@kernel
def _gather(
    x: np.ndarray, stride: tuple[int, int], dilation: tuple[int, int], before: tuple[int, int],
    phases: np.ndarray,
) -> None:  # fmt: skip
    """Copy all channels of all images; arguments as in `_gather_plane`."""
    _gather_plane(x.shape[0] * x.shape[1], x, stride, dilation, before, phases)


@threaded
@kernel
def _scatter_plane(
    item: int, phases: np.ndarray, dilation: tuple[int, int], out: np.ndarray
) -> None:
    """Put the outputs of all phases of one channel of one image between each other.

    `item`: number of the image times channels, plus number of the channel.
    `phases`: (N, d_h, d_w, O, U, V). `out`: output (N, O, h, w).
    """
    n, o = item // out.shape[1], item % out.shape[1]
    down, across = dilation
    for row in range(out.shape[2]):
        for phase in range(across):
            source = phases[n, row % down, phase, o, row // down]
            for v in range((out.shape[3] - phase + across - 1) // across):
                out[n, o, row, v * across + phase] = source[v]


@kernel
def _scatter(phases: np.ndarray, dilation: tuple[int, int], out: np.ndarray) -> None:
    """Put all outputs in place; arguments as in `_scatter_plane`."""
    _scatter_plane(out.shape[0] * out.shape[1], phases, dilation, out)
