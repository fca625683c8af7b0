"""Direct convolution of pointwise layers with neighbouring pixels in the lanes of registers.

A 1 × 1 layer is a product of matrices whose operands lie in memory as they are needed: nothing is
copied, no sum is written down before it is complete, none is transposed. A register tile holds R
output channels × V vectors of pixels. For every input channel it takes V vectors of pixels and R
broadcast weights, which lie packed one after the other: R·V fused multiply-adds for R + V loads.
It runs over all input channels, and writes its sums where they belong.

A band of pixels stays in L2 while all output channels take their turn with it. Meanwhile lines of
the next band are asked for, one for every input channel that is summed, and at the start of a tile
those that its sums will be written to: channels lie far apart, which no processor foresees.

Bound by the multiply-add units: on a 2-core AVX-512 machine (Zen 4, 118 GFLOP/s a core in float32)
112 to 115 from 64 channels up, and 107 where input and output come from and go to memory.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numba.core import types

from . import simd
from .direct_blocking import merged
from .direct_channels import pack_weights
from .jit import kernel, threaded
from .problem import Problem
from .simd import add_outer, intrinsic, lanes, pointer, prefetch
from .simd_emitter import Emitter, Vector, element, number
from .simd_window import store_block

#: The register tile: output channels × vectors of pixels. SSE, whose products need a register more,
#: holds two of these.
ROWS, COLUMNS = (8, 3) if simd.REGISTERS == 32 else (4, 3 if simd.REGISTER_BYTES == 32 else 2)
#: Bytes of L2 that a band of the input may fill.
BAND_BYTES = 192 * 1024


@intrinsic
def _spread(typing, array, index, count):
    """A tile whose rows hold ``array[index]`` and on in every lane; from `count` on, the last."""
    kind = Vector(array.dtype)

    def emit(context, builder, signature, arguments):
        simd = Emitter(context, builder, kind)
        array_, index_, count_ = arguments
        last = builder.sub(count_, number(1))
        values = []
        for r in range(ROWS):
            row = number(r)
            within = builder.select(builder.icmp_signed("<", row, last), row, last)
            at = simd.pointer(signature.args[0], array_, builder.add(index_, within))
            values += [simd.splat(builder.load(at, typ=element(kind)))] * COLUMNS
        return simd.tuple_of(values)

    return types.UniTuple(kind, ROWS * COLUMNS)(array, types.intp, types.intp), emit


@kernel
def tile(x, at, ahead, inputs, pixels, weights, block, bias, o, rows, out, target):
    """Write the sums of one tile: channels lie `pixels` apart, in `x` and in `out`.

    Lines of the channels from ``x[ahead]`` on are brought near meanwhile.
    """
    lane = lanes(x)
    total = _spread(bias, o, rows)
    for c in range(inputs):
        prefetch(x, ahead + c * pixels)
        if c < ROWS * (COLUMNS + 1):
            prefetch(out, target + c // (COLUMNS + 1) * pixels + c % (COLUMNS + 1) * lane)
        total = add_outer(total, weights, block + c * ROWS, x, at + c * pixels, ROWS, COLUMNS)
    store_block(total, out, target, pixels, rows, COLUMNS * lane, ROWS, COLUMNS)


@kernel
def _work(worker, workers, x, weights, bias, out, images, groups, inputs, outputs, pixels, bands):
    """Every block of channels of a band that falls to one of `workers`."""
    wide = COLUMNS * lanes(x)
    blocks, tiles = -(-outputs // ROWS), -(-pixels // wide)
    units = images * groups * bands * blocks
    for unit in range(worker * units // workers, (worker + 1) * units // workers):
        rest, block = unit // blocks, unit % blocks
        image, band = rest // bands, rest % bands
        group, o = image % groups, block * ROWS
        first, last = band * tiles // bands, (band + 1) * tiles // bands
        start, band_size = image * inputs * pixels, (last - first) * wide
        for t in range(first, last):
            # The last tile ends with the last pixel, and may overlap the one before it.
            at = min(t * wide, pixels - wide)
            # Line by line of the next band, each for all channels.
            near = min((block * (last - first) + t - first) * lanes(x), band_size)
            tile(
                pointer(x), start + at, start + last * wide + near, inputs, pixels,
                pointer(weights), (group * blocks + block) * inputs * ROWS,
                pointer(bias), group * outputs + o, min(ROWS, outputs - o),
                pointer(out), (image * outputs + o) * pixels + at,
            )  # fmt: skip


_work_shared = threaded(_work)


@kernel
def _share(workers, x, weights, bias, out, images, groups, inputs, outputs, pixels, bands):
    _work_shared(
        workers, workers, x, weights, bias, out, images, groups, inputs, outputs, pixels, bands
    )


def cost(problem: Problem) -> float:
    """Estimated register operations per vector of products: what is thrown away; inf if unfit."""
    v = merged(problem)
    wide = COLUMNS * simd.lanes_of(problem.itemsize)
    outputs, pixels = v.out_channels // v.groups, v.size[2]
    if v.size != v.output_size or {*v.kernel, *v.stride, *v.size[:2]} != {1} or pixels < wide:
        return math.inf
    return -(-outputs // ROWS) * ROWS / outputs * -(-pixels // wide) * wide / pixels


@lru_cache(maxsize=256)
def _sizes(problem: Problem, threads: int) -> tuple[int, tuple[int, ...]]:
    """Elements of the packed kernel; the sizes that `_work` takes."""
    v = merged(problem)
    inputs, outputs, pixels = v.in_channels // v.groups, v.out_channels // v.groups, v.size[2]
    wide = COLUMNS * simd.lanes_of(problem.itemsize)
    tiles = -(-pixels // wide)
    bands = -(-tiles * wide * inputs * problem.itemsize // BAND_BYTES)
    bands = min(tiles, max(threads, bands))
    packed = v.groups * -(-outputs // ROWS) * ROWS * inputs
    return packed, (v.batch, v.groups, inputs, outputs, pixels, bands)


def workspace_bytes(problem: Problem, threads: int) -> int:
    """The packed kernel."""
    return _sizes(problem, threads)[0] * problem.itemsize


def prepare(problem: Problem, w: np.ndarray, threads: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """The kernel as [group][block of ROWS outputs][input][output]; the sizes that `_work` takes."""
    elements, sizes = _sizes(problem, threads)
    packed = simd.aligned(elements, w.dtype)
    pack_weights(w.reshape(w.shape[0], -1), problem.groups, ROWS, packed, threads)
    return packed, sizes


def forward(
    problem: Problem, x: np.ndarray, prepared: tuple[np.ndarray, tuple[int, ...]],
    bias: np.ndarray, out: np.ndarray, threads: int,
) -> None:  # fmt: skip
    """Write the output for `x`."""
    packed, sizes = prepared
    arguments = x.ravel(), packed, bias, out.ravel(), *sizes
    if threads == 1:
        _work(0, 1, *arguments)
    else:
        _share(threads, *arguments)
