"""Winograd's minimal filtering, F(2), F(4) and F(6): fewer multiplications.

With a kernel of 3 × 3, a tile of m × m outputs takes (m + 2)² products instead of 9m². That is 2.25
times fewer for m = 2, four times fewer for m = 4 and 5.06 times for m = 6. With a kernel of 5 × 5,
F(4 × 4) takes 64 products instead of 400. The cost of the transforms becomes negligible as channels
grow. For each point, the products of all channels are one matrix product (`winograd.kernels`).

Signals and kernels that are one tap wide are filtered along one axis: F(4, 3) takes 6 products
instead of 12. The slices of a volume's kernel are filtered like images, and their products summed
(`winograd.form`). `winograd.points` has the matrices and their sources.

The price is accuracy: transforms amplify rounding, more so for larger m. The error is relative to
the largest numbers that share a tile, not to each output.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from .blocking import TilesBlocking, blocking, transformed, workspace
from .form import NONE, Form, form, volume
from .points import TAPS
from .rearranged import Rearranged, dense

#: Terms of a sum from which a typical error is that of `sizes` and `lines`: 3 × 3 taps of four
#: channels. With fewer, a direct sum errs less, and the multiple is up to `FEW` times as large.
FEWEST_TERMS, FEW = 36, 2.0


class Winograd(Algorithm):
    """Winograd's F(m, r) along two axes or one, with m = `step` and r of the subclass."""

    step: int
    #: Taps r along both axes of a tile, or along the only axis of one; each with its typical error
    #: as a multiple of a direct sum's. docs/kernels.md has the measurements.
    sizes: Mapping[int, float]
    lines: Mapping[int, float]
    operations = ("forward", "grad_weight")
    confines_nonfinite = False
    exact_on_integers = False

    def typical_error(self, problem: Problem) -> float:
        """Return the multiple of the form, and more where a direct sum has few terms."""
        found = self.form(dense(problem, tuple(self.sizes)) or problem)
        if found is None:
            usual = self.sizes[TAPS]
        elif NONE in found:
            usual = self.lines[found.taps]
        else:
            usual = self.sizes[found.across[1]]
        return usual * (1.0 if problem.terms >= FEWEST_TERMS else FEW)

    def stand_in(self, problem: Problem) -> Algorithm | None:
        """Return `Rearranged` for a strided or dilated layer that a dense one can compute."""
        sizes = tuple(self.sizes)
        return Rearranged(self, sizes) if dense(problem, sizes) else None

    def form(self, problem: Problem) -> Form | None:
        """Return the form that the kernel of `problem` gets, or None if it fits none."""
        return form(problem, self.step, tuple(self.sizes), tuple(self.lines))

    def _form(self, problem: Problem) -> Form:
        found = self.form(problem)
        assert found, f"{problem} is not for {self.name}"
        return found

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        """Accept stride 1 and dilation 1 where tiles overlap; `Rearranged` makes others so."""
        if self.form(problem) is None:
            if {*problem.stride, *problem.dilation} != {1}:
                return "outputs of a tile share their products only with stride 1 and dilation 1"
            kernel = " × ".join(map(str, problem.kernel))
            squares = " or ".join(f"{size} × {size}" for size in self.sizes)
            lines = " or ".join(map(str, self.lines))
            kernels = f"{squares} taps and for lines of {lines} taps"
            return f"it is written for kernels of {kernels}, not {kernel}"
        return None

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Bytes of the transformed kernel, and of each thread's strip of transforms in and out.

        For the gradient of the kernel: transforms of input and output gradient, and their sums.
        """
        if problem.operation == "grad_weight":
            elements = winograd_weights_blocking.workspace(problem, self._form(problem), threads)
            return elements * problem.itemsize
        return workspace(problem, self._form(problem), threads) * problem.itemsize

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of the transformed kernel."""
        if problem.operation == "grad_weight":
            return 0
        return transformed(problem, self._form(problem), threads) * problem.itemsize

    def work(self, problem: Problem) -> float:
        """Return the number of products of transforms."""
        found = self._form(problem)
        rows, columns = found.tiles(problem)
        tiles = problem.batch * volume(problem.output_size)[0] * rows * columns
        inputs = problem.in_channels // problem.groups * found.sums(problem)
        return tiles * found.points * inputs * problem.out_channels

    def prepare(
        self, problem: Problem, w: np.ndarray, threads: int
    ) -> tuple[TilesBlocking, np.ndarray]:
        blocks = blocking(problem, self._form(problem), threads)
        s, filtered = blocks.shape, blocks.form
        count = s.groups * s.blocks
        packed = simd.aligned(count * s.inputs * filtered.taps * blocks.stretch, w.dtype)
        w = as_correlation(problem, w).reshape(problem.out_channels, -1)
        pack_weights(w, s.groups, blocks.stretch, packed, threads)
        del w  # a flipped copy need not stay beside the transformed kernel
        weights = simd.aligned(count * s.points * s.inputs * blocks.stretch, packed.dtype)
        winograd_kernels.transform_weights(
            packed.reshape(count, -1), s.inputs, blocks.stretch, *blocks.constants,
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
            blocks.numbers, *blocks.constants, blocks.items, *buffers,
        )  # fmt: skip

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        winograd_weights.grad_weight(problem, self._form(problem), x, g, out, threads)

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return the bound through |Aᵀ|, |G| and |Bᵀ|, the same for every element of the result."""
        if problem.operation == "grad_weight":
            return winograd_error.weights_bound(problem, self._form(problem), x, w)
        return winograd_error.bound(problem, self._form(problem), x, w, float(np.max(magnitude)))


class Winograd2(Winograd):
    """Winograd's F(2): with 3 × 3 taps 2.25 times fewer products, nearly as accurate as direct."""

    name = "winograd2"
    step = 2
    sizes: Mapping[int, float] = {2: 2.0, 3: 2.0}
    lines: Mapping[int, float] = {3: 2.0, 5: 2.0, 7: 4.0, 9: 14.0}


class Winograd4(Winograd):
    """Winograd's F(4): with 3 × 3 or 5 × 5 taps 4 or 6.25 times fewer products, less accurate."""

    name = "winograd4"
    step = 4
    sizes: Mapping[int, float] = {2: 4.0, 3: 4.0, 5: 7.0}
    lines: Mapping[int, float] = {3: 4.0, 5: 4.0, 7: 9.0, 9: 22.0}


class Winograd6(Winograd):
    """Winograd's F(6): with 3 × 3 taps 5.06 times fewer products, 8 to 16 times the error."""

    name = "winograd6"
    step = 6
    sizes: Mapping[int, float] = {2: 19.0, 3: 19.0}
    lines: Mapping[int, float] = {3: 6.0, 5: 11.0}
