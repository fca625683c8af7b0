"""Winograd's minimal filtering for 3 × 3 kernels, F(2 × 2) and F(4 × 4): fewer multiplications.

A tile of m × m outputs takes (m + 2)² products instead of 9m². That is 2.25 times fewer for m = 2
and four times fewer for m = 4. The cost of the transforms becomes negligible as channels grow. For
each point, the products of all channels are one matrix product (`winograd.kernels`).
`winograd.points` has the matrices and their sources.

The price is accuracy: transforms amplify rounding, more so for larger m. The error is relative to
the largest numbers that share a tile, not to each output.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from algos.core.algorithm import Algorithm, as_correlation
from algos.core.problem import Problem
from algos.parallel import channels as direct_channels
from algos.simd import registers as simd

from . import (
    error as winograd_error,
)
from . import (
    kernels as winograd_kernels,
)
from . import (
    weights as winograd_weights,
)
from . import (
    weights_blocking as winograd_weights_blocking,
)
from .blocking import TilesBlocking, blocking, tiles, workspace
from .points import TAPS


class Winograd(Algorithm):
    """Winograd's F(m × m, 3 × 3), with m = `step` of the subclass."""

    step: int
    operations = ("forward", "grad_weight")
    confines_nonfinite = False
    exact_on_integers = False

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        """Accept only dense 3 × 3 kernels with stride 1 and dilation 1."""
        if problem.kernel != (TAPS, TAPS):
            kernel = " × ".join(map(str, problem.kernel))
            return f"it is written for kernels of 3 × 3 taps, not {kernel}"
        if {*problem.stride, *problem.dilation} != {1}:
            return "outputs of a tile share their products only with stride 1 and dilation 1"
        return None

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Bytes of the transformed kernel, and of each thread's strip of transforms in and out.

        For the gradient of the kernel: transforms of input and output gradient, and their sums.
        """
        if problem.operation == "grad_weight":
            elements = winograd_weights_blocking.workspace(problem, self.step, threads)
            return elements * problem.itemsize
        return workspace(problem, self.step, threads) * problem.itemsize

    def work(self, problem: Problem) -> float:
        """Return the number of products of transforms."""
        rows, columns = tiles(problem, self.step)
        points = (self.step + TAPS - 1) ** 2
        channels = problem.in_channels // problem.groups * problem.out_channels
        return problem.batch * rows * columns * channels * points

    def prepare(
        self, problem: Problem, w: np.ndarray, threads: int
    ) -> tuple[TilesBlocking, np.ndarray]:
        blocks = blocking(problem, self.step, threads)
        s = blocks.shape
        count = s.groups * s.blocks
        packed = simd.aligned(count * s.inputs * TAPS * TAPS * blocks.stretch, w.dtype)
        correlating = as_correlation(problem, w)
        rows = correlating.reshape(problem.out_channels, -1)
        direct_channels.pack_weights(rows, s.groups, blocks.stretch, packed, threads)
        weights = simd.aligned(count * s.points * s.inputs * blocks.stretch, w.dtype)
        winograd_kernels.transform_weights(
            packed.reshape(count, -1), s.inputs, blocks.stretch, self.step,
            weights.reshape(count, -1),
        )  # fmt: skip
        return blocks, weights

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        blocks, weights = prepared
        buffers = (
            simd.aligned(threads * n, x.dtype).reshape(threads, n)
            for n in (blocks.transforms, blocks.sums, blocks.outputs, blocks.starts)
        )
        winograd_kernels.forward(
            x.reshape(-1), weights, bias, blocks.offsets, blocks.places, out.reshape(-1),
            blocks.numbers, blocks.items, *buffers,
        )  # fmt: skip

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        winograd_weights.grad_weight(problem, self.step, x, g, out, threads)

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return the bound through |Aᵀ|, |G| and |Bᵀ|, the same for every element of the result."""
        if problem.operation == "grad_weight":
            return winograd_error.weights_bound(problem, self.step, x, w)
        return winograd_error.bound(problem, self.step, x, w, float(np.max(magnitude)))


class Winograd2(Winograd):
    """Winograd's F(2 × 2, 3 × 3): 2.25 times fewer products, nearly as accurate as direct."""

    name = "winograd2"
    step = 2


class Winograd4(Winograd):
    """Winograd's F(4 × 4, 3 × 3): four times fewer products, at some cost in accuracy."""

    name = "winograd4"
    step = 4
