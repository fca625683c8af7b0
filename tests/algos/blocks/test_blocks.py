"""Convolution in blocks: equal to the whole in memory, within a limit, and resumed after a kill."""

import itertools
from unittest import mock

import numpy as np
import pytest

import algos
from algos.blocks import journal, positions
from algos.core.boundary import BOUNDARIES, sources
from algos.parallel import algorithm as parallel

MODES = ("full", "same", "valid")


def extended(x, kernel, mode, boundary, cval=0.0, flip=True):
    """Return `x` with all that a mode reads, sample by sample."""
    for axis, taps in enumerate(kernel):
        span = positions.Span.of(mode, x.shape[axis], taps, flip, boundary)
        found = sources(boundary or "zeros", span.size, *span.read_by(0, span.outputs))
        outside = (found < 0).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
        x = np.where(outside, cval, np.take(x, np.maximum(found, 0), axis))
    return x


def whole(x, w, mode="same", boundary=None, cval=0.0, algorithm="naive", flip=True):
    """Return the result in memory."""
    function = algos.convolve if flip else algos.correlate
    return function(extended(x, w.shape, mode, boundary, cval, flip), w, "valid", algorithm)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_blocks_equal_the_whole_for_every_boundary(boundary, axes):
    """Ragged blocks, kernels larger than a block and than the array, every mode."""
    rng = np.random.default_rng(axes)
    cval = 2.5 if boundary == "constant" else 0.0
    for _ in range(8):
        size, kernel = (
            tuple(map(int, rng.integers(1, most, axes)))
            for most in ({1: 90, 2: 30, 3: 12}[axes], {1: 120, 2: 24, 3: 9}[axes])
        )
        x, w = rng.standard_normal(size), rng.standard_normal(kernel)
        for mode, flip in zip(MODES, (True, False, True), strict=True):
            if mode == "valid" and np.any(np.greater(kernel, size)):
                continue
            expected = whole(x, w, mode, boundary, cval, flip=flip)
            out = np.full(expected.shape, np.nan)
            block = tuple(map(int, rng.integers(1, np.add(expected.shape, 1))))
            function = algos.blocks.convolve if flip else algos.blocks.correlate
            function(
                x, w, out, boundary=boundary, cval=cval, mode=mode, block=block, algorithm="naive"
            )
            assert np.array_equal(out, expected), (size, kernel, mode, block)


