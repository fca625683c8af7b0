"""Extension of an input beyond its border, and its adjoint.

`extended` copies a region of the input with the samples that the boundary puts around it. `fold`
adds values at such positions to the samples that stand there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from algos.core.boundary import OUTSIDE, sources

#: First position and the one after the last, per spatial axis, counted from the first sample.
Region = tuple[tuple[int, int], ...]

Index = tuple[Any, ...]


def shape_of(region: Region) -> tuple[int, ...]:
    """Return the number of positions per axis."""
    return tuple(stop - start for start, stop in region)


@lru_cache(maxsize=1024)
def _line(boundary: str, size: int, start: int, stop: int) -> tuple[slice, slice, Any, Any]:
    """Return how positions `start` to `stop` of one axis are made of its `size` samples.

    Returns
    -------
    inner, samples : slice
        Positions of the region on the input, and the samples there.
    outer, indices : ndarray of int
        The other positions of the region, and the samples that stand there or `OUTSIDE`.
    """
    first = min(max(start, 0), stop, size)
    last = max(min(stop, size), first)
    if first >= last or first < start:
        first = last = start
    index = sources(boundary, size, start, stop)
    outer = np.r_[0 : first - start, last - start : stop - start]
    return slice(first - start, last - start), slice(first, last), outer, index[outer]


def extended(
    x: np.ndarray, region: Region, boundary: str, cval: float, out: np.ndarray | None = None
) -> np.ndarray:
    """Return the samples of `x`, ``(N, C, *size)``, at a region of positions; a copy or a view.

    `out`, where it is given, receives them: ``(N, C, *shape)`` of any memory layout.
    """
    longest = sorted(range(len(region)), key=lambda axis: region[axis][1] - region[axis][0])
    for axis in longest:  # the thinnest axis first: what it leaves is small
        x = _along(x, axis + 2, *region[axis], boundary, cval)
    if out is None:
        return x
    out[...] = x
    return out


def _along(
    x: np.ndarray, axis: int, start: int, stop: int, boundary: str, cval: float
) -> np.ndarray:
    """Return `x` extended or cut along one axis."""
    inner, samples, outer, indices = _line(boundary, x.shape[axis], start, stop)
    lead: Index = (slice(None),) * axis
    if not len(outer):
        return x[(*lead, samples)]
    made = np.empty((*x.shape[:axis], stop - start, *x.shape[axis + 1 :]), x.dtype)
    made[(*lead, inner)] = x[(*lead, samples)]
    made[(*lead, outer)] = cval if boundary == "constant" else x[(*lead, indices)]
    return made


def fold(
    values: np.ndarray, region: Region, boundary: str, into: np.ndarray, outside: bool
) -> None:
    """Add `values` at the positions of `region` to the samples of `into` that stand there.

    Values at positions where no sample stands are left out.

    Parameters
    ----------
    values : ndarray, shape (N, C, *shape_of(region))
    into : ndarray, shape (N, C, *size)
    outside : bool
        True leaves out the positions on the input itself. `values` is overwritten there.
    """
    sizes = into.shape[2:]
    lines = [_line(boundary, n, *ends) for n, ends in zip(sizes, region, strict=True)]
    if outside:
        values[(..., *(inner for inner, *_ in lines))] = 0
    thinnest, *rest = sorted(range(len(region)), key=lambda axis: values.shape[axis + 2])
    with np.errstate(all="ignore"):  # NaN and infinity are data here
        for axis in rest:
            values = _folded(values, axis + 2, sizes[axis], lines[axis])
        lead: Index = (slice(None),) * (thinnest + 2)
        inner, samples, outer, indices = lines[thinnest]
        into[(*lead, samples)] += values[(*lead, inner)]
        for position, index in zip(outer, indices, strict=True):
            if index != OUTSIDE:
                into[(*lead, index)] += values[(*lead, position)]


def _folded(values: np.ndarray, axis: int, size: int, line: tuple[Any, ...]) -> np.ndarray:
    """Return `values` with one axis of positions folded to the `size` samples."""
    inner, samples, outer, indices = line
    lead: Index = (slice(None),) * axis
    if not len(outer) and inner.stop - inner.start == size:
        return values
    made = np.zeros((*values.shape[:axis], size, *values.shape[axis + 1 :]), values.dtype)
    made[(*lead, samples)] = values[(*lead, inner)]
    for position, index in zip(outer, indices, strict=True):
        if index != OUTSIDE:
            made[(*lead, index)] += values[(*lead, position)]
    return made
