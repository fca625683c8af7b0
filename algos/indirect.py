"""Direct convolution through a table that says where the samples of every tap lie.

With the channels of a pixel side by side, a tap of an output position reads one row of C/groups
samples. `im2col` copies these rows into a matrix. Here a table holds their places instead, prepared
once per problem: one entry per output position and tap, so it is C times smaller than the matrix. A
place beyond the input is that of a row of zeros. The matrix product then takes the rows of one
operand from the table, and stride, dilation and padding need no code of their own.

A register tile holds M output positions × V vectors of output channels. It reads M entries per tap,
which stay in registers while it runs over the channels. As in the paper,
sums are not cut into blocks of channels: a tile is finished before the next begins.

The input here has its channels apart, (N, C, D, H, W), so it is copied to channels last, behind
each image a row of zeros. That copy is part of every call. The paper assumes this layout from the
start. The table takes 4 bytes per output position and tap. It is larger than the input where there
are fewer channels than taps. Layers of one channel per group leave most lanes empty, as the paper
says, too.

*Source*: Dukhan, *The Indirect Convolution Algorithm*, 2019, arXiv:1907.02129.

Arguments that mean the same in every kernel; indices and lengths count elements:

`source`: input with channels last, [image][pixel][channel], each image followed by a row of zeros.
`table`: [tile of positions][tap][position of the tile], the index of a row in an image of `source`.
`weights`: packed kernel, [group][block of output channels][tap][input channel][output channel].

Measurements: docs/kernels.md.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .backend.compiler import by_ranges, kernel, threaded
from .backend.threads import share
from .core.algorithm import Algorithm, as_correlation
from .core.problem import Problem
from .parallel.channels import finish
from .parallel.channels_packing import pack_weights
from .simd import registers as simd
from .simd.arithmetic import add_gathered, repeat
from .simd.registers import further, lanes, load, pointer, store
from .simd.transposed import transpose_all

#: Output positions of a register tile. Two vectors of sums each and the operands fit the registers,
#: and as many places fit the integer registers.
POSITIONS = 12 if simd.REGISTERS == 32 else 6
#: Most bytes of the table, and most elements of an image. A place is a 32-bit integer.
MOST_BYTES, MOST_ELEMENTS = 1 << 30, 2**31 - 1


@kernel
def _channels_last(x, channels, pixels, source):
    """Copy `x`, (N, C, pixels), to `source` with channels last; write the rows of zeros."""
    images = x.size // (channels * pixels)
    transpose_all(x, channels, pixels, source, (pixels + 1) * channels)
    for image in range(images):
        end = (image + 1) * (pixels + 1) * channels
        source[end - channels : end] = 0


@threaded
@kernel
def _find_tile(item, size, kernel_size, stride, dilation, before, output_size, channels, table):
    """Write the entries of tile number `item`; positions past the last repeat it.

    `size`, `kernel_size`, `stride`, `dilation`, `before`, `output_size`: per axis.
    `channels`: elements of a pixel in `source`.
    """
    area = output_size[1] * output_size[2]
    nowhere = size[0] * size[1] * size[2] * channels
    for m in range(table.shape[2]):
        at = min(item * table.shape[2] + m, output_size[0] * area - 1)
        h, j, k = at // area, at // output_size[2] % output_size[1], at % output_size[2]
        tap = 0
        for p in range(kernel_size[0]):
            d = h * stride[0] + p * dilation[0] - before[0]
            for q in range(kernel_size[1]):
                r = j * stride[1] + q * dilation[1] - before[1]
                inside = 0 <= d < size[0] and 0 <= r < size[1]
                for n in range(kernel_size[2]):
                    c = k * stride[2] + n * dilation[2] - before[2]
                    place = ((d * size[1] + r) * size[2] + c) * channels
                    is_there = inside and 0 <= c < size[2]
                    table[item, tap, m] = place if is_there else nowhere
                    tap += 1


@kernel
def _find(size, kernel_size, stride, dilation, before, output_size, channels, table):
    """Write the whole table, (tiles, taps, POSITIONS). Arguments: see `_find_tile`."""
    _find_tile(
        table.shape[0], size, kernel_size, stride, dilation, before, output_size, channels, table
    )


def _make_tile(vectors: int) -> Any:
    """Return the innermost kernel for a register tile of POSITIONS × `vectors`."""

    @kernel
    def tile(source, table, taps, inputs, weights, near, start, sums):
        """Write the sums of one tile, [position][output channel].

        `source`: pointer to the first channel of the group in the image.
        `table`: pointer to the entries of the tile.
        `near`: index into `weights` of the block of output channels.
        `start`: pointer to V vectors that the sums start from.
        """
        step = vectors * lanes(weights)
        total = repeat(load(start, 0, vectors), POSITIONS)
        for t in range(taps):
            rows = further(table, t * POSITIONS)
            for c in range(inputs):
                total = add_gathered(total, source, rows, c, weights, near, POSITIONS, vectors)
                near += step
        store(sums, 0, total)

    return tile


_tile1, _tile2 = _make_tile(1), _make_tile(2)


@by_ranges
@kernel
def _work(
    worker, first, last, source, pixels, table, positions, weights, bias, groups, inputs, outputs,
    vectors, room, out,
):  # fmt: skip
    """Compute items `first` to `last` − 1 as thread `worker`, each a tile of one block.

    Items are counted over images, groups, blocks and tiles, the last fastest, so that the weights
    of a block stay in the cache.

    `pixels`, `positions`: elements of a plane of input and of output.
    `bias`: array (O,). `inputs`, `outputs`: channels of a group. `vectors`: of a register tile.
    `room`: scratch (threads, …) for one tile of sums and the biases that they start from.
    `out`: array (N · O · positions), overwritten.
    """
    stretch = vectors * lanes(weights)
    blocks, tiles, taps = -(-outputs // stretch), table.shape[0], table.shape[1]
    start, sums = pointer(room[worker]), further(pointer(room[worker]), stretch)
    for item in range(first, last):
        rest, number = item // tiles, item % tiles
        rest, block = rest // blocks, rest % blocks
        image, g = rest // groups, rest % groups
        o = block * stretch
        for v in range(stretch):
            start[v] = bias[g * outputs + o + v] if o + v < outputs else 0
        rows = further(pointer(table), number * taps * POSITIONS)
        seen = further(pointer(source), (image * (pixels + 1) * groups + g) * inputs)
        near = (g * blocks + block) * taps * inputs * stretch
        if vectors == 1:
            _tile1(seen, rows, taps, inputs, pointer(weights), near, start, sums)
        else:
            _tile2(seen, rows, taps, inputs, pointer(weights), near, start, sums)
        finish(
            sums, 0, POSITIONS, vectors, pointer(out), (rest * outputs + o) * positions, positions,
            outputs - o, number * POSITIONS, positions, 1, positions, positions,
        )  # fmt: skip


@kernel
def _convolve(
    source, pixels, table, positions, weights, bias, groups, inputs, outputs, vectors, room, out
):  # fmt: skip
    """Compute all items, split among as many threads as `room` has rows. See `_work`."""
    blocks = -(-outputs // (vectors * lanes(weights)))
    items = out.size // (outputs * positions) * blocks * table.shape[0]
    _work(
        room.shape[0], items, source, pixels, table, positions, weights, bias, groups, inputs,
        outputs, vectors, room, out,
    )  # fmt: skip


class Indirect(Algorithm):
    """Direct sums over a table of the places of every tap's channels (indirection buffer)."""

    name = "indirect"
    opt_in = True

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        needed = 4 * math.prod(_table_shape(problem))
        if needed > MOST_BYTES:
            return (
                f"its table of {math.prod(problem.kernel)} taps for each output position would "
                f"take {needed / 2**30:.3g} GiB, {MOST_BYTES / 2**30:g} GiB are the most that is "
                f"tried"
            )
        image = (math.prod(problem.size) + 1) * problem.in_channels
        if image > MOST_ELEMENTS:
            return f"an image of {image} elements is too large, {MOST_ELEMENTS} are the most"
        return None

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of table, packed kernel, input with channels last, and tiles."""
        image = (math.prod(problem.size) + 1) * problem.in_channels
        elements = problem.batch * image + threads * _room(problem)
        kernel = math.prod(problem.kernel_shape)  # in another order before it is packed
        return self.prepared_bytes(problem, threads) + max(elements, kernel) * problem.itemsize

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        return 4 * math.prod(_table_shape(problem)) + _packed(problem) * problem.itemsize

    def prepare(
        self, problem: Problem, w: np.ndarray, threads: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the table and the packed kernel."""
        v = problem.volume
        w = as_correlation(problem, w).reshape(*v.kernel_shape[:2], -1)
        w = np.ascontiguousarray(w.swapaxes(1, 2)).reshape(v.out_channels, -1)
        packed = simd.aligned(_packed(problem), w.dtype)
        pack_weights(w, v.groups, _stretch(problem), packed, threads)
        table = np.empty(_table_shape(problem), np.int32)
        with share(threads):
            _find(
                v.size, v.kernel, v.stride, v.dilation, v.before, v.output_size, v.in_channels,
                table,
            )  # fmt: skip
        return table, packed

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        table, packed = prepared
        pixels, positions = math.prod(problem.size), math.prod(problem.output_size)
        channels, groups = problem.in_channels, problem.groups
        source = simd.aligned(problem.batch * (pixels + 1) * channels, x.dtype)
        _channels_last(x.reshape(-1), channels, pixels, source)
        room = simd.aligned(threads * _room(problem), x.dtype).reshape(threads, -1)
        _convolve(
            source, pixels, table, positions, packed, bias, groups, channels // groups,
            problem.out_channels // groups, _vectors(problem), room, out.reshape(-1),
        )  # fmt: skip


def _table_shape(problem: Problem) -> tuple[int, int, int]:
    """Return the shape of the table, (tiles, taps, POSITIONS)."""
    tiles = -(-math.prod(problem.output_size) // POSITIONS)
    return tiles, math.prod(problem.kernel), POSITIONS


def _vectors(problem: Problem) -> int:
    """Return the vectors of output channels of a register tile."""
    return 1 if problem.out_channels // problem.groups <= simd.lanes_of(problem.itemsize) else 2


def _stretch(problem: Problem) -> int:
    """Return the output channels of a register tile."""
    return _vectors(problem) * simd.lanes_of(problem.itemsize)


def _packed(problem: Problem) -> int:
    """Return the elements of the packed kernel."""
    blocks = -(-(problem.out_channels // problem.groups) // _stretch(problem))
    return problem.groups * blocks * _stretch(problem) * problem.taps


def _room(problem: Problem) -> int:
    """Return the elements of scratch of a thread: a tile of sums, read in squares, and biases."""
    lane = simd.lanes_of(problem.itemsize)
    return (-(-POSITIONS // lane) * lane + 1) * _stretch(problem)
