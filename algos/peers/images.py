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
from algos.core.problem import Problem

#: Calls per image up to which channels are summed from single results. A layer of more
#: channels is not what these operators are for, and nobody computes one with them.
MOST_SUMS = 64

Index = tuple[Any, ...]

#: ``run(image, kernel, offset, into)`` writes image ⋆ kernel + offset into ``into``.
Run = Callable[[np.ndarray, np.ndarray, float, np.ndarray], None]


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


def for_convolution(problem: Problem, w: np.ndarray) -> np.ndarray:
    """Return `w`, contiguous, as an operator that flips its kernel wants it; ``w.shape`` stays."""
    if problem.flip:
        return w
    axes = tuple(range(2, w.ndim))
    return np.ascontiguousarray(np.flip(w, axes))


def for_correlation(problem: Problem, w: np.ndarray) -> np.ndarray:
    """Return `w`, contiguous, as an operator that does not flip wants it; ``w.shape`` stays."""
    return as_correlation(problem, w).reshape(w.shape)


def each_image(
    problem: Problem, x: np.ndarray, kernels: Any, bias: np.ndarray, out: np.ndarray, run: Run
) -> None:
    """Compute a layer by single images: ``kernels[o][c]`` is one kernel in the form that `run`
    takes. x : (N, C, *size); bias : (O,); out : (N, O, *output_size). An output's first channel is
    written with the bias for offset, further ones are added to it.
    """
    outputs = problem.out_channels // problem.groups
    channels = problem.in_channels // problem.groups
    scratch = np.empty(out.shape[2:], out.dtype) if channels > 1 else out
    for image, result in zip(x, out, strict=True):
        for o, into in enumerate(result):
            first = o // outputs * channels
            run(image[first], kernels[o][0], float(bias[o]), into)
            for c in range(1, channels):
                run(image[first + c], kernels[o][c], 0.0, scratch)
                into += scratch


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

    def filter(
        self,
        image: np.ndarray,
        into: np.ndarray,
        operator: Callable[[np.ndarray, np.ndarray], Any],
        fill: float = 0.0,
    ) -> None:
        """Write ``operator(image, result)`` into `into`, grown by `fill` before, cut after."""
        if self.place is not None:
            grown = np.full(self.size, fill, image.dtype)
            grown[self.place] = image
            image = grown
        if self.kept is None:
            operator(image, into)
            return
        result = np.empty(self.size, into.dtype)
        operator(image, result)
        into[...] = result[self.kept]


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
    """Return the bytes that `SameSize.filter` and `each_image` hold beside input and output."""
    placed = same_size(problem)
    images = sum(part is not None for part in (placed.place, placed.kept))
    scratch = math.prod(problem.output_size) * (problem.in_channels > problem.groups)
    return (images * math.prod(placed.size) + scratch) * problem.itemsize


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


def take(problem: Problem, result: np.ndarray, mode: str, out: np.ndarray) -> None:
    """Copy what was computed in `mode` of `mode_of` into `out`; leading axes are kept."""
    if mode != "full":
        out[...] = result
        return
    sources, _ = in_full(problem)
    covered(problem, out)[...] = result[(..., *sources)]


def covered(problem: Problem, out: np.ndarray) -> np.ndarray:
    """Return the part of `out` that the kernel reaches; the rest, padding alone, is set to zero."""
    _, targets = in_full(problem)
    part = out[(..., *targets)]
    if part.shape != out.shape:
        out[...] = 0
    return part
