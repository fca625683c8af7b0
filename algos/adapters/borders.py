"""Boundaries other than zeros, for algorithms that know zeros alone.

A layer with a boundary is made of layers with zeros, see `border_layout`. If the algorithm sums
directly and the kernel has few taps, the outputs along the border are summed by `border_sums`.

The gradient of the input is the adjoint. Each strip gives the gradient of the positions beyond the
border, which is added to the samples that stand there. The gradient of the kernel extends the whole
input, so that no sum is split.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from algos.backend.threads import is_small
from algos.core.algorithm import Algorithm
from algos.core.arrays import read_only
from algos.core.boundary import most_copies
from algos.core.problem import Problem

from . import border_sums
from .adapter import Resolving
from .border_layout import Layout, Strip, layouts, plain, whole
from .extension import extend, fold, gather, shape_of


@lru_cache(maxsize=1024)
def _layout(able: Bordered, problem: Problem) -> Layout:
    """Return the first layout whose problems the algorithm can all do, else the last."""
    if _sums_directly(able.algorithm) and (border := border_sums.border_of(problem)):
        return Layout(zeros=plain(problem), border=border)
    *better, last = layouts(problem)
    for layout in better:
        if not any(able.performer(p).why_not(p) for p in layout.problems):
            return layout
    return last


def _sums_directly(algorithm: Algorithm) -> bool:
    """Return True if the errors of `algorithm` are bounded as those of any direct sum are."""
    return not algorithm.is_peer and type(algorithm).error_bound is Algorithm.error_bound


class Bordered(Resolving):
    """Layer with a boundary, by an algorithm that knows zeros alone."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bordered) and self.algorithm is other.algorithm

    def __hash__(self) -> int:
        return hash(self.algorithm)

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        """Return the reason why the algorithm cannot do one of the convolutions."""
        layout = _layout(self, problem)
        for part, kernel in zip(layout.problems, _kernels(layout, w), strict=True):
            if reason := self.performer(part).why_not(part, kernel):
                return str(reason)
        return None

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Bytes of all prepared kernels, and of one convolution with copies of its operands."""
        layout = _layout(self, problem)
        held, most = 0, 0
        for part in layout.problems:
            able, count = self.performer(part), _threads(part, threads)
            prepared = able.prepared_bytes(part, count)
            held += prepared
            extended = math.prod(part.input_shape) * part.itemsize
            copied = part.compulsory_bytes
            if problem.operation == "grad_input":  # what is folded is copied once more
                copied += extended
            elif problem.operation == "grad_weight":  # the gradient is read and written in place
                copied = extended
            copied = 0 if part is layout.zeros else copied
            most = max(most, able.workspace_bytes(part, count) - prepared + copied)
        kernels = sum(strip.turned for strip in layout.strips) * math.prod(problem.kernel_shape)
        if layout.border:
            most += border_sums.scratch_bytes(problem, layout.border)
        return held + most + kernels * problem.itemsize

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of all prepared kernels."""
        return sum(
            self.performer(part).prepared_bytes(part, _threads(part, threads))
            for part in _layout(self, problem).problems
        )

    def work(self, problem: Problem) -> float:
        """Return the work of the convolutions."""
        return sum(self.performer(part).work(part) for part in _layout(self, problem).problems)

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> list[Any]:
        """Return the prepared kernel of every convolution, and the one for sums of the border."""
        layout = _layout(self, problem)
        prepared = [
            self.performer(part).prepare(part, kernel, _threads(part, threads))
            for part, kernel in zip(layout.problems, _kernels(layout, w), strict=True)
        ]
        if layout.border:
            order = self.algorithm.tap_order(layout.problems[0])
            prepared.append(border_sums.prepare(problem, layout.border, w, order))
        return prepared

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        layout = _layout(self, problem)
        if large := layout.whole:
            x = _extended(x, problem, layout)
            count = _threads(large, threads)
            self.performer(large).forward(large, x, prepared[0], bias, out, count)
            return
        zeros = layout.problems[0]
        count = _threads(zeros, threads)
        self.performer(zeros).forward(zeros, x, prepared[0], bias, out, count)
        if layout.border:
            border_sums.sum_border(problem, layout.border, x, prepared[1], bias, out)
            return
        for strip, ready in zip(layout.strips, prepared[1:], strict=True):
            self._strip(problem, strip, x, ready, bias, out, threads)

    def _strip(
        self, problem: Problem, strip: Strip, x: np.ndarray, prepared: Any, bias: np.ndarray,
        out: np.ndarray, threads: int,
    ) -> None:  # fmt: skip
        """Compute the outputs of one pair of strips anew."""
        part = strip.problem
        images, result = strip.images(x, problem), np.empty(part.output_shape, out.dtype)
        able, count = self.performer(part), _threads(part, threads)
        able.forward(part, images, prepared, bias, result, count)
        for values, side in zip(strip.split(result), strip.sides, strict=True):
            out[side.outputs] = values

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        layout = _layout(self, problem)
        if large := layout.whole:
            result = np.empty(large.input_shape, out.dtype)
            count = _threads(large, threads)
            self.performer(large).grad_input(large, g, prepared[0], result, count)
            out[...] = 0
            fold(result, layout.region, problem.boundary, out, outside=False)
            return
        zeros = layout.problems[0]
        count = _threads(zeros, threads)
        self.performer(zeros).grad_input(zeros, g, prepared[0], out, count)
        for strip, ready in zip(layout.strips, prepared[1:], strict=True):
            self._fold_strip(problem, strip, g, ready, out, threads)

    def _fold_strip(
        self, problem: Problem, strip: Strip, g: np.ndarray, prepared: Any, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        """Add the gradient of the positions beyond the border that a pair of strips reads."""
        part = strip.problem
        images, result = strip.outputs(g), np.empty(part.input_shape, out.dtype)
        able, count = self.performer(part), _threads(part, threads)
        able.grad_input(part, images, prepared, result, count)
        for values, side in zip(strip.split(result), strip.sides, strict=True):
            fold(values, side.region, problem.boundary, out, outside=True)

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        layout = _layout(self, problem)
        part = layout.problems[0]
        if layout.whole:
            x = _extended(x, problem, layout)
        self.performer(part).grad_weight(part, x, g, out, threads)

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return the largest bound of the convolutions; for grad_input, that of their sum."""
        layout = _layout(self, problem)
        first = layout.problems[0]
        by_input = problem.operation == "grad_input"
        if layout.whole and not by_input:
            x = _extended(x, problem, layout)
        bound = self.performer(first).error_bound(first, x, w, magnitude)
        if not by_input:
            for strip, kernel in zip(layout.strips, _kernels(layout, w)[1:], strict=True):
                part, images = strip.problem, strip.images(x, problem)
                own = self.performer(part).error_bound(part, images, kernel, magnitude)
                bound = np.maximum(bound, own)
            return bound
        copies = math.prod(
            most_copies(problem.boundary, *axis)
            for axis in zip(problem.size, problem.before, problem.reach, strict=True)
        )
        folded = bound
        for strip, kernel in zip(layout.strips, _kernels(layout, w)[1:], strict=True):
            part, images = strip.problem, strip.outputs(x)
            own = self.performer(part).error_bound(part, images, kernel, magnitude)
            folded = np.maximum(folded, own)
        bound = np.asarray(bound) + (copies - 1) * np.asarray(folded)
        # Adding up: each sum is at most the magnitude and the errors so far.
        return bound + (copies + 1) * float(np.finfo(problem.dtype).eps) * (magnitude + bound)


def extended(problem: Problem, x: np.ndarray) -> tuple[Problem, np.ndarray]:
    """Return the layer on the input extended as a whole, without padding, and that input."""
    layout = whole(problem)
    assert layout.whole is not None
    return layout.whole, _extended(x, problem, layout)


def _extended(x: np.ndarray, problem: Problem, layout: Layout) -> np.ndarray:
    """Return the whole extended input, contiguous and read-only."""
    made = np.empty((*x.shape[:2], *shape_of(layout.region)), x.dtype)
    extend(x, gather(problem.boundary, problem.size, layout.region), problem.cval, made)
    return read_only(made)


def _kernels(layout: Layout, w: np.ndarray | None) -> list[Any]:
    """Return the kernel of each problem of `layout`; None where the kernel is not given."""
    if w is None:
        return [None] * len(layout.problems)
    return [w, *(strip.kernel(w) for strip in layout.strips)]


def _threads(part: Problem, threads: int) -> int:
    """Return the number of threads for one of the problems."""
    return 1 if is_small(part.multiply_adds, part.compulsory_bytes) else threads
