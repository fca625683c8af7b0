"""Look of every algorithm, the same in all figures and on the page: colour, marker and dashes.

Colours are those of Okabe & Ito (2008) and Tol (2021), distinct under every common colour
blindness. Within the first twelve names no two share a colour. Over all names, no two share
colour and marker, so figures stay readable in grey. An algorithm that is called in another layout
keeps its colour, with another marker and other dashes.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from results.records.entrants import Entrant


class Look(NamedTuple):
    """Style of an algorithm; `dashes` are on-off lengths in points, () a solid line."""

    colour: str
    marker: str
    dashes: tuple[float, ...]


#: Looks of the algorithms and peers of this repository; the most used come first.
KNOWN = {
    "naive": Look("#4d4d4d", "o", (1.2, 1.4)),
    "im2col": Look("#d98e00", "s", (3.5, 1.4)),
    "fft": Look("#0072B2", "^", (7, 1.6)),
    "separable": Look("#009E73", "D", (6, 1.4, 1.2, 1.4)),
    "parallel": Look("#D55E00", "v", ()),
    "winograd4": Look("#CC79A7", "P", (9, 1.6, 3, 1.6)),
    "toeplitz": Look("#56B4E9", "X", (3.5, 1.4, 1.2, 1.4)),
    "fft-fused": Look("#332288", "<", (5, 1.2)),
    "winograd2": Look("#882255", ">", (8, 1.4, 2, 1.4)),
    "winograd6": Look("#AA3377", "^", (10, 2)),
    "low-rank": Look("#999933", "p", (2, 1)),
    "torch": Look("#EE3377", "*", (4, 1.2, 1, 1.2, 1, 1.2)),
    "onnxruntime": Look("#117733", "h", (10, 2)),
    "torch-channels-last": Look("#AA4499", "d", (5, 1.2)),
    "torch-prepacked": Look("#661100", "8", (2, 1)),
    "openvino": Look("#6699CC", "H", (8, 1.4, 2, 1.4)),
    "ncnn": Look("#b8860b", "<", (10, 2)),
    "opencv-filter2d": Look("#44AA99", ">", (4, 1.2, 1, 1.2, 1, 1.2)),
    "opencv-sepfilter2d": Look("#0f7f7f", "p", (5, 1.2)),
    "opencv-dilate-box": Look("#225555", "h", (2, 1)),
    "scipy-fft": Look("#7088d0", "*", (10, 2)),
    "scipy-oaconvolve": Look("#4455aa", "d", (8, 1.4, 2, 1.4)),
    "scipy-ndimage": Look("#8c6d46", "8", (5, 1.2)),
    "scipy-direct": Look("#777777", "H", (2, 1)),
    "numpy-convolve": Look("#999999", "P", (10, 2)),
    "fftw": Look("#225588", "X", (5, 1.2)),
    "ducc0": Look("#663333", "s", (8, 1.4, 2, 1.4)),
    "toeplitz-sparse": Look("#77AADD", "o", (10, 2)),
    "kn2row": Look("#228833", "X", (4, 1.2, 1, 1.2, 1, 1.2)),
    "mec": Look("#AAAA00", "o", (8, 1.4, 2, 1.4)),
    "indirect": Look("#661100", "D", (10, 2)),
    "im2win": Look("#44BB99", "s", (2, 1)),
    "fft-gauss": Look("#77AADD", "v", (5, 1.2)),
    "van_herk": Look("#0072B2", "D", (4, 1.2, 1, 1.2, 1, 1.2)),
    "integral": Look("#CC79A7", "^", (2, 1)),
    "windows": Look("#56B4E9", "v", (5, 1.2)),
}  # fmt: skip
_MORE_COLOURS = ("#994455", "#335577", "#557733", "#8a5fbf", "#a0522d")
_MORE_MARKERS = ("<", ">", "p", "h", "*", "d", "8", "H")
_MORE_DASHES = ((5, 1.2), (2, 1), (8, 1.4, 2, 1.4), (4, 1.2, 1, 1.2, 1, 1.2), (10, 2))


def look(algorithm: str) -> Look:
    """Return the style of `algorithm`; an unknown name determines its own."""
    name, layout = Entrant.of(algorithm)
    if layout is not None:
        return _in_layout(look(name))
    if algorithm in KNOWN:
        return KNOWN[algorithm]
    number = zlib.crc32(algorithm.encode())
    colour, number = number % len(_MORE_COLOURS), number // len(_MORE_COLOURS)
    marker, number = number % len(_MORE_MARKERS), number // len(_MORE_MARKERS)
    dashes = _MORE_DASHES[number % len(_MORE_DASHES)]
    return Look(_MORE_COLOURS[colour], _MORE_MARKERS[marker], dashes)


def _in_layout(own: Look) -> Look:
    """Return the style of an algorithm with the look `own` where it is called in another layout.

    The marker is one that no known algorithm has in that colour.
    """
    taken = {own.marker, *(known.marker for known in KNOWN.values() if known.colour == own.colour)}
    marker = next(marker for marker in _MORE_MARKERS if marker not in taken)
    dashes = next(dashes for dashes in _MORE_DASHES if dashes != own.dashes)
    return Look(own.colour, marker, dashes)
