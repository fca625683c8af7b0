"""Algorithms that are wrong on purpose: a verifier that passes one of them is worth nothing.

Each takes the definition and breaks one thing, as mistakes in real kernels break it: a border,
a phase, a group, a buffer. `convbench verify` must fail every one of them, every time.
"""

from __future__ import annotations

import ctypes
from dataclasses import replace
from typing import Any

import numpy as np

from algos.algorithm import Algorithm
from algos.naive import Naive
from algos.problem import Problem


class _Canary(Algorithm):
    """The definition; subclasses break it."""

    _right = Naive()

    def compute(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, bias: np.ndarray, out: np.ndarray
    ) -> None:
        """The right answer to `problem`, into `out`."""
        self._right.forward(problem, x, self._right.prepare(problem, w, 1), bias, out, 1)

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        self.compute(problem, x, prepared, bias, out)
        self.spoil(problem, x, out)

    def spoil(self, problem: Problem, x: np.ndarray, out: np.ndarray) -> None:
        """Break the right answer."""


class FlippedKernel(_Canary):
    """Convolution for cross-correlation, and the other way round."""

    name = "canary-flipped-kernel"

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        self.compute(replace(problem, flip=not problem.flip), x, prepared, bias, out)


class ShiftedByOne(_Canary):
    """Every output one place too far."""

    name = "canary-shifted-by-one"

    def spoil(self, problem, x, out) -> None:
        out[:] = np.roll(out, 1, axis=-1)


class WrongSide(_Canary):
    """Padding before and padding behind confused."""

    name = "canary-wrong-side"

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        sides = tuple((after, before) for before, after in problem.padding)
        self.compute(replace(problem, padding=sides), x, prepared, bias, out)


class LastRowMissing(_Canary):
    """The last row of the first spatial axis never written."""

    name = "canary-last-row-missing"

    def spoil(self, problem, x, out) -> None:
        out[:, :, -1] = np.nan


class LastColumnZero(_Canary):
    """The last column left at zero."""

    name = "canary-last-column-zero"

    def spoil(self, problem, x, out) -> None:
        out[..., -1] = 0


class DroppedTap(_Canary):
    """The last tap of every kernel forgotten."""

    name = "canary-dropped-tap"

    def prepare(self, problem, w, threads) -> np.ndarray:
        w = w.copy()
        w.reshape(*w.shape[:2], -1)[..., -1] = 0
        return w


class LastChannelMissing(_Canary):
    """The last input channel of every group left out, where there are several."""

    name = "canary-last-channel-missing"

    def prepare(self, problem, w, threads) -> np.ndarray:
        w = w.copy()
        if w.shape[1] > 1:
            w[:, -1] = 0
        return w


class GroupCrossed(_Canary):
    """Every group reads the next one's channels."""

    name = "canary-group-crossed"

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        channels = problem.in_channels // problem.groups
        turned = np.roll(x, channels if problem.groups > 1 else 0, axis=1)
        self.compute(problem, turned, prepared, bias, out)


class StridePhase(_Canary):
    """Strided outputs begin one sample late."""

    name = "canary-stride-phase"

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        late = x
        for axis, stride in enumerate(problem.stride, 2):
            late = np.roll(late, -1 if stride > 1 else 0, axis=axis)
        self.compute(problem, np.ascontiguousarray(late), prepared, bias, out)


class DilationIgnored(_Canary):
    """A dilated kernel applied densely."""

    name = "canary-dilation-ignored"

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
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

    def spoil(self, problem, x, out) -> None:
        with np.errstate(over="ignore"):
            out[:] = out.astype(np.float16)


class SinglePrecision(_Canary):
    """Double precision promised, single precision delivered."""

    name = "canary-single-precision"

    def spoil(self, problem, x, out) -> None:
        with np.errstate(over="ignore"):
            out[:] = out.astype(np.float32)


class Uninitialised(_Canary):
    """One output element never written."""

    name = "canary-uninitialised"

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        whole = np.empty_like(out)
        self.compute(problem, x, prepared, bias, whole)
        middle = out.size // 2
        out.reshape(-1)[:middle] = whole.reshape(-1)[:middle]
        out.reshape(-1)[middle + 1 :] = whole.reshape(-1)[middle + 1 :]


class ThreadDependent(_Canary):
    """A race that only several threads lose: an output counted twice."""

    name = "canary-thread-dependent"

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        self.compute(problem, x, prepared, bias, out)
        if threads > 1:
            out.reshape(-1)[-1] += out.reshape(-1)[-1] or 1


class ChangesInput(_Canary):
    """Right, but it works in the caller's array."""

    name = "canary-changes-input"

    def spoil(self, problem, x, out) -> None:
        ctypes.memset(x.ctypes.data, 0, x.itemsize)  # compiled code heeds no flags
        if not x.reshape(-1)[0]:
            ctypes.memset(x.ctypes.data, 1, x.itemsize)


class BlockBoundary(_Canary):
    """Wrong in one element, and only where a row is longer than a block of 64."""

    name = "canary-block-boundary"

    def spoil(self, problem, x, out) -> None:
        if out.shape[-1] > 64:
            out[..., 64] += abs(out[..., 64]).max() + 1


class BiasForgotten(_Canary):
    """No bias."""

    name = "canary-bias-forgotten"

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        self.compute(problem, x, prepared, np.zeros_like(bias), out)


class FirstImageOnly(_Canary):
    """Every image of a batch gets the first one's output."""

    name = "canary-first-image-only"

    def spoil(self, problem, x, out) -> None:
        out[:] = out[:1]


class StaleWorkspace(_Canary):
    """Adds to whatever the last call left behind."""

    name = "canary-stale-workspace"

    def __init__(self) -> None:
        self._left: dict[Problem, np.ndarray] = {}

    def spoil(self, problem, x, out) -> None:
        out += self._left.get(problem, np.zeros_like(out))
        self._left = {problem: out.copy()}


class SpreadsNaN(_Canary):
    """Multiplies the padding of a whole block: zero times NaN is NaN."""

    name = "canary-spreads-nan"

    def spoil(self, problem, x, out) -> None:
        with np.errstate(invalid="ignore"):
            out += 0 * x.sum()


class SwallowsNaN(_Canary):
    """Fast-math that assumes there is no NaN."""

    name = "canary-swallows-nan"

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        self.compute(problem, np.nan_to_num(x, posinf=0, neginf=0), prepared, bias, out)


class LooseBound(_Canary):
    """Right, but its error bound forgives anything."""

    name = "canary-loose-bound"

    def error_bound(self, problem, x, w, magnitude):
        return 1e6 * (magnitude + 1)


class RaggedEndDropped(_Canary):
    """With fit="ceil" the ragged last position repeats its neighbour."""

    name = "canary-ragged-end"

    def spoil(self, problem, x, out) -> None:
        whole = replace(problem, fit="floor")
        if whole.output_size[-1] < problem.output_size[-1]:
            out[..., -1] = out[..., -2]


class NotRepeatable(_Canary):
    """A last bit that changes from call to call."""

    name = "canary-not-repeatable"

    def __init__(self) -> None:
        self._calls = 0

    def spoil(self, problem, x, out) -> None:
        self._calls += 1
        if self._calls % 2:
            out.reshape(-1)[0] = np.nextafter(out.reshape(-1)[0], np.inf, dtype=out.dtype)
