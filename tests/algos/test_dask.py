"""Convolution of Dask arrays: every boundary over the whole array, lazily, one plan for all."""

import pickle
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

import algos
import algos.dask
from algos.core.boundary import BOUNDARIES
from algos.parallel import algorithm as parallel

pytestmark = pytest.mark.scale

MODES = ("full", "same", "valid")


@pytest.fixture
def da():
    pytest.importorskip("dask").config.set(scheduler="threads")
    return pytest.importorskip("dask.array")


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_chunks_equal_the_whole(da, boundary, axes):
    """Kernels deeper than a chunk, and than the array (dask#6688, dask#11934, dask-image#242)."""
    rng = np.random.default_rng(axes)
    cval = 2.5 if boundary == "constant" else 0.0
    for trial in range(8):
        size, kernel = (
            tuple(map(int, rng.integers(1, most, axes)))
            for most in ({1: 90, 2: 30, 3: 12}[axes], {1: 120, 2: 24, 3: 9}[axes])
        )
        x, w, mode = rng.standard_normal(size), rng.standard_normal(kernel), MODES[trial % 3]
        if mode == "valid" and np.any(np.greater(kernel, size)):
            continue
        chunks = tuple(int(rng.integers(1, n + 1)) for n in size)
        flip = bool(trial % 2)
        settings = {"cval": cval, "algorithm": "naive"}
        of_dask = algos.dask.convolve if flip else algos.dask.correlate
        of_blocks = algos.blocks.convolve if flip else algos.blocks.correlate
        lazy = of_dask(da.from_array(x, chunks=chunks), w, mode, boundary, **settings)
        expected = np.empty(lazy.shape)
        of_blocks(x, w, expected, mode=mode, boundary=boundary, **settings)
        assert np.array_equal(lazy.compute(), expected), (size, kernel, chunks, mode)


@pytest.mark.parametrize("boundary", [None, *BOUNDARIES])
def test_kernels_of_even_size_are_centred_as_in_memory(da, boundary):
    """Ragged chunks, some smaller than the kernel."""
    rng = np.random.default_rng(13)
    cval = 2.5 if boundary == "constant" else 0.0
    cases = (
        ((23,), (2,)),
        ((23,), (4,)),
        ((13, 17), (2, 3)),
        ((13, 17), (4, 4)),
        ((7, 9, 8), (2, 4, 3)),
    )
    for size, taps in cases:
        x, w = rng.standard_normal(size), rng.standard_normal(taps)
        chunked = da.from_array(x, chunks=tuple(int(rng.integers(2, n)) for n in size))
        for name in ("convolve", "correlate"):
            lazy = getattr(algos.dask, name)(
                chunked, w, boundary=boundary, cval=cval, algorithm="naive"
            )
            expected = getattr(algos, name)(x, w, "same", "naive", boundary=boundary, cval=cval)
            assert np.array_equal(lazy.compute(), expected), (name, size, taps)


def test_chunks_take_the_kernel_of_the_whole(da):
    """Two kernels of `parallel` add 3 × 3 taps in different orders, so their bits differ."""
    rng = np.random.default_rng(12)
    x, w = rng.standard_normal((90, 71)), rng.standard_normal((3, 3))

    def path(problem):
        return "planes" if problem.size == x.shape else "rows"

    with mock.patch.object(parallel, "choose_path", path):
        expected = algos.convolve(x, w, "same", "parallel")
        lazy = algos.dask.convolve(da.from_array(x, chunks=(40, 33)), w, algorithm="parallel")
        assert np.array_equal(lazy.compute(scheduler="sync"), expected)


