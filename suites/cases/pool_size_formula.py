"""The arithmetic of a pooling problem's sizes, written out with its numbers filled in."""

from __future__ import annotations

import math

from algos.core.memory_order import CHANNELS_LAST
from algos.core.sizes import extent
from algos.pooling import PoolProblem

from .size_formula import FORMULA, filled_in

_RULES = {
    "adaptive": "window j of O runs from ⌊j·W/O⌋ to ⌈(j + 1)·W/O⌉",
    "fractional": "⌊W/ratio⌋ windows, or as many as steps of one and two need",
}


def explain(problem: PoolProblem) -> list[str]:
    """Return lines that explain the sizes of `problem`.

    Examples
    --------
    >>> print(*explain(PoolProblem(size=(8,), window=3, stride=2)), sep="\\n")
    input  (1, 1, 8)
    window 3, max
    output (1, 1, 3), per axis (W − (F − 1)·D − 1 + P)/S + 1:
      w: (8 − (3 − 1)·1 − 1 + 0)/2 + 1 = 3.5, rounded down to 3; 1 sample is never read: \
pad by 1 more or crop by 1 for a whole fit
    unpooling: inputs of 7 … 8 pool to this output, so the size to return to must be told
    9 reads, 44 bytes to move at least
    """
    p = problem
    lines = [f"input  {p.input_shape}", *_windows(p)]
    if p.layout == CHANNELS_LAST:
        lines.append("channels last: in memory, those of a pixel lie side by side")
    if p.operation == "grad_input":
        others = " and ".join(map(str, p.operands))
        lines.append(f"grad_input: from {others} to {p.result_shape}")
    elif p.placement == "regular":
        lines.append(f"unpooling: {_unpooling(p)}")
    return [*lines, f"{p.multiply_adds} reads, {p.compulsory_bytes} bytes to move at least"]


def _windows(p: PoolProblem) -> list[str]:
    if p.placement == "channels":
        return [
            f"window {p.pieces} channels, {p.kind}",
            f"output {p.output_shape}, of {p.channels}/{p.pieces} = "
            f"{p.channels // p.pieces} channels",
        ]
    if p.placement == "regular":
        window = "×".join(map(str, p.window))
        lines = [f"window {window}, {p.kind}", f"output {p.output_shape}, per axis {FORMULA}:"]
        return lines + [f"  {name}: {_axis(p, axis)}" for axis, name in enumerate(p.axis_names)]
    if p.placement == "pyramid":
        bins = " + ".join(str(math.prod(part.output_size)) for part in p.parts)
        return [
            f"windows {p.placement}, {p.kind}",
            f"output {p.output_shape}, {bins} = {p.output_size[0]} bins; "
            f"in each level {_RULES['adaptive']}",
        ]
    return [
        f"windows {p.placement}, {p.kind}",
        f"output {p.output_shape}: {_RULES[p.placement]}",
        *(
            f"  {name}: {line.size} samples in {line.positions} windows of "
            f"{_range(line.fewest, line.window)}"
            for name, line in zip(p.axis_names, p.lines[-p.axes :], strict=True)
        ),
    ]


def _axis(p: PoolProblem, axis: int) -> str:
    text = filled_in(
        p.size[axis], p.window[axis], p.stride[axis], p.dilation[axis], p.padding[axis], p.fit,
        p.output_size[axis],
    )  # fmt: skip
    span = extent(p.window[axis], p.dilation[axis])
    room = p.size[axis] + sum(p.padding[axis]) - span
    if p.fit == "ceil" and -(-room // p.stride[axis]) + 1 > p.output_size[axis]:
        text += "; one more would begin in the padding behind, and is left out"
    return text


def _unpooling(p: PoolProblem) -> str:
    """Which inputs have this output."""
    least = [
        (o - 1) * s + extent(f, d) - sum(sides)
        for o, s, f, d, sides in zip(
            p.output_size, p.stride, p.window, p.dilation, p.padding, strict=True
        )
    ]
    low = [n - (s - 1 if p.fit == "ceil" else 0) for n, s in zip(least, p.stride, strict=True)]
    high = [n + (s - 1 if p.fit != "ceil" else 0) for n, s in zip(least, p.stride, strict=True)]
    sizes = [_range(max(a, 1), b) for a, b in zip(low, high, strict=True)]
    told = ", so the size to return to must be told" if set(p.stride) != {1} else ""
    return f"inputs of {' × '.join(sizes)} pool to this output{told}"


def _range(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low} … {high}"
