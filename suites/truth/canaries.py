"""Canaries: algorithms that are wrong on purpose, to test the verifier.

Each computes the definition and breaks one thing, as mistakes in real kernels do: a border, a
phase, a group, a buffer. `convbench verify` must fail every canary, every time.
"""

from __future__ import annotations

import ctypes
from dataclasses import replace
from typing import Any

import numpy as np

from algos.adapters import performer
from algos.backend.compiler import kernel
from algos.core.algorithm import Algorithm
from algos.core.boundary import BOUNDARIES
from algos.core.memory_order import in_memory
from algos.core.problem import Problem
from algos.naive import Naive


class _Canary(Algorithm):
    """The definition; subclasses break it."""

    _right = Naive()

    def compute(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, bias: np.ndarray, out: np.ndarray
    ) -> None:
        """The right answer to `problem`, into `out`."""
        self._right.forward(problem, x, self._right.prepare(problem, w, 1), bias, out, 1)

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        self.compute(problem, x, prepared, bias, out)
        self.spoil(problem, x, out)

    def spoil(self, problem: Problem, x: np.ndarray, out: np.ndarray) -> None:
        """Break the right answer."""


class FlippedKernel(_Canary):
    """Convolution for cross-correlation, and the other way round."""

    name = "canary-flipped-kernel"

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        self.compute(replace(problem, flip=not problem.flip), x, prepared, bias, out)


class ShiftedByOne(_Canary):
    """Every output one place too far."""

    name = "canary-shifted-by-one"

    def spoil(self, problem: Problem, x: np.ndarray, out: np.ndarray) -> None:
        out[:] = np.roll(out, 1, axis=-1)


class WrongSide(_Canary):
    """Padding before and padding behind confused."""

    name = "canary-wrong-side"

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        sides = tuple((after, before) for before, after in problem.padding)
        self.compute(replace(problem, padding=sides), x, prepared, bias, out)


class LastRowMissing(_Canary):
    """The last row of the first spatial axis never written."""

    name = "canary-last-row-missing"

    def spoil(self, problem: Problem, x: np.ndarray, out: np.ndarray) -> None:
        out[:, :, -1] = np.nan


class LastColumnZero(_Canary):
    """The last column left at zero."""

    name = "canary-last-column-zero"

    def spoil(self, problem: Problem, x: np.ndarray, out: np.ndarray) -> None:
        out[..., -1] = 0


class DroppedTap(_Canary):
    """The last tap of every kernel forgotten."""

    name = "canary-dropped-tap"

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        w = w.copy()
        w.reshape(*w.shape[:2], -1)[..., -1] = 0
        return w


class LastChannelMissing(_Canary):
    """The last input channel of every group left out, where there are several."""

    name = "canary-last-channel-missing"

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        w = w.copy()
        if w.shape[1] > 1:
            w[:, -1] = 0
        return w


class GroupCrossed(_Canary):
    """Every group reads the next one's channels."""

    name = "canary-group-crossed"

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        channels = problem.in_channels // problem.groups
        turned = np.roll(x, channels if problem.groups > 1 else 0, axis=1)
        self.compute(problem, turned, prepared, bias, out)


class StridePhase(_Canary):
    """Strided outputs begin one sample late."""

    name = "canary-stride-phase"

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        late = x
        for axis, stride in enumerate(problem.stride, 2):
            late = np.roll(late, -1 if stride > 1 else 0, axis=axis)
        self.compute(problem, np.ascontiguousarray(late), prepared, bias, out)


class DilationIgnored(_Canary):
    """A dilated kernel applied densely."""

    name = "canary-dilation-ignored"

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        sides = tuple(
            (before, max(0, reach - before - size))
            for (before, _), reach, size in zip(
                problem.padding, problem.reach, problem.size, strict=True
            )
        )
        dense = replace(problem, dilation=1, padding=sides, fit="floor")
        whole = np.empty(dense.output_shape, out.dtype)
        self.compute(dense, x, prepared, bias, whole)
        index: tuple[Any, ...] = (..., *(slice(n) for n in problem.output_size))
        out[:] = whole[index]


class HalfPrecision(_Canary):
    """Sums rounded to half precision."""

    name = "canary-half-precision"

    def spoil(self, problem: Problem, x: np.ndarray, out: np.ndarray) -> None:
        with np.errstate(over="ignore"):
            out[:] = out.astype(np.float16)


