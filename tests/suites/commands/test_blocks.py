"""``convbench blocks`` at the command line."""

import numpy as np
import pytest
import scipy.ndimage

from algos.blocks import journal
from suites import cli
from suites.cases import filters, stores


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("scan.npy", np.random.default_rng(0).integers(0, 60000, (90, 70), np.uint16))
    return tmp_path


def test_a_file_is_filtered_into_another(here, capsys):
    words = ["blocks", "scan.npy", "gaussian:7", "out.npy", "--memory", "60kB"]
    assert cli.main([*words, "--boundary", "reflect"]) == 0
    assert " blocks of " in capsys.readouterr().out
    kernel = filters.make("gaussian:7")
    expected = scipy.ndimage.convolve(np.load("scan.npy").astype(float), kernel, mode="reflect")
    found = np.load("out.npy")
    assert found.dtype == np.float32 and np.allclose(found, expected, rtol=1e-4)
    assert cli.main(words) == 2
    assert "'out.npy' exists; --overwrite replaces it" in capsys.readouterr().err
    assert cli.main([*words, "--overwrite", "--dtype", "float64"]) == 0
    assert np.load("out.npy").dtype == np.float64


@pytest.mark.scale
@pytest.mark.parametrize("name", ["out.zarr", "out.h5", "out.h5:/deep/inside", "out.tif"])
def test_every_kind_of_file_is_written_and_read(here, name):
    pytest.importorskip("zarr"), pytest.importorskip("h5py"), pytest.importorskip("tifffile")
    assert cli.main(["blocks", "scan.npy", "identity", name]) == 0
    assert cli.main(["blocks", name, "identity", "back.npy"]) == 0
    assert np.array_equal(np.load("back.npy"), np.load("scan.npy"))


def test_an_interrupted_call_goes_on(here, capsys, monkeypatch):
    words = ["blocks", "scan.npy", "box:3", "out.npy", "--memory", "20kB"]
    real, count = stores.open_result, []

    class Stops:
        """Array that ends the process at the third block."""

        def __init__(self, array):
            self.array = array
            self.shape, self.dtype, self.wrapped = array.shape, array.dtype, array

        def __getitem__(self, key):
            return self.array[key]

        def __setitem__(self, key, value):
            count.append(key)
            if len(count) == 3:
                raise KeyboardInterrupt
            self.array[key] = value

    monkeypatch.setattr(stores, "open_result", lambda *a, **k: Stops(real(*a, **k)))
    assert cli.main(words) == 2
    assert "interrupted" in capsys.readouterr().err
    assert (here / f"out.npy{journal.ENDING}").exists()
    monkeypatch.setattr(stores, "open_result", real)
    assert cli.main(words) == 0
    assert "going on with out.npy" in capsys.readouterr().err
    resumed = np.load("out.npy")
    assert cli.main([*words, "--overwrite"]) == 0
    assert np.array_equal(resumed, np.load("out.npy"))


@pytest.mark.parametrize(
    "words",
    [
        ["gaussian:3", "out.npy", "--algorithm", "ftt"],
        ["box:99", "out.npy", "--mode", "valid"],
        ["gaussian:3", "out.npy", "--memory", "10"],
        ["gaussian:3", "out.npy", "--cval", "2"],
    ],
)
def test_a_mistake_leaves_the_earlier_result(here, words):
    np.save("out.npy", np.arange(3))
    assert cli.main(["blocks", "scan.npy", *words, "--overwrite"]) == 2
    assert np.array_equal(np.load("out.npy"), np.arange(3))


@pytest.mark.scale
@pytest.mark.parametrize("file", ["out.h5", "out.zarr"])
def test_an_array_inside_a_file_leaves_the_others(here, capsys, file):
    pytest.importorskip("zarr"), pytest.importorskip("h5py")
    for name, kernel in (("a", "identity"), ("deep/b", "box:3")):
        assert cli.main(["blocks", "scan.npy", kernel, f"{file}:/{name}"]) == 0
    assert cli.main(["blocks", "scan.npy", "identity", f"{file}:/deep/b"]) == 2
    assert f"'{file}:/deep/b' exists" in capsys.readouterr().err
    assert cli.main(["blocks", "scan.npy", "identity", f"{file}:/deep/b", "--overwrite"]) == 0
    for name in ("a", "deep/b"):
        found = stores.open_source(f"{file}:/{name}")
        assert np.array_equal(found[...], np.load("scan.npy"))
    assert cli.main(["blocks", f"{file}:/a", "identity", file, "--overwrite"]) == 2
    assert "is the input, or holds it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["scan.npy", "box", "out.npy:/a"], "leave out :a"),
        (["none.npy", "box", "out.npy"], "'none.npy' does not exist"),
        (["scan.npy", "box", "out.xyz"], "files of arrays end in .npy"),
        (["scan.npy", "boxx", "out.npy"], "did you mean 'box'"),
        (["scan.npy", "box", "scan.npy"], "is the input"),
        (["scan.npy", "box:3", "out.npy", "--memory", "10"], "smallest block"),
        (["scan.npy", "box:99", "out.npy", "--mode", "valid"], "exceeds"),
        (["scan.npy", "box:3", "no/out.npy"], "cannot be written"),
        (["scan.npy", "box:3", "out.npy", "--algorithm", "ftt"], "did you mean 'fft'"),
    ],
)
def test_mistakes_are_a_sentence_and_leave_nothing(here, capsys, words, sentence):
    assert cli.main(["blocks", *words]) == 2
    assert sentence in capsys.readouterr().err
    assert [path.name for path in here.iterdir()] == ["scan.npy"]


def test_complex_samples_and_empty_arrays_are_refused(here, capsys):
    np.save("complex.npy", np.ones((8, 8)) * 1j)
    np.save("empty.npy", np.ones((0, 5)))
    assert cli.main(["blocks", "complex.npy", "gaussian:3", "out.npy"]) == 2
    assert "source is complex128, and blocks hold real numbers" in capsys.readouterr().err
    assert cli.main(["blocks", "empty.npy", "gaussian:3", "out.npy"]) == 2
    assert "it holds no sample" in capsys.readouterr().err
    assert not (here / "out.npy").exists()
