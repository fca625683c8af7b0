"""Winograd's minimal filtering, F(2 × 2), F(4 × 4) and F(6 × 6): fewer multiplications.

With a kernel of 3 × 3, a tile of m × m outputs takes (m + 2)² products instead of 9m². That is 2.25
times fewer for m = 2, four times fewer for m = 4 and 5.06 times for m = 6. With a kernel of 5 × 5,
F(4 × 4) takes 64 products instead of 400. The cost of the transforms becomes negligible as channels
grow. For each point, the products of all channels are one matrix product (`winograd.kernels`).
`winograd.points` has the matrices and their sources.

The price is accuracy: transforms amplify rounding, more so for larger m. The error is relative to
the largest numbers that share a tile, not to each output.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from algos.core.algorithm import Algorithm, as_correlation
from algos.core.problem import Problem
from algos.parallel.channels_packing import pack_weights
from algos.simd import registers as simd

from . import error as winograd_error
from . import kernels as winograd_kernels
from . import weights as winograd_weights
from . import weights_blocking as winograd_weights_blocking
from .blocking import TilesBlocking, blocking, tiles, transformed, workspace
from .points import TAPS
from .rearranged import Rearranged, dense

#: Terms of a sum from which the typical error is the `growth` of the class: 3 × 3 taps of four
#: channels.
FEWEST_TERMS = 36
#: Typical error of F(4 × 4, 5 × 5), as a multiple of a direct sum's. It is 6.5 for 12 channels, and
#: 4.1 for 96.
GROWTH_OF_FIVE = 7.0


class Winograd(Algorithm):
    """Winograd's F(m × m, r × r), with m = `step` and r among `sizes` of the subclass."""

    step: int
    #: Taps r along both axes.
    sizes: tuple[int, ...] = (TAPS,)
    #: Typical error as a multiple of a direct sum's.
    growth: float
    operations = ("forward", "grad_weight")
    confines_nonfinite = False
    exact_on_integers = False

    def typical_error(self, problem: Problem) -> float:
        """Return `growth`, and more where a direct sum has few terms and errs little."""
        return self.growth * (1.0 if problem.terms >= FEWEST_TERMS else 1.5)

    def stand_in(self, problem: Problem) -> Algorithm | None:
        """Return `Rearranged` for a strided or dilated layer that a dense one can compute."""
        return Rearranged(self, self.sizes) if dense(problem, self.sizes) else None

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        """Accept stride 1 and dilation 1; `Rearranged` makes such layers of others."""
        taps = problem.kernel[0]
        if problem.kernel != (taps, taps) or taps not in self.sizes:
            kernel = " × ".join(map(str, problem.kernel))
            known = " or ".join(f"{size} × {size}" for size in self.sizes)
            return f"it is written for kernels of {known} taps, not {kernel}"
        if problem.operation != "forward" and taps != TAPS:
            return f"gradients are written for kernels of {TAPS} × {TAPS} taps"
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

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of the transformed kernel."""
        if problem.operation == "grad_weight":
            return 0
        return transformed(problem, self.step, threads) * problem.itemsize

    def work(self, problem: Problem) -> float:
        """Return the number of products of transforms."""
        rows, columns = tiles(problem, self.step)
        points = (self.step + problem.kernel[0] - 1) ** 2
        channels = problem.in_channels // problem.groups * problem.out_channels
        return problem.batch * rows * columns * channels * points

    def prepare(
        self, problem: Problem, w: np.ndarray, threads: int
    ) -> tuple[TilesBlocking, np.ndarray]:
        blocks = blocking(problem, self.step, threads)
        s = blocks.shape
        count = s.groups * s.blocks
        packed = simd.aligned(count * s.inputs * s.taps * s.taps * blocks.stretch, w.dtype)
        w = as_correlation(problem, w).reshape(problem.out_channels, -1)
        pack_weights(w, s.groups, blocks.stretch, packed, threads)
        del w  # a flipped copy need not stay beside the transformed kernel
        weights = simd.aligned(count * s.points * s.inputs * blocks.stretch, packed.dtype)
        winograd_kernels.transform_weights(
            packed.reshape(count, -1), s.inputs, blocks.stretch, self.step, s.taps,
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
    step, growth = 2, 2.0


class Winograd4(Winograd):
    """Winograd's F(4 × 4, 3 × 3 or 5 × 5): 4 or 6.25 times fewer products, less accurate."""

    name = "winograd4"
    step, growth = 4, 4.0
    sizes = (3, 5)

    def typical_error(self, problem: Problem) -> float:
        """Return the multiple for 3 × 3 taps, or the larger one for 5 × 5."""
        inner = dense(problem, self.sizes) or problem
        return GROWTH_OF_FIVE if max(inner.kernel) > TAPS else super().typical_error(problem)


class Winograd6(Winograd):
    """Winograd's F(6 × 6, 3 × 3): 5.06 times fewer products, 8 to 16 times a direct sum's error."""

    name = "winograd6"
    step, growth = 6, 19.0