class SinglePrecision(_Canary):
    """Double precision promised, single precision delivered."""

    name = "canary-single-precision"

    def spoil(self, problem: Problem, x: np.ndarray, out: np.ndarray) -> None:
        with np.errstate(over="ignore"):
            out[:] = out.astype(np.float32)


class Uninitialised(_Canary):
    """One output element never written."""

    name = "canary-uninitialised"

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        whole = np.empty_like(out)
        self.compute(problem, x, prepared, bias, whole)
        middle = out.size // 2
        out.reshape(-1)[:middle] = whole.reshape(-1)[:middle]
        out.reshape(-1)[middle + 1 :] = whole.reshape(-1)[middle + 1 :]


class ThreadDependent(_Canary):
    """A race that only several threads lose: an output counted twice."""

    name = "canary-thread-dependent"

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        self.compute(problem, x, prepared, bias, out)
        if threads > 1:
            out.reshape(-1)[-1] += out.reshape(-1)[-1] or 1


class ChangesInput(_Canary):
    """Right, but it works in the caller's array."""

    name = "canary-changes-input"

    def spoil(self, problem: Problem, x: np.ndarray, out: np.ndarray) -> None:
        ctypes.memset(x.ctypes.data, 0, x.itemsize)  # compiled code heeds no flags
        if not x.reshape(-1)[0]:
            ctypes.memset(x.ctypes.data, 1, x.itemsize)


class BlockBoundary(_Canary):
    """Wrong in one element, and only where a row is longer than a block of 64."""

    name = "canary-block-boundary"

    def spoil(self, problem: Problem, x: np.ndarray, out: np.ndarray) -> None:
        if out.shape[-1] > 64:
            out[..., 64] += abs(out[..., 64]).max() + 1


class BiasForgotten(_Canary):
    """No bias."""

    name = "canary-bias-forgotten"

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        self.compute(problem, x, prepared, np.zeros_like(bias), out)


class FirstImageOnly(_Canary):
    """Every image of a batch gets the first one's output."""

    name = "canary-first-image-only"

    def spoil(self, problem: Problem, x: np.ndarray, out: np.ndarray) -> None:
        out[:] = out[:1]


class StaleWorkspace(_Canary):
    """Adds to the values that the last call left behind."""

    name = "canary-stale-workspace"

    def __init__(self) -> None:
        self._left: dict[Problem, np.ndarray] = {}

    def spoil(self, problem: Problem, x: np.ndarray, out: np.ndarray) -> None:
        out += self._left.get(problem, np.zeros_like(out))
        self._left = {problem: out.copy()}


class SpreadsNaN(_Canary):
    """Multiplies the padding of a whole block: zero times NaN is NaN."""

    name = "canary-spreads-nan"

    def spoil(self, problem: Problem, x: np.ndarray, out: np.ndarray) -> None:
        with np.errstate(invalid="ignore"):
            out += 0 * x.sum()


class SwallowsNaN(_Canary):
    """Fast-math that assumes that NaN never occurs."""

    name = "canary-swallows-nan"

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        self.compute(problem, np.nan_to_num(x, posinf=0, neginf=0), prepared, bias, out)


class LooseBound(_Canary):
    """Right, but its error bound forgives anything."""

    name = "canary-loose-bound"

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        return 1e6 * (magnitude + 1)


class RaggedEndDropped(_Canary):
    """With fit="ceil" the ragged last position repeats its neighbour."""

    name = "canary-ragged-end"

    def spoil(self, problem: Problem, x: np.ndarray, out: np.ndarray) -> None:
        whole = replace(problem, fit="floor")
        if whole.output_size[-1] < problem.output_size[-1]:
            out[..., -1] = out[..., -2]


class NotRepeatable(_Canary):
    """A last bit that changes from call to call."""

    name = "canary-not-repeatable"

    def __init__(self) -> None:
        self._calls = 0

    def spoil(self, problem: Problem, x: np.ndarray, out: np.ndarray) -> None:
        self._calls += 1
        if self._calls % 2:
            out.reshape(-1)[0] = np.nextafter(out.reshape(-1)[0], np.inf, dtype=out.dtype)