@pytest.mark.parametrize("kernel", ["complex64", "float32"])
@pytest.mark.parametrize("image", ["complex64", "float32"])
def test_complex_arrays_are_convolved_by_their_parts(da, image, kernel):
    rng = np.random.default_rng(17)
    x, w = (
        (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype("c8")
        for shape in ((23, 19), (4, 3))
    )
    x, w = (a if t == "complex64" else a.real for a, t in ((x, image), (w, kernel)))
    cval = 2 - 3j if image == "complex64" else 2.0
    chunked = da.from_array(x, chunks=(9, 5))
    for name in ("convolve", "correlate"):
        lazy = getattr(algos.dask, name)(chunked, w, boundary="constant", cval=cval)
        exact = getattr(algos, name)(x, w, "same", boundary="constant", cval=cval)
        assert lazy.dtype == exact.dtype and lazy.compute().dtype == exact.dtype
        np.testing.assert_allclose(lazy.compute(), exact, rtol=0, atol=1e-4)


def test_chunks_keep_their_borders(da):
    x = da.zeros((100, 80), chunks=((40, 60), (30, 50)), dtype="f4")
    w = np.ones((5, 3), np.float32)
    assert algos.dask.convolve(x, w, boundary="wrap").chunks == x.chunks
    assert algos.dask.convolve(x, w, "valid").chunks == ((38, 58), (29, 49))
    assert algos.dask.convolve(x, w, "full").chunks == ((42, 62), (31, 51))


def test_nothing_is_computed_before_it_is_asked_for(da, monkeypatch):
    made, real = [], algos.dask.Plan

    def plan(problem, *rest, **more):
        made.append(problem.size)
        return real(problem, *rest, **more)

    monkeypatch.setattr(algos.dask, "Plan", plan)

    def never(block):
        raise AssertionError("computed")

    broken = da.zeros((64, 64), chunks=16, dtype="f4").map_blocks(
        never, dtype="f4", meta=np.empty((0, 0), "f4")
    )
    w = np.random.default_rng(3).random((3, 3)).astype("f4")
    algos.dask.convolve(broken, w)
    assert not made
    x = np.random.default_rng(2).random((64, 64)).astype("f4")
    lazy = algos.dask.convolve(
        da.from_array(x, chunks=16), w, algorithm="parallel", boundary="wrap"
    )
    result = lazy.compute(scheduler="threads", num_workers=1)
    assert sorted(made) == [(18, 18)]
    assert np.array_equal(result, lazy.compute(scheduler="threads"))
    assert len(made) == 1


def test_a_chunk_uses_one_thread_unless_told(da, monkeypatch):
    seen, real = [], algos.dask.Plan.__call__

    def call(self, *arrays, **more):
        seen.append(self.threads)
        return real(self, *arrays, **more)

    monkeypatch.setattr(algos.dask.Plan, "__call__", call)
    x = da.random.default_rng(0).random((1200, 1200), chunks=600)
    algos.dask.convolve(x, np.ones((9, 9))).compute()
    assert set(seen) == {1}


def test_the_function_of_a_chunk_travels_to_other_processes(da):
    x = np.random.default_rng(4).random((30, 30))
    lazy = algos.dask.convolve(da.from_array(x, chunks=10), np.ones((3, 3)), boundary="mirror")
    again = pickle.loads(pickle.dumps(lazy))
    assert np.array_equal(again.compute(scheduler="sync"), lazy.compute())
    other = algos.dask.convolve(da.from_array(x, chunks=10), np.ones((3, 3)), boundary="mirror")
    assert other.name == lazy.name
    assert algos.dask.convolve(da.from_array(x, chunks=10), 2 * np.ones((3, 3))).name != lazy.name


def test_xarray_keeps_coordinates_and_laziness(da):
    xarray = pytest.importorskip("xarray")
    algos.dask.register_accessor()
    algos.dask.register_accessor()
    values = np.random.default_rng(5).random((20, 30))
    data = xarray.DataArray(values, dims=("y", "x"), coords={"x": np.arange(30)}, name="scan")
    w = np.ones((3, 5))
    eager, lazy = data.convbench.convolve(w), data.chunk({"y": 7}).convbench.convolve(w)
    assert eager.chunks is None and lazy.chunks is not None
    assert np.allclose(eager.values, algos.convolve(values, w, "same"))
    assert np.array_equal(lazy.compute().x, data.x) and eager.name == "scan"
    assert data.convbench.correlate(w, mode="valid").shape == (18, 26)


@pytest.mark.parametrize(
    ("size", "kernel", "more", "sentence"),
    [
        ((9, 9), (3,), {}, "array has 2 axes and kernel 1"),
        ((9, 9), (3, 3), {"boundary": "edge"}, "boundary"),
        ((9, 9), (3, 3), {"cval": 1.0}, 'goes with boundary "constant"'),
        ((9, 9), (3, 3), {"boundary": "constant", "cval": 1j}, "complex and the image is real"),
        ((9, 9), (10, 3), {"mode": "valid"}, "exceeds the array"),
        ((9, 9), (3, 3), {"algorithm": "ftt"}, "did you mean 'fft'"),
    ],
)
def test_mistakes_are_a_sentence(da, size, kernel, more, sentence):
    with pytest.raises(algos.ConvbenchError, match=sentence):
        algos.dask.convolve(da.zeros(size), np.ones(kernel), **more)


def test_a_missing_dask_is_a_sentence():
    root = Path(algos.__file__).parents[1]
    code = (
        "import sys, numpy as np, algos\n"
        "assert not {'dask', 'xarray', 'distributed'} & {*sys.modules}\n"
        "sys.modules['dask.array'] = sys.modules['xarray'] = None\n"
        "for call in (lambda: algos.dask.convolve(np.ones(3), np.ones(3)), "
        "algos.dask.register_accessor):\n"
        "    try: call()\n"
        "    except algos.ConvbenchError as error: print(error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    ).stdout.splitlines()
    assert len(said) == 2 and all('pip install "convbench[scale]"' in line for line in said)
