"""Laws that every convolution satisfies, checked without an oracle.

Each law compares two results of the algorithm itself, on integers that leave no room for
rounding. It returns True or False, or None if it does not apply. ``run(problem, x, w) -> y``
calls the algorithm, and returns None if the algorithm cannot do the problem.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from algos.core.problem import Problem
from suites.cases.fills import integers, largest_integer, weights

from .oracle import PADDING, padded

Run = Callable[[Problem, np.ndarray, np.ndarray], np.ndarray | None]
Property = Callable[[Problem, np.random.Generator, Run], bool | None]


def linear_in_x(problem: Problem, rng: np.random.Generator, run: Run) -> bool | None:
    """conv(a + b) = conv(a) + conv(b)."""
    if problem.cval:  # it is added to both
        return None
    w = _second(problem, rng)
    a, b = _halved(_first(problem, rng)), _halved(_first(problem, rng))
    return _agree(run(problem, a + b, w), run(problem, a, w), run(problem, b, w))


def linear_in_w(problem: Problem, rng: np.random.Generator, run: Run) -> bool | None:
    """conv(x, −2w) = −conv(x, w) − conv(x, w)."""
    x, w = _first(problem, rng), _halved(_second(problem, rng))
    once = run(problem, x, w)
    return None if once is None else _agree(run(problem, x, -2 * w), -once, -once)


def shift_equivariant(problem: Problem, rng: np.random.Generator, run: Run) -> bool | None:
    """Input moved by stride and tile along the last axis: output moved by the tile."""
    size, tile = problem.size[-1], problem.tile[-1]
    stride = problem.stride[-1] * tile
    if problem.extent[-1] + stride > size:
        return None
    sides = zip(problem.extent, problem.size, problem.padding, strict=True)
    if any(extent > n + before + after for extent, n, (before, after) in list(sides)[:-1]):
        return None  # only a ragged output is there
    p = replace(problem, padding=(*problem.padding[:-1], (0, 0)), fit="floor")
    x, w = _input(p, rng), _kernel(p, rng)
    moved = np.concatenate([_input(p, rng)[..., :stride], x[..., : size - stride]], axis=-1)
    before, after = run(p, x, w), run(p, moved, w)
    if before is None or after is None:
        return None
    return bool((after[..., tile:] == before[..., :-tile]).all())


def commutative(problem: Problem, rng: np.random.Generator, run: Run) -> bool | None:
    """With the kernel flipped and full padding, input and kernel may change places."""
    plain = _plain(problem, padding="full", flip=True)
    swapped = replace(plain, size=plain.kernel, kernel=plain.size, padding="full")
    x, w = _input(plain, rng), _kernel(plain, rng)
    return _agree(run(plain, x, w), run(swapped, w, x))


def impulse_response(problem: Problem, rng: np.random.Generator, run: Run) -> bool | None:
    """A lone one gives back the kernel."""
    plain = _plain(problem, size=(1,) * problem.axes, padding="full", flip=True)
    w = _kernel(plain, rng)
    return _agree(run(plain, np.ones(plain.input_shape, plain.dtype), w), w)


def stride_subsamples(problem: Problem, rng: np.random.Generator, run: Run) -> bool | None:
    """A stride keeps every s-th output of stride one."""
    if set(problem.stride) == {1} or problem.is_tiled:
        return None
    # A ragged last position reads padding beyond the input.
    sides = tuple(
        (before, max(after, reach - before - size))
        for (before, after), reach, size in zip(
            problem.padding, problem.reach, problem.size, strict=True
        )
    )
    whole = replace(problem, stride=1, padding=sides, fit="floor")
    x, w = _input(problem, rng), _kernel(problem, rng)
    y = run(whole, x, w)
    if y is None:
        return None
    kept = _part(y, [slice(None, None, s) for s in problem.stride])
    kept = _part(kept, [slice(n) for n in problem.output_size])
    return _agree(run(problem, x, w), kept)


def dilation_stuffs_zeros(problem: Problem, rng: np.random.Generator, run: Run) -> bool | None:
    """A dilated kernel is a larger one with zeros between its taps."""
    if set(problem.dilation) == {1}:
        return None
    stuffed = replace(problem, dilation=1, kernel=problem.extent)
    x, w = _input(problem, rng), _kernel(problem, rng)
    larger = np.zeros(stuffed.kernel_shape, w.dtype)
    _part(larger, [slice(None, None, d) for d in problem.dilation])[...] = w
    return _agree(run(problem, x, w), run(stuffed, x, larger))


def groups_are_separate(problem: Problem, rng: np.random.Generator, run: Run) -> bool | None:
    """A group is a convolution of its own."""
    n = problem.groups
    if n == 1:
        return None
    one = replace(
        problem, groups=1, in_channels=problem.in_channels // n,
        out_channels=problem.out_channels // n,
    )  # fmt: skip
    x, w = _input(problem, rng), _kernel(problem, rng)
    parts = [
        run(one, np.ascontiguousarray(a), np.ascontiguousarray(b))
        for a, b in zip(np.split(x, n, axis=1), np.split(w, n, _outputs(problem)), strict=True)
    ]
    if any(part is None for part in parts):
        return None
    return _agree(run(problem, x, w), np.concatenate([p for p in parts if p is not None], axis=1))


def images_are_separate(problem: Problem, rng: np.random.Generator, run: Run) -> bool | None:
    """Every image of a batch is a convolution of its own."""
    if problem.batch == 1:
        return None
    x, w = _input(problem, rng), _kernel(problem, rng)
    whole, last = run(problem, x, w), run(replace(problem, batch=1), x[-1:], w)
    return None if whole is None else _agree(whole[-1:], last)


def passes_associate(problem: Problem, rng: np.random.Generator, run: Run) -> bool | None:
    """One axis after the other is the outer product at once."""
    if problem.axes == 1:
        return None
    plain = _plain(problem, padding="full", flip=True)
    w = weights("integer-rank1", rng, plain)
    one = (1,) * (problem.axes - 1)
    first = replace(plain, kernel=(plain.kernel[0], *one), padding="full")
    second = replace(plain, size=first.output_size, kernel=(1, *plain.kernel[1:]), padding="full")
    column = rng.integers(-2, 3, plain.kernel[0]).astype(plain.dtype)
    column = column.reshape(first.kernel_shape)
    rest = np.sign(w[:, :, :1])
    x = np.sign(_input(plain, rng))
    between = run(first, x, column)
    if between is None:
        return None
    return _agree(run(second, between, rest), run(plain, x, column * rest))


def paddings_nest(problem: Problem, rng: np.random.Generator, run: Run) -> bool | None:
    """The valid outputs are the middle of the same outputs, and those of the full ones."""
    larger = any(e > n for e, n in zip(problem.extent, problem.size, strict=True))
    if larger or problem.is_tiled:
        return None
    valid, same, full = (
        replace(problem, stride=1, fit="floor", padding=p) for p in ("valid", "same", "full")
    )
    x, w = _input(problem, rng), _kernel(problem, rng)
    outer, middle, inner = run(full, x, w), run(same, x, w), run(valid, x, w)
    if outer is None or middle is None:
        return None
    crop = [
        slice(f[0] - s[0], f[0] - s[0] + n)
        for f, s, n in zip(full.padding, same.padding, same.output_size, strict=True)
    ]
    within = [slice(s[0], s[0] + n) for s, n in zip(same.padding, valid.output_size, strict=True)]
    nested = _agree(middle, _part(outer, crop))
    return nested if nested is not True else _agree(inner, _part(middle, within))


def tile_interleaves(problem: Problem, rng: np.random.Generator, run: Run) -> bool | None:
    """Outputs a tile apart are those of a convolution with the kernel that they share."""
    if not problem.is_tiled:
        return None
    shared = replace(problem, tile=1, bias=False)
    tiled = replace(problem, bias=False)
    limits = zip(problem.tile, problem.output_size, strict=True)
    phase = tuple(int(rng.integers(min(n))) for n in limits)
    x, w = _input(problem, rng), _kernel(problem, rng)
    every = [slice(a, None, t) for a, t in zip(phase, problem.tile, strict=True)]
    y, of_one = run(tiled, x, w), run(shared, x, np.ascontiguousarray(w[phase]))
    if y is None or of_one is None:
        return None
    return _agree(_part(y, every), _part(of_one, every))


def absent_connections_are_zero(
    problem: Problem, rng: np.random.Generator, run: Run
) -> bool | None:
    """A channel that is not connected counts as much as one whose kernel is zero."""
    if problem.connections is None:
        return None
    x, w = _input(problem, rng), _kernel(problem, rng)
    zeroed = np.where(problem.table.reshape(*problem.table.shape, *[1] * problem.axes), w, 0)
    return _agree(run(problem, x, w), run(replace(problem, connections=None), x, zeroed))


def boundary_extends(problem: Problem, rng: np.random.Generator, run: Run) -> bool | None:
    """A boundary is a larger input without padding."""
    if problem.boundary == "zeros":
        return None
    axes = zip(problem.size, problem.before, problem.reach, strict=True)
    sides = [(before, max(reach - before - size, 0)) for size, before, reach in axes]
    x, w = _input(problem, rng), _kernel(problem, rng)
    larger = padded(x, sides, PADDING[problem.boundary], problem.cval)
    plain = replace(
        problem, size=larger.shape[2:], padding=0, fit="floor", boundary="zeros", cval=0.0
    )
    y = run(plain, larger, w)
    if y is None:
        return None
    return _agree(run(problem, x, w), _part(y, [slice(n) for n in problem.output_size]))


PROPERTIES: tuple[Property, ...] = (
    linear_in_x,
    linear_in_w,
    shift_equivariant,
    commutative,
    impulse_response,
    stride_subsamples,
    dilation_stuffs_zeros,
    groups_are_separate,
    images_are_separate,
    passes_associate,
    paddings_nest,
    tile_interleaves,
    absent_connections_are_zero,
    boundary_extends,
)


def adjoint(problem: Problem, rng: np.random.Generator, run: Run) -> bool | None:
    """⟨conv(x, w), g⟩ = ⟨x, grad_input(g, w)⟩ = ⟨w, grad_weight(x, g)⟩."""
    if problem.cval:  # the layer is not linear
        return None
    forward, by_input, by_weight = (
        replace(problem, operation=o, bias=False) for o in ("forward", "grad_input", "grad_weight")
    )
    least = min((forward, by_input, by_weight), key=largest_integer)
    x, g = (integers(rng, least, shape) for shape in (problem.input_shape, problem.output_shape))
    w = _kernel(least, rng)
    y, backward, slope = run(forward, x, w), run(by_input, g, w), run(by_weight, x, g)
    if problem.operation == "grad_input":
        return _same_sum((y, g), (backward, x))
    if problem.operation == "grad_weight":
        return _same_sum((backward if y is None else y, x if y is None else g), (slope, w))
    return _same_sum((y, g), (backward, x), (slope, w))


def gradient_of_groups(problem: Problem, rng: np.random.Generator, run: Run) -> bool | None:
    """The gradient of a group is that of a layer of its own."""
    n = problem.groups
    if n == 1:
        return None
    one = replace(
        problem, groups=1, in_channels=problem.in_channels // n,
        out_channels=problem.out_channels // n,
    )  # fmt: skip
    first, second = _first(problem, rng), _second(problem, rng)
    by_weight = problem.operation == "grad_weight"
    axis = 1 if by_weight else _outputs(problem)
    pairs = zip(np.split(first, n, axis=1), np.split(second, n, axis=axis), strict=True)
    parts = [run(one, np.ascontiguousarray(a), np.ascontiguousarray(b)) for a, b in pairs]
    if any(part is None for part in parts):
        return None
    axis = _outputs(problem) if by_weight else 1
    whole = np.concatenate([p for p in parts if p is not None], axis=axis)
    return _agree(run(problem, first, second), whole)


def gradient_of_images(problem: Problem, rng: np.random.Generator, run: Run) -> bool | None:
    """Images are apart in the gradient of the input, and summed over in that of the kernel."""
    n = problem.batch
    if n == 1:
        return None
    one, first, second = replace(problem, batch=1), _first(problem, rng), _second(problem, rng)
    if problem.operation == "grad_weight":
        pairs = zip(np.split(first, n), np.split(second, n), strict=True)
        return _agree(run(problem, first, second), *(run(one, a, b) for a, b in pairs))
    parts = [run(one, a, second) for a in np.split(first, n)]
    if any(part is None for part in parts):
        return None
    return _agree(run(problem, first, second), np.concatenate([p for p in parts if p is not None]))


#: Laws of both gradients; `adjoint` comes first, since it links all three operations.
GRADIENT_PROPERTIES: tuple[Property, ...] = (
    adjoint,
    linear_in_x,
    linear_in_w,
    gradient_of_groups,
    gradient_of_images,
)


def laws_of(operation: str) -> tuple[Property, ...]:
    """Return the laws that apply to problems of `operation`."""
    return PROPERTIES if operation == "forward" else GRADIENT_PROPERTIES


def _outputs(problem: Problem) -> int:
    """Return the axis of the kernels that counts output channels."""
    return len(problem.kernel_shape) - problem.axes - 2


def _first(problem: Problem, rng: np.random.Generator) -> np.ndarray:
    return integers(rng, problem, problem.operands[0])


def _second(problem: Problem, rng: np.random.Generator) -> np.ndarray:
    if problem.operation == "grad_weight":
        return integers(rng, problem, problem.output_shape)
    return _kernel(problem, rng)


def _same_sum(*pairs: tuple[np.ndarray | None, np.ndarray]) -> bool | None:
    """Return True if all pairs have equal inner products; None if there are too few pairs."""
    sums = [int(np.sum(a.astype(np.int64) * b.astype(np.int64))) for a, b in pairs if a is not None]
    return None if len(sums) < 2 else len(set(sums)) == 1


def _input(problem: Problem, rng: np.random.Generator) -> np.ndarray:
    return integers(rng, problem, problem.input_shape)


def _kernel(problem: Problem, rng: np.random.Generator) -> np.ndarray:
    """Return a random kernel, half of the time an outer product for separable algorithms."""
    kind = "integer-rank1" if rng.random() < 0.5 else "integers"
    return weights(kind, rng, problem)


def _part(array: np.ndarray, slices: list[slice]) -> np.ndarray:
    """Return a view of the last axes."""
    index: tuple[Any, ...] = (..., *slices)
    return array[index]


def _halved(array: np.ndarray) -> np.ndarray:
    return np.trunc(array / 2)


def _plain(problem: Problem, **changes: Any) -> Problem:
    """Return `problem` with a single channel and image, without stride, dilation or bias."""
    return replace(
        problem,
        **{
            "batch": 1, "in_channels": 1, "out_channels": 1, "groups": 1, "stride": 1,
            "dilation": 1, "tile": 1, "connections": None, "bias": False, "fit": "floor",
            "boundary": "zeros", "cval": 0.0, **changes,
        },
    )  # fmt: skip


def _agree(whole: np.ndarray | None, *parts: np.ndarray | None) -> bool | None:
    """Return True if `whole` is the sum of `parts`; None if one of them is missing."""
    if whole is None or any(part is None for part in parts):
        return None
    total = sum(np.asarray(part, np.float64) for part in parts)
    return bool((whole == total).all())
