"""Maxima and averages of arrays with their channels last, with channels in the lanes.

The samples of a window are vectors of channels. A few vectors side by side are joined over the
window, position by position. Padding is left out of the window, so no sample is masked. A sum is
formed along each row of a window first, then over its rows, which keeps its error small.

What bounds it: the loads of the window's samples, one for each vector of output and tap, and NaN,
which costs a maximum a second instruction.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from algos.backend.compiler import kernel, threaded
from algos.backend.emitter import Emitter, intrinsic
from algos.core.arrays import read_only
from algos.core.memory_order import CHANNELS_LAST, in_memory
from algos.pooling.core.geometry import kept, windows_of
from algos.pooling.core.problem import PoolProblem
from algos.simd.registers import lanes, lanes_of, load, pointer, store

from .registers import combine

#: Vectors of channels side by side.
VECTORS = 4


@intrinsic
def _divided(typing, tile, divisor):
    """Return the vectors of `tile`, each element divided by the number `divisor`."""
    kind = tile.dtype

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = Emitter(context, builder, kind)
        spread = simd.splat(arguments[1])
        return simd.tuple_of([builder.fdiv(value, spread) for value in simd.items(arguments[0])])

    return tile(tile, kind.dtype), emit


def _make_window(vectors: int) -> Any:
    """Return the kernel that reduces one window for some vectors of channels."""

    @kernel
    def window(x, at, planes, rows, columns, steps, lowest, divisor, y, to):
        """Write the maxima of a window, or if `lowest` is None its sums over `divisor`.

        `at`: index into `x` of the window's first sample, for the first channel.
        `planes`, `rows`, `columns`: samples of the window along each axis, at least one.
        `steps`: elements from a sample to the next along each axis.
        `to`: index into `y`.
        """
        total = load(x, at, vectors)
        for i in range(planes):
            for m in range(rows):
                here = at + i * steps[0] + m * steps[1]
                line = load(x, here, vectors)
                if lowest is not None:
                    line = combine(total, line, lowest)
                for n in range(1, columns):
                    line = combine(line, load(x, here + n * steps[2], vectors), lowest)
                # The sum of the first line is the sum so far; a maximum holds it already.
                total = line if lowest is not None or i + m == 0 else combine(total, line, lowest)
        if lowest is None:
            total = _divided(total, divisor)
        store(y, to, total)

    return window


_wide, _narrow = _make_window(VECTORS), _make_window(1)


@kernel
def _position(x, y, channels, at, to, taps, steps, lowest, divisor):
    """Reduce the windows of all channels, at least a vector of them, at one position."""
    lane = lanes(y)
    c = 0
    while c + VECTORS * lane <= channels:
        _wide(x, at + c, taps[0], taps[1], taps[2], steps, lowest, divisor, y, to + c)
        c += VECTORS * lane
    while c < channels:
        k = min(c, channels - lane)  # the last vector may overlap the one before it
        _narrow(x, at + k, taps[0], taps[1], taps[2], steps, lowest, divisor, y, to + k)
        c += lane


@threaded
@kernel
def _row(item, x, y, numbers, places, counts, lowest):
    """Pool output row number `item`, counted over images, planes and rows.

    `x`, `y`: flat arrays. `numbers`: channels, input size, dilation, output size.
    `places`: first sample and number of samples of the windows along d, then h, then w.
    `counts`: divisors of averages, in the same order.
    `lowest`: -inf for maxima, None for averages.
    """
    channels, tall, wide = numbers[0], numbers[2], numbers[3]
    depths, talls, wides = numbers[7], numbers[8], numbers[9]
    rest, h = item // talls, item % talls
    image, d = rest // depths, rest % depths
    plane = image * numbers[1] + places[0, d]
    row = plane * tall + places[0, depths + h]
    steps = (
        numbers[4] * tall * wide * channels, numbers[5] * wide * channels, numbers[6] * channels
    )  # fmt: skip
    for k in range(wides):
        at, to = depths + talls + k, (item * wides + k) * channels
        taps = places[1, d], places[1, depths + h], places[1, at]
        if taps[0] * taps[1] * taps[2] == 0:  # an average of padding alone
            for c in range(channels):
                y[to + c] = 0
            continue
        divisor = counts[d] * counts[depths + h] * counts[at]
        first = (row * wide + places[0, at]) * channels
        _position(pointer(x), pointer(y), channels, first, to, taps, steps, lowest, divisor)


@kernel
def _pool(items, x, y, numbers, places, counts, lowest):
    """Pool all `items` output rows, split among threads. Arguments: see `_row`."""
    _row(items, x, y, numbers, places, counts, lowest)


def applies_to(problem: PoolProblem) -> bool:
    """Return True for maxima and averages with channels last that fill a vector, forward."""
    return (
        problem.layout == CHANNELS_LAST
        and problem.operation == "forward"
        and problem.kind in ("max", "average")
        and problem.channels >= lanes_of(problem.itemsize)
    )


def forward(problem: PoolProblem, x: np.ndarray, out: np.ndarray) -> None:
    """Pool `x` into `out`, both with their channels last."""
    flat = (in_memory(array, CHANNELS_LAST).reshape(-1) for array in (x, out))
    items, *tables = _tables(problem)
    _pool(items, *flat, *tables)


@kept
def _tables(problem: PoolProblem) -> tuple[Any, ...]:
    """Return the arguments of `_pool` that are no arrays of samples."""
    windows = windows_of(problem)
    dtype = np.dtype(problem.dtype).type
    sizes = [line.size for line in problem.lines]
    positions = [line.positions for line in problem.lines]
    numbers = np.array([problem.channels, *sizes, *windows.dilation, *positions])
    places = np.array([np.concatenate(windows.begin), np.concatenate(windows.taps)])
    counts = np.concatenate(windows.counts).astype(dtype)
    lowest = dtype(-np.inf) if problem.kind == "max" else None
    items = problem.batch * positions[0] * positions[1]
    return items, *map(read_only, (numbers, places, counts)), lowest