@pytest.mark.parametrize("size", [(40000,), (300, 260), (40, 50, 60)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("algorithm", ["naive", "parallel", "separable"])
def test_direct_sums_have_the_bits_of_the_whole(size, dtype, algorithm):
    rng = np.random.default_rng(5)
    x = rng.standard_normal(size).astype(dtype)
    for taps in (3, 8, 33):
        factors = [rng.standard_normal(min(taps, n // 4)) for n in size]
        w = factors[0]
        for factor in factors[1:]:
            w = np.multiply.outer(w, factor)
        w = w.astype(dtype)
        expected = algos.convolve(x, w, "same", algorithm)
        smallest = algos.blocks.layout(x, w, np.empty_like(x), block=1, algorithm=algorithm)
        assert smallest.block == (1,) * len(size)
        out = np.empty_like(x)
        need = algos.blocks.layout(x, w, out, algorithm=algorithm).bytes
        laid = algos.blocks.convolve(x, w, out, memory=need // 2, algorithm=algorithm)
        assert laid.blocks > 1
        assert np.array_equal(out, expected), taps


@pytest.mark.parametrize("of_whole", ["planes", "rows"])
@pytest.mark.parametrize("mode", ["same", "valid"])
def test_blocks_take_the_kernel_of_the_whole(of_whole, mode):
    """Two kernels of `parallel` add 3 × 3 taps in different orders, so their bits differ."""
    rng = np.random.default_rng(12)
    x, w = rng.standard_normal((90, 70)), rng.standard_normal((3, 3))
    of_parts = {"planes": "rows", "rows": "planes"}[of_whole]

    def path(problem):
        return of_whole if problem.size == x.shape else of_parts

    with mock.patch.object(parallel, "choose_path", path):
        expected = algos.convolve(x, w, mode, "parallel")
        out = np.empty_like(expected)
        laid = algos.blocks.convolve(x, w, out, mode=mode, block=(40, 33), algorithm="parallel")
    assert laid.blocks > 3
    assert np.array_equal(out, expected)
    other = algos.convolve(x, w, mode, parallel.Parallel(of_parts))
    assert not np.array_equal(out, other)


@pytest.mark.parametrize(("size", "kernel"), [((90000,), (700,)), ((1, 90000), (1, 60))])
def test_long_rows_have_the_bits_of_the_whole(size, kernel):
    rng = np.random.default_rng(11)
    x, w = rng.random(size, np.float32), rng.random(kernel, np.float32)
    out = np.empty_like(x)
    laid = algos.blocks.convolve(x, w, out, memory="300kB", algorithm="parallel")
    assert laid.blocks > 3
    assert np.array_equal(out, algos.convolve(x, w, "same", "parallel"))


@pytest.mark.parametrize("algorithm", ["fft", "im2col", "winograd4"])
def test_other_sums_keep_their_bound(algorithm):
    rng = np.random.default_rng(6)
    x, w = rng.standard_normal((200, 170)), rng.standard_normal((3, 3))
    out = np.empty_like(x)
    algos.blocks.convolve(x, w, out, block=(64, 50), algorithm=algorithm, boundary="mirror")
    assert np.abs(out - whole(x, w, boundary="mirror")).max() < 1e-12


def test_integers_are_summed_exactly():
    rng = np.random.default_rng(7)
    x, w = rng.integers(0, 256, (90, 80), np.uint8), rng.integers(-9, 10, (5, 4))
    out = np.zeros((90, 80), np.int64)
    laid = algos.blocks.convolve(x, w, out, block=(32, 32))
    assert np.array_equal(out, algos.convolve(x, w, "same")) and laid.blocks == 9
    mixed = np.zeros((90, 80), np.float32)
    algos.blocks.convolve(x, w.astype(np.float32), mixed, block=32)
    assert np.array_equal(mixed, out)


def test_the_layout_keeps_the_limit_and_covers_all_once():
    x, out = np.empty((2000, 1500), np.float32), np.empty((2000, 1500), np.float32)
    w = np.ones((9, 9), np.float32)
    for memory in (1 << 20, 4 << 20, "16MiB"):
        laid = algos.blocks.layout(x, w, out, memory=memory)
        assert laid.bytes <= (memory if isinstance(memory, int) else 16 << 20)
        counts = np.zeros(out.shape, np.uint8)
        for block in laid:
            counts[block.slices] += 1
            assert tuple(b - a for a, b in block.computed) == laid.block
        assert counts.min() == counts.max() == 1


def test_whole_rows_are_kept_together_and_chunks_whole():
    class Chunked:
        shape, dtype, chunks = (4096, 4096), np.dtype("f4"), (128, 128)

        def __getitem__(self, key):
            raise AssertionError("nothing is read for a layout")

    plain = np.empty((4096, 4096), np.float32)
    w = np.ones((5, 5), np.float32)
    assert algos.blocks.layout(plain, w, plain.copy(), memory="20MB").block[1] == 4096
    laid = algos.blocks.layout(plain, w, Chunked(), memory="20MB")
    assert all(b % 128 == 0 or b == 4096 for b in laid.block)


class Killed(BaseException):
    """Stands for the end of the process."""


def mapped(path, shape, dtype="float32"):
    return np.lib.format.open_memmap(path, "r+" if path.exists() else "w+", dtype, shape)


def test_a_killed_call_goes_on_where_it_was(tmp_path):
    rng = np.random.default_rng(8)
    x, w = rng.random((200, 90), np.float32), rng.random((7, 5), np.float32)
    expected = np.empty_like(x)
    algos.blocks.convolve(x, w, expected, block=(16, 90), boundary="wrap", algorithm="fft")
    path, told = tmp_path / "out.npy", []

    def kill(done, total):
        told.append(done)
        if len(told) == 5:
            raise Killed

    settings = {"block": (16, 90), "boundary": "wrap", "algorithm": "fft"}
    for _ in range(2):
        told.clear()
        with pytest.raises(Killed):
            algos.blocks.convolve(x, w, mapped(path, x.shape), progress=kill, **settings)
    beside = tmp_path / f"out.npy{journal.ENDING}"
    assert beside.exists()
    told.clear()
    algos.blocks.convolve(
        x, w, mapped(path, x.shape), progress=lambda *n: told.append(n), **settings
    )
    assert told[0][0] >= 6 and told[-1] == (13, 13) and len(told) == 14 - told[0][0]
    assert np.array_equal(np.load(path), expected)
    assert not beside.exists()


def test_a_journal_of_another_call_or_result_is_not_believed(tmp_path):
    x, w = np.random.default_rng(9).random((96, 64), np.float32), np.ones((3, 3), np.float32)
    path, beside = tmp_path / "out.npy", tmp_path / f"out.npy{journal.ENDING}"

    def kill(done, total):
        if done == 3:
            raise Killed

    def first_told(kernel, **more):
        told = []
        algos.blocks.convolve(
            x, kernel, mapped(path, x.shape), block=(8, 64),
            progress=lambda done, _: told.append(done), **more,
        )  # fmt: skip
        assert np.array_equal(np.load(path), whole(x, kernel, algorithm="parallel", **more))
        return told[0]

    for change in ("none", "kernel", "boundary", "made anew", "damaged", "journal cut"):
        with pytest.raises(Killed):
            algos.blocks.convolve(x, w, mapped(path, x.shape), block=(8, 64), progress=kill)
        done = len(beside.read_text().splitlines()) - 1
        assert 3 <= done <= 5
        if change == "none":
            assert first_told(w) == done
        elif change == "kernel":
            assert first_told(2 * w) == 0
        elif change == "boundary":
            assert first_told(w, boundary="mirror") == 0
        elif change == "made anew":
            path.unlink()
            assert first_told(w) == 0
        elif change == "damaged":
            mapped(path, x.shape)[10, 5] += 1
            assert first_told(w) == done - 1
        else:
            beside.write_text(beside.read_text()[:-3])
            assert first_told(w) == done - 1


X, W = np.zeros((40, 30), np.float32), np.ones((3, 3), np.float32)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (([1, 2, 3], W, X.copy()), "source .* has no shape"),
        ((X, W, [0]), "out .* has no shape"),
        ((X, W, np.zeros((40, 31), np.float32)), r"out is float32\(40, 31\), the result is"),
        ((X, W, np.zeros((40, 30))), "out is float64"),
        ((X, np.ones(3, np.float32), X.copy()), "source has 2 axes and kernel 1"),
        ((X, W, X), "share memory"),
        (
            (X.astype(complex), W, X.copy()),
            "source is complex128, and blocks hold real .* use algos.dask",
        ),
        ((X, W[:0], X.copy()), "empty axis"),
    ],
)
def test_wrong_arrays_are_refused_with_a_sentence(arguments, sentence):
    with pytest.raises(algos.ConvbenchError, match=sentence):
        algos.blocks.convolve(*arguments)


def test_wrong_settings_are_refused_with_a_sentence(tmp_path):
    big, out = np.zeros((400, 300), np.float32), np.zeros((400, 300), np.float32)
    with pytest.raises(algos.ConvbenchError, match=r"smallest block, of .* takes \d+") as told:
        algos.blocks.convolve(big, W, out, memory=1000)
    least = int(str(told.value).split("takes ")[1].split(";")[0])
    assert algos.blocks.convolve(big, W, out, memory=least).bytes <= least
    with pytest.raises(algos.ConvbenchError, match="memory 'much'"):
        algos.blocks.convolve(X, W, X.copy(), memory="much")
    with pytest.raises(algos.ConvbenchError, match='goes with boundary "constant"'):
        algos.blocks.convolve(X, W, X.copy(), cval=1)
    with pytest.raises(algos.ConvbenchError, match="exceeds the source"):
        algos.blocks.convolve(X, np.ones((50, 3), np.float32), X.copy(), mode="valid")
    shut = X.copy()
    shut.flags.writeable = False
    with pytest.raises(algos.ConvbenchError, match="out is read-only"):
        algos.blocks.convolve(X, W, shut)

    class Full:
        shape, dtype = X.shape, X.dtype

        def __getitem__(self, key):
            return X[key]

        def __setitem__(self, key, value):
            raise OSError(28, "No space left on device")

    with pytest.raises(algos.ConvbenchError, match=r"out cannot be written: .*No space left"):
        algos.blocks.convolve(X, W, Full())
    with pytest.raises(algos.ConvbenchError, match=r"journal .* cannot be written"):
        algos.blocks.convolve(X, W, X.copy(), resume=tmp_path / "no" / "folder")


def test_pieces_read_each_position_once():
    for boundary, size in itertools.product(BOUNDARIES, (1, 2, 5, 11)):
        for start, stop in ((-7, 3), (-30, 25), (2, 40), (-3, 0)):
            found = np.full(stop - start, -2)
            for piece in positions.pieces(boundary, size, start, stop):
                some = np.arange(piece.first, piece.last)
                if piece.order is not None:
                    some = some[piece.order]
                assert np.all(found[piece.start : piece.stop] == -2)
                found[piece.start : piece.stop] = -1 if piece.is_outside else some
            assert np.array_equal(found, sources(boundary, size, start, stop))
