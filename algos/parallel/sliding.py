"""Direct convolution of planes with square kernels whose sums slide down a plane in registers.

Meant for depthwise layers and images with 5 × 5, 7 × 7 or 9 × 9; `parallel.planes` takes 3 × 3.
A few vectors of neighbouring columns go down an input plane, row by row. Each input row is added to
the sums of all K output rows that it reaches. The first of them is then finished and stored, and
the others move up by one. So a load of V vectors serves K·V products, each weight is broadcast for
V of them, and only finished rows are stored.

A run is a few columns of outputs. If it needs input columns beyond the border, it goes down a copy
of its columns, with zeros outside. The others read the input in place. Rows outside the input are
left out.

Arguments that mean the same in every kernel; indices and lengths count elements:

`x`, `out`: pointers to the input (N, C, H, W) and to the output (N, O, h, w), both contiguous.
`weights`: pointer to the correlation kernel (O, K, K).
`bias`: pointer to one element per output channel.
`s`: a `SlidingGeometry`.
`_slot`, `first`, `last`: number of this thread; its runs are `first` to `last` − 1.

Measurements: docs/kernels.md.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from algos.backend.compiler import by_ranges, fixed_tuple, kernel
from algos.core.problem import Problem
from algos.simd import registers as simd
from algos.simd.planes import add_sliding, store_run
from algos.simd.registers import further, lanes, pointer, splat, store
from algos.simd.window import load_inside

#: Most vectors side by side, by kernel rows: as many as fit 32 registers with the sums of K rows.
WIDEST = {5: 4, 7: 3, 9: 2}
#: Most and fewest output rows of a run. Long runs are best, since each begins with K − 1 rows that
#: finish none; short ones let threads share few planes.
MOST_ROWS, LEAST_ROWS = 128, 28
#: Bytes of an input plane up to which its runs are faster than the strips of `parallel.rows`. Each
#: row of a large plane lies in a page of its own. Measured on Ice Lake; on Zen 4 it is a guess.
NEAR_BYTES = (8 << 20) if simd.FEW_LOADS else (64 << 10)
#: The factor for larger planes.
FAR = 1.6


class SlidingGeometry(NamedTuple):
    """Numbers the compiled kernel works from."""

    #: Output channels of an image; output channels of a group; input channels of an image.
    outputs: int
    group: int
    inputs: int
    height: int
    width: int
    out_height: int
    out_width: int
    rows_before: int
    columns_before: int
    #: Runs above one another; columns of a run; runs side by side; all runs; elements of a thread's
    #: copy of a run's input.
    blocks: int
    columns: int
    bands: int
    items: int
    room: int


_NUMBERS = len(SlidingGeometry._fields)


def make_slide(taps: int, vectors: int) -> Any:
    """Return the kernel for `taps` × `taps` weights that goes down with `vectors` side by side."""
    sums = taps * vectors

    @kernel
    def slide(source, at, pitch, top, bottom, weights, first, start, out, target, out_pitch, rows,
              count):  # fmt: skip
        """Write `rows` output rows of `count` columns, from ``out[target]`` on.

        `source`: pointer to rows that lie `pitch` apart. ``source[at]`` meets the first weight of
            the first output. Of these rows, `top` to `bottom` − 1 are read, the others are zero.
        `weights`: read from `first` on.
        `start`: pointer to the one element that sums begin with.
        `out_pitch`: elements from one output row to the next.
        `count`: at most `vectors` vectors, the last of them possibly in part.
        """
        fresh = splat(start, 0, vectors)
        tile = splat(start, 0, sums)
        for i in range(rows + taps - 1):
            if top <= i < bottom:
                tile = add_sliding(tile, weights, first, source, at + i * pitch, taps)
            if i >= taps - 1:
                store_run(tile[:vectors], out, target + (i - taps + 1) * out_pitch, count)
            tile = tile[vectors:] + fresh

    return slide


@kernel
def _copy(x, source, rows, pitch, first, width, target, columns):
    """Copy `rows` rows of whole vectors, `columns` elements each, with zeros outside the input.

    `x`: ``x[source]`` is column `first` of a row of `width` columns; rows lie `pitch` apart.
    `target`: pointer to the copy, whose rows follow one another.
    """
    for r in range(rows):
        for n in range(0, columns, lanes(x)):
            row = load_inside(x, source + r * pitch + n, first + n, width)
            store(target, r * columns + n, row)


def _make_work(taps: int) -> Any:
    """Return the kernel that computes some runs for `taps` × `taps` weights."""
    widest = WIDEST[taps]
    slides = [make_slide(taps, vectors) for vectors in range(1, widest + 1)]
    one, two, three, four = (slides[min(v, widest) - 1] for v in (1, 2, 3, 4))

    @kernel(allocates=True)
    def work(_slot, first, last, x, weights, bias, table, out):
        """Compute some runs; the arguments are flat arrays."""
        s = SlidingGeometry(*fixed_tuple(table, _NUMBERS))
        lane = lanes(x)
        room = np.empty(s.room, x.dtype)
        for item in range(first, last):
            rest, band = item // s.bands, item % s.bands
            plane, block = rest // s.blocks, rest % s.blocks
            image, o = plane // s.outputs, plane % s.outputs
            j, k = block * s.out_height // s.blocks, band * s.columns
            rows = (block + 1) * s.out_height // s.blocks - j
            count = min(s.columns, s.out_width - k)
            vectors = (count + lane - 1) // lane
            row, column = j - s.rows_before, k - s.columns_before
            top, bottom = max(0, -row), min(rows + taps - 1, s.height - row)
            at = ((image * s.inputs + o // s.group) * s.height + row) * s.width + column
            source, pitch = pointer(x), s.width
            if column < 0 or column + vectors * lane + taps - 1 > s.width:
                pitch = (vectors * lane + taps + lane - 2) // lane * lane
                _copy(pointer(x), at + top * s.width, bottom - top, s.width, column, s.width,
                      pointer(room), pitch)  # fmt: skip
                source, at = pointer(room), -top * pitch
            target = (plane * s.out_height + j) * s.out_width + k
            run = (
                source, at, pitch, top, bottom, pointer(weights), o * taps * taps,
                further(pointer(bias), o), pointer(out), target, s.out_width, rows, count,
            )  # fmt: skip
            if vectors == 1:
                one(*run)
            elif vectors == 2:
                two(*run)
            elif vectors == 3:
                three(*run)
            else:
                four(*run)
        room[0] = 0  # use the array after the last pointer into it, so that Numba keeps it alive

    return work


def _make_share(work: Any) -> Any:
    """Return the kernel that splits all runs among threads."""
    work_shared = by_ranges(work)

    @kernel
    def share(threads, items, x, weights, bias, table, out):
        """Compute all `items`, split among `threads` threads."""
        work_shared(threads, items, x, weights, bias, table, out)

    return share


_works = {taps: _make_work(taps) for taps in WIDEST}
_shares = {taps: _make_share(work) for taps, work in _works.items()}


def _applies_to(v: Problem) -> bool:
    """Return True for square kernels of stride 1 on one input channel, without dilation."""
    return (
        simd.REGISTER_BYTES == 64
        and v.kernel[0] == v.size[0] == v.output_size[0] == 1
        and v.padding[0] == (0, 0)
        and v.kernel[1] == v.kernel[2] in WIDEST
        and v.in_channels == v.groups
        and {*v.stride[1:], *v.dilation[1:]} == {1}
    )


def cost(problem: Problem) -> float:
    """Estimate the register operations per vector of products; 1 is ideal."""
    v = problem.volume
    if not _applies_to(v):
        return math.inf
    lane = simd.lanes_of(problem.itemsize)
    height, width = v.output_size[1:]
    rows = min(height + v.kernel[1] - 1, v.size[1])  # each meets all weights
    is_far = math.prod(v.size) * problem.itemsize > NEAR_BYTES
    wasted = -(-width // lane) * lane / width * max(1.0, rows / height)
    return wasted * (FAR if is_far else 1.0)


@lru_cache(maxsize=256)
def blocking(problem: Problem, threads: int) -> np.ndarray:
    """Return the numbers of `SlidingGeometry`; `threads` does not change the order of sums."""
    v = problem.volume
    lane = simd.lanes_of(problem.itemsize)
    taps, (height, width) = v.kernel[1], v.output_size[1:]
    vectors = -(-width // lane)
    bands = -(-vectors // WIDEST[taps])
    columns = -(-vectors // bands) * lane
    bands = -(-width // columns)
    around = v.batch * v.out_channels * bands
    shared = min(-(-4 * threads // around), height // LEAST_ROWS) if threads > 1 else 1
    blocks = max(-(-height // MOST_ROWS), shared, 1)
    rows = -(-height // blocks)
    wide = columns + -(-(taps - 1) // lane) * lane  # whole vectors
    shape = SlidingGeometry._make((
        v.out_channels, v.out_channels // v.groups, v.in_channels, *v.size[1:], height, width,
        v.padding[1][0], v.padding[2][0], blocks, columns, bands, around * blocks,
        (rows + taps - 1) * wide,
    ))  # fmt: skip
    return np.array(shape, np.int64)


def workspace_bytes(problem: Problem, threads: int) -> int:
    """Return the bytes of the copied kernel, and of each thread's copy of a run's input."""
    s = SlidingGeometry(*blocking(problem, threads).tolist())
    return (math.prod(problem.kernel_shape) + threads * s.room) * problem.itemsize


def prepare(problem: Problem, w: np.ndarray, threads: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the blocking, and a copy of the correlation kernel."""
    return blocking(problem, threads), w.flatten()


def forward(
    problem: Problem, x: np.ndarray, prepared: tuple[np.ndarray, np.ndarray], bias: np.ndarray,
    out: np.ndarray, threads: int,
) -> None:  # fmt: skip
    """Write the output for `x`, with `prepared` as returned by `prepare`."""
    table, weights = prepared
    taps = problem.volume.kernel[1]
    items = table[SlidingGeometry._fields.index("items")]
    arguments = items, x.ravel(), weights, bias, table, out.ravel()
    if threads == 1:
        _works[taps](0, 0, *arguments)
    else:
        _shares[taps](threads, *arguments)
