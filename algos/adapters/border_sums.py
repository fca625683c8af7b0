"""Outputs along the border as direct sums, in one kernel and without copies.

For few taps, the calls and copies that strips need take longer than their sums. Here rows at the
upper and lower border are summed from a few lines of the extended input. Columns at the left and
right border are summed for a block of rows at a time. They read a small transposed copy of the
block's samples. In both, a tile of register sums takes one tap after the other, in the order in
which the algorithm adds them. So a sum has the same bits along the border as within.

Measurements and rejected variants: docs/kernels.md.

Arguments that mean the same in every kernel; indices and lengths count elements:

`x`: array (C/groups, H, W) of the input channels of one output channel.
`weights`: array of all kernels, [output channel][input channel][tap], with one zero behind it.
    Those of this output channel begin at `at`.
`offsets`: array with the place of each tap's first sample in the scratch array.
`start`: pointer to the one element that sums begin with.
`rows`, `columns`, `run`, `ends`: the fields of a `Border`.
`value`: the number where no sample stands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from algos.backend.compiler import kernel
from algos.core.algorithm import as_correlation
from algos.core.problem import Problem
from algos.simd.arithmetic import add_outer
from algos.simd.planes import add_run, store_run
from algos.simd.registers import further, lanes, lanes_of, pointer, splat

from .extension import line

#: Products of a sum, and multiply-adds of the border, up to which this is faster than strips
#: (2-core Zen 3).
MOST_TAPS, MOST_SUMS = 64, 1 << 21
#: Vectors of a tile of sums: enough of them hide the latency of a multiply-add.
VECTORS = 4
#: Columns whose lines of the extended input are held at once; they fit L2 for any kernel here.
CHUNK = 1024


@dataclass(frozen=True, eq=False)
class Border:
    """Outputs to compute: `ends` are the first and the last inner row, then column.

    `rows` and `columns` say which sample stands at each padded position, or `OUTSIDE`. Columns from
    ``run[0]`` to ``run[1]`` are consecutive samples.
    """

    ends: tuple[int, int, int, int]
    rows: np.ndarray
    columns: np.ndarray
    run: tuple[int, int]


@lru_cache(maxsize=1024)
def border_of(problem: Problem) -> Border | None:
    """Return the border of a layer with a boundary; None where this module does not suit it."""
    steps = {*problem.stride, *problem.dilation}
    if problem.operation != "forward" or problem.axes == 3 or steps != {1}:
        return None
    if not problem.is_plain or isinstance(problem.bias, str):
        return None
    lead = (1,) * (2 - problem.axes)
    ends, stands, runs = [], [], []
    for size, before, extent, outputs, reach in zip(
        (*lead, *problem.size), (*(0 for _ in lead), *problem.before), (*lead, *problem.extent),
        (*lead, *problem.output_size), (*lead, *problem.reach), strict=True,
    ):  # fmt: skip
        first, last = min(before, outputs), min(size - extent + before + 1, outputs)
        if first >= last:
            return None
        along = line(problem.boundary, size, -before, reach - before)
        ends += [first, last]
        stands.append(along.stands)
        runs.append((along.inner.start, along.inner.stop))
    inner = (ends[1] - ends[0]) * (ends[3] - ends[2])
    outer = math.prod(problem.output_size) - inner
    sums = outer * problem.taps * problem.out_channels * problem.batch
    rows, columns = stands
    found = Border(tuple(ends), rows, columns, runs[1])
    return found if problem.taps <= MOST_TAPS and sums <= MOST_SUMS else None


class Taps(NamedTuple):
    """Kernels made ready: `weights`, and the `offsets` in lines and in turned columns."""

    weights: np.ndarray
    along: np.ndarray
    turned: np.ndarray


def prepare(problem: Problem, border: Border, w: np.ndarray, order: np.ndarray | None) -> Taps:
    """Return the kernels with their taps in `order`, row by row by default."""
    rows, columns = (1, 1, *problem.kernel)[-2:]
    order = np.arange(rows * columns) if order is None else order
    w = as_correlation(problem, w).reshape(-1, rows * columns)
    (_, line_pitch), (_, turned_pitch), _ = _scratch(problem, border)
    down, across = order // columns, order % columns
    return Taps(
        np.append(w[:, order], w.dtype.type(0)), down * line_pitch + across,
        across * turned_pitch + down,
    )  # fmt: skip


def _make_add(vectors: int) -> Any:
    """Return the kernel for a tile of `vectors` vectors."""

    @kernel
    def add(samples, source, weights, at, offsets, start, done, out, target, count):
        """Write `count` neighbouring sums from ``out[target]`` on, or add to them.

        `samples`: pointer; ``samples[source + offsets[t]]`` meets tap t of the first sum. Whole
            vectors are read.
        `done`: true if the output already holds sums to add to.
        `count`: at most `vectors` vectors, the last of them possibly in part.
        """
        total = splat(start, 0, vectors)
        if done:
            total = add_run(total, out, target, count)
        for t in range(offsets.size):
            total = add_outer(total, weights, at + t, samples, source + offsets[t], 1, vectors)
        store_run(total, out, target, count)

    return add


_add_wide, _add_narrow = _make_add(VECTORS), _make_add(1)


@kernel
def _add_line(samples, source, weights, at, offsets, start, done, out, target, width):
    """Write or add to `width` sums, tile by tile; the other arguments are those of `add`."""
    lane, k = lanes(out), 0
    while width - k > (VECTORS - 1) * lane:
        _add_wide(samples, source + k, weights, at, offsets, start, done, out, target + k,
                  min(width - k, VECTORS * lane))  # fmt: skip
        k += VECTORS * lane
    while k < width:
        _add_narrow(samples, source + k, weights, at, offsets, start, done, out, target + k,
                    min(width - k, lane))  # fmt: skip
        k += lane


@kernel
def _read_line(source, columns, run, value, first, into):
    """Write `into.size` positions of a line of the extended input, from `first` on.

    `source`: row of the input.
    """
    low = min(max(run[0] - first, 0), into.size)
    high = max(min(run[1] - first, into.size), low)
    for k in range(low):
        into[k] = source[columns[first + k]] if columns[first + k] >= 0 else value
    if low < high:
        inner, samples = into[low:high], source[columns[first + low] :]
        for k in range(inner.size):
            inner[k] = samples[k]
    for k in range(high, into.size):
        into[k] = source[columns[first + k]] if columns[first + k] >= 0 else value


@kernel
def _sum_rows(x, weights, at, offsets, start, rows, columns, run, value, first, last, lines, deep,
              across, out, target):  # fmt: skip
    """Compute rows `first` to `last` − 1 of one output channel.

    `lines`: array with room for last − first + deep lines of `CHUNK` + across positions.
    `deep`, `across`: rows and columns of the kernel, less one.
    `out`: array (H, W) of the channel; ``target[0]`` is its first element.
    """
    width, taps = out.shape[1], offsets.size
    for k in range(0, width, CHUNK):
        count = min(CHUNK, width - k)
        for c in range(x.shape[0]):
            for p in range(last - first + deep):
                into = lines[p, : count + across]
                if rows[first + p] >= 0:
                    _read_line(x[c, rows[first + p]], columns, run, value, k, into)
                else:
                    for n in range(into.size):
                        into[n] = value
            begin = start if c == 0 else further(pointer(weights), weights.size - 1)
            for j in range(first, last):
                _add_line(
                    pointer(lines), (j - first) * lines.shape[1], pointer(weights), at + c * taps,
                    offsets, begin, c > 0, target, j * width + k, count,
                )  # fmt: skip


@kernel
def _sum_columns(x, weights, at, offsets, start, rows, columns, value, top, count, low, high, deep,
                 across, turned, sums, out):  # fmt: skip
    """Compute columns `low` to `high` − 1 of `count` rows from `top` on of one output channel.

    The rows read samples of the input alone above and below.

    `turned`: array with room for high − low + across columns, one after the other; overwritten.
    `sums`: array (room for high − low columns, `VECTORS` vectors), overwritten.
    """
    taps = offsets.size
    for c in range(x.shape[0]):
        for p in range(count + deep):
            source = x[c, rows[top + p]]
            for t in range(high - low + across):
                sample = columns[low + t]
                turned[t, p] = source[sample] if sample >= 0 else value
        begin = start if c == 0 else further(pointer(weights), weights.size - 1)
        for k in range(high - low):
            _add_wide(
                pointer(turned), k * turned.shape[1], pointer(weights), at + c * taps, offsets,
                begin, c > 0, pointer(sums), k * sums.shape[1], sums.shape[1],
            )  # fmt: skip
    for i in range(count):
        for k in range(high - low):
            out[top + i, low + k] = sums[k, i]


@kernel
def _sum_border(x, weights, along, turned_along, bias, rows, columns, run, ends, value, deep,
                across, lines, turned, sums, out):  # fmt: skip
    """Compute all outputs along the border.

    `x`: array (N, C, H, W); `bias`: (O,).
    `along`, `turned_along`: `offsets` in `lines` and in `turned`.
    `out`: array (N, O, H, W); its border is overwritten, nothing else.
    """
    inputs = (weights.size - 1) // (out.shape[1] * along.size)
    share = out.shape[1] // (x.shape[1] // inputs)
    height, width = out.shape[2:]
    block = sums.shape[1]
    for b in range(out.shape[0]):
        for o in range(out.shape[1]):
            first = o // share * inputs
            source, target = x[b, first : first + inputs], out[b, o]
            at, start = o * inputs * along.size, further(pointer(bias), o)
            where = further(pointer(out), (b * out.shape[1] + o) * height * width)
            _sum_rows(source, weights, at, along, start, rows, columns, run, value, 0, ends[0],
                      lines, deep, across, target, where)  # fmt: skip
            _sum_rows(source, weights, at, along, start, rows, columns, run, value, ends[1], height,
                      lines, deep, across, target, where)  # fmt: skip
            for top in range(ends[0], ends[1], block):
                count = min(block, ends[1] - top)
                _sum_columns(source, weights, at, turned_along, start, rows, columns, value, top,
                             count, 0, ends[2], deep, across, turned, sums, target)  # fmt: skip
                _sum_columns(source, weights, at, turned_along, start, rows, columns, value, top,
                             count, ends[3], width, deep, across, turned, sums, target)  # fmt: skip


@lru_cache(maxsize=1024)
def _scratch(problem: Problem, border: Border) -> tuple[tuple[int, int], ...]:
    """Return the shapes of lines, turned columns and sums; lines end in room for a whole tile."""
    rows, columns = (1, 1, *problem.kernel)[-2:]
    height, width = (1, *problem.output_size)[-2:]
    top, bottom, left, right = border.ends
    block = VECTORS * lanes_of(problem.itemsize)
    deepest, widest = max(top, height - bottom), max(left, width - right)
    return (
        (deepest + rows - 1, min(CHUNK, width) + columns - 1 + block),
        (widest + columns - 1, block + rows - 1),
        (widest, block),
    )


def scratch_bytes(problem: Problem, border: Border) -> int:
    """Return the bytes that `sum_border` allocates, and those of what `prepare` returns."""
    arrays = sum(map(math.prod, _scratch(problem, border))) + math.prod(problem.kernel_shape) + 1
    return arrays * problem.itemsize + 32 * problem.taps


def sum_border(
    problem: Problem, border: Border, x: np.ndarray, taps: Taps, bias: np.ndarray, out: np.ndarray
) -> None:
    """Write the outputs of a layer along the border into `out`."""
    if problem.axes == 1:
        x, out = x[:, :, None], out[:, :, None]
    rows, columns = (1, 1, *problem.kernel)[-2:]
    # Tiles read garbage behind the samples, for sums that are thrown away.
    lines, turned, sums = (np.empty(shape, x.dtype) for shape in _scratch(problem, border))
    _sum_border(
        x, *taps, bias, border.rows, border.columns, border.run, border.ends,
        out.dtype.type(problem.cval), rows - 1, columns - 1, lines, turned, sums, out,
    )  # fmt: skip
