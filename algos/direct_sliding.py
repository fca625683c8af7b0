"""How `direct_rows` cuts a problem up: runs of kernel rows, strips, threads; long rows folded.

Nothing here is compiled. The order of summation depends on the problem alone; only the split
into strips looks at the threads.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from . import simd
from .problem import Problem

#: Rows of the register tile, and how many vectors wide it may be. With 4 × 4 sums the loads of
#: 3 kernel rows and more hide behind the products; 6 rows need two lines more in the same
#: places of the first-level cache where rows lie 4 KiB apart, and lost 10 to 15 % there.
ROWS = 4
WIDE, NARROW = (4, 1) if simd.REGISTERS == 32 else (2, 1)
#: Kernel rows taken at once, at most.
MOST_TAPS = 5
#: Output columns of a strip, at most: its rows stay in L1 while runs of kernel rows are added.
STRIP = 1024


class Shape(NamedTuple):
    """The numbers that the compiled kernel works from, spatial ones as depth, row, column."""

    groups: int
    #: Input channels of a group; output channels of all.
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
    #: Taps of one plane of the kernel, and runs of kernel rows that make them up.
    taps: int
    parts: int
    depth_stride: int
    row_stride: int
    column_stride: int
    depth_before: int
    rows_before: int
    columns_before: int
    depth_dilation: int
    #: Output rows from one row of a tile to the next, input rows from one tap to the next.
    tile_step: int
    row_step: int
    #: Column phases of the stride, and elements of a phase in a packed row.
    phases: int
    phase_pitch: int
    #: Tiles one below the other, bands of columns side by side, columns of a band.
    tiles: int
    bands: int
    band: int
    #: Strips in all; elements of a thread's buffer.
    items: int
    buffer: int


@dataclass(frozen=True)
class Sliding:
    """How one problem is cut up: what the compiled kernel needs to know."""

    #: `Shape`, then the shift of every kernel column, then (first input row, taps, first
    #: column, columns) of every run of kernel rows.
    table: np.ndarray
    #: The taps of a plane in the order in which they are multiplied.
    order: np.ndarray
    shape: Shape
    is_folded: bool


def runs(taps: int, dilation: int, stride: int) -> list[list[int]]:
    """Kernel rows in runs whose input rows are one step apart, none above MOST_TAPS long.

    With stride 1 the tile's rows lie `dilation` apart and all kernel rows are one run; else
    a run is what falls into one phase of the stride without a gap.
    """
    step = dilation if stride == 1 else stride
    whole: list[list[int]] = []
    for m in sorted(range(taps), key=lambda m: (m * dilation % step, m)):
        if whole and m * dilation == whole[-1][-1] * dilation + step:
            whole[-1].append(m)
        else:
            whole.append([m])
    cut: list[list[int]] = []
    for run in whole:
        pieces = -(-len(run) // 4) if len(run) > MOST_TAPS else 1
        ends = [len(run) * i // pieces for i in range(pieces + 1)]
        cut += [run[a:b] for a, b in itertools.pairwise(ends)]
    return cut


@lru_cache(maxsize=256)
def folded(problem: Problem) -> Problem:
    """A long single row as the rows of an image that overlap; or the problem as it is.

    With y[i] = Σ w[n] x[i + n·D], tap n = a·B + b and position i = r·B·D + k, output row r
    reads, for tap row a, input row r + a: a kernel of ⌈F/B⌉ rows of B taps slides down rows that
    begin B·D samples apart, and every load serves several rows of the tile, as in an image.
    The image is cut from the padded row, so it has no padding of its own.
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
    """Estimated register operations per vector of products, 1 at best.

    A load at any column, twice as dear as a product, bounds short runs of kernel rows; beside
    it counts taking up and putting down the sums of a run, and what is thrown away at the
    right and the bottom.
    """
    v = folded(problem).volume
    lane = simd.lanes_of(problem.itemsize)
    height, width = v.output_size[1:]
    taps = [len(run) for run in runs(v.kernel[1], v.dilation[1], v.stride[1])]
    slots = sum(max(ROWS * t, 2 * (t + ROWS - 1)) + 2 * ROWS / v.kernel[2] for t in taps)
    wasted = -(-width // lane) * lane / width * (-(-height // ROWS) * ROWS / height)
    copying = 2 if v.stride[2] > 1 else 1
    return wasted * copying * slots / (ROWS * v.kernel[1])


def _parts(v: Problem, taps: int) -> list[tuple[list[int], int, int]]:
    """Runs of kernel rows, each with the columns it covers, first and end.

    The last row of a folded kernel may end early: the columns beyond have a row less.
    """
    rows, columns = v.kernel[1:]
    last = taps - (rows - 1) * columns
    parts = [(run, 0, last) for run in runs(rows, v.dilation[1], v.stride[1])]
    if last < columns:
        parts += [(run, last, columns) for run in runs(rows - 1, v.dilation[1], v.stride[1])]
    return parts


@lru_cache(maxsize=256)
def sliding(problem: Problem, threads: int) -> Sliding:
    """How `problem` is cut up; the order of summation does not depend on `threads`."""
    v = folded(problem).volume
    taps = math.prod(problem.volume.kernel[1:])
    parts = _parts(v, taps)
    lane = simd.lanes_of(problem.itemsize)
    stride, dilation = v.stride, v.dilation
    tile_step = dilation[1] if stride[1] == 1 else 1
    height, width = v.output_size[1:]
    tiles = tile_step * -(-height // (ROWS * tile_step))
    planes = v.batch * v.out_channels * v.output_size[0]
    # Few rows of tiles, as in tall or thin images, are cut into more bands of columns.
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
    # The rows of a folded problem overlap: from one to the next it is an output row's width.
    pitch = width if v != problem.volume else v.size[2]
    plane = (v.size[1] - 1) * pitch + v.size[2]
    longest = max(len(run) for run, _, _ in parts) + ROWS - 1
    shape = Shape._make((
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
    return Sliding(table, np.array(order, np.intp), shape, v != problem.volume)
