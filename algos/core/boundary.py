"""Boundary modes: which sample of the input stands for a position beyond its border.

The modes carry the names and meanings of `scipy.ndimage`. Along one axis of the samples
``a b c d`` they read:

- ``zeros``: ``0 0 0 | a b c d | 0 0 0``
- ``constant``: ``k k k | a b c d | k k k``, with the number k given as `cval`
- ``nearest``: ``a a a | a b c d | d d d``
- ``reflect``: ``c b a | a b c d | d c b``
- ``mirror``: ``d c b | a b c d | c b a``
- ``wrap``: ``b c d | a b c d | a b c``
"""

from __future__ import annotations

import numpy as np

from .arguments import choice, number
from .errors import ConvbenchError, shown

BOUNDARIES = ("zeros", "constant", "nearest", "reflect", "mirror", "wrap")

#: Index of a position that holds zero or `cval` instead of a sample.
OUTSIDE = -1


def sources(boundary: str, size: int, start: int, stop: int) -> np.ndarray:
    """Return the index of the sample that stands at each position from `start` to `stop`.

    Parameters
    ----------
    boundary : str
        One of `BOUNDARIES`.
    size : int
        Samples along the axis, at least 1.
    start, stop : int
        Range of positions. They are counted from the first sample and may lie far outside.

    Returns
    -------
    ndarray of int64, shape (stop - start,)
        Indices from 0 to size - 1, or `OUTSIDE`.

    Examples
    --------
    >>> sources("reflect", 4, -3, 7)
    array([2, 1, 0, 0, 1, 2, 3, 3, 2, 1])
    >>> sources("mirror", 4, -3, 7)
    array([3, 2, 1, 0, 1, 2, 3, 2, 1, 0])
    >>> sources("zeros", 2, -1, 3)
    array([-1,  0,  1, -1])
    """
    positions = np.arange(start, stop, dtype=np.int64)
    if boundary == "nearest":
        return np.clip(positions, 0, size - 1)
    if boundary == "wrap":
        return positions % size
    if boundary == "reflect":
        positions %= 2 * size
        return np.minimum(positions, 2 * size - 1 - positions)
    if boundary == "mirror":
        period = max(2 * size - 2, 1)
        positions %= period
        return np.minimum(positions, period - positions) if size > 1 else positions
    return np.where((positions < 0) | (positions >= size), OUTSIDE, positions)


def resolve_boundary(boundary: str, cval: float, dtype: str) -> tuple[str, float]:
    """Return a boundary and its value in canonical form, with the value rounded to `dtype`.

    A constant that `dtype` rounds to zero is "zeros".
    """
    choice("boundary", boundary, BOUNDARIES)
    value = _rounded(cval, dtype)
    _check_belongs(boundary, cval, value)
    return ("zeros", 0.0) if boundary == "constant" and not value else (boundary, value + 0.0)


def complex_value(boundary: str, cval: complex, dtype: str) -> complex:
    """Return the value beyond the border of a complex input, both parts rounded to `dtype`."""
    value = complex(*(_rounded(part, dtype) for part in value_parts(cval)))
    _check_belongs(boundary, cval, value)
    return value


def value_parts(cval: complex) -> tuple[float, float]:
    """Return the real and the imaginary part of a value beyond the border.

    >>> value_parts(1 + 2j), value_parts(3)
    ((1.0, 2.0), (3, 0.0))
    """
    if isinstance(cval, complex | np.complexfloating):
        return cval.real, cval.imag
    return cval, 0.0


def real_value(cval: complex) -> float:
    """Return the value beyond the border of a real input; raise if its type is complex."""
    if isinstance(cval, complex | np.complexfloating):
        raise ConvbenchError(
            f"cval {shown(cval)} is complex and the image is real; give a real cval, or convert "
            f"the image with .astype(complex)"
        )
    return cval


def _rounded(cval: float, dtype: str) -> float:
    """Return a real value beyond the border, rounded to `dtype`."""
    most = float(np.finfo(dtype).max)
    expected = f"a finite number of {dtype}, which reaches {most:.3g}"
    return float(np.dtype(dtype).type(number("cval", cval, -most, most, expected, closed=True)))


def _check_belongs(boundary: str, cval: complex, value: complex) -> None:
    """Raise if a value other than zero is given with a boundary that has none."""
    if boundary != "constant" and value:
        raise ConvbenchError(
            f"cval {shown(cval)} is given with boundary={boundary!r}; it is the value of "
            f'boundary="constant", so name that one or leave cval out'
        )


def most_copies(boundary: str, size: int, before: int, reach: int) -> int:
    """Return an upper bound on the positions of one axis that a single sample stands at.

    The positions run from -`before` to `reach` - `before`, those of the samples included.
    """
    if boundary in ("zeros", "constant"):
        return 1
    if boundary == "wrap":
        return -(-reach // size)
    if size == 1:
        return reach
    if boundary == "nearest":
        return 1 + max(before, reach - before - size, 0)
    period = 2 * size if boundary == "reflect" else 2 * size - 2
    return min(2 * -(-reach // period), reach)
