"""TIFF files that Pillow cannot read without loss: volumes of pages, signed samples, doubles.

They are read by tifffile, which also knows the axes that ImageJ and OME-TIFF write.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from algos.core.errors import ConvbenchError

#: First bytes of TIFF and BigTIFF, in both byte orders.
SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

#: Axes of pages that follow each other in space, by tifffile's letters: depth, or unknown.
_DEPTH = "ZIQ"
#: Axes whose entries are images of their own: channels, samples of a colour, and times.
_PLANES = "CST"
#: Photometric interpretations that are read: grey from black or from white, and colours.
_READ = ("MINISBLACK", "MINISWHITE", "RGB")


def read_tiff(path: str, most: int) -> tuple[np.ndarray, str]:
    """Return the planes of a TIFF file, ``(planes, *size)``, and a sentence on them.

    Pages are the depth of a volume. Samples of 8 and 16 bits without a sign are scaled, so that
    white is 1. Others are kept as they are.

    Parameters
    ----------
    path : str
    most : int
        Most pixels that are read.

    Raises
    ------
    ConvbenchError
        If the package tifffile is missing, or the file holds no single picture or volume.
    """
    try:
        import tifffile
    except ImportError:
        raise ConvbenchError(
            f"picture {path!r} is a TIFF file that Pillow cannot read without loss; reading it "
            f'needs the package tifffile; install it with: pip install -e ".[files]"'
        ) from None
    log = logging.getLogger("tifffile")  # it writes of damage that an error here is about
    before, log.disabled = log.disabled, True
    try:
        with tifffile.TiffFile(path) as file:
            series = file.series
            if len(series) != 1:
                sizes = ", ".join("×".join(map(str, one.shape)) for one in series[:8])
                raise ConvbenchError(
                    f"picture {path!r} holds {len(series)} pictures of different sizes ({sizes}); "
                    f"expected one, so save the one that is meant by itself"
                )
            one = series[0]
            page: Any = one.keyframe
            refuse_too_large(path, one.shape, most)
            kind = page.photometric.name
            if kind not in _READ:
                raise ConvbenchError(
                    f"picture {path!r} holds samples of the kind {kind}; expected grey or "
                    f"red, green and blue"
                )
            array, bits = one.asarray(), _bits(page.bitspersample)
            colours = 3 if kind == "RGB" else None
            turned = int(page.tags.valueof(274, default=1))  # Orientation
    except ConvbenchError:
        raise
    except Exception as error:  # damaged files make tifffile raise errors of every kind
        text = " ".join(str(error).split())
        if "imagecodecs" in text:
            text = f"{text}; install it with: pip install imagecodecs"
        raise ConvbenchError(f"picture {path!r} cannot be read: {text}") from None
    finally:
        log.disabled = before
    if array.dtype.kind not in "biuf":
        raise ConvbenchError(f"picture {path!r} holds {array.dtype}; expected real samples")
    planes, said = _planes(path, array, one.axes, colours, bits, kind == "MINISWHITE")
    if turned > 1:
        turning = "it is turned upright by its Orientation"
        said = f"{said}; {turning}" if said else turning
    return np.ascontiguousarray(_upright(planes, turned)), said


def refuse_too_large(path: str, shape: Sequence[int], most: int) -> None:
    """Raise an error if a picture of `shape` has more than `most` pixels."""
    pixels = math.prod(shape)
    if pixels > most:
        raise ConvbenchError(
            f"picture {path!r} is too large to decode: {'×'.join(map(str, shape))} are "
            f"{pixels:.2g} samples, at most {most:.2g} are read; cut it up, or save it with "
            f"numpy.save"
        )


def _bits(bits: Any) -> int:
    return int(max(bits)) if isinstance(bits, tuple) else int(bits)


def _upright(planes: np.ndarray, orientation: int) -> np.ndarray:
    """Turn the last two axes as the tag Orientation of TIFF 6.0 (page 36) asks for."""
    turned = planes.swapaxes(-1, -2) if orientation >= 5 else planes
    if orientation in (2, 3, 6, 7):
        turned = turned[..., ::-1]
    return turned[..., ::-1, :] if orientation in (3, 4, 7, 8) else turned


def _planes(
    path: str, array: np.ndarray, axes: str, colours: int | None, bits: int, inverted: bool
) -> tuple[np.ndarray, str]:
    """Return the planes of an array whose `axes` have a letter each."""
    for letter, length in zip(axes, array.shape, strict=True):
        if length == 1 and letter not in "YX":
            array = array.squeeze(axes.index(letter))
            axes = axes.replace(letter, "", 1)
    depth = [letter for letter in axes if letter in _DEPTH]
    others = [letter for letter in axes if letter not in (*_DEPTH, *_PLANES, "Y", "X")]
    if others or len(depth) > 1 or "Y" not in axes or "X" not in axes:
        raise ConvbenchError(
            f"picture {path!r} has the axes {axes} with {array.shape}; expected height and width, "
            f"at most one axis of pages, and channels"
        )
    if colours and "S" in axes:  # what follows the colours is opacity
        array = array.take(range(colours), axis=axes.index("S"))
    first = [axes.index(letter) for letter in axes if letter in _PLANES]
    last = [axes.index(letter) for letter in (*depth, "Y", "X")]
    array = np.transpose(array, (*first, *last))
    size = array.shape[len(first) :]
    said = f"{size[0]} pages are the depth of a volume" if depth else ""
    planes = array.reshape(-1, *size).astype(np.float64)
    scaled = array.dtype.kind == "b" or (array.dtype.kind == "u" and bits <= 16)
    if scaled:
        white = 2**bits - 1
        planes = (white - planes if inverted else planes) / white
    elif inverted:
        raise ConvbenchError(
            f"picture {path!r} holds {array.dtype} whose white is 0; invert it and save it with "
            f"numpy.save"
        )
    else:
        kept = f"its {array.dtype} samples are kept as they are"
        said = f"{said}; {kept}" if said else kept
    return planes, said
