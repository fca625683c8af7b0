"""Picture and array files are recognised by their contents, and read without loss or refused."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from algos import ConvbenchError
from suites import cli
from suites.cases import data, filters, pictures

DEEP = np.random.default_rng(0).integers(0, 65536, (5, 7, 4), dtype=np.uint16)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures.examine.cache_clear()


def write_png(path, samples, colour_type):
    """Write a PNG file of 16-bit samples, which Pillow cannot write in colour."""

    def chunk(kind, data):
        sum_ = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + sum_

    height, width = samples.shape[:2]
    rows = samples.astype(">u2").reshape(height, -1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    head = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


def write_tiff(path, samples, order, **tags):
    """Write an uncompressed TIFF file of one strip; `tags` by number, as t258=16."""
    data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    height, width = samples.shape[:2]
    count = samples.shape[2] if samples.ndim == 3 else 1
    entries = {
        256: width, 257: height, 258: 8 * samples.itemsize, 259: 1, 262: 2 if count == 3 else 1,
        273: 8, 277: count, 278: height, 279: len(data), **{int(t[1:]): v for t, v in tags.items()},
    }  # fmt: skip
    extra, place = b"", 8 + len(data) + 2 + 12 * len(entries) + 4
    table = struct.pack(f"{order}H", len(entries))
    for tag, value in sorted(entries.items()):
        if tag == 258 and count == 3:
            extra = struct.pack(f"{order}3H", value, value, value)
            table += struct.pack(f"{order}HHII", tag, 3, 3, place)
        else:
            table += struct.pack(f"{order}HHII", tag, 4, 1, value)
    magic = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, 8 + len(data))
    path.write_bytes(magic + data + table + struct.pack(f"{order}I", 0) + extra)


@pytest.mark.parametrize(("planes", "colour_type"), [(3, 2), (4, 6)])
def test_16_bit_colours_of_png_keep_their_bits(planes, colour_type, tmp_path):
    write_png(tmp_path / "a.png", DEEP[..., :planes], colour_type)
    assert (pictures.read("a.png") == np.moveaxis(DEEP[..., :3], -1, 0) / 65535).all()


@pytest.mark.parametrize("order", "<>")
def test_16_bit_colours_of_tiff_keep_their_bits(order, tmp_path):
    write_tiff(tmp_path / "a.tif", DEEP[..., :3], order)
    assert (pictures.read("a.tif") == np.moveaxis(DEEP[..., :3], -1, 0) / 65535).all()


def test_what_pillow_would_spoil_is_refused(tmp_path):
    write_png(tmp_path / "grey-alpha.png", DEEP[..., :2], 4)
    (tmp_path / "a.ppm").write_bytes(b"P6 7 5 65535\n" + DEEP[..., :3].astype(">u2").tobytes())
    for name in ("grey-alpha.png", "a.ppm"):
        with pytest.raises(ConvbenchError, match="more than 8 bits, of which Pillow keeps 8"):
            pictures.read(name)
    pages = [Image.new("L", (4, 4), value) for value in (1, 2, 3)]
    pages[0].save("moving.gif", save_all=True, append_images=pages[1:])
    with pytest.raises(ConvbenchError, match="holds 3 pages; expected one"):
        pictures.read("moving.gif")


def test_a_picture_too_large_to_decode_is_one_sentence(tmp_path):
    """The head of a file may promise any size; nothing of it is decoded."""
    write_png(tmp_path / "whole.png", DEEP[..., :3], 2)
    file = (tmp_path / "whole.png").read_bytes()
    head = b"IHDR" + struct.pack(">IIBBBBB", 40_000, 40_000, 16, 2, 0, 0, 0)
    file = file[:12] + head + struct.pack(">I", zlib.crc32(head)) + file[33:]
    (tmp_path / "large.png").write_bytes(file)
    with pytest.raises(ConvbenchError, match=r"too large to decode: it has 1\.6e\+09 pixels"):
        pictures.read("large.png")


def test_what_is_made_of_a_file_is_said(tmp_path):
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (6, 8, 4), dtype=np.uint8)
    Image.fromarray(colours).save("opaque.png")
    Image.fromarray(colours[..., :3]).convert("P").save("palette.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(colours[..., 0]).save("turned.png", exif=exif)
    Image.fromarray(colours[..., 0]).save("grey.png")
    np.save("colour.npy", colours)
    np.save("large.npy", np.full((4, 5), 2**60 + 1))
    said = {
        "opaque.png": "opaque: its opacity is left out.",
        "palette.png": "palette: its palette is replaced by the colours.",
        "turned.png": "turned: it is turned upright by its EXIF orientation.",
        "colour.npy": "colour: its last axis of 4 is taken for colour.",
        "large.npy": "large: 20 of its int64 values are beyond 2^53 and rounded.",
    }
    for name, sentence in said.items():
        remarks = data_of(name, "box:3")
        assert sentence in remarks, remarks
    assert data_of("grey.png", "box:3") == []
    assert (
        "3 planes of 6×8, such as colours, are filtered alike" in data_of("opaque.png", "box")[-1]
    )
    np.save("layer.npy", rng.random((2, 3, 3, 3)))
    assert data_of("opaque.png", "layer.npy")[-1] == (
        "opaque: 3 planes of 6×8 are the channels of 1 image."
    )


def data_of(source, kernel):
    """Return the sentences on an input that a kernel filters."""
    return data.remarks_on_files(data.case_from_files(source, kernel))


def test_16_bit_greys_and_floats_are_read_as_they_are(tmp_path):
    grey = DEEP[..., 0]
    write_tiff(tmp_path / "a.tif", grey, ">")
    write_tiff(tmp_path / "twelve.tif", grey >> 4, "<")
    (tmp_path / "a.pgm").write_bytes(b"P5 7 5 65535\n" + grey.astype(">u2").tobytes())
    Image.fromarray(grey).save("a.png")
    Image.fromarray(grey.astype(np.float32)).save("float.tif")
    for name in ("a.tif", "a.pgm", "a.png"):
        assert (pictures.read(name)[0] == grey / 65535).all(), name
    assert (pictures.read("float.tif")[0] == grey).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_as_it_was_held(orientation):
    upright = np.zeros((16, 32), np.uint8)
    upright[:8, :8] = 255
    turned = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.T, 6: np.rot90(upright), 7: np.rot90(upright.T, 2), 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(turned).save("a.png", exif=exif)
    assert (pictures.read("a.png")[0] == upright / 255).all()


def test_a_large_picture_is_read_without_a_warning():
    Image.new("1", (10_000, 9_000)).save("large.png")
    assert pictures.read("large.png").shape == (1, 9_000, 10_000)


def test_damaged_files_are_refused(tmp_path):
    write_png(tmp_path / "whole.png", DEEP[..., :3], 2)
    np.savez("whole.npz", DEEP)
    rng = np.random.default_rng(0)
    for name in ("whole.png", "whole.npz"):
        whole = (tmp_path / name).read_bytes()
        for number in range(40):
            damaged = bytearray(whole[: rng.integers(8, len(whole))] if number % 2 else whole)
            damaged[rng.integers(8, len(damaged))] ^= 1 << int(rng.integers(8))
            (tmp_path / f"{number}{name}").write_bytes(damaged)
            try:
                pictures.read(f"{number}{name}")
            except ConvbenchError as error:
                assert f"{number}{name}" in str(error)


@pytest.mark.parametrize(
    ("source", "kernel"),
    [
        ("X.NPY", "box"), ("a.npz", "box"), ("g.pgm", "box"), ("./g.pgm", "box"), ("bare", "box"),
        ("picture", "box"), ("p.png", "K.NPY"), ("p.png", "./K.NPY"), ("p.png", "k.npz"),
        ("p.png", "bare"), ("p.png", "kernel.dat"),
    ],
)  # fmt: skip
def test_files_in_the_present_folder_are_known(source, kernel, tmp_path):
    for name in ("X.NPY", "K.NPY", "bare", "kernel.dat"):
        with (tmp_path / name).open("wb") as file:
            np.save(file, np.ones((3, 3)))
    np.savez("a.npz", np.ones((8, 8)))
    np.savez("k.npz", np.ones((3, 3)))
    for name, kind in (("g.pgm", "PPM"), ("p.png", "PNG"), ("picture", "BMP")):
        Image.new("L", (8, 8)).save(name, kind)
    assert cli.main(["run", "--input", source, "--kernel", kernel, "--dry-run"]) == 0


def test_words_stay_words_where_files_are_called_so(tmp_path):
    for name in ("mri", "random", "box", "rank1", "integers"):
        (tmp_path / name).write_text("not a picture")
    assert pictures.read("mri").shape == (1, 256, 256)
    assert filters.make("box").shape == (3, 3)
    assert not any(map(filters.is_path, ("random", "rank1", "integers", "box:5", "gaussian:9:1.5")))
    assert not any(map(pictures.is_path, ("random", "integers", "photograph")))
    assert filters.is_path("./box")


def test_a_picture_is_decoded_once(monkeypatch, tmp_path):
    write_png(tmp_path / "a.png", DEEP[..., :3], 2)
    decoded, real = [], pictures.read_picture

    def counted(path):
        decoded.append(path)
        return real(path)

    monkeypatch.setattr(pictures, "read_picture", counted)
    case = data.case_from_files("a.png", "gaussian:3")
    assert data.remarks_on_files(case)
    data.arrays(case)
    assert decoded == ["a.png"]
