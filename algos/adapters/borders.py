"""Boundaries other than zeros, for algorithms that know zeros alone.

The algorithm computes the layer with zeros, straight into the output. Outputs whose windows leave
the input are then computed anew. They lie in strips along the border. A strip reads a small part
of the extended input, on which it is a convolution without padding. The strips of two opposite
sides are two images of one batch. Where the strips make up most of the output, the whole input is
extended once instead. No large image is copied.

The gradient of the input is the adjoint. Each strip gives the gradient of the positions beyond the
border, which is added to the samples that stand there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from algos.backend.threads import is_small
from algos.core.algorithm import Algorithm, as_correlation
from algos.core.arrays import read_only
from algos.core.boundary import most_copies
from algos.core.problem import Problem

from .adapter import Resolving
from .border_sums import Border, border_of, scratch_bytes, sum_border
from .extension import Gather, Region, extend, extend_turned, fold, gather, shape_of

#: Bytes of input up to which it is extended as a whole: copying it costs less than more calls. At
#: this size, strips and a copy took the same time for 3 × 3 and 7 × 7 taps (2-core Zen 4).
SMALL = 1 << 19

Index = tuple[Any, ...]


class Side(NamedTuple):
    """One strip: the region of input positions that it reads, and its outputs (n, o, *spatial)."""

    region: Region
    gather: Gather
    outputs: Index


@dataclass(frozen=True)
class Strip:
    """Strips of one or two opposite sides, which are as many images of `problem` each.

    Where `turned`, the last spatial axis comes first in `problem`: narrow columns become rows.
    """

    problem: Problem
    sides: tuple[Side, ...]
    turned: bool

    def images(self, x: np.ndarray, problem: Problem) -> np.ndarray:
        """Return the regions of input `x`, extended as `problem` says: ``problem.input_shape``."""
        images = np.empty(self.problem.input_shape, x.dtype)
        write = extend_turned if self.turned else extend
        for number, side in enumerate(self.sides):
            first = number * problem.batch
            write(x, side.gather, problem.cval, images[first : first + problem.batch])
        return read_only(images)

    def outputs(self, y: np.ndarray) -> np.ndarray:
        """Return a copy of the outputs of all sides in `y`: ``problem.output_shape``."""
        images = np.empty(self.problem.output_shape, y.dtype)
        for part, side in zip(self.split(images), self.sides, strict=True):
            part[...] = y[side.outputs]
        return read_only(images)

    def split(self, images: np.ndarray) -> list[np.ndarray]:
        """Return a view of the images of each side, with axes in the order of the layer."""
        parts = np.split(images, len(self.sides))
        return [np.moveaxis(part, 2, -1) for part in parts] if self.turned else parts

    def kernel(self, w: np.ndarray) -> np.ndarray:
        """Return the kernels of `problem` from those of the layer."""
        return read_only(np.ascontiguousarray(np.moveaxis(w, -1, 2))) if self.turned else w


@dataclass(frozen=True)
class Layout:
    """Problems that a layer with a boundary is made of.

    `whole` is the layer on the extended input, at positions `region`. Otherwise `zeros` is the
    layer with zeros, and `strips`, or the sums of `border`, are computed anew.
    """

    whole: Problem | None = None
    region: Region = ()
    zeros: Problem | None = None
    strips: tuple[Strip, ...] = ()
    border: Border | None = None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All of them, in the order in which they are computed."""
        first = self.whole or self.zeros
        assert first is not None
        return (first, *(strip.problem for strip in self.strips))


@lru_cache(maxsize=1024)
def layouts(problem: Problem) -> tuple[Layout, ...]:
    """Return the ways to compute a layer with a boundary, the preferred one first."""
    plain = _plain(problem)
    borders = [_border(problem, axis) for axis in range(problem.axes)]
    if not any(map(any, borders)):
        return (Layout(zeros=plain),)
    if problem.operation == "grad_weight" or problem.is_tiled or not _is_thin(problem, borders):
        return (whole(problem),)
    turned = problem.axes > 1 and any(borders[-1])
    strips = [tuple(_strips(problem, borders, turn)) for turn in ((True, False)[not turned :])]
    return (*(Layout(zeros=plain, strips=found) for found in strips), whole(problem))


def whole(problem: Problem) -> Layout:
    """Return the layout of an input that is extended as a whole."""
    region: Region = tuple(
        (-before, reach - before)
        for before, reach in zip(problem.before, problem.reach, strict=True)
    )
    larger = replace(_plain(problem), size=shape_of(region), padding=0, fit="floor")
    return Layout(larger, region)


