"""Laws that every pooling satisfies, checked without an oracle.

Each law compares results of the algorithm itself on whole numbers, as in
`suites.truth.properties`. It returns True or False, or None if it does not apply or cannot be
exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from algos.core.errors import ConvbenchError
from algos.pooling import PoolProblem
from suites.cases.pool_fills import integers, whole_unit

from .instance import Run

Property = Callable[[PoolProblem, np.random.Generator, Run], bool | None]


def translation_covariant(problem: PoolProblem, rng: np.random.Generator, run: Run) -> bool | None:
    """Input moved by the stride along the last axis: output moved by one."""
    if problem.placement != "regular" or not whole_unit(problem) or problem.operation != "forward":
        return None
    size, stride = problem.size[-1], problem.stride[-1]
    span = (problem.window[-1] - 1) * problem.dilation[-1] + 1
    if span + stride > size:
        return None
    p = replace(problem, padding=(*problem.padding[:-1], (0, 0)), fit="floor")
    x = integers(rng, problem, p.input_shape)
    moved = np.concatenate([x[..., :stride], x[..., : size - stride]], axis=-1)
    before, after = run(p, x), run(p, moved)
    if before is None or after is None:
        return None
    return bool((after[..., 1:] == before[..., :-1]).all())


def maxima_nest(problem: PoolProblem, rng: np.random.Generator, run: Run) -> bool | None:
    """The maximum of maxima is the maximum over the dilated window."""
    if problem.placement != "regular" or problem.operation != "forward":
        return None
    once: dict[str, Any] = {
        "kind": "max", "stride": 1, "padding": 0, "fit": "floor", "dilation": 1,
        **_no_options(problem),
    }  # fmt: skip
    window = problem.window
    wider = tuple(2 * w - 1 for w in window)
    if any(w > n for w, n in zip(wider, problem.size, strict=True)):
        return None
    inner = replace(problem, **once)
    outer = replace(inner, size=inner.output_size)
    whole = replace(inner, window=wider)
    x = integers(rng, inner, inner.input_shape)
    between = run(inner, x)
    return None if between is None else _agree(run(whole, x), run(outer, between))


def additive(problem: PoolProblem, rng: np.random.Generator, run: Run) -> bool | None:
    """An average of sums is the sum of averages; every gradient is linear, too."""
    if not whole_unit(problem) or (problem.operation == "forward" and not problem.is_linear):
        return None
    first, *rest = (integers(rng, problem, shape) for shape in problem.operands)
    unit = whole_unit(problem)
    a = np.trunc(first / (2 * unit)) * unit
    b = np.trunc(rng.permutation(first.reshape(-1)).reshape(first.shape) / (2 * unit)) * unit
    a, b = a.astype(first.dtype), b.astype(first.dtype)
    return _agree(run(problem, a + b, *rest), run(problem, a, *rest), run(problem, b, *rest))


def adjoint(problem: PoolProblem, rng: np.random.Generator, run: Run) -> bool | None:
    """⟨pool(x), g⟩ = ⟨x, gradient of g at x⟩ for averages, and for maxima by Euler's theorem."""
    if not whole_unit(problem):
        return None
    forward, backward = (replace(problem, operation=o) for o in ("forward", "grad_input"))
    unit = whole_unit(backward) if whole_unit(forward) else 0
    if not unit:
        return None
    x = integers(rng, forward, problem.input_shape)
    g = integers(rng, backward, problem.output_shape)
    y, slope = run(forward, x), run(backward, g, x)
    if y is None or slope is None:
        return None
    left, right = (np.sum(a.astype(object) * b.astype(object)) for a, b in ((y, g), (slope, x)))
    return bool(left == right)


def maxima_follow_order(problem: PoolProblem, rng: np.random.Generator, run: Run) -> bool | None:
    """An increasing function of the input is one of its maxima."""
    if problem.kind not in ("max", "maxout") or problem.operation != "forward":
        return None
    x = integers(rng, problem, problem.input_shape)
    y = run(problem, x)
    return None if y is None else _agree(run(problem, 4 * x - 100), 4 * y - 100)


def planes_are_separate(problem: PoolProblem, rng: np.random.Generator, run: Run) -> bool | None:
    """Images and channels are pooled each for itself."""
    if not whole_unit(problem) or problem.batch * problem.channels == 1 or problem.pieces:
        return None
    given = [integers(rng, problem, shape) for shape in problem.operands]
    images, channels = rng.permutation(problem.batch), rng.permutation(problem.channels)
    moved = [np.ascontiguousarray(array[images][:, channels]) for array in given]
    y = run(problem, *given)
    return None if y is None else _agree(run(problem, *moved), y[images][:, channels])


def stride_subsamples(problem: PoolProblem, rng: np.random.Generator, run: Run) -> bool | None:
    """A stride keeps every s-th window of stride one."""
    if problem.placement != "regular" or problem.operation != "forward":
        return None
    if set(problem.stride) == {1}:
        return None
    if not whole_unit(problem) or problem.fit == "ceil":
        return None
    x = integers(rng, problem, problem.input_shape)
    y = run(replace(problem, stride=1), x)
    if y is None:
        return None
    steps: tuple[Any, ...] = (..., *(slice(None, None, s) for s in problem.stride))
    kept: tuple[Any, ...] = (..., *(slice(n) for n in problem.output_size))
    return _agree(run(problem, x), y[steps][kept])


def global_is_one_adaptive_window(
    problem: PoolProblem, rng: np.random.Generator, run: Run
) -> bool | None:
    """One adaptive window, a window as large as the input, and a pyramid of one level agree."""
    if problem.kind not in ("max", "average") or problem.operation != "forward":
        return None
    nothing: dict[str, Any] = dict.fromkeys(
        ("window", "stride", "padding", "dilation", "fit", "output", "levels", "ratio",
         "sequence", "overlapping", "seed")
    )  # fmt: skip
    try:
        ways = [
            replace(problem, **{**nothing, **how})
            for how in ({"window": "global"}, {"output": 1}, {"levels": (1,)})
        ]
    except ConvbenchError:
        return None
    if not all(map(whole_unit, ways)):
        return None
    x = integers(rng, ways[0], problem.input_shape)
    found = [run(way, x) for way in ways]
    done = [y.reshape(-1) for y in found if y is not None]
    if len(done) < 2:
        return None
    return all(_agree(done[0], y) for y in done[1:])


PROPERTIES: tuple[Property, ...] = (
    translation_covariant,
    maxima_nest,
    additive,
    adjoint,
    maxima_follow_order,
    planes_are_separate,
    stride_subsamples,
    global_is_one_adaptive_window,
)


def _no_options(problem: PoolProblem) -> dict[str, Any]:
    """Return changes that reset the options of kinds other than "max"."""
    names = ("p", "sigma", "mode", "mix", "seed", "count_include_pad")
    return dict.fromkeys(names)


def _agree(whole: np.ndarray | None, *parts: np.ndarray | None) -> bool | None:
    """Return True if `whole` is the sum of `parts`; None if one of them is missing."""
    if whole is None or any(part is None for part in parts):
        return None
    return bool((whole == sum(np.asarray(part, np.float64) for part in parts)).all())
