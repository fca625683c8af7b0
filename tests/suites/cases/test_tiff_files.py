"""TIFF files beyond Pillow are read by tifffile, or refused in a sentence."""

import sys

import numpy as np
import pytest
from PIL import Image

from algos import ConvbenchError
from suites.cases import data, pictures

tifffile = pytest.importorskip("tifffile")

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (4, 5, 7), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (4, 5, 7), dtype=np.uint16)
COLOURS = RNG.integers(0, 256, (4, 5, 7, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures.examine.cache_clear()


def test_pages_are_the_depth_of_a_volume():
    pages = [Image.fromarray(page) for page in GREY]
    pages[0].save("a.tif", save_all=True, append_images=pages[1:])
    np.testing.assert_allclose(pictures.read("a.tif"), GREY[None] / 255)
    case = data.case_from_files("a.tif", "gaussian:3")
    assert case.problem.input_shape == (1, 1, 4, 5, 7)
    assert data.remarks_on_files(case) == ["a: 4 pages are the depth of a volume."]


@pytest.mark.parametrize(
    ("array", "options", "wanted"),
    [
        (DEEP, {"photometric": "minisblack"}, DEEP[None] / 65535),
        (DEEP, {"imagej": True, "metadata": {"axes": "ZYX"}}, DEEP[None] / 65535),
        (DEEP, {"imagej": True, "metadata": {"axes": "CYX"}}, DEEP / 65535),
        (DEEP[:, None], {"imagej": True, "metadata": {"axes": "ZCYX"}}, DEEP[None] / 65535),
        (COLOURS, {"photometric": "rgb"}, np.moveaxis(COLOURS, -1, 0) / 255),
        (DEEP[:3], {"photometric": "rgb", "planarconfig": "separate"}, DEEP[:3] / 65535),
        (DEEP[0], {"photometric": "miniswhite"}, 1 - DEEP[:1] / 65535),
        (GREY.astype("i2") - 99, {"photometric": "minisblack"}, GREY[None] - 99.0),
        (DEEP[0].astype("u4") << 9, {}, DEEP[:1] * 512.0),
        (DEEP[0] / 7, {}, DEEP[:1] / 7),
        (GREY / np.float32(7), {"photometric": "minisblack", "compression": "deflate"},
         GREY[None] / np.float32(7)),
    ],
)  # fmt: skip
def test_every_kind_of_sample_keeps_its_value(array, options, wanted):
    tifffile.imwrite("a.tif", array, **options)
    found = pictures.read("a.tif")
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_volume_stands_as_it_was_held(orientation):
    upright = np.zeros((2, 6, 9), np.int16)
    upright[:, :2, :2] = 1
    turned = {
        1: upright, 2: upright[..., ::-1], 3: upright[:, ::-1, ::-1], 4: upright[:, ::-1],
        5: upright.swapaxes(1, 2), 6: np.rot90(upright, axes=(1, 2)),
        7: np.rot90(upright.swapaxes(1, 2), 2, axes=(1, 2)), 8: np.rot90(upright, -1, axes=(1, 2)),
    }[orientation]  # fmt: skip
    tifffile.imwrite(
        "a.tif", np.ascontiguousarray(turned), photometric="minisblack",
        extratags=[(274, "H", 1, orientation, False)],
    )  # fmt: skip
    np.testing.assert_array_equal(pictures.read("a.tif")[0], upright)


def test_what_is_no_single_picture_is_refused():
    Image.fromarray(GREY[0]).save(
        "sizes.tif", save_all=True, append_images=[Image.new("L", (9, 9))]
    )
    pages = [Image.fromarray(page).convert("P") for page in GREY]
    pages[0].save("palettes.tif", save_all=True, append_images=pages[1:])
    tifffile.imwrite("complex.tif", GREY[0].astype("c8"))
    for name, part in (
        ("sizes", r"holds 2 pictures of different sizes \(5×7, 9×9\); expected one"),
        ("palettes", "samples of the kind PALETTE"), ("complex", "holds complex64"),
    ):  # fmt: skip
        with pytest.raises(ConvbenchError, match=part):
            pictures.read(f"{name}.tif")


def test_a_missing_package_is_a_sentence_with_the_line_that_installs_it(monkeypatch):
    tifffile.imwrite("a.tif", GREY, photometric="minisblack")
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(ConvbenchError, match=r'pip install -e "\.\[files\]"'):
        pictures.read("a.tif")


def test_a_volume_too_large_to_decode_is_one_sentence(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)
    tifffile.imwrite("a.tif", DEEP, photometric="minisblack")
    with pytest.raises(ConvbenchError, match=r"too large to decode: 4×5×7 are 1\.4e\+02 samples"):
        pictures.read("a.tif")


def test_damaged_files_are_refused_without_noise(tmp_path, capfd):
    tifffile.imwrite("whole.tif", DEEP, photometric="minisblack")
    whole = (tmp_path / "whole.tif").read_bytes()
    for number in range(60):
        damaged = bytearray(whole[: RNG.integers(8, len(whole))] if number % 2 else whole)
        damaged[RNG.integers(4, min(len(damaged), 400))] ^= 1 << int(RNG.integers(8))
        (tmp_path / f"{number}.tif").write_bytes(damaged)
        try:
            pictures.read(f"{number}.tif")
        except ConvbenchError as error:
            assert f"{number}.tif" in str(error)
            assert "\n" not in str(error)
    assert capfd.readouterr().err == ""
