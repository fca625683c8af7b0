"""Direct convolution with neighbouring pixels in the lanes of vector registers.

For images and depthwise layers, where an output channel sums few input channels: a register
tile holds R output rows × V vectors of one channel. A row of the input is read once per
column of the kernel, at any shift, and serves every output row of the tile that it reaches:
up to R multiply-adds for one load, with no im2col and no copy. Columns outside the image are
masked, rows outside it stand in a row of zeros, so the inner loop knows no border. Only an
input strided along columns is copied, a tile at a time, taken apart into its phases.

Bound by the multiply-add units from 7 kernel rows up, below that by loads: at any shift a
load touches two cache lines and takes two cycles. On a 2-core AVX-512 machine (Zen 4,
116 GFLOP/s a core in float32) one thread reaches, on 1024×1024, 41 % of the peak with 3×3
taps, 63 % with 5×5, 73 % with 7×7, 86 % with 15×15 and 31×31; 34 % on a depthwise 3×3 layer
at 112×112 and 8 % with stride 2, where the copy dominates. A long single row is folded into
several, which share weights but no loads: half the peak with 1 023 taps.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numba
import numba.np.unsafe.ndarray
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from . import simd
from .jit import kernel
from .problem import Problem
from .simd import add_window, clear, copy, copy_every, distance, lanes, pointer, splat, store_block

#: Rows of the register tile, and how many vectors wide it may be: sums, operands and a
#: weight fit the register file.
ROWS, WIDTHS = (6, (4, 2)) if simd.REGISTERS == 32 else (4, (2, 1))
#: Kernel rows taken at once, at most.
MOST_TAPS = 5


class Shape(NamedTuple):
    """The numbers that the compiled kernel works from."""

    groups: int
    inputs: int
    outputs: int
    depth: int
    height: int
    width: int
    out_depth: int
    out_height: int
    out_width: int
    depth_taps: int
    kernel_rows: int
    kernel_columns: int
    parts: int
    depth_stride: int
    row_stride: int
    column_stride: int
    depth_before: int
    rows_before: int
    columns_before: int
    depth_dilation: int
    tile_step: int
    row_step: int
    phases: int
    phase_pitch: int
    tiles: int
    band: int
    bands: int


_NUMBERS = len(Shape._fields)
to_fixed_tuple: Any = numba.np.unsafe.ndarray.to_fixed_tuple


@kernel
def _pack_rows(x, plane, r, rows, first, s, target):
    """Copy `rows` rows of a plane, r and on, row_step apart, from column `first` on.

    The copy is [row][column phase][column]; what lies outside the plane becomes zeros.
    """
    stride, count = s.column_stride, s.phase_pitch
    for b in range(s.phases):
        origin = first + b
        left = 0 if origin >= 0 else min(count, (-origin + stride - 1) // stride)
        right = count
        if origin + (count - 1) * stride >= s.width:
            right = max(left, (s.width - origin + stride - 1) // stride)
        for q in range(rows):
            at = (q * s.phases + b) * count
            row = r + q * s.row_step
            if row < 0 or row >= s.height:
                clear(target, at, count)
                continue
            source = plane + row * s.width + origin + left * stride
            if stride == 1:
                copy(x, source, target, at + left, right - left)
            else:
                copy_every(x, source, stride, target, at + left, right - left)
            clear(target, at, left)
            clear(target, at + right, count - right)


def _make_tiles(vectors, narrower):
    """The kernel for register tiles of ROWS × `vectors`, unless `narrower` ones suffice."""
    registers = ROWS * vectors

    @kernel
    def tiles(
        x, weights, bias, offsets, parts, out, s, channel, o, h, j, target, k, last, buffer, starts
    ):
        """Output rows j, j + step, … of one plane, in tiles from column k on; where they end.

        `parts` lists runs of kernel rows that share input rows: (first input row, taps).
        """
        height, width, depth = s.height, s.width, s.depth
        stretch = vectors * lanes(out)
        rows = (s.out_height - j + s.tile_step - 1) // s.tile_step
        while last - k > narrower * lanes(out):
            first = k * s.column_stride - s.columns_before
            total = splat(bias, o, registers)
            weight = o * s.inputs * s.depth_taps * s.kernel_rows * s.kernel_columns
            for c in range(s.inputs):
                for p in range(s.depth_taps):
                    d = h * s.depth_stride + p * s.depth_dilation - s.depth_before
                    if d < 0 or d >= depth:
                        weight += s.kernel_rows * s.kernel_columns
                        continue
                    plane = ((channel + c) * depth + d) * height * width
                    for part in range(s.parts):
                        taps = parts[2 * part + 1]
                        r = j * s.row_stride + parts[2 * part] - s.rows_before
                        end = r + (taps + ROWS - 2) * s.row_step
                        if end < 0 or r >= height:
                            weight += taps * s.kernel_columns
                            continue
                        if s.column_stride > 1:
                            _pack_rows(x, plane, r, taps + ROWS - 1, first, s, buffer)
                            source, low, high = buffer, 0, s.phases * s.phase_pitch
                            for q in range(taps + ROWS - 1):
                                starts[q] = q * high
                        else:
                            # Columns are counted from `first`, the tile's leftmost tap.
                            source, low, high = x, -first, s.width - first
                            for q in range(taps + ROWS - 1):
                                starts[q] = plane + (r + q * s.row_step) * s.width + first
                                if r + q * s.row_step < 0 or r + q * s.row_step >= s.height:
                                    starts[q] = distance(x, buffer)
                        if taps == 1:
                            for n in range(s.kernel_columns):
                                total = add_window(
                                    total, weights, weight + n, source, starts, offsets[n],
                                    low, high, 1, ROWS, vectors,
                                )  # fmt: skip
                        elif taps == 2:
                            for n in range(s.kernel_columns):
                                total = add_window(
                                    total, weights, weight + 2 * n, source, starts, offsets[n],
                                    low, high, 2, ROWS, vectors,
                                )  # fmt: skip
                        elif taps == 3:
                            for n in range(s.kernel_columns):
                                total = add_window(
                                    total, weights, weight + 3 * n, source, starts, offsets[n],
                                    low, high, 3, ROWS, vectors,
                                )  # fmt: skip
                        elif taps == 4:
                            for n in range(s.kernel_columns):
                                total = add_window(
                                    total, weights, weight + 4 * n, source, starts, offsets[n],
                                    low, high, 4, ROWS, vectors,
                                )  # fmt: skip
                        else:
                            for n in range(s.kernel_columns):
                                total = add_window(
                                    total, weights, weight + 5 * n, source, starts, offsets[n],
                                    low, high, 5, ROWS, vectors,
                                )  # fmt: skip
                        weight += taps * s.kernel_columns
            store_block(
                total, out, target + k, s.tile_step * s.out_width, rows, last - k, ROWS, vectors
            )
            k += stretch
        return k

    return tiles


_wide_tiles = _make_tiles(WIDTHS[0], WIDTHS[1])
_narrow_tiles = _make_tiles(WIDTHS[1], 0)


@kernel
def _item(x, weights, bias, offsets, parts, out, s, item, buffer, starts):
    """One row of tiles: up to ROWS output rows of one channel, one band of columns."""
    item, band = item // s.bands, item % s.bands
    item, t = item // s.tiles, item % s.tiles
    item, h = item // s.out_depth, item % s.out_depth
    j = t // s.tile_step * ROWS * s.tile_step + t % s.tile_step
    if j >= s.out_height:
        return
    b, o = item // s.outputs, item % s.outputs
    channel = (b * s.groups + o // (s.outputs // s.groups)) * s.inputs
    target = ((item * s.out_depth + h) * s.out_height + j) * s.out_width
    k = band * s.band
    last = min(k + s.band, s.out_width)
    k = _wide_tiles(
        x, weights, bias, offsets, parts, out, s, channel, o, h, j, target, k, last, buffer, starts
    )
    _narrow_tiles(
        x, weights, bias, offsets, parts, out, s, channel, o, h, j, target, k, last, buffer, starts
    )


@kernel(parallel=True)
def _forward(x, weights, bias, offsets, parts, out, numbers, items, buffers, starts):
    """Every item, split evenly among as many threads as there are buffers."""
    workers = buffers.shape[0]
    for worker in numba.prange(workers):
        t = np.int64(worker)
        s = Shape(*to_fixed_tuple(numbers, _NUMBERS))
        clear(pointer(buffers[t]), 0, s.phase_pitch)
        for item in range(t * items // workers, (t + 1) * items // workers):
            _item(
                pointer(x), pointer(weights), pointer(bias), pointer(offsets), pointer(parts),
                pointer(out), s, item, pointer(buffers[t]), pointer(starts[t]),
            )  # fmt: skip


@dataclass(frozen=True)
class Sliding:
    """How one problem is cut up: what the compiled kernel needs to know, and its buffer."""

    numbers: np.ndarray
    offsets: np.ndarray
    parts: np.ndarray
    row_order: list[int]
    items: int
    buffer: int


def _parts(taps: int, dilation: int, stride: int) -> list[list[int]]:
    """Kernel rows in runs whose input rows are one step apart, none above MOST_TAPS long.

    With stride 1 the tile's rows lie `dilation` apart and all kernel rows are one run; else
    a run is what falls into one phase of the stride without a gap.
    """
    step = dilation if stride == 1 else stride
    runs: list[list[int]] = []
    for m in sorted(range(taps), key=lambda m: (m * dilation % step, m)):
        if runs and m * dilation == runs[-1][-1] * dilation + step:
            runs[-1].append(m)
        else:
            runs.append([m])
    cut: list[list[int]] = []
    for run in runs:
        pieces = -(-len(run) // 4) if len(run) > MOST_TAPS else 1
        ends = [len(run) * i // pieces for i in range(pieces + 1)]
        cut += [run[a:b] for a, b in itertools.pairwise(ends)]
    return cut


@lru_cache(maxsize=256)
def folded(problem: Problem) -> Problem:
    """A long single row as several that overlap, for the rows of a tile to share; or as it is.

    The rows are cut from the padded row, so the folded problem has no padding of its own.
    """
    v = problem.volume
    single = {*v.size[:2], *v.kernel[:2], *v.output_size[:2]} == {1}
    width = v.output_size[2]
    if not single or v.stride[2] > 1 or width < max(2048, 12 * v.extent[2]):
        return problem
    rows = 8 * ROWS
    return replace(
        v, size=(1, rows, -(-width // rows) + v.extent[2] - 1), padding=((0, 0),) * 3, fit="floor"
    )


def _fold(problem: Problem, fold: Problem, x: np.ndarray) -> np.ndarray:
    """`x` as the input of `fold`: (N, C, 1, rows, columns)."""
    rows, columns = fold.size[1:]
    step = fold.output_size[2]
    padded = np.zeros((*x.shape[:2], (rows - 1) * step + columns), x.dtype)
    before, width = problem.padding[-1][0], problem.size[-1]
    stop = min(before + width, padded.shape[2])
    padded[:, :, before:stop] = x.reshape(*x.shape[:2], -1)[:, :, : stop - before]
    windows = sliding_window_view(padded, columns, axis=2)[:, :, ::step]
    return np.ascontiguousarray(windows).reshape(fold.input_shape)


def cost(problem: Problem) -> float:
    """Estimated register operations per vector of products, 1 at best.

    A load at any column, twice as dear as a product, bounds short runs of kernel rows;
    beside it counts what is thrown away at the right and the bottom.
    """
    v = folded(problem).volume
    lane = simd.lanes_of(problem.itemsize)
    height, width = v.output_size[1:]
    runs = [len(run) for run in _parts(v.kernel[1], v.dilation[1], v.stride[1])]
    slots = sum(max(ROWS * taps, 2 * (taps + ROWS - 1)) + 15 / v.kernel[2] for taps in runs)
    wasted = -(-width // lane) * lane / width * (-(-height // ROWS) * ROWS / height)
    copying = 2 if v.stride[2] > 1 else 1
    return wasted * copying * slots / (ROWS * v.kernel[1])


@lru_cache(maxsize=256)
def sliding(problem: Problem, threads: int) -> Sliding:
    """How `problem` is cut up; the order of summation does not depend on `threads`."""
    v = problem.volume
    lane = simd.lanes_of(problem.itemsize)
    stride, dilation = v.stride, v.dilation
    runs = _parts(v.kernel[1], dilation[1], stride[1])
    columns = np.arange(v.kernel[2]) * dilation[2]
    phase_pitch = int(columns.max()) // stride[2] + WIDTHS[0] * lane
    phases = int((columns % stride[2]).max()) + 1
    offsets = columns % stride[2] * phase_pitch + columns // stride[2]
    height, width = v.output_size[1:]
    tile_step = dilation[1] if stride[1] == 1 else 1
    tiles = tile_step * -(-height // (ROWS * tile_step))
    rows = v.batch * v.out_channels * v.output_size[0] * tiles
    # Few rows of tiles, as in one dimension, are cut into bands of columns as well.
    widest = WIDTHS[0] * lane
    bands = min(-(-width // widest), -(-8 * threads // rows)) if rows < 8 * threads else 1
    band = -(-width // (bands * lane)) * lane
    bands = -(-width // band)
    shape = Shape._make((
        v.groups, v.in_channels // v.groups, v.out_channels, *v.size, *v.output_size, *v.kernel,
        len(runs), *stride, *v.before, dilation[0], tile_step,
        dilation[1] if stride[1] == 1 else stride[1], phases, phase_pitch, tiles, band, bands,
    ))  # fmt: skip
    longest = max(len(run) for run in runs) + ROWS - 1
    return Sliding(
        np.array(shape), offsets.astype(np.int64),
        np.array([(run[0] * dilation[1], len(run)) for run in runs], np.int64),
        [m for run in runs for m in run], rows * bands, longest * phases * phase_pitch + 2 * lane,
    )  # fmt: skip


def workspace_bytes(problem: Problem, threads: int) -> int:
    """Packed kernel, per thread a zero row or the rows of a tile, and what folding copies."""
    fold = folded(problem)
    elements = threads * sliding(fold, threads).buffer + math.prod(problem.kernel_shape)
    if fold != problem:
        elements += 2 * math.prod(fold.input_shape) + math.prod(fold.output_shape)
    return elements * problem.itemsize


def prepare(problem: Problem, w: np.ndarray, threads: int) -> tuple[Problem, Sliding, np.ndarray]:
    """What is computed, how it is cut, and the correlation kernel `w` column by column."""
    fold = folded(problem)
    cut = sliding(fold, threads)
    ordered = w[:, :, :, cut.row_order].swapaxes(3, 4)
    pieces, at = [], 0
    for taps in cut.parts[:, 1]:
        pieces.append(ordered[..., at : at + taps].reshape(*w.shape[:3], -1))
        at += taps
    return fold, cut, np.concatenate(pieces, axis=-1).reshape(-1)


def forward(
    problem: Problem, x: np.ndarray, prepared: tuple[Problem, Sliding, np.ndarray],
    bias: np.ndarray, out: np.ndarray, threads: int,
) -> None:  # fmt: skip
    """Write the output for `x`."""
    fold, cut, weights = prepared
    y = out
    if fold != problem:
        x, y = _fold(problem, fold, x), np.empty(fold.output_shape, out.dtype)
    _forward(
        x.reshape(-1), weights, bias, cut.offsets, cut.parts, y.reshape(-1), cut.numbers,
        cut.items, np.empty((threads, cut.buffer), x.dtype),
        np.empty((threads, ROWS + MOST_TAPS), np.int64),
    )  # fmt: skip
    if fold != problem:
        width = out.shape[-1]
        out.reshape(*y.shape[:2], width)[...] = y.reshape(*y.shape[:2], -1)[:, :, :width]
