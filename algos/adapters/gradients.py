"""Gradients as forward convolutions of other problems, for algorithms without gradients.

Training a layer takes two more convolutions. Sources: Goodfellow, Bengio & Courville, *Deep
Learning*, 2016, eq. 9.11 and 9.13; drawn out in Dumoulin & Visin, *A guide to convolution
arithmetic for deep learning*, 2016, arXiv:1603.07285.

The gradient of the kernel correlates the input with the gradient of the output. Images are summed
as input channels were, and channels are kept apart as images were. Stride and dilation change
places.

The gradient of the input spreads the gradient of the output over the taps. Each of its elements
gathers the taps that meet a multiple of the stride. These are the same for all positions of one
phase of the stride. So every phase is a convolution with stride 1, and the zeros that a stride
would leave between samples are never stored.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from algos.core.algorithm import Algorithm, as_correlation
from algos.core.arrays import no_bias, read_only
from algos.core.errors import KernelRefusedError
from algos.core.problem import Problem

from .adapter import Adapter

Index = tuple[Any, ...]

#: Taps along an axis of the random kernel that an algorithm is asked about. A rank of 16 is
#: more than the kernels have that factoring is for.
PROBE = 16


@dataclass(frozen=True)
class Phase:
    """Positions of an input gradient, one stride apart, that the same taps contribute to.

    `positions`, `taps` and `source` select from the spatial axes of the result, of the correlation
    kernel and of the output gradient. `problem` is the convolution that computes them.
    """

    positions: tuple[slice, ...]
    taps: tuple[slice, ...]
    source: tuple[slice, ...]
    problem: Problem

    def kernel(self, w: np.ndarray) -> np.ndarray:
        """Return the kernel of `problem`, (C, O/groups, *taps), from `w` (O, C/groups, *kernel).

        `w` correlates, so its taps are flipped here.
        """
        index: Index = (..., *self.taps)
        part = w[index]
        groups, axes = self.problem.groups, part.shape[2:]
        part = part.reshape(groups, -1, w.shape[1], *axes).swapaxes(1, 2)
        part = part.reshape(self.problem.kernel_shape)
        return np.ascontiguousarray(np.flip(part, tuple(range(2, part.ndim))))


@lru_cache(maxsize=256)
def phases(problem: Problem) -> tuple[Phase, ...]:
    """Return the convolutions that make up the gradient of the input.

    Positions that belong to none are zero. With c = gcd(S, D), tap k meets position y if y + P −
    k·D is a multiple of the stride S. Such taps lie S/c apart, and reach samples of the output
    gradient that lie D/c apart.
    """
    per_axis = [list(_axis_phases(problem, axis)) for axis in range(problem.axes)]
    found = []
    for chosen in itertools.product(*per_axis):
        positions, taps, source, sizes, kernels, dilations, padding = zip(*chosen, strict=True)
        derived = Problem(
            size=sizes, kernel=kernels, dilation=dilations, padding=padding,
            batch=problem.batch, in_channels=problem.out_channels,
            out_channels=problem.in_channels, groups=problem.groups, dtype=problem.dtype,
        )  # fmt: skip
        found.append(Phase(positions, taps, source, derived))
    return tuple(found)


def _axis_phases(problem: Problem, axis: int) -> Any:
    """Yield, for each phase of one axis, the fields of `Phase` and of its problem along it."""
    size, taps = problem.size[axis], problem.kernel[axis]
    stride, dilation = problem.stride[axis], problem.dilation[axis]
    before, outputs = problem.padding[axis][0], problem.output_size[axis]
    common = math.gcd(stride, dilation)
    step, spread = stride // common, dilation // common
    for y in range(min(stride, size)):
        meeting = [k for k in range(min(step, taps)) if (y + before - k * dilation) % stride == 0]
        if not meeting:
            continue
        first = meeting[0]
        count = -(-(taps - first) // step)
        positions = -(-(size - y) // stride)
        # The i-th tap of position y + m·stride gathers from output o + m − i·spread. Here o is the
        # output that the first tap gathers from at m = 0.
        ahead = (count - 1) * spread - (y + before - first * dilation) // stride
        behind = positions + (count - 1) * spread - outputs - ahead
        low, high = max(0, -ahead), outputs - max(0, -behind)
        if low >= high:
            continue
        yield (
            slice(y, None, stride), slice(first, None, step), slice(low, high), high - low, count,
            spread, (max(0, ahead), max(0, behind)),
        )  # fmt: skip


@lru_cache(maxsize=256)
def exchanged(problem: Problem) -> Problem:
    """Return the convolution that makes up the gradient of the kernel, with operands of `exchange`.

    An input channel of a group becomes an image, images become channels of the group, and the
    output gradient becomes the kernel. The result is ``(C/groups, O, *kernel)``.
    """
    sizes, padding = zip(*map(_read, problem.size, problem.padding, problem.reach), strict=True)
    return Problem(
        size=[max(n, 1) for n in sizes], kernel=problem.output_size, stride=problem.dilation,
        dilation=problem.stride, padding=padding, batch=problem.in_channels // problem.groups,
        in_channels=problem.batch * problem.groups, out_channels=problem.out_channels,
        groups=problem.groups, dtype=problem.dtype,
    )  # fmt: skip


def _read(size: int, sides: tuple[int, int], reach: int) -> tuple[int, tuple[int, int]]:
    """Return the leading samples of an axis that outputs read, and the zeros around them.

    If outputs read only padding, one sample of zero stands for the input.
    """
    samples = max(min(size, reach - sides[0]), 0)
    before = sides[0] if samples else reach - 1
    return samples, (before, reach - before - max(samples, 1))


def exchange(problem: Problem, x: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return input and kernel of `exchanged`, from input `x` and output gradient `g`."""
    derived = exchanged(problem)
    read = [n for n, _ in map(_read, problem.size, problem.padding, problem.reach)]
    if min(read):
        leading: Index = (..., *map(slice, read))
        part = x[leading]
        part = part.reshape(problem.batch, problem.groups, -1, *read).swapaxes(0, 2)
        images = np.ascontiguousarray(part).reshape(derived.input_shape)
    else:
        images = np.zeros(derived.input_shape, x.dtype)
    return images, np.ascontiguousarray(g.swapaxes(0, 1))


