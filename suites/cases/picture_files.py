"""Files of pictures and arrays, read without loss or refused.

Pillow reads colours in 8 bits only, ignores the camera's orientation, and takes the first of many
pages. None of these losses may go unnoticed.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from algos.core.errors import ConvbenchError

from .tiff_files import SIGNATURES, read_tiff

#: First bytes of NumPy's files, .npy and .npz (a zip archive).
_ARRAYS = (b"\x93NUMPY", b"PK\x03\x04")

#: Pillow's modes of more than 8 bits a sample, all of them grey.
_DEEP = ("I;16", "I;16B", "I;16L", "I", "F")

#: Matches Pillow's names for the storage of 16-bit samples; BMP's "BGR;16" has 16 bits in all.
_WIDE = re.compile(r"[A-Z]+;16[BLN]").fullmatch

#: Formats whose further pages are pictures of their own; elsewhere they are previews and layers.
_PAGED = ("GIF", "PNG", "TIFF", "WEBP")


def is_array(path: str) -> bool:
    """Return True if `path` is a NumPy file, by its first bytes or its name."""
    if path.lower().endswith((".npy", ".npz")):
        return True
    try:
        with Path(path).open("rb") as file:
            return file.read(6).startswith(_ARRAYS)
    except OSError:  # the reader of pictures reports the error
        return False


def read_picture(path: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the planes of a picture, with white as 1, and clauses on what was made of the file.

    Pillow reads it where it loses nothing. Other TIFF files, such as volumes, are read by
    tifffile.

    Raises
    ------
    ConvbenchError
        If the file cannot be read as a picture, is too large to decode, or data would be lost.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        planes, said = _by_pillow(path)
    except ConvbenchError as error:
        if not _is_tiff(path) or isinstance(error, _TooLargeError):
            raise
        planes, about = read_tiff(path, _most(Image))
        said = (about,) if about else ()
    except Exception as error:  # damaged files make Pillow raise errors of every kind
        if not (isinstance(error, UnidentifiedImageError) and _is_tiff(path)):
            raise ConvbenchError(f"picture {path!r} cannot be read: {error}") from None
        planes, about = read_tiff(path, _most(Image))
        said = (about,) if about else ()
    return planes, said


class _TooLargeError(ConvbenchError):
    """A picture has more pixels than Pillow decodes."""


def _most(module: Any) -> int:
    """Return the number of pixels beyond which Pillow takes a file for an attack."""
    return 2 * (module.MAX_IMAGE_PIXELS or sys.maxsize)


def _is_tiff(path: str) -> bool:
    with Path(path).open("rb") as file:
        return file.read(4) in SIGNATURES


def _by_pillow(path: str) -> tuple[np.ndarray, tuple[str, ...]]:
    from PIL import Image, ImageOps

    with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
        try:
            opened = Image.open(path)
        except Image.DecompressionBombError as error:
            size = re.search(r"\d+", str(error))
            raise _TooLargeError(
                f"picture {path!r} is too large to decode: it has {float(size[0]):.2g} pixels, "
                f"at most {_most(Image):.2g} are read; cut it up, or save it with numpy.save"
                if size
                else f"picture {path!r} is too large to decode: {error}"
            ) from None
        with opened as image:
            if loss := _loss(image):
                raise ConvbenchError(f"picture {path!r} holds {loss}")
            white = _white(image)
            wide = _has_16_bits(image) and image.mode in ("RGB", "RGBA")
            pixels = np.asarray(_plain(ImageOps.exif_transpose(image)))
            said = tuple(_changes(image))
        if wide:
            with Image.open(path) as image:
                image.tile = [_other_bytes(tile) for tile in image.tile]
                low = np.asarray(_plain(ImageOps.exif_transpose(image)))
            pixels, white = 256.0 * pixels + low, 65535
    planes = pixels.astype(np.float64) / white
    planes = planes[None] if planes.ndim == 2 else np.moveaxis(planes, -1, 0)
    return np.ascontiguousarray(planes), said


def _changes(image: Any) -> Iterator[str]:
    """Yield clauses on what is left out of `image` or changed about it."""
    if image.mode in ("P", "PA"):
        yield "its palette is replaced by the colours"
    elif image.mode not in (*_DEEP, "1", "L", "LA", "La", "RGB", "RGBA", "RGBX", "RGBa"):
        yield f"its {image.mode} samples are converted to red, green and blue"
    if image.has_transparency_data:
        yield "its opacity is left out"
    if image.getexif().get(0x0112, 1) != 1:
        yield "it is turned upright by its EXIF orientation"


def _plain(image: Any) -> Any:
    """Return `image` in grey or in red, green and blue, without opacity and palette."""
    if image.mode in ("1", "LA", "La"):
        return image.convert("L")
    return image if image.mode in (*_DEEP, "L") else image.convert("RGB")


def _other_bytes(tile: Any) -> Any:
    """Return `tile` in the other byte order, so that Pillow decodes the low bytes of samples.

    Pillow has no mode for 16-bit colours and keeps only the high byte of each sample.
    """
    other = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}

    def swapped(text: Any) -> Any:
        return text[:-1] + other[text[-1]] if isinstance(text, str) and _WIDE(text) else text

    told = tuple(map(swapped, tile[3])) if isinstance(tile[3], tuple) else swapped(tile[3])
    changed = (*tile[:3], told)
    return type(tile)(*changed) if hasattr(tile, "_fields") else changed  # plain before Pillow 11


def _loss(image: Any) -> str | None:
    """Return a sentence on the data of `image` that would be lost, or None."""
    remedy = "read it with another library, such as imageio, and save it with numpy.save"
    if image.format in _PAGED and (pages := getattr(image, "n_frames", 1)) > 1:
        return f"{pages} pages; expected one picture, so save the page that is meant by itself"
    if image.mode == "I" and image.format not in ("PNG", "PPM"):
        return (
            f"integers of 32 bits, or signed ones, of which none is white by definition; {remedy}"
        )
    if image.format == "TIFF" and image.mode.startswith("I;") and image.tag_v2.get(262) == 0:
        return (
            f"samples of more than 8 bits whose white is 0; {remedy}"  # PhotometricInterpretation
        )
    planar = image.format == "TIFF" and image.tag_v2.get(284) == 2  # PlanarConfiguration
    colours = image.format in ("PNG", "TIFF") and "RGB" in image.mode and not planar
    colours = colours and "LA;16" not in str(image.tile)  # grey and opacity, as RGBA
    kept = image.mode in _DEEP or colours
    if not kept and _has_16_bits(image):
        return f"samples of more than 8 bits, of which Pillow keeps 8; {remedy}"
    return None


def _has_16_bits(image: Any) -> bool:
    """Return True if samples in the file are wider than the 8 bits that Pillow makes of them."""
    tiles = [(tile[0], tile[3]) for tile in getattr(image, "tile", ())]
    if image.format == "JPEG2000":
        image.fp.seek(0)
        head = image.fp.read(1 << 16)
        size = head.find(b"\xff\x4f\xff\x51")  # start of codestream, then the SIZ marker
        return size >= 0 and (head[size + 42] & 0x7F) >= 8  # bits less one of the first channel
    if image.format == "TIFF" and max(image.tag_v2.get(258, (1,))) > 8:  # BitsPerSample
        return True
    for decoder, told in tiles:
        if decoder.startswith("ppm") and isinstance(told, tuple) and told[-1] > 255:
            return True
        if any(map(_WIDE, map(str, told if isinstance(told, tuple) else (told,)))):
            return True
    return False


def _white(image: Any) -> int:
    """Return the sample that stands for white."""
    if image.mode == "F":
        return 1
    if image.format == "TIFF" and image.mode.startswith("I;16"):
        return 2 ** image.tag_v2.get(258, (16,))[0] - 1  # BitsPerSample: 12 or 16
    return 65535 if image.mode.startswith("I") else 255


def load_array(path: str, what: str) -> np.ndarray:
    """Return the array of real numbers in a .npy file, or alone in a .npz file.

    `what` names the file in errors, such as "kernel file".
    """
    names: list[str] = []
    try:
        with Path(path).expanduser().open("rb") as file:
            array: Any = np.load(file, allow_pickle=False)
            if isinstance(array, np.lib.npyio.NpzFile):
                names = array.files
                array = array[names[0]] if len(names) == 1 else None
    except Exception as error:  # damaged archives make zipfile and zlib raise errors of every kind
        raise ConvbenchError(f"{what} {path!r} cannot be read as .npy: {error}") from None
    if array is None:
        held = f"{len(names)} arrays ({', '.join(names[:8])})" if names else "no array"
        raise ConvbenchError(f"{what} {path!r} holds {held}; expected one, so save it by itself")
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        held = getattr(array, "dtype", type(array).__name__)
        raise ConvbenchError(f"{what} {path!r} holds {held}; expected one real-valued array")
    return array
