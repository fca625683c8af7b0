"""Pictures are read correctly, and written ones are visible."""

import re

import numpy as np
import pytest
from PIL import Image

from algos import ConvbenchError
from suites.cases import pictures


@pytest.fixture(autouse=True)
def _forget():
    pictures.examine.cache_clear()


def test_the_shipped_pictures_are_there_and_scaled():
    photograph, mri = pictures.read("photograph"), pictures.read("mri")
    assert (photograph.shape, mri.shape) == ((3, 600, 512), (1, 256, 256))
    for planes in (photograph, mri):
        assert planes.dtype == np.float64
        assert planes.min() == 0
        assert planes.max() == 1
        assert not planes.flags.writeable
    # With the right byte order, neighbours are similar and the corner is dark.
    assert np.abs(np.diff(mri[0])).mean() < 0.05
    assert mri[0, :8, :8].max() < 0.1
    # The flag's white stars are left, the blue wall right.
    red, _, blue = photograph[:, 50:150, 420:].mean(axis=(1, 2))
    assert blue > red + 0.2


@pytest.mark.parametrize(
    ("array", "planes", "white"),
    [
        (np.arange(12, dtype=np.uint8).reshape(3, 4), 1, 255),
        (np.arange(36, dtype=np.uint8).reshape(3, 4, 3), 3, 255),
        (np.arange(48, dtype=np.uint8).reshape(3, 4, 4), 3, 255),
        (np.arange(24, dtype=np.uint8).reshape(3, 4, 2), 1, 255),
        (np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000, 1, 65535),
    ],
)
def test_png_of_every_kind_is_read_as_planes(tmp_path, array, planes, white):
    path = tmp_path / "picture.png"
    Image.fromarray(array).save(path)
    read = pictures.read(str(path))
    assert read.shape == (planes, 3, 4)
    wanted = array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)[:planes]
    np.testing.assert_allclose(read, wanted / white)


def test_palettes_and_bitmaps_are_read_too(tmp_path):
    grey = Image.fromarray(np.array([[0, 255], [255, 0]], dtype=np.uint8))
    for mode, planes in (("1", 1), ("P", 3)):
        grey.convert(mode).save(tmp_path / f"{mode}.png")
        read = pictures.read(str(tmp_path / f"{mode}.png"))
        assert read.shape == (planes, 2, 2)
        np.testing.assert_array_equal(read[0], [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((7,), (1, 7)),
        ((5, 7), (1, 5, 7)),
        ((5, 7, 3), (3, 5, 7)),
        ((5, 7, 4), (3, 5, 7)),
        ((5, 7, 6), (1, 5, 7, 6)),
        ((2, 3, 5, 7), (6, 5, 7)),
        ((2, 3, 4, 5, 7), (6, 4, 5, 7)),
    ],
)
def test_arrays_keep_their_values(tmp_path, shape, wanted):
    array = np.random.default_rng(0).integers(-5, 300, shape)
    np.save(tmp_path / "a.npy", array)
    read = pictures.read(str(tmp_path / "a.npy"))
    assert read.shape == wanted
    if len(shape) != 3 or shape[-1] > 4:
        np.testing.assert_array_equal(read.ravel(), array.ravel())


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ConvbenchError, match="did you mean 'photograph'"):
        pictures.read("photografh")
    for name in ("missing.png", "missing.npy"):
        with pytest.raises(ConvbenchError, match="cannot be read"):
            pictures.read(str(tmp_path / name))
    for name in ("text.png", "text.npy", "text"):
        (tmp_path / name).write_text("no picture")
        with pytest.raises(ConvbenchError, match="cannot be read"):
            pictures.read(str(tmp_path / name))
    for array, part in (
        (np.ones((2, 2), dtype=complex), "holds complex128"),
        (np.array(["a"]), "real-valued"),
        (np.float64(3), "has shape ()"),
        (np.ones((0, 3)), "has shape (0, 3)"),
        (np.ones((1,) * 6), "has shape (1, 1, 1, 1, 1, 1)"),
    ):
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(ConvbenchError, match=re.escape(part)):
            pictures.read(str(tmp_path / "a.npy"))


def test_a_picture_is_shown_as_it_is_and_clipped():
    picture = np.linspace(-0.1, 1.1, 100).reshape(10, 10)
    np.testing.assert_array_equal(pictures.shown(picture), np.clip(picture, 0, 1))


def test_a_signed_result_is_centred_on_grey():
    rng = np.random.default_rng(0)
    for scale in (1e-3, 1, 1e3):
        shown = pictures.shown(scale * rng.standard_normal((50, 50)))
        assert shown.mean() == pytest.approx(0.5, abs=0.02)
        assert shown.min() == 0
        assert shown.max() == 1
    edges = np.zeros((20, 20))
    edges[5, 5], edges[6, 6] = 1, -1
    assert pictures.shown(edges)[0, 0] == 0.5


def test_other_ranges_are_stretched():
    shown = pictures.shown(np.linspace(1000, 3000, 400).reshape(20, 20))
    assert (shown.min(), shown.max()) == (0, 1)
    for constant in (0.0, 7.0):
        assert np.isfinite(pictures.shown(np.full((4, 4), constant))).all()
    assert np.isfinite(pictures.shown(np.array([[np.nan, 1.0], [np.inf, 0.5]]))).all()


def test_three_planes_are_a_colour_picture_and_a_volume_shows_its_middle():
    assert pictures.shown(np.zeros((3, 1, 4, 5))).shape == (4, 5, 3)
    assert pictures.shown(np.zeros((1, 3, 4, 5))).shape == (4, 5, 3)
    assert pictures.shown(np.zeros((1, 8, 4, 5))).shape == (4, 5)
    volume = np.zeros((1, 1, 5, 4, 4))
    volume[:, :, 2] = 1
    assert pictures.shown(volume).all()
    with pytest.raises(ConvbenchError, match="no picture"):
        pictures.shown(np.zeros(4))


def test_what_is_saved_is_read_back(tmp_path):
    photograph = pictures.read("photograph")
    pictures.save(tmp_path / "copy.png", photograph[:, None])
    again = pictures.read(str(tmp_path / "copy.png"))
    np.testing.assert_allclose(again, photograph, atol=0.5 / 255 + 1e-9)
    with pytest.raises(ConvbenchError, match="cannot be written"):
        pictures.save(tmp_path / "missing" / "copy.png", photograph)


@pytest.mark.slow
def test_the_contact_sheet_shows_every_picture(tmp_path):
    rng = np.random.default_rng(0)
    run = {"a": rng.random((1, 1, 20, 30)), "a:sobel-x": rng.standard_normal((1, 1, 20, 30))}
    run |= {f"a:box:{n}": rng.random((3, 1, 20, 30)) for n in range(3)}
    run |= {"b": rng.random((40, 10)), "b:edge": rng.standard_normal((40, 9))}
    for suffix in ("png", "svg"):
        path = tmp_path / f"sheet.{suffix}"
        pictures.contact_sheet(run, path)
        assert path.stat().st_size > 5000
    text = (tmp_path / "sheet.svg").read_text(encoding="utf-8")
    assert text.count("<image") == len(run)
    with pytest.raises(ConvbenchError, match="no pictures"):
        pictures.contact_sheet({}, tmp_path / "sheet.png")
    with pytest.raises(ConvbenchError, match="cannot be written"):
        pictures.contact_sheet(run, tmp_path / "missing" / "sheet.png")


def test_labels_are_short():
    assert pictures.label("gaussian:15") == "gaussian:15"
    assert pictures.label("/some/where/my picture.png") == "my picture"
    assert pictures.label("kernel.npy") == "kernel"