class TileOffByOne(_Canary):
    """Every position of a tiled layer uses the kernel of its neighbour."""

    name = "canary-tile-off-by-one"
    any_layer = True

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        return _next_kernel(problem, w)


class ConnectionsIgnored(_Canary):
    """All channels summed, connected or not."""

    name = "canary-connections-ignored"
    any_layer = True

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        self.compute(replace(problem, connections=None), x, prepared, bias, out)


class ConnectionsReversed(_Canary):
    """The table of connections read from its last column on."""

    name = "canary-connections-reversed"
    any_layer = True

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        turned = problem.table[:, ::-1] if problem.connections else None
        self.compute(replace(problem, connections=turned), x, prepared, bias, out)


def _next_kernel(problem: Problem, w: np.ndarray) -> np.ndarray:
    """The kernels of a tile, each in the place of the one before; others as they are."""
    if not problem.is_tiled:
        return w
    axes = tuple(range(problem.axes))
    return np.ascontiguousarray(np.roll(w, [-1] * problem.axes, axes))


class _GradientCanary(_Canary):
    """Right going forward; subclasses break a gradient."""

    operations = ("forward", "grad_input", "grad_weight")

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        self._right.grad_input(problem, g, self._right.prepare(problem, prepared, 1), out, 1)

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        self._right.grad_weight(problem, x, g, out, 1)


class PhasesSwapped(_GradientCanary):
    """The gradient of a strided layer's input woven together in the wrong order."""

    name = "canary-phases-swapped"

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        super().grad_input(problem, g, prepared, out, threads)
        stride = problem.stride[-1]
        if stride > 1:
            second = out[..., 1::stride]
            first = out[..., ::stride][..., : second.shape[-1]]
            first[...], second[...] = second.copy(), first.copy()


class UnreachedLeft(_GradientCanary):
    """Inputs that no output reads keep what the gradient's memory held before."""

    name = "canary-unreached-left"

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        before, read = out.copy(), np.empty_like(out)
        super().grad_input(problem, np.ones_like(g), np.ones_like(prepared), read, threads)
        super().grad_input(problem, g, prepared, out, threads)
        np.copyto(out, before, where=read == 0)


class Overwrites(_GradientCanary):
    """Windows overlap: the last tap's share is put where it should be added."""

    name = "canary-overwrites"

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        last, reached = np.zeros_like(prepared), np.empty_like(out)
        taps = (*[slice(None)] * 2, *[-1] * problem.axes)
        last[taps] = 1
        super().grad_input(problem, np.ones_like(g), last, reached, threads)
        last[taps] = prepared[taps]
        share = np.empty_like(out)
        super().grad_input(problem, g, last, share, threads)
        super().grad_input(problem, g, prepared, out, threads)
        np.copyto(out, share, where=reached != 0)


class GradientGroupCrossed(_GradientCanary):
    """The kernel's gradient pairs a group's input with the next one's output."""

    name = "canary-gradient-group-crossed"

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        outputs = problem.out_channels // problem.groups
        turned = np.roll(g, outputs if problem.groups > 1 else 0, axis=1)
        super().grad_weight(problem, x, turned, out, threads)


class LastImageForgotten(_GradientCanary):
    """The kernel's gradient summed over all images of a batch but the last."""

    name = "canary-last-image-forgotten"

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        part = g.copy()
        part[max(1, len(g) - 1) :] = 0
        super().grad_weight(problem, x, part, out, threads)


class GradientDense(_GradientCanary):
    """Stride for dilation: the kernel's gradient takes its taps side by side."""

    name = "canary-gradient-dense"

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        sides = tuple(
            (before, max(0, reach - before - size))
            for (before, _), reach, size in zip(
                problem.padding, problem.reach, problem.size, strict=True
            )
        )
        dense = replace(problem, dilation=1, padding=sides, fit="floor")
        wider = np.zeros(dense.output_shape, g.dtype)
        index: tuple[Any, ...] = (..., *(slice(n) for n in problem.output_size))
        wider[index] = g
        super().grad_weight(dense, x, wider, out, threads)


class AddsToGarbage(_GradientCanary):
    """Accumulates the kernel's gradient without clearing it first."""

    name = "canary-adds-to-garbage"

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        held = out.copy()
        super().grad_weight(problem, x, g, out, threads)
        out += held


