"""Assembly of the innermost loops: fused multiply-adds on whole registers, and no spills.

A kernel is compiled anew for it, since one that comes from the cache has no assembly to show.
If a register tile does not fit the register file, LLVM spills part of it to the stack. The loop
then stores and reloads vectors at the stack pointer: still right, and half as fast.
"""

from __future__ import annotations

import math
import re

import numba
import pytest
from numba.core import types

from algos.backend.compiler import kernel
from algos.parallel import channels as direct_channels
from algos.parallel import dots as direct_dots
from algos.parallel import pixels as direct_pixels
from algos.parallel import planes as direct_planes
from algos.parallel import shallow as direct_shallow
from algos.parallel import sliding as direct_sliding
from algos.parallel import weights as direct_weights
from algos.separable import sweeps
from algos.simd import registers as simd

WIDEST = {64: "zmm", 32: "ymm", 16: "xmm"}[simd.REGISTER_BYTES]
DTYPES = [numba.float32, pytest.param(numba.float64, marks=pytest.mark.slow)]
INT, INTS = types.intp, types.CPointer(types.int64)


def assembly(dispatcher, signature):
    """Return the assembly of `dispatcher`'s function for the argument types of `signature`."""
    fresh = kernel(dispatcher.py_func, cache=False)
    fresh.compile(signature)
    return fresh.inspect_asm(fresh.signatures[0])


def innermost_loops(text):
    """The lines of every loop that holds no other: from a label back to which there is a jump."""
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    labels = {line[:-1]: n for n, line in enumerate(lines) if re.fullmatch(r"\.\w+:", line)}
    loops = []
    for n, line in enumerate(lines):
        jump = re.match(r"j\w+\s+(\.\w+)", line)
        if jump and labels.get(jump[1], n) < n:
            loops.append((labels[jump[1]], n))
    inner = [
        loop for loop in loops
        if not any(o != loop and loop[0] <= o[0] and o[1] <= loop[1] for o in loops)
    ]  # fmt: skip
    return [lines[first : last + 1] for first, last in inner]


def products(loop):
    """Instructions that multiply vectors: fused, or in the days before that, not."""
    return [line for line in loop if re.match(r"vfn?madd\d+p|v?mulp", line)]


def spills(loop):
    """Vectors stored to the stack, or loaded from it; a broadcast scalar is none."""
    at_stack = [line for line in loop if re.search(r"\(%rsp", line) and "mm" in line]
    return [line for line in at_stack if not re.search(r"broadcast|\{1to|\bv?movs[sd]\b", line)]


def hottest(text):
    return max(innermost_loops(text), key=lambda loop: len(products(loop)))


def assert_tight(loop, expected, reads=0):
    """`expected` products, all fused and on whole registers; `reads` constants from the stack."""
    found = products(loop)
    assert len(found) >= expected
    assert not [line for line in found if WIDEST not in line]
    if WIDEST != "xmm":
        assert all(line.startswith("vf") for line in found), "products are not fused with sums"
    at_stack = spills(loop)
    assert not [line for line in at_stack if line.endswith("(%rsp)")], at_stack[:4]
    assert len(at_stack) <= reads, at_stack[:4]


def channels_signature(dtype):
    """Return the signature of the register tile of direct convolution and Winograd's products."""
    data = types.CPointer(dtype)
    return (data, INT, INTS, INT, data, INT, INT, INT, data, INT, data, types.boolean)


def weights_signature(dtype):
    data = types.CPointer(dtype)
    return (data, INT, INT, INT, data, INT, INT, INT, INT, data, INT)


#: Known shortfall: with 16 registers, LLVM spills two vectors of the second tile.
spills_with_few = pytest.mark.xfail(
    simd.REGISTERS < 32, reason="two vectors of this tile are spilled with 16 registers"
)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(n, marks=spills_with_few if n == 1 else ())
        for n in range(len(direct_channels.TILES))
    ],
)
def test_tiles_of_channels_stay_in_registers(number, dtype):
    tile = getattr(direct_channels, f"_tile{number}")
    pixels, vectors = direct_channels.TILES[number]
    assert_tight(hottest(assembly(tile, channels_signature(dtype))), pixels * vectors)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tiles_of_pixels_stay_in_registers(dtype):
    data = types.CPointer(dtype)
    signature = (data, *[INT] * 5, data, INT, data, INT, INT, data, INT)
    loop = hottest(assembly(direct_pixels.tile, signature))
    assert_tight(loop, direct_pixels.ROWS * direct_pixels.COLUMNS)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("number", range(len(direct_shallow.TILES)))
