"""The arithmetic of a problem's sizes, written out with its numbers filled in."""

from __future__ import annotations

import math

from algos.core.memory_order import CHANNELS_LAST
from algos.core.problem import Problem
from algos.core.sizes import extent

FORMULA = "(W − (F − 1)·D − 1 + P)/S + 1"


def explain(problem: Problem) -> list[str]:
    """Return lines that explain the sizes of `problem`.

    Examples
    --------
    >>> print(*explain(Problem(size=(8,), kernel=3, stride=2)), sep="\\n")
    input  (1, 1, 8)
    kernel (1, 1, 3)
    output (1, 1, 3), per axis (W − (F − 1)·D − 1 + P)/S + 1:
      w: (8 − (3 − 1)·1 − 1 + 0)/2 + 1 = 3.5, rounded down to 3; 1 sample is never read: \
pad by 1 more or crop by 1 for a whole fit
    columns 3 × 3: kernel taps × output positions, as im2col unrolls the input
    9 multiply-adds, 3 parameters, 56 bytes to move at least
    """
    p = problem
    lines = [
        f"input  {p.input_shape}",
        f"kernel {p.kernel_shape}",
        f"output {p.output_shape}, per axis {FORMULA}:",
    ]
    lines += [f"  {name}: {_axis(p, axis)}" for axis, name in enumerate(p.axis_names)]
    each = " of each group" * (p.groups > 1) + " of each image" * (p.batch > 1)
    lines.append(
        f"columns {p.taps} × {math.prod(p.output_size)}{each}: kernel taps × output positions, as "
        f"im2col unrolls the input"
    )
    if p.groups > 1:
        lines.append(
            f"{p.groups} groups, each from {p.in_channels // p.groups} to "
            f"{p.out_channels // p.groups} channels"
        )
    if p.is_tiled:
        lines.append(_sharing(p))
    if p.connections:
        lines.append(
            f"{p.channel_pairs} of {p.out_channels} × {p.in_channels} pairs of channels are "
            f"connected, {p.terms if p.operation == 'forward' else p.taps} products a sum at most"
        )
    if p.boundary != "zeros":
        lines.append(_beyond(p))
    if p.layout == CHANNELS_LAST:
        lines.append("channels last: in memory, those of a pixel lie side by side")
    if p.operation != "forward":
        lines.append(f"{p.operation}: {_what(p)}")
    lines.append(
        f"{p.multiply_adds} multiply-adds, {p.parameters} parameters, "
        f"{p.compulsory_bytes} bytes to move at least"
    )
    return lines


def _axis(p: Problem, axis: int) -> str:
    return filled_in(
        p.size[axis], p.kernel[axis], p.stride[axis], p.dilation[axis], p.padding[axis], p.fit,
        p.output_size[axis],
    )  # fmt: skip


def filled_in(w: int, f: int, s: int, d: int, sides: tuple[int, int], fit: str, output: int) -> str:
    """Return one axis's formula with its numbers, its value, and the effect of a remainder."""
    before, after = sides
    padding = f"{before + after}" if before == after else f"({before} + {after})"
    room = w + before + after - extent(f, d)
    text = f"({w} − ({f} − 1)·{d} − 1 + {padding})/{s} + 1 = {_number(room / s + 1)}"
    rest = room % s
    if not rest:
        return text
    crop = f" or crop by {rest}" if room > 0 else ""
    whole = f"pad by {s - rest} more{crop} for a whole fit"
    if fit == "ceil":
        return f"{text}, rounded up to {output}; the last is ragged: {whole}"
    left = f"{rest} sample is" if rest == 1 else f"{rest} samples are"
    return f"{text}, rounded down to {output}; {left} never read: {whole}"


def _sharing(p: Problem) -> str:
    """Return a line on the number of kernels, and on the positions that share each."""
    used = math.prod(map(min, p.tile, p.output_size))
    period = " × ".join(map(str, p.tile))
    if used == math.prod(p.output_size):
        return f"locally connected: each of {used} positions has a kernel of its own"
    most = math.prod(-(-o // t) for o, t in zip(p.output_size, p.tile, strict=True))
    return f"tile {period}: {used} kernels, each shared by up to {most} positions"


def _beyond(p: Problem) -> str:
    """Return a line on the values beyond the border, and how far they are read."""
    values = f"stands {p.cval:g}" if p.boundary == "constant" else "stand samples of the input"
    axes = zip(p.axis_names, p.size, p.before, p.reach, strict=True)
    reads = [
        f"{min(before, reach)} before and {max(reach - before - size, 0)} behind along {name}"
        for name, size, before, reach in axes
    ]
    return f"boundary {p.boundary}: beyond the border {values}, {', '.join(reads)}"


def _number(value: float) -> str:
    return f"{value:.4g}" if value < 1000 else f"{math.floor(value)}" + f"{value % 1:.3g}"[1:]


def _what(p: Problem) -> str:
    """Return a gradient's operands and shape, and other input sizes that would fit."""
    first, second = p.operands
    text = f"from {first} and {second} to {p.result_shape}, at most {p.terms} products a sum"
    if p.operation != "grad_input" or set(p.stride) == {1}:
        return text
    least = [
        (o - 1) * s + e - sum(sides) - (s - 1 if p.fit == "ceil" else 0)
        for o, s, e, sides in zip(p.output_size, p.stride, p.extent, p.padding, strict=True)
    ]
    sizes = [
        f"{max(n, 1)} … {n + s - 1}" if s > 1 else f"{n}"
        for n, s in zip(least, p.stride, strict=True)
    ]
    return f"{text}; inputs of {' × '.join(sizes)} have this output, so the size must be told"
