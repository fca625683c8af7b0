"""Direct convolution over windows: rows under the kernel, interleaved column by column (im2win).

The windows of one output row cover the same k_h input rows. `im2col` writes each of their samples
up to k_w times, since neighbouring windows overlap. Here it is written once: sample u of column k
goes to k · k_h + u. A window is then one run of k_h · k_w samples, and its right neighbour is the
same run, stride · k_h samples further. So the windows of a row share their samples, and every sum
reads consecutive memory. The windows take k_h/s times the input, the columns of `im2col`
k_h·k_w/s² times.

A register tile holds M neighbouring output positions × V vectors of output channels, and takes M
broadcast samples and V vectors of weights per tap. The weights are packed in the order of the
windows. A volume interleaves the rows of all planes under the kernel. With dilation a window is k_w
runs of k_h samples instead of one.

The paper makes the windows of a whole batch before it multiplies. Here a thread makes those of a
few output rows, which stay in its L2 cache until all output channels are done.

*Source*: Lu, Chu & Liu, *Im2win: Memory Efficient Convolution on SIMD Architectures*, IEEE HPEC
2022, arXiv:2306.14320.

Arguments that mean the same in every kernel; indices and lengths count elements:

`s`: the `WindowsGeometry`.
`windows`: pointer to the windows of some output rows, [row][input channel][column][line].
`weights`: packed kernel, [group][block of output channels][input channel][column][line][output
    channel].
`starts`: pointer to the M places of a tile's windows, counted from that of its first.

Measurements: docs/kernels.md.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .backend.compiler import by_ranges, fixed_tuple, kernel
from .core.algorithm import Algorithm, as_correlation
from .core.problem import Problem
from .parallel.channels import finish
from .parallel.channels_packing import pack_weights
from .simd import registers as simd
from .simd.arithmetic import add_gathered, repeat
from .simd.registers import further, lanes, load, pointer, store

#: Output positions of a register tile. A problem takes the tile that wastes fewest.
POSITIONS = (12, 7) if simd.REGISTERS == 32 else (6, 4)
#: Bytes of windows that a thread makes at a time: a quarter of the 1 MiB of L2 of a Zen 4 core.
WINDOWS_BYTES = 1 << 18
#: Parts into which the output rows of an image are cut at least, so that threads have work. Their
#: number does not depend on that of the threads.
PARTS = 8


class WindowsGeometry(NamedTuple):
    """Numbers the compiled kernel works from; spatial ones come as depth, row, column."""

    groups: int
    #: Channels of one group.
    inputs: int
    outputs: int
    depth: int
    height: int
    width: int
    out_depth: int
    out_height: int
    out_width: int
    depth_stride: int
    row_stride: int
    column_stride: int
    depth_dilation: int
    row_dilation: int
    column_dilation: int
    depth_before: int
    row_before: int
    column_before: int
    depth_taps: int
    row_taps: int
    column_taps: int
    #: Positions of a register tile; vectors of output channels; output channels of the tile.
    positions: int
    vectors: int
    stretch: int
    #: Output positions of a band of an output row; columns of their windows; elements of the
    #: windows of one channel, and of one row.
    band: int
    columns: int
    channel_size: int
    row_size: int
    #: Output rows, of one image, whose windows are made at a time; items of work in all.
    rows: int
    items: int


_NUMBERS = len(WindowsGeometry._fields)


@kernel
def _make_windows(x, s, image, line, band, windows):
    """Write the windows of one band of output row `line`, for the channels of one group.

    `x`: pointer to the input.
    `image`: number of the image and group; `band`: the first output position.
    """
    h, j = line // s.out_height, line % s.out_height
    lines = s.depth_taps * s.row_taps
    first = band * s.column_stride - s.column_before
    low, high = min(max(0, -first), s.columns), max(min(s.columns, s.width - first), 0)
    for c in range(s.inputs):
        channel = (image * s.inputs + c) * s.depth
        for p in range(s.depth_taps):
            d = h * s.depth_stride + p * s.depth_dilation - s.depth_before
            for m in range(s.row_taps):
                r = j * s.row_stride + m * s.row_dilation - s.row_before
                target = further(windows, c * s.channel_size + p * s.row_taps + m)
                if d < 0 or d >= s.depth or r < 0 or r >= s.height or low >= high:
                    for k in range(s.columns):
                        target[k * lines] = 0
                    continue
                source = further(x, ((channel + d) * s.height + r) * s.width + first)
                for k in range(low):
                    target[k * lines] = 0
                for k in range(low, high):
                    target[k * lines] = source[k]
                for k in range(high, s.columns):
                    target[k * lines] = 0


def _make_tile(positions: int, vectors: int) -> Any:
    """Return the innermost kernel for a register tile of `positions` × `vectors`."""

    @kernel
    def tile(windows, starts, s, runs, length, apart, weights, near, start, sums):
        """Write the sums of one tile, [position][output channel].

        `windows`: pointer to the tile's first window, for the first input channel.
        `runs`, `length`, `apart`: runs of a window, samples of each, and from one to the next.
        `near`: index into `weights` of the block of output channels.
        `start`: pointer to V vectors that the sums start from.
        """
        step = vectors * lanes(weights)
        total = repeat(load(start, 0, vectors), positions)
        for c in range(s.inputs):
            for n in range(runs):
                first = c * s.channel_size + n * apart
                for i in range(first, first + length):
                    total = add_gathered(
                        total, windows, starts, i, weights, near, positions, vectors
                    )
                    near += step
        store(sums, 0, total)

    return tile


_WIDE, _NARROW = POSITIONS
_wide1, _wide2 = _make_tile(_WIDE, 1), _make_tile(_WIDE, 2)
_narrow1, _narrow2 = _make_tile(_NARROW, 1), _make_tile(_NARROW, 2)


@kernel
def _run_tile(windows, starts, s, runs, length, apart, weights, near, start, sums):
    """Run the register tile of `s`; the arguments are those of the tile."""
    if s.positions == _WIDE:
        if s.vectors == 1:
            _wide1(windows, starts, s, runs, length, apart, weights, near, start, sums)
        else:
            _wide2(windows, starts, s, runs, length, apart, weights, near, start, sums)
    elif s.vectors == 1:
        _narrow1(windows, starts, s, runs, length, apart, weights, near, start, sums)
    else:
        _narrow2(windows, starts, s, runs, length, apart, weights, near, start, sums)


@kernel
def _item(x, weights, bias, out, starts, s, item, start, sums, windows):
    """Compute a band of some output rows of one image and group.

    `x`, `bias`, `out`: pointers to input, biases and output.
    `start`, `sums`, `windows`: pointers to the scratch of the thread.
    """
    lines, planes = s.out_depth * s.out_height, s.depth_taps * s.row_taps
    plane_size = lines * s.out_width
    bands = -(-s.out_width // s.band)
    rest, band = item // bands, item % bands * s.band
    parts = -(-lines // s.rows)
    image, first = rest // parts, rest % parts * s.rows
    last, width = min(first + s.rows, lines), min(s.band, s.out_width - band)
    for line in range(first, last):
        _make_windows(x, s, image, line, band, further(windows, (line - first) * s.row_size))
    runs, length, apart = s.column_taps, planes, s.column_dilation * planes
    if s.column_dilation == 1:
        runs, length = 1, s.column_taps * planes
    g = image % s.groups
    taps = s.inputs * s.column_taps * planes
    for o in range(0, s.outputs, s.stretch):
        for v in range(s.stretch):
            start[v] = bias[g * s.outputs + o + v] if o + v < s.outputs else 0
        near = (g * -(-s.outputs // s.stretch) * s.stretch + o) * taps
        for line in range(first, last):
            plane = (image * s.outputs + o) * plane_size + line * s.out_width + band
            for t in range(0, width, s.positions):
                seen = further(windows, (line - first) * s.row_size + t * s.column_stride * planes)
                _run_tile(seen, starts, s, runs, length, apart, weights, near, start, sums)
                finish(
                    sums, 0, s.positions, s.vectors, out, plane, plane_size, s.outputs - o, t,
                    width, 1, width, width,
                )  # fmt: skip


@by_ranges
@kernel
def _work(worker, first, last, x, weights, bias, out, starts, numbers, room):
    """Compute items `first` to `last` − 1 as thread `worker`.

    `x`, `weights`, `bias`, `out`: flat arrays. `numbers`: array of a `WindowsGeometry`.
    `room`: scratch (threads, …) for biases, a tile of sums, and windows.
    """
    s = WindowsGeometry(*fixed_tuple(numbers, _NUMBERS))
    start = pointer(room[worker])
    sums = further(start, s.stretch)
    windows = further(sums, _squares(s.positions, lanes(weights)) * s.stretch)
    for item in range(first, last):
        _item(
            pointer(x), pointer(weights), pointer(bias), pointer(out), pointer(starts), s, item,
            start, sums, windows,
        )  # fmt: skip


@kernel
def _convolve(items, x, weights, bias, out, starts, numbers, room):
    """Compute all items, split among as many threads as `room` has rows."""
    _work(room.shape[0], items, x, weights, bias, out, starts, numbers, room)


@kernel
def _squares(positions, lane):
    """Return the positions that a tile is read with: in squares of `lane` vectors."""
    return -(-positions // lane) * lane


class ImageToWindow(Algorithm):
    """Direct sums over interleaved rows, which neighbouring windows share (im2win)."""

    name = "im2win"
    opt_in = True

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of the packed kernel, and of each thread's windows and tile."""
        working = threads * _room(_geometry(problem), problem)
        # A kernel of planes, or one to flip, is copied in another order before it is packed.
        is_copied = problem.axes > 1 or problem.flip
        kernel = math.prod(problem.kernel_shape) if is_copied else 0
        return self.prepared_bytes(problem, threads) + max(working, kernel) * problem.itemsize

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        return _packed(problem) * problem.itemsize

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """Return the kernel, packed in the order of the windows."""
        v = problem.volume
        w = np.ascontiguousarray(as_correlation(problem, w).transpose(0, 1, 4, 2, 3))
        packed = simd.aligned(_packed(problem), w.dtype)
        pack_weights(
            w.reshape(v.out_channels, -1), v.groups, _geometry(problem).stretch, packed, threads
        )
        return packed

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        s = _geometry(problem)
        starts = np.arange(s.positions, dtype=np.int32)
        starts *= s.column_stride * s.depth_taps * s.row_taps
        room = simd.aligned(threads * _room(s, problem), x.dtype).reshape(threads, -1)
        _convolve(
            s.items, x.reshape(-1), prepared, bias, out.reshape(-1), starts, np.array(s), room
        )