def _plain(problem: Problem) -> Problem:
    """Return the same layer with zeros beyond the border."""
    return replace(problem, boundary="zeros", cval=0.0, name="")


def _border(problem: Problem, axis: int) -> tuple[int, int]:
    """Return how many outputs at either end of an axis are computed anew; equal, unless zero."""
    before, size, stride = problem.before[axis], problem.size[axis], problem.stride[axis]
    outputs = problem.output_size[axis]
    first = min(-(-before // stride), outputs)
    last = max((size - problem.extent[axis] + before) // stride + 1, 0)
    both = max(first, outputs - last)
    return (both if first else 0), (both if last < outputs else 0)


def _is_thin(problem: Problem, borders: list[tuple[int, int]]) -> bool:
    """Return True if strips leave at least half of the outputs alone, of an input that is large."""
    left = [o - sum(both) for o, both in zip(problem.output_size, borders, strict=True)]
    large = math.prod(problem.input_shape) * problem.itemsize > SMALL
    return large and min(left) >= 0 and 2 * math.prod(left) >= math.prod(problem.output_size)


def _strips(problem: Problem, borders: list[tuple[int, int]], turned: bool) -> Iterator[Strip]:
    """Yield the strips of each axis; those of the last one lie on their side if `turned`."""
    left = [(0, o) for o in problem.output_size]
    for axis, ends in enumerate(borders):
        outputs = problem.output_size[axis]
        starts = [n for n, count in zip((0, outputs - ends[1]), ends, strict=True) if count]
        if not starts:
            continue
        count = max(ends)
        sides = []
        for start in starts:
            part = [*left[:axis], (start, start + count), *left[axis + 1 :]]
            region: Region = tuple(
                (low * s - b, (high - 1) * s - b + e)
                for (low, high), s, b, e in zip(
                    part, problem.stride, problem.before, problem.extent, strict=True
                )
            )
            places = (slice(low, high) for low, high in part)
            found = gather(problem.boundary, problem.size, region)
            sides.append(Side(region, found, (slice(None), slice(None), *places)))
        turn = turned and axis == problem.axes - 1
        yield Strip(_of_strip(problem, sides[0].region, len(sides), turn), tuple(sides), turn)
        left[axis] = ends[0], outputs - ends[1]


def _of_strip(problem: Problem, region: Region, sides: int, turned: bool) -> Problem:
    """Return the problem of strips that read regions of this shape."""
    along = {
        "size": shape_of(region), "kernel": problem.kernel, "stride": problem.stride,
        "dilation": problem.dilation,
    }  # fmt: skip
    if turned:
        along = {name: (*values[-1:], *values[:-1]) for name, values in along.items()}
    return replace(
        problem, **along, batch=sides * problem.batch, padding=0, tile=1, fit="floor",
        boundary="zeros", cval=0.0, name="",
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _layout(able: Bordered, problem: Problem) -> Layout:
    """Return the first layout of which the algorithm can do every problem, else the last."""
    if _sums_directly(able.algorithm) and (border := border_of(problem)):
        return Layout(zeros=_plain(problem), border=border)
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
            copied = 0 if part is layout.zeros else part.compulsory_bytes
            if problem.operation == "grad_input":  # what is folded is copied once more
                copied += (part is not layout.zeros) * math.prod(part.input_shape) * part.itemsize
            most = max(most, able.workspace_bytes(part, count) - prepared + copied)
        kernels = sum(strip.turned for strip in layout.strips) * math.prod(problem.kernel_shape)
        if layout.border:
            kernels += math.prod(problem.kernel_shape) * problem.flip
            most += scratch_bytes(problem)
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
            prepared.append(as_correlation(problem, w).reshape(w.shape))
        return prepared

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        layout = _layout(self, problem)
        if large := layout.whole:
            x = _extended(x, problem, layout)
            self.performer(large).forward(large, x, prepared[0], bias, out, threads)
            return
        zeros = layout.zeros
        self.performer(zeros).forward(zeros, x, prepared[0], bias, out, threads)
        if layout.border:
            sum_border(problem, layout.border, x, prepared[1], bias, out)
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
            self.performer(large).grad_input(large, g, prepared[0], result, threads)
            out[...] = 0
            fold(result, layout.region, problem.boundary, out, outside=False)
            return
        zeros = layout.zeros
        self.performer(zeros).grad_input(zeros, g, prepared[0], out, threads)
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
        # Adding up, each sum of which is at most the magnitude and the errors so far.
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
