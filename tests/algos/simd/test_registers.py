"""The vector building blocks, each against what NumPy makes of the same numbers."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from algos.backend.compiler import kernel
from algos.simd import arithmetic, copies
from algos.simd import registers as simd
from algos.simd import window as simd_window

DTYPES = ["float32", "float64"]


def numbers(count, dtype, seed=0):
    return np.random.default_rng(seed).standard_normal(count).astype(dtype)


@kernel(cache=False)
def run_outer(scalars, vectors, out):
    tile = simd.load(out, 1, 6)
    for t in range(2):
        width = 2 * simd.lanes(out)
        tile = arithmetic.add_outer(tile, scalars, 1 + 3 * t, vectors, 1 + width * t, 3, 2)
    simd.store(out, 1, tile)


@pytest.mark.parametrize("dtype", DTYPES)
def test_add_outer(dtype):
    lane = simd.lanes_of(np.dtype(dtype).itemsize)
    scalars, vectors = numbers(8, dtype), numbers(4 * lane + 1, dtype, 1)
    out = numbers(6 * lane + 1, dtype, 2)
    expected = out.astype(float)
    for t in range(2):
        row = vectors[1 + 2 * lane * t :][: 2 * lane]
        expected[1:] += np.outer(scalars[1 + 3 * t :][:3], row).ravel()
    run_outer(scalars, vectors, out)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


@kernel(cache=False)
def run_window(weights, image, starts, shift, low, high, out, rows, count, step):
    tile = simd.splat(weights, 0, 4)
    tile = simd_window.add_window(
        tile, simd.pointer(weights), 1, simd.pointer(image), simd.pointer(starts), shift, low,
        high, 3, 2, 2, 0,
    )  # fmt: skip
    simd_window.store_block(tile, out, 0, step, rows, count, 2, 2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shift", [-3, 0, 2])
def test_add_window_masks_columns_and_store_block_the_rest(shift, dtype):
    lane = simd.lanes_of(np.dtype(dtype).itemsize)
    width = 2 * lane + 1
    image, weights = numbers((5, width), dtype), numbers(4, dtype, 1)
    # What lies beside a row is NaN: touching it would show.
    wide = np.full((5, width + 12), np.nan, dtype)
    wide[:, 6:-6] = image
    starts = np.arange(5) * wide.shape[1] + 6
    for rows, count in [(2, 2 * lane), (2, lane + 1), (1, 1), (2, lane)]:
        out = np.full((3, 2 * lane), 9, dtype)
        run_window(weights, wide, starts, shift, 0, width, out, rows, count, 2 * lane)
        padded = np.pad(image, [(0, 0), (6, 6)])[:, 6 + shift :][:, : 2 * lane]
        padded = np.pad(padded, [(0, 0), (0, 2 * lane - padded.shape[1])]).astype(float)
        expected = np.full(out.shape, 9.0)
        for r in range(rows):
            total = weights[0] + sum(weights[1 + m] * padded[r + m] for m in range(3))
            expected[r, :count] = total[:count]
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


@kernel(cache=False)
def run_transpose(a, step, out, rows, first, last):
    simd.store_rows(
        arithmetic.transpose(simd.load_square(a, 0, step)), out, 0, step, rows, first, last
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_transpose_and_store_rows(dtype):
    lane = simd.lanes_of(np.dtype(dtype).itemsize)
    a = numbers((lane, lane + 3), dtype)
    for rows, first, last in [(lane, 0, lane), (lane - 1, 1, lane), (2, 1, 2), (lane, 2, 2)]:
        out = np.zeros_like(a)
        run_transpose(a, lane + 3, out, rows, first, last)
        expected = np.zeros_like(a)
        expected[:rows, first:last] = a[:, :lane].T[:rows, first:last]
        np.testing.assert_array_equal(out, expected)


@kernel(cache=False)
def run_copies(source, stride, target, count):
    if stride == 1:
        copies.copy(source, 1, target, 2, count)
    else:
        copies.copy_every(source, 1, stride, target, 2, count)
    copies.clear(target, 0, 2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_copies_of_every_length(stride, dtype):
    for count in range(70):
        source = numbers(1 + count * stride, dtype)[: 2 + (count - 1) * stride]
        target = np.full(count + 4, 5, dtype)
        run_copies(source, stride, target, count)
        np.testing.assert_array_equal(target[2:-2], source[1::stride])
        np.testing.assert_array_equal(target[[0, 1, -2, -1]], [0, 0, 5, 5])


def test_registers_are_those_of_a_known_machine():
    assert (simd.REGISTER_BYTES, simd.REGISTERS) in {(64, 32), (32, 16), (16, 16), (16, 32)}
    assert simd.lanes_of(4) == 2 * simd.lanes_of(8)


def test_aligned_arrays_start_on_a_cache_line():
    for size in (1, 17, 1000):
        array = simd.aligned(size, np.float32)
        assert array.ctypes.data % 64 == 0
        assert array.size == size


@pytest.mark.skipif(simd.REGISTER_BYTES != 64, reason="looks for AVX-512 registers")
def test_outer_product_is_fused_and_full_width():
    run_outer(*(np.zeros(200, np.float32) for _ in range(3)))
    (signature,) = [s for s in run_outer.signatures if s[0].dtype == numba.float32]
    assembly = run_outer.inspect_asm(signature)
    assert assembly.count("vfmadd") >= 6
    assert "zmm" in assembly