class GradientNotFlipped(_GradientCanary):
    """The kernel's gradient of a convolution left as that of a cross-correlation."""

    name = "canary-gradient-not-flipped"

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        super().grad_weight(replace(problem, flip=False), x, g, out, threads)


class GradientChannelsSwapped(_GradientCanary):
    """The input's gradient by the kernel as it stands, channels not exchanged."""

    name = "canary-gradient-channels-swapped"

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        w = prepared
        if problem.groups == 1 and w.shape[0] == w.shape[1]:
            w = np.ascontiguousarray(w.swapaxes(0, 1))
        super().grad_input(problem, g, w, out, threads)


class GradientTileOffByOne(_GradientCanary):
    """Each kernel of a tile gets its neighbour's gradient."""

    name = "canary-gradient-tile-off-by-one"
    any_layer = True

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        super().grad_weight(problem, x, g, out, threads)
        out[...] = _next_kernel(problem, out)


class AbsentGradient(_GradientCanary):
    """Connections that a layer has not are given a gradient."""

    name = "canary-absent-gradient"
    any_layer = True

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        super().grad_weight(replace(problem, connections=None), x, g, out, threads)


class LayoutForgotten(_Canary):
    """Channels-last input read as if its channels came first."""

    name = "canary-layout-forgotten"

    def reads_layout(self, problem: Problem) -> bool:
        return True

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        result = np.empty(out.shape, out.dtype)
        x = in_memory(x, problem.layout).reshape(x.shape)
        self.compute(problem, x, prepared, bias, result)
        out[...] = result


class UnwrittenTemporary(_Canary):
    """Reads one element of an array of its own before it writes there."""

    name = "canary-unwritten-temporary"

    def spoil(self, problem: Problem, x: np.ndarray, out: np.ndarray) -> None:
        sums = np.empty(out.size + 1, out.dtype)
        sums[:-1] = out.reshape(-1)
        with np.errstate(all="ignore"):
            out[...] = sums[:-1].reshape(out.shape)
            out.reshape(-1)[0] += 0 * sums[-1]


class UnwrittenScratch(_Canary):
    """The same in a kernel: the last element of its scratch is read, but never written."""

    name = "canary-unwritten-scratch"

    def spoil(self, problem: Problem, x: np.ndarray, out: np.ndarray) -> None:
        _add_scratch(out.reshape(-1))


@kernel(allocates=True, cache=False)
def _add_scratch(flat: np.ndarray) -> None:
    scratch = np.empty(16, flat.dtype)
    scratch[:15] = 0
    for value in scratch:
        flat[0] += 0 * value


class _BorderCanary(_Canary):
    """The definition on the input extended by the boundary; subclasses take another boundary."""

    operations = ("forward", "grad_input", "grad_weight")
    boundaries = BOUNDARIES

    def read(self, problem: Problem) -> Problem:
        """Return the problem that is computed instead."""
        return problem

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Any:
        problem = self.read(problem)
        return performer(self._right, problem).prepare(problem, w, threads)

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        problem = self.read(problem)
        performer(self._right, problem).forward(problem, x, prepared, bias, out, threads)

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        problem = self.read(problem)
        performer(self._right, problem).grad_input(problem, g, prepared, out, threads)

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        problem = self.read(problem)
        performer(self._right, problem).grad_weight(problem, x, g, out, threads)


class EdgeRepeated(_BorderCanary):
    """The sample at the border repeated where "mirror" does not repeat it."""

    name = "canary-edge-repeated"

    def read(self, problem: Problem) -> Problem:
        wrong = "reflect" if problem.boundary == "mirror" else problem.boundary
        return replace(problem, boundary=wrong)


class BorderForgotten(_BorderCanary):
    """Zeros beyond the border, for every boundary."""

    name = "canary-border-forgotten"

    def read(self, problem: Problem) -> Problem:
        return replace(problem, boundary="zeros", cval=0.0)


class BorderNotFolded(_BorderCanary):
    """The input's gradient without the share of the positions beyond the border."""

    name = "canary-border-not-folded"

    def read(self, problem: Problem) -> Problem:
        backward = problem.operation == "grad_input"
        return replace(problem, boundary="zeros", cval=0.0) if backward else problem
