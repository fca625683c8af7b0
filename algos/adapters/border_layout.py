"""Layers with zeros that make up a layer with a boundary.

The algorithm computes the layer with zeros, straight into the output. Outputs whose windows leave
the input are then computed anew. They lie in strips along the border. A strip reads a small part
of the extended input, on which it is a convolution without padding. The strips of two opposite
sides are two images of one batch. Where the strips make up most of the output, or the input is
small, the whole input is extended once instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from algos.core.arrays import read_only
from algos.core.problem import Problem

from .border_sums import Border
from .extension import Gather, Region, extend, extend_turned, gather, shape_of

#: Bytes of input up to which it is extended as a whole: copying it costs less than more calls.
#: In float32, the copy was faster up to 724 × 724 samples (2-core Zen 4); it is kept to a small
#: part of what memory a large image takes.
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
    zeros = plain(problem)
    borders = [_border(problem, axis) for axis in range(problem.axes)]
    if not any(map(any, borders)):
        return (Layout(zeros=zeros),)
    if problem.operation == "grad_weight" or problem.is_tiled or not _is_thin(problem, borders):
        return (whole(problem),)
    turned = problem.axes > 1 and any(borders[-1])
    strips = [tuple(_strips(problem, borders, turn)) for turn in ((True, False)[not turned :])]
    return (*(Layout(zeros=zeros, strips=found) for found in strips), whole(problem))


def whole(problem: Problem) -> Layout:
    """Return the layout of an input that is extended as a whole."""
    region: Region = tuple(
        (-before, reach - before)
        for before, reach in zip(problem.before, problem.reach, strict=True)
    )
    larger = replace(plain(problem), size=shape_of(region), padding=0, fit="floor")
    return Layout(larger, region)


def plain(problem: Problem) -> Problem:
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