def _room(s: WindowsGeometry, problem: Problem) -> int:
    """Return the elements of scratch of a thread: biases, a tile of sums, and windows."""
    lane = simd.lanes_of(problem.itemsize)
    return (1 + -(-s.positions // lane) * lane) * s.stretch + s.rows * s.row_size


def _packed(problem: Problem) -> int:
    """Return the elements of the packed kernel."""
    s = _geometry(problem)
    return s.groups * -(-s.outputs // s.stretch) * s.stretch * problem.taps


@lru_cache(maxsize=256)
def _geometry(problem: Problem) -> WindowsGeometry:
    """Choose register tile, bands and rows; the order of summation depends on none of them."""
    v = problem.volume
    lane, width = simd.lanes_of(problem.itemsize), v.output_size[2]
    inputs, outputs = v.in_channels // v.groups, v.out_channels // v.groups
    vectors = 1 if outputs <= lane else 2
    positions = min(POSITIONS, key=lambda m: -(-width // m) * m)
    planes = v.kernel[0] * v.kernel[1]
    most = WINDOWS_BYTES // (inputs * planes * v.itemsize)  # columns
    fitting = (most - v.extent[2]) // v.stride[2] // positions * positions
    tiles = -(-width // positions) * positions
    band = min(tiles, max(positions, fitting))
    columns = (band - 1) * v.stride[2] + v.extent[2]
    row_size = inputs * columns * planes
    lines = v.output_size[0] * v.output_size[1]
    rows = max(1, min(most // columns, lines // PARTS))
    items = v.batch * v.groups * -(-lines // rows) * -(-width // band)
    return WindowsGeometry._make((
        v.groups, inputs, outputs, *v.size, *v.output_size, *v.stride, *v.dilation, *v.before,
        *v.kernel, positions, vectors, vectors * lane, band, columns, columns * planes, row_size,
        rows, items,
    ))  # fmt: skip
