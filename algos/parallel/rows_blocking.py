"""Blocking of `parallel.rows`: runs of kernel rows, strips, split among threads, folding.

Nothing here is compiled. The order of summation depends on the problem alone; only the split into
strips depends on the number of threads.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from algos.core.problem import Problem
from algos.simd import registers as simd

#: Rows of the register tile. With 4 × 4 sums, the loads of 3 or more kernel rows hide behind the
#: products. Six rows were slower on Zen 4, see docs/kernels.md.
ROWS = 4
#: Vectors of a wide and of a narrow register tile.
WIDE, NARROW = (4, 1) if simd.REGISTERS == 32 else (2, 1)
#: Most kernel rows taken at once: more weights would not fit the registers.
MOST_TAPS = 5
#: Most output columns of a strip, so that its rows stay in L1 while runs are added to them.
STRIP = 1024
#: Register operations per vector of products, fitted on Zen 4, and with 16 registers on Zen 3.
SLOT = 1.0 if simd.REGISTERS == 32 else 1.7
#: The factor for strips that continue from the sums in the output. Fitted on Ice Lake.
CONTINUED = 3.0 if simd.FEW_LOADS else 1.0


class RowsGeometry(NamedTuple):
    """Numbers the compiled kernel works from; spatial ones come as depth, row, column."""

    groups: int
    #: Input channels of a group; output channels of all groups.
    inputs: int
    outputs: int
    depth: int
    height: int
    width: int
    out_depth: int
    out_height: int
    out_width: int
    #: Elements from one input channel, plane and row to the next.
    channel: int
    plane: int
    pitch: int
    depth_taps: int
    #: Taps of one plane of the kernel; number of runs of kernel rows that they are split into.
    taps: int
    parts: int
    depth_stride: int
    row_stride: int
    column_stride: int
    depth_before: int
    rows_before: int
    columns_before: int
    depth_dilation: int
    #: Output rows between neighbouring rows of a tile; input rows between neighbouring taps.
    tile_step: int
    row_step: int
    #: Column phases of the stride; elements of one phase in a packed row.
    phases: int
    phase_pitch: int
    #: Tiles in a column of tiles; bands of columns side by side; columns of a band.
    tiles: int
    bands: int
    band: int
    #: Strips in all; elements of scratch of one thread.
    items: int
    buffer: int


@dataclass(frozen=True)
class RowsBlocking:
    """Blocking of one problem."""

    #: `RowsGeometry`; then the shift of every kernel column; then (first input row, taps, first
    #: column, columns) of every run of kernel rows.
    table: np.ndarray
    #: Taps of a plane in the order of their use.
    order: np.ndarray
    shape: RowsGeometry
    is_folded: bool


def runs(taps: int, dilation: int, stride: int) -> list[list[int]]:
    """Split kernel rows into runs whose input rows are one step apart, at most MOST_TAPS long.

    With stride 1 the tile's rows lie `dilation` apart, so all kernel rows form one run. Otherwise a
    run holds neighbouring kernel rows of one phase of the stride.
    """
    step = dilation if stride == 1 else stride
    whole: list[list[int]] = []
    for m in sorted(range(taps), key=lambda m: (m * dilation % step, m)):
        if whole and m * dilation == whole[-1][-1] * dilation + step:
            whole[-1].append(m)
        else:
            whole.append([m])
    blocks: list[list[int]] = []
    for run in whole:
        pieces = -(-len(run) // 4) if len(run) > MOST_TAPS else 1
        ends = [len(run) * i // pieces for i in range(pieces + 1)]
        blocks += [run[a:b] for a, b in itertools.pairwise(ends)]
    return blocks


@lru_cache(maxsize=256)
def folded(problem: Problem) -> Problem:
    """Return a long single row as an image of overlapping rows; other problems as they are.

    The sum is y[i] = Σ w[n] x[i + n·D]. Write tap n = a·B + b and position i = r·B·D + k. Output
    row r then reads, for tap row a, input row r + a. So a kernel of ⌈F/B⌉ rows of B taps slides
    down rows that begin B·D samples apart. Every load serves several rows of the tile, as in an
    image. The image is taken from the padded row, so it has no padding of its own.
    """
    v = problem.volume
    single = {*v.size[:2], *v.kernel[:2], *v.output_size[:2]} == {1}
    if not single or v.stride[2] > 1:
        return problem
    lane = simd.lanes_of(problem.itemsize)
    taps, dilation, width = v.kernel[2], v.dilation[2], v.output_size[2]
    columns = min(taps, (WIDE if taps >= 8 * WIDE * lane else NARROW) * lane)
    rows = -(-taps // columns)
    pitch = columns * dilation if rows > 1 else WIDE * lane
    if width < 8 * max(ROWS * pitch, v.extent[2] // 8):
        return problem
    return replace(
        v, size=(1, -(-width // pitch) + rows - 1, pitch + (columns - 1) * dilation),
        kernel=(1, rows, columns), padding=((0, 0),) * 3, fit="floor",
    )  # fmt: skip


def cost(problem: Problem) -> float:
    """Estimate the register operations per vector of products; 1 is ideal.

    An unaligned load costs twice as much as a product and bounds short runs of kernel rows. Loading
    and storing the sums of a run, and sums discarded at the right and the bottom, are counted too.
    """
    v = folded(problem).volume
    lane = simd.lanes_of(problem.itemsize)
    height, width = v.output_size[1:]
    taps = [len(run) for run in runs(v.kernel[1], v.dilation[1], v.stride[1])]
    slots = sum(max(ROWS * t, 2 * (t + ROWS - 1)) + 2 * ROWS / v.kernel[2] for t in taps)
    wasted = -(-width // lane) * lane / width * (-(-height // ROWS) * ROWS / height)
    copying = 2.0 if v.stride[2] > 1 else 1.0
    if v.in_channels // v.groups * v.kernel[0] > 1:
        copying *= CONTINUED
    return wasted * copying * SLOT * slots / (ROWS * v.kernel[1])


def _parts(v: Problem, taps: int) -> list[tuple[list[int], int, int]]:
    """List the runs of kernel rows, each with the first column it covers and one past the last.

    The last row of a folded kernel may end early; the columns beyond it have one row less.
    """
    rows, columns = v.kernel[1:]
    last = taps - (rows - 1) * columns
    parts = [(run, 0, last) for run in runs(rows, v.dilation[1], v.stride[1])]
    if last < columns:
        parts += [(run, last, columns) for run in runs(rows - 1, v.dilation[1], v.stride[1])]
    return parts


def tap_order(problem: Problem) -> np.ndarray:
    """Return the taps of a plane, as flat indices, in the order in which they are added."""
    v = folded(problem).volume
    parts = _parts(v, math.prod(problem.volume.kernel[1:]))
    order = [
        m * v.kernel[2] + n
        for run, first, end in parts for n in reversed(range(first, end)) for m in run
    ]  # fmt: skip
    return np.array(order, np.intp)


@lru_cache(maxsize=256)
def blocking(problem: Problem, threads: int) -> RowsBlocking:
    """Choose the blocking of `problem`; the order of summation does not depend on `threads`."""
    v = folded(problem).volume
    taps = math.prod(problem.volume.kernel[1:])
    parts = _parts(v, taps)
    lane = simd.lanes_of(problem.itemsize)
    stride, dilation = v.stride, v.dilation
    tile_step = dilation[1] if stride[1] == 1 else 1
    height, width = v.output_size[1:]
    tiles = tile_step * -(-height // (ROWS * tile_step))
    planes = v.batch * v.out_channels * v.output_size[0]
    # Images with few rows of tiles are split into more bands of columns, to occupy all threads.
    bands = max(
        -(-width // STRIP), min(-(-width // (WIDE * lane)), 8 * threads // (planes * tiles))
    )
    band = -(-width // (bands * lane)) * lane
    bands = -(-width // band)

    columns = np.arange(v.kernel[2]) * dilation[2]
    offsets = columns // stride[2]
    phases = int((columns % stride[2]).max()) + 1
    reach = -(-band // (WIDE * lane)) * WIDE * lane + int(offsets.max())
    phase_pitch = -(-reach // lane) * lane
    offsets = offsets + columns % stride[2] * phase_pitch
    # The rows of a folded problem overlap: each begins one output width after the previous one.
    pitch = width if v != problem.volume else v.size[2]
    plane = (v.size[1] - 1) * pitch + v.size[2]
    longest = max(len(run) for run, _, _ in parts) + ROWS - 1
    shape = RowsGeometry._make((
        v.groups, v.in_channels // v.groups, v.out_channels, *v.size, *v.output_size,
        v.size[0] * plane, plane, pitch, v.kernel[0], taps, len(parts), *stride,
        *(before for before, _ in v.padding), dilation[0], tile_step,
        dilation[1] if stride[1] == 1 else stride[1], phases, phase_pitch, tiles, bands, band,
        planes * tiles * bands, (longest * phases if stride[2] > 1 else 1) * phase_pitch,
    ))  # fmt: skip
    described = [(run[0] * dilation[1], len(run), first, end - first) for run, first, end in parts]
    order = [
        m * v.kernel[2] + n for run, first, end in parts for n in range(first, end) for m in run
    ]
    table = np.array([*shape, *offsets, *itertools.chain(*described)], np.int64)
    return RowsBlocking(table, np.array(order, np.intp), shape, v != problem.volume)