def test_tiles_of_shallow_layers_stay_in_registers(number, dtype):
    data = types.CPointer(dtype)
    signature = (data, INT, INTS, INT, data, INT, data, INT, INT, data, *[INT] * 3)
    loop = hottest(assembly(getattr(direct_shallow, f"_tile{number}"), signature))
    assert_tight(loop, math.prod(direct_shallow.TILES[number]))


@pytest.mark.skipif(simd.REGISTERS < 32, reason="weights of a plane then lie in memory")
@pytest.mark.parametrize(("name", "vectors"), [("_slide6", 54), ("_halve4", 24)])
def test_sums_that_slide_down_a_plane_stay_in_registers(name, vectors):
    data = types.CPointer(numba.float32)
    signature = (data, *[INT] * 5, data, INT, data, types.boolean, data, *[INT] * 4)
    if name.startswith("_slide"):
        signature += (types.boolean,)
    # Of six vectors abreast two of the weights do not find room.
    assert_tight(hottest(assembly(getattr(direct_planes, name), signature)), vectors, reads=2)


@pytest.mark.skipif(simd.REGISTER_BYTES < 64, reason="such planes go by rows")
@pytest.mark.parametrize("taps", direct_sliding.WIDEST)
def test_sums_of_larger_kernels_stay_in_registers(taps):
    data = types.CPointer(numba.float32)
    signature = (data, *[INT] * 4, data, INT, data, data, *[INT] * 4)
    slide = direct_sliding.make_slide(taps, direct_sliding.WIDEST[taps])
    assert_tight(hottest(assembly(slide, signature)), taps * taps * direct_sliding.WIDEST[taps])


@pytest.mark.skipif(simd.REGISTER_BYTES < 64, reason="`passes` are faster there")
@pytest.mark.parametrize(("name", "count"), [("_even5", 5), ("_even7", 7), ("_any5", 9)])
def test_rows_of_outer_products_stay_in_registers(name, count):
    data = types.CPointer(numba.float32)
    signature = (data, *[INT] * 4, data, data, INT, data, data, *[INT] * 4, types.boolean)
    loop = hottest(assembly(getattr(sweeps, name), signature))
    # Masks at the borders may be compared with memory. A pass down begins with a product that has
    # nothing to be fused with.
    inside = [line for line in loop if not line.startswith(("vpcmp", "vmul"))]
    assert_tight(inside, count * sweeps.ROWS)
    assert not [line for line in inside if line.startswith("vperm")], "shifts are permutations"


@pytest.mark.slow
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(n, marks=spills_with_few if n == 1 else ())
        for n in range(len(direct_weights.TILES))
    ],
)
def test_tiles_of_weights_stay_in_registers(number):
    tile = getattr(direct_weights, f"_tile{number}")
    scalars, vectors = direct_weights.TILES[number]
    assert_tight(hottest(assembly(tile, weights_signature(numba.float32))), scalars * vectors)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tiles_of_dot_products_stay_in_registers(dtype):
    data = types.CPointer(dtype)
    signature = (data, INT, data, INT, INT, INT, data, INT)
    loop = hottest(assembly(direct_dots.tile, signature))
    assert_tight(loop, direct_dots.ROWS * direct_dots.COLUMNS)


def test_a_tile_too_large_for_the_registers_is_seen_to_spill():
    tile = direct_channels._make_tile(3 * simd.REGISTERS // 4, 2)
    loop = hottest(assembly(tile, channels_signature(numba.float32)))
    with pytest.raises(AssertionError):
        assert_tight(loop, 1)
    assert spills(loop)


def test_narrow_or_separate_products_are_seen():
    wide = f"vfmadd231ps %{WIDEST}1, %{WIDEST}2, %{WIDEST}3"
    assert_tight([wide] * 4, 4)
    for line in ("vfmadd231ss %xmm1, %xmm2, %xmm3", "vfmadd231ps %mm1, %mm2, %mm3"):
        with pytest.raises(AssertionError):
            assert_tight([wide] * 3 + [line], 4)
