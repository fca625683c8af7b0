"""Blocks read from and write to the stores of the extra [scale]."""

import numpy as np
import pytest

import algos

pytestmark = pytest.mark.scale

SIZE = (70, 90)
X = np.random.default_rng(0).random(SIZE).astype(np.float32)
W = np.random.default_rng(1).random((5, 4)).astype(np.float32)


class Killed(BaseException):
    """Stands for the end of the process."""


def in_zarr(path, values=None):
    zarr = pytest.importorskip("zarr")
    if path.exists() and values is None:
        return zarr.open_array(path, mode="r+")
    made = zarr.create_array(str(path), shape=SIZE, chunks=(16, 25), dtype="f4")
    if values is not None:
        made[...] = values
    return made


def in_hdf5(path, values=None):
    h5py = pytest.importorskip("h5py")
    if path.exists() and values is None:
        return h5py.File(path, "r+")["data"]
    return h5py.File(path, "w").create_dataset("data", SIZE, "f4", values)


def in_tiff(path, values=None):
    tifffile = pytest.importorskip("tifffile")
    if values is not None:
        tifffile.imwrite(path, values, compression="zlib", rowsperstrip=16)
        return pytest.importorskip("zarr").open_array(tifffile.imread(path, aszarr=True), mode="r")
    return tifffile.memmap(path, **({} if path.exists() else {"shape": SIZE, "dtype": "f4"}))


@pytest.mark.parametrize("source", [in_zarr, in_hdf5, in_tiff])
@pytest.mark.parametrize("result", [in_zarr, in_hdf5, in_tiff])
def test_every_store_serves_as_source_and_result(tmp_path, source, result):
    """A call that was killed goes on in the store that is opened again."""
    expected = np.empty(SIZE, np.float32)
    algos.blocks.convolve(X, W, expected, boundary="reflect", algorithm="parallel")
    x, told = source(tmp_path / "source.tif", X), []

    def kill(done, total):
        told.append(done)
        if done == 3:
            raise Killed

    settings = {"block": (16, 50), "boundary": "reflect", "algorithm": "parallel"}
    out = result(tmp_path / "out.tif")
    with pytest.raises(Killed):
        algos.blocks.convolve(x, W, out, progress=kill, **settings)
    getattr(getattr(out, "file", None), "close", lambda: None)()
    told.clear()
    out = result(tmp_path / "out.tif")
    algos.blocks.convolve(x, W, out, progress=lambda done, _: told.append(done), **settings)
    assert told[0] >= 3
    assert np.array_equal(out[...], expected)
    assert not [*tmp_path.glob("*blocks")]
    if source is in_tiff:
        x.store.close()


@pytest.mark.parametrize("store", [in_zarr, in_hdf5])
def test_a_result_over_its_source_or_shut_is_refused(tmp_path, store):
    x = store(tmp_path / "one", X)
    with pytest.raises(algos.ConvbenchError, match="share memory or file"):
        algos.blocks.convolve(x, W, x)
    if store is in_zarr:
        zarr = pytest.importorskip("zarr")
        in_zarr(tmp_path / "two")
        shut = zarr.open_array(tmp_path / "two", mode="r")
    else:
        h5py = pytest.importorskip("h5py")
        in_hdf5(tmp_path / "two").file.close()
        shut = h5py.File(tmp_path / "two", "r")["data"]
    with pytest.raises(algos.ConvbenchError, match="out cannot be written"):
        algos.blocks.convolve(x, W, shut)


class StopError(Exception):
    """The user's."""


def stop(done, total):
    if done == 3:
        raise StopError


def pairs_of_sources(tmp_path):
    first, second = np.ones((64, 32)), np.full((64, 32), 100.0)
    yield first, second
    mapped = np.lib.format.open_memmap(tmp_path / "two.npy", "w+", "float64", (128, 32))
    mapped[:64], mapped[64:] = first, second
    yield mapped[:64], mapped[64:]


@pytest.mark.parametrize("kind", [0, 1], ids=["in memory", "parts of one file"])
def test_an_interrupted_call_is_not_continued_with_another_source(tmp_path, kind):
    first, second = list(pairs_of_sources(tmp_path))[kind]
    out = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", "float64", (64, 32))
    with pytest.raises(StopError):
        algos.blocks.convolve(first, np.ones((3, 3)), out, block=(16, 16), progress=stop)
    algos.blocks.convolve(second, np.ones((3, 3)), out, block=(16, 16))
    assert (out[1:-1, 1:-1] == 900).all()