@lru_cache(maxsize=256)
def takes_any_kernel(algorithm: Algorithm, kernel: tuple[int, ...], dtype: str) -> bool:
    """Return False if `algorithm` refuses random numbers of this shape for a kernel.

    Asked of an image and a kernel of one size, no larger than `PROBE` along any axis. An algorithm
    gets True if it refuses every kernel for the same reason, such as a library not installed.
    """
    taps = tuple(min(n, PROBE) for n in kernel)
    problem = Problem(size=taps, kernel=taps, dtype=dtype)
    w = np.random.default_rng(0).standard_normal(problem.kernel_shape).astype(dtype)
    try:
        return algorithm.why_not(problem, w) in (None, algorithm.why_not(problem))
    except Exception:  # a plug-in's: it is reported when the problem itself is asked about
        return True


class Derived(Adapter):
    """Gradients by an algorithm that can only convolve."""

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        """Return the reason why the algorithm cannot do one of the convolutions."""
        if problem.operation == "grad_weight":
            derived = exchanged(problem)
            if not takes_any_kernel(self.algorithm, derived.kernel, derived.dtype):
                return (
                    "the gradient of the kernel convolves with the gradient of the output, and "
                    f"{self.name} takes only kernels of a form which that has not"
                )
            return self._why_not(derived, None)
        w = None if w is None else as_correlation(problem, w).reshape(w.shape)
        for phase in phases(problem):
            reason = self._why_not(phase.problem, None if w is None else phase.kernel(w))
            if reason:
                return reason
        return None

    def _why_not(self, derived: Problem, w: np.ndarray | None) -> str | None:
        reason = self.algorithm.why_not(derived, w)
        return (
            f"{reason} (asked of the convolution it is made up of, {derived})" if reason else None
        )

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Bytes that the convolutions need, and of the copies of their operands and results."""
        if problem.operation == "grad_weight":
            derived = exchanged(problem)
            copies = [derived.output_shape]
            if problem.batch > 1 or problem.groups > 1 or derived.size != problem.size:
                copies.append(derived.input_shape)
            if problem.batch > 1 and problem.out_channels > 1:
                copies.append(derived.kernel_shape)
            copied = sum(map(math.prod, copies)) * problem.itemsize
            return copied + self.algorithm.workspace_bytes(derived, threads)
        held, most = 0, 0
        for phase in phases(problem):
            kernel = math.prod(phase.problem.kernel_shape) * problem.itemsize
            prepared = self.algorithm.prepared_bytes(phase.problem, threads)
            working = self.algorithm.workspace_bytes(phase.problem, threads) - prepared
            held += prepared or kernel
            most = max(most, kernel if prepared else 0, working + self._copied(problem, phase))
        return held + most

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of the kernels of all phases, prepared or as they are."""
        return sum(
            self.algorithm.prepared_bytes(phase.problem, threads)
            or math.prod(phase.problem.kernel_shape) * problem.itemsize
            for phase in phases(problem)
        )

    def _copied(self, problem: Problem, phase: Phase) -> int:
        """Bytes that `grad_input` copies of the output gradient and of its own result."""
        elements = 0
        if phase.problem.size != problem.output_size:
            elements += math.prod(phase.problem.input_shape)
        if phase.problem.output_size != problem.size:
            elements += math.prod(phase.problem.output_shape)
        return elements * problem.itemsize

    def work(self, problem: Problem) -> float:
        """Return the work of the convolutions."""
        if problem.operation == "grad_weight":
            return self.algorithm.work(exchanged(problem))
        return sum(self.algorithm.work(phase.problem) for phase in phases(problem))

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> list[Any]:
        """Return the prepared kernel of every phase."""
        if problem.flip:  # a view: each phase copies its part
            w = np.flip(w, tuple(range(2, w.ndim)))
        return [
            self.algorithm.prepare(phase.problem, read_only(phase.kernel(w)), threads)
            for phase in phases(problem)
        ]

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        bias = no_bias(problem.in_channels, g.dtype)
        parts = phases(problem)
        if not parts or set(problem.stride) != {1}:
            out[...] = 0
        for phase, ready in zip(parts, prepared, strict=True):
            read: Index = (..., *phase.source)
            written: Index = (..., *phase.positions)
            source = read_only(np.ascontiguousarray(g[read]))
            target = out[written]
            result = out if target.shape == out.shape else np.empty(target.shape, out.dtype)
            self.algorithm.forward(phase.problem, source, ready, bias, result, threads)
            if result is not out:
                target[...] = result

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        derived = exchanged(problem)
        images, kernel = map(read_only, exchange(problem, x, g))
        if reason := self._why_not(derived, kernel):  # its values are known only now
            raise KernelRefusedError(f"{self.name} cannot do this: {reason}")
        ready = self.algorithm.prepare(derived, kernel, threads)
        result = np.empty(derived.output_shape, out.dtype)
        bias = no_bias(derived.out_channels, out.dtype)
        self.algorithm.forward(derived, images, ready, bias, result, threads)
        result = result.swapaxes(0, 1)
        out[...] = np.flip(result, tuple(range(2, result.ndim))) if problem.flip else result

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return the largest error bound of the convolutions."""
        if problem.operation == "grad_weight":
            images, kernel = exchange(problem, x, w)
            return self.algorithm.error_bound(exchanged(problem), images, kernel, magnitude)
        correlating = as_correlation(problem, w).reshape(w.shape)
        bound: np.ndarray = np.zeros_like(magnitude)
        for phase in phases(problem):
            read: Index = (..., *phase.source)
            source = np.ascontiguousarray(x[read])
            kernel = phase.kernel(correlating)
            part = self.algorithm.error_bound(phase.problem, source, kernel, magnitude)
            bound = np.maximum(bound, part)
        return bound
