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

#: Index of positions where no sample of the input stands, but zero or `cval`.
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
    most = float(np.finfo(dtype).max)
    expected = f"a finite number of {dtype}, which reaches {most:.3g}"
    value = float(np.dtype(dtype).type(number("cval", cval, -most, most, expected, closed=True)))
    if boundary != "constant" and value:
        raise ConvbenchError(
            f"cval {shown(cval)} is given with boundary={boundary!r}; it is the value of "
            f'boundary="constant", so name that one or leave cval out'
        )
    return ("zeros", 0.0) if boundary == "constant" and not value else (boundary, value + 0.0)


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
