"""Placements of a pooling problem's windows: checks of their fields, and windows along an axis."""

from __future__ import annotations

import math
from typing import Any

from algos.core.arguments import per_axis, several, whole_number, whole_numbers
from algos.core.errors import ConvbenchError, shown
from algos.core.sizes import check_fit, extent, output_positions, resolve_padding

from .options import MOST_SEED, numbers, put
from .windows import WindowAxis, adaptive, fractional, fractional_positions, regular


def each(size: int) -> WindowAxis:
    """Reduce every sample for itself."""
    return regular(size, 1, 1, 1, (0, 0), size)


def _check_regular(problem: Any) -> None:
    axes, window = problem.axes, problem.window
    if isinstance(window, str):
        if window != "global":
            raise ConvbenchError(f'window {shown(window)} is not known; give numbers, or "global"')
        window = problem.size
    put(problem, "window", per_axis("window", window, axes))
    put(problem, "stride", per_axis("stride", problem.stride, axes) if problem.stride is not None
        else problem.window)  # fmt: skip
    put(problem, "dilation", per_axis("dilation", problem.dilation, axes))
    spans = tuple(map(extent, problem.window, problem.dilation))
    put(problem, "padding", resolve_padding(problem.padding, problem.size, spans, problem.stride))
    check_fit(
        problem.axis_names, problem.size, spans, problem.stride, problem.padding, problem.fit,
        "window",
    )  # fmt: skip


def _regular_line(problem: Any, axis: int) -> WindowAxis:
    size, window, stride, dilation, sides = (
        getattr(problem, name)[axis] for name in ("size", "window", "stride", "dilation", "padding")
    )
    span = extent(window, dilation)
    positions = output_positions(size, span, stride, sides, problem.fit)
    if problem.fit == "ceil" and (positions - 1) * stride >= size + sides[0]:
        positions -= 1  # it would begin in the padding behind
    return regular(size, window, stride, dilation, sides, positions)


def _check_adaptive(problem: Any) -> None:
    put(problem, "output", per_axis("output_size", problem.output, problem.axes))


def _check_pyramid(problem: Any) -> None:
    levels = several(problem.levels)
    resolved = tuple(per_axis("levels", level, problem.axes) for level in levels)
    if not resolved:
        raise ConvbenchError(
            "levels is empty; give the output size of each level, such as (4, 2, 1)"
        )
    put(problem, "levels", resolved)


def _check_fractional(problem: Any) -> None:
    ratio = numbers("ratio", problem.ratio, problem.axes, math.inf, "above 1 and below 2")
    if not all(1 < r < 2 for r in ratio):
        raise ConvbenchError(
            f"ratio {shown(problem.ratio)} is outside (1, 2): windows step by one or two samples; "
            f"for other ratios give output_size, or a window and a stride"
        )
    put(problem, "ratio", ratio)
    put(problem, "seed", whole_number("seed", problem.seed, least=0, most=MOST_SEED))
    for axis in range(problem.axes):
        _fractional_line(problem, axis)


def _fractional_line(problem: Any, axis: int) -> WindowAxis:
    size, overlapping = problem.size[axis], bool(problem.overlapping)
    positions = fractional_positions(size, problem.ratio[axis], overlapping)
    if not positions:
        raise ConvbenchError(
            f"{size} sample along {problem.axis_names[axis]} is too few for overlapping windows; "
            f"say overlapping=False, or give a larger input"
        )
    seed = (problem.seed, axis)
    return fractional(size, positions, problem.sequence, overlapping, seed)


def _check_channels(problem: Any) -> None:
    if problem.pieces is None:
        raise ConvbenchError("maxout needs size, the number of channels that compete")
    pieces = whole_numbers("maxout size", problem.pieces)
    if len(pieces) != 1 or problem.channels % pieces[0]:
        raise ConvbenchError(
            f"{problem.channels} channels cannot be split into groups of {shown(problem.pieces)}; "
            f"choose one number that divides them"
        )
    put(problem, "pieces", pieces[0])


#: Functions that resolve and check the fields of a placement, `problem -> None`.
CHECKS = {
    "regular": _check_regular, "adaptive": _check_adaptive, "pyramid": _check_pyramid,
    "fractional": _check_fractional, "channels": _check_channels,
}  # fmt: skip

#: Functions that return the windows of a placement along an axis, `(problem, axis) -> WindowAxis`.
LINES = {
    "regular": _regular_line,
    "adaptive": lambda problem, axis: adaptive(problem.size[axis], problem.output[axis]),
    "fractional": _fractional_line,
}
