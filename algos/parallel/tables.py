"""Layers whose output channels have connections of their own to input channels.

If few output channels share a set of inputs, one convolution per set would mean many small ones.
This module adds one connected input channel after the other to an output channel. The padded planes
are flat rows, so every tap is a scaled, shifted run as long as the whole plane. Of this run, (F −
1)/W lies between two output rows and is discarded.

The bottleneck is L1: each multiply-add reads input and sum from there. The gradient of the input is
the same computation with the table transposed and the kernels flipped.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from algos.adapters.parts import Index, Parts, count_parts
from algos.backend.compiler import kernel, threaded
from algos.core.algorithm import as_correlation
from algos.core.arrays import no_bias
from algos.core.problem import Problem

from .generic import add_scaled

#: Elements of a plane that are summed at a time: sums and input then fit 32 KiB of L1.
STRETCH = 2048
#: Output channels per set of inputs from which on one convolution per set is faster.
SHARED = 4


def own_connections(problem: Problem) -> bool:
    """Return True if this module computes the problem: stride 1, few shared sets, and no tile."""
    inside = all(b < e for b, e in zip(problem.before, problem.extent, strict=True))
    return (
        problem.connections is not None
        and problem.operation != "grad_weight"
        and not problem.is_tiled
        and set(problem.stride) == {1}
        and inside
        and problem.out_channels < SHARED * count_parts(problem)
    )


@threaded
@kernel(allocates=True)
def _plane(
    item: int, x: np.ndarray, w: np.ndarray, starts: np.ndarray, channels: np.ndarray,
    bias: np.ndarray, shifts: np.ndarray, pitch: tuple[int, int], out: np.ndarray,
) -> None:  # fmt: skip
    """Compute output plane number `item`, counted over images and output channels."""
    n, o = divmod(item, out.shape[1])
    planes, rows, columns = out.shape[2:]
    sums = np.empty((planes - 1) * pitch[0] + (rows - 1) * pitch[1] + columns, x.dtype)
    for k in range(sums.size):  # loops instead of slices, which take Numba a second to compile
        sums[k] = bias[o]
    for first in range(0, sums.size, STRETCH):
        part = sums[first : first + STRETCH]
        for pair in range(starts[o], starts[o + 1]):
            source = x[n, channels[pair], first:]
            for t in range(shifts.size):
                add_scaled(part, source[shifts[t] :], w[pair, t], 1)
    for h in range(planes):
        for j in range(rows):
            at = h * pitch[0] + j * pitch[1]
            for k in range(columns):
                out[n, o, h, j, k] = sums[at + k]


@kernel
def _run(
    x: np.ndarray, w: np.ndarray, starts: np.ndarray, channels: np.ndarray, bias: np.ndarray,
    shifts: np.ndarray, pitch: tuple[int, int], out: np.ndarray,
) -> None:  # fmt: skip
    """Compute every output plane, split among threads.

    `x`: padded input (N, C, elements); plane and row begin `pitch` elements apart.
    `w`: kernels (connections, taps).
    `starts`, `channels`: output channel o has the connections starts[o] … starts[o + 1] − 1, each
        with its input channel.
    `shifts`: elements from an output position to the sample under each tap.
    `out`: array (N, O, d, h, w).
    """
    planes = out.shape[0] * out.shape[1]
    _plane(planes, x, w, starts, channels, bias, shifts, pitch, out)


class Tables(Parts):
    """Connection tables with the kernel of this module, for the algorithm `parallel`."""

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Bytes of padded input or output gradient, connected kernels, and one plane per thread."""
        v = problem.volume
        plane = math.prod(r + e for r, e in zip(v.reach, v.extent, strict=True))
        channels = max(v.in_channels, v.out_channels)
        return (problem.parameters + (v.batch * channels + threads) * plane) * problem.itemsize

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        return None

    def work(self, problem: Problem) -> float:
        return problem.multiply_adds

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Any:
        """Return ((starts, channels), kernels) of the connections, or (None, the prepared parts).

        Kernels that are not finite take the parts: the zeros of the padding must not meet them.
        """
        v, table = problem.volume, problem.table
        kernels = as_correlation(problem, w)
        if problem.operation == "grad_input":
            kernels, table = kernels.swapaxes(0, 1)[..., ::-1, ::-1, ::-1], table.T
        connected = np.ascontiguousarray(kernels[table]).reshape(-1, math.prod(v.kernel))
        if not np.isfinite(connected).all():
            return None, super().prepare(problem, w, threads)
        starts = np.concatenate([[0], np.cumsum(table.sum(axis=1))]).astype(np.int64)
        return (starts, np.nonzero(table)[1].astype(np.int64)), connected

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        v = problem.volume
        if prepared[0] is None:
            super().forward(problem, x, prepared[1], bias, out, threads)
            return
        _convolve(
            v, x.reshape(v.input_shape), v.before, prepared, bias, out.reshape(v.output_shape)
        )

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        v = problem.volume
        if prepared[0] is None:
            super().grad_input(problem, g, prepared[1], out, threads)
            return
        before = tuple(e - 1 - b for e, b in zip(v.extent, v.before, strict=True))
        none = no_bias(v.in_channels, out.dtype)
        _convolve(v, g.reshape(v.output_shape), before, prepared, none, out.reshape(v.input_shape))


def _convolve(
    v: Problem, x: np.ndarray, before: tuple[int, ...], prepared: Any, bias: np.ndarray,
    out: np.ndarray,
) -> None:  # fmt: skip
    """Run the kernel over `x`, padded with `before` zeros in front and enough zeros behind."""
    (starts, channels), kernels = prepared
    size = [o + e - 1 for o, e in zip(out.shape[2:], v.extent, strict=True)]
    padded = np.zeros((*x.shape[:2], *size), x.dtype)
    kept = [min(n, s - b) for n, s, b in zip(x.shape[2:], size, before, strict=True)]
    read: Index = (..., *map(slice, kept))
    inside: Index = (..., *(slice(b, b + n) for b, n in zip(before, kept, strict=True)))
    padded[inside] = x[read]
    pitch = size[1] * size[2], size[2]
    taps = np.indices(v.kernel).reshape(3, -1).T * np.array(v.dilation)
    shifts = (taps @ np.array([*pitch, 1])).astype(np.int64)
    flat = padded.reshape(*x.shape[:2], -1)
    _run(flat, kernels, starts, channels, bias, shifts, pitch, out)
