"""Tools to compute a layer with operators on one image: loops and output sizes.

SciPy, NumPy and OpenCV filter one image with one kernel. A batch or a depthwise layer takes one
call per image and channel. If outputs sum over channels, the results of these calls are summed, as
users of these libraries do for few channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from algos.core.algorithm import as_correlation
from algos.core.bound import Bound
from algos.core.problem import Problem

#: Calls per image up to which channels are summed from single results. A layer of more
#: channels is not what these operators are for, and nobody computes one with them.
MOST_SUMS = 64

Index = tuple[Any, ...]

#: ``run(image, kernel, offset, into)`` writes image ⋆ kernel + offset into ``into``.
Run = Callable[[np.ndarray, Any, float, np.ndarray], Any]

#: ``operator(image, kernel)`` returns image ⋆ kernel as a new array.
Operator = Callable[[np.ndarray, Any], np.ndarray]


def not_offered(operator: str, problem: Problem) -> str | None:
    """Return the reason why `operator`, which filters one image densely, cannot do `problem`."""
    if set(problem.stride) != {1}:
        return f"{operator} has no stride"
    if set(problem.dilation) != {1}:
        return f"{operator} has no dilation"
    channels = problem.in_channels // problem.groups
    calls = channels * problem.out_channels
    if channels > 1 and calls > MOST_SUMS:
        return (
            f"{operator} filters single images; {problem.out_channels} outputs of {channels} "
            f"input channels are {calls} calls to sum, {MOST_SUMS} are the most done"
        )
    return None


@lru_cache(maxsize=256)
def as_image(problem: Problem) -> Problem:
    """Return a 1-D problem as one of images of a single row; others as they are."""
    if problem.axes > 1:
        return problem
    fields = ("size", "kernel", "stride", "dilation", "tile")
    row: dict[str, Any] = {name: (1, *getattr(problem, name)) for name in fields}
    return replace(problem, padding=((0, 0), *problem.padding), **row)


def zeros(problem: Problem) -> tuple[tuple[int, int], ...]:
    """Return the zeros before and behind each axis, as far as an output position reads them.

    A ragged last position gets the zeros it reads, and an unused rest gets none.
    """
    return tuple(
        (before, max(reach - w - before, 0))
        for reach, w, (before, _) in zip(problem.reach, problem.size, problem.padding, strict=True)
    )


def for_convolution(problem: Problem, w: np.ndarray) -> np.ndarray:
    """Return `w`, contiguous, as an operator that flips its kernel wants it; ``w.shape`` stays."""
    if problem.flip:
        return w
    axes = tuple(range(2, w.ndim))
    return np.ascontiguousarray(np.flip(w, axes))


def for_correlation(problem: Problem, w: np.ndarray) -> np.ndarray:
    """Return `w`, contiguous, as an operator that does not flip wants it; ``w.shape`` stays."""
    return as_correlation(problem, w).reshape(w.shape)


def each_result(
    problem: Problem, x: np.ndarray, kernels: Any, bias: np.ndarray, operator: Operator
) -> list[list[np.ndarray]]:
    """Return the result of each image and output channel, by an operator that makes a new array.

    ``kernels[o][c]`` is one kernel in the form that `operator` takes. x : (N, C, *size);
    bias : (O,). The results of an output's channels are summed, and its bias is added.
    """
    outputs = problem.out_channels // problem.groups
    channels = problem.in_channels // problem.groups
    results = []
    for image in x:
        row = []
        for o in range(problem.out_channels):
            first = o // outputs * channels
            result = operator(image[first], kernels[o][0])
            for c in range(1, channels):
                result += operator(image[first + c], kernels[o][c])
            if problem.bias:
                result += bias[o]
            row.append(result)
        results.append(row)
    return results


def fetch_each(
    problem: Problem, bias: np.ndarray, mode: str, results: list[list[np.ndarray]], out: np.ndarray
) -> None:
    """Copy the results of `each_result`, computed in `mode`, into `out`."""
    for row, images in zip(results, out, strict=True):
        for result, rest, into in zip(row, bias, images, strict=True):
            take(problem, result, mode, into, rest)


def bind_same_size(
    problem: Problem, x: np.ndarray, kernels: Any, bias: np.ndarray, run: Run
) -> Bound:
    """Return a layer by single images, for an operator that writes into an array it is given.

    ``kernels[o][c]`` is one kernel in the form that `run` takes. An output's first channel is
    written with the bias for offset, further ones are added to it. The results are of the size that
    the operator writes; `fetch` cuts them.
    """
    outputs = problem.out_channels // problem.groups
    channels = problem.in_channels // problem.groups
    placed, own = same_size(problem), x.copy()
    results = np.empty((problem.batch, problem.out_channels, *placed.size), x.dtype)
    scratch = np.empty(placed.size, x.dtype)
    offsets = bias.tolist()

    def call() -> np.ndarray:
        for image, result in zip(own, results, strict=True):
            grown = image if placed.place is None else [placed.grown(plane) for plane in image]
            for o, into in enumerate(result):
                first = o // outputs * channels
                run(grown[first], kernels[o][0], offsets[o], into)
                for c in range(1, channels):
                    run(grown[first + c], kernels[o][c], 0.0, scratch)
                    into += scratch
        return results

    return Bound(call, placed.fetch)


@dataclass(frozen=True)
class SameSize:
    """Way to the requested output for an operator whose output is as large as its input.

    `anchor` is the tap that lies on the position computed. The image is first laid into
    `size` zeros at `place` where it has to grow (padding beyond "same"), and of the result
    the leading `kept` are the output. All of them None or the image's own where not needed.
    """

    anchor: tuple[int, ...]
    size: tuple[int, ...]
    place: tuple[slice, ...] | None
    kept: tuple[slice, ...] | None

    def grown(self, image: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """Return `image` in an array of `size`, surrounded by `fill`."""
        if self.place is None:
            return image
        grown = np.full(self.size, fill, image.dtype)
        grown[self.place] = image
        return grown

    def fetch(self, results: np.ndarray, out: np.ndarray) -> None:
        """Copy the kept part of `results`, (…, *size), into `out`."""
        part: Index = () if self.kept is None else self.kept
        out[...] = results[(..., *part)]


@lru_cache(maxsize=256)
def same_size(problem: Any) -> SameSize:
    """Return the `SameSize` of a problem with stride 1, of convolution or of pooling."""
    anchor, size, place = [], [], []
    for w, e, o, (before, _) in zip(
        problem.size, problem.extent, problem.output_size, problem.padding, strict=True
    ):
        anchor.append(min(before, e - 1))
        ahead = before - anchor[-1]
        size.append(max(o, ahead + w))
        place.append(slice(ahead, ahead + w))
    return SameSize(
        tuple(anchor),
        tuple(size),
        None if tuple(size) == problem.size else tuple(place),
        None if tuple(size) == problem.output_size else tuple(map(slice, problem.output_size)),
    )


def same_size_bytes(problem: Problem) -> int:
    """Return the bytes that `bind_same_size` holds: own images, grown ones, results, a sum."""
    placed = same_size(problem)
    size = math.prod(placed.size)
    images = problem.batch * problem.out_channels + 1
    if placed.place is not None:
        images += problem.in_channels
    return (images * size + math.prod(problem.input_shape)) * problem.itemsize


@lru_cache(maxsize=256)
def in_full(problem: Problem) -> tuple[Index, Index]:
    """Return the part of the "full" result (W + F − 1 samples) to copy, and its place in the
    output.

    Outputs outside that place see only padding: they equal the bias.
    """
    sources, targets = [], []
    for w, e, o, (before, _) in zip(
        problem.size, problem.extent, problem.output_size, problem.padding, strict=True
    ):
        start = e - 1 - before
        first, last = max(0, -start), min(o, w + e - 1 - start)
        last = max(first, last)
        sources.append(slice(first + start, last + start))
        targets.append(slice(first, last))
    return tuple(sources), tuple(targets)


def mode_of(problem: Problem) -> Literal["valid", "same", "full"]:
    """Return SciPy's and NumPy's name for the padding; "full" where they have none."""
    if not any(map(any, problem.padding)):
        return "valid"
    if all(
        p == (k // 2, (k - 1) // 2) and w >= k
        for p, k, w in zip(problem.padding, problem.kernel, problem.size, strict=True)
    ):
        return "same"
    return "full"


def take(problem: Problem, result: np.ndarray, mode: str, out: np.ndarray, rest: Any = 0.0) -> None:
    """Copy what was computed in `mode` of `mode_of` into `out`; leading axes are kept.

    Outputs that the kernel does not reach, where there is padding alone, are set to `rest`.
    """
    if mode != "full":
        out[...] = result
        return
    sources, targets = in_full(problem)
    part = out[(..., *targets)]
    if part.shape != out.shape:
        out[...] = rest
    part[...] = result[(..., *sources)]
