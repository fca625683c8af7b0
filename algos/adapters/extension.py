"""Extension of an input beyond its border, and its adjoint.

`extend` copies a region of the input with the samples that the boundary puts around it. `fold`
adds values at such positions to the samples that stand there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from algos.backend.compiler import kernel
from algos.core.arrays import read_only
from algos.core.boundary import OUTSIDE, sources

#: First position and the one after the last, per spatial axis, counted from the first sample.
Region = tuple[tuple[int, int], ...]

Index = tuple[Any, ...]

#: Rows that are turned at a time: their elements of a column fill at least one cache line.
BLOCK = 16

#: Sample of an added axis of size one.
_ONE = read_only(np.zeros(1, np.int64))


def shape_of(region: Region) -> tuple[int, ...]:
    """Return the number of positions per axis."""
    return tuple(stop - start for start, stop in region)


class Line(NamedTuple):
    """One axis of a region, and the sample at each of its positions.

    Attributes
    ----------
    inner, samples : slice
        Positions that lie on the input. `samples` are the samples at those positions.
    outer : list of (int, int)
        Pairs of a position beyond the border and its sample. Positions without a sample are left
        out.
    stands : ndarray of int64, read-only
        Sample at every position, or `OUTSIDE`.
    """

    inner: slice
    samples: slice
    outer: list[tuple[int, int]]
    stands: np.ndarray


@lru_cache(maxsize=1024)
def line(boundary: str, size: int, start: int, stop: int) -> Line:
    """Return positions `start` to `stop` of an axis of `size` samples."""
    first = max(start, 0)
    last = min(stop, size)
    if first >= last:
        first = last = start
    index = read_only(sources(boundary, size, start, stop))
    outer = [*range(first - start), *range(last - start, stop - start)]
    pairs = [(n, int(index[n])) for n in outer if index[n] != OUTSIDE]
    samples = slice(first, last) if first < last else slice(0, 0)
    return Line(slice(first - start, last - start), samples, pairs, index)


class Gather(NamedTuple):
    """A region of a volume as the kernels read it.

    Attributes
    ----------
    planes, rows, columns : ndarray of int64
        Sample at every position of each axis. `OUTSIDE` stands for none.
    first, last, start : int
        Columns from `first` to `last` are consecutive samples from `start` on.
    """

    planes: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    first: int
    last: int
    start: int


def gather(boundary: str, size: tuple[int, ...], region: Region) -> Gather:
    """Return what the kernels need to read `region` of inputs of this size."""
    lines = [line(boundary, n, *ends) for n, ends in zip(size, region, strict=True)]
    planes, rows, columns = [_ONE] * (3 - len(lines)) + [each.stands for each in lines]
    inner, samples = lines[-1].inner, lines[-1].samples
    return Gather(planes, rows, columns, inner.start, inner.stop, samples.start)


@kernel
def _copy_row(source, columns, first, last, start, value, into):
    """Write one row of a region from the row `source` of the input; see `_extend`."""
    for k in range(first):
        into[k] = source[columns[k]] if columns[k] >= 0 else value
    inner, samples = into[first:last], source[start:]
    for k in range(inner.size):
        inner[k] = samples[k]
    for k in range(last, into.size):
        into[k] = source[columns[k]] if columns[k] >= 0 else value


@kernel
def _extend(x, planes, rows, columns, first, last, start, value, out):
    """Copy the samples at a region of positions.

    `x`: array (N, C, D, H, W), the input.
    `planes`, `rows`, `columns`, `first`, `last`, `start`: a `Gather`.
    `value`: the number where no sample stands.
    `out`: array (N, C, len(planes), len(rows), len(columns)); overwritten.
    """
    for n in range(out.shape[0]):
        for c in range(out.shape[1]):
            for i in range(out.shape[2]):
                for j in range(out.shape[3]):
                    into = out[n, c, i, j]
                    if planes[i] < 0 or rows[j] < 0:
                        for k in range(into.size):
                            into[k] = value
                    else:
                        source = x[n, c, planes[i], rows[j]]
                        _copy_row(source, columns, first, last, start, value, into)


@kernel
def _extend_turned(x, planes, rows, columns, first, last, start, value, block, out):
    """Copy the samples at a region of few columns, with the columns as the first axis.

    Rows are read a block at a time and written as whole cache lines. Writing element by element
    would be slow for columns whose distance is a multiple of the cache's ways.

    `block`: array (BLOCK, len(columns)), overwritten.
    `out`: array (N, C, len(columns), len(planes), len(rows)); overwritten. All else is as in
        `_extend`.
    """
    for n in range(out.shape[0]):
        for c in range(out.shape[1]):
            for i in range(planes.size):
                for top in range(0, rows.size, block.shape[0]):
                    count = min(block.shape[0], rows.size - top)
                    for j in range(count):
                        if planes[i] < 0 or rows[top + j] < 0:
                            for k in range(columns.size):
                                block[j, k] = value
                        else:
                            source = x[n, c, planes[i], rows[top + j]]
                            _copy_row(source, columns, first, last, start, value, block[j])
                    for k in range(columns.size):
                        into = out[n, c, k, i, top : top + count]
                        for j in range(count):
                            into[j] = block[j, k]


def extend(x: np.ndarray, region: Gather, cval: float, out: np.ndarray) -> None:
    """Write the samples of `x`, ``(N, C, *size)``, at a region of positions into `out`.

    `out` is ``(N, C, *shape)``, contiguous.
    """
    axes = x.ndim - 2
    if axes < 3:
        x = x.reshape(*x.shape[:2], *(1,) * (3 - axes), *x.shape[2:])
        out = out.reshape(*out.shape[:2], *(1,) * (3 - axes), *out.shape[2:])
    _extend(x, *region, out.dtype.type(cval), out)


def extend_turned(x: np.ndarray, region: Gather, cval: float, out: np.ndarray) -> None:
    """Write the same with the last axis of the region as the first axis of `out`."""
    axes, columns = x.ndim - 2, len(region.columns)
    if axes < 3:
        x = x.reshape(*x.shape[:2], *(1,) * (3 - axes), *x.shape[2:])
        out = out.reshape(*out.shape[:3], *(1,) * (3 - axes), *out.shape[3:])
    block = np.empty((BLOCK, columns), out.dtype)
    _extend_turned(x, *region, out.dtype.type(cval), block, out)


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
    lines = [line(boundary, n, *ends) for n, ends in zip(sizes, region, strict=True)]
    if outside:
        inside: Index = (..., *(each.inner for each in lines))
        values[inside] = 0
    thinnest, *rest = sorted(range(len(region)), key=lambda axis: values.shape[axis + 2])
    with np.errstate(all="ignore"):  # NaN and infinity are data here
        for axis in rest:
            values = _folded(values, axis + 2, sizes[axis], lines[axis])
        _add(values, thinnest + 2, lines[thinnest], into)


def _folded(values: np.ndarray, axis: int, size: int, along: Line) -> np.ndarray:
    """Return `values` with one axis of positions folded to the `size` samples."""
    if not along.outer and len(along.stands) == size:
        return values
    made = np.zeros((*values.shape[:axis], size, *values.shape[axis + 1 :]), values.dtype)
    _add(values, axis, along, made)
    return made


def _add(values: np.ndarray, axis: int, along: Line, into: np.ndarray) -> None:
    """Add `values` along one axis to the samples of `into`."""
    lead: Index = (slice(None),) * axis
    into[(*lead, along.samples)] += values[(*lead, along.inner)]
    for position, sample in along.outer:
        into[(*lead, sample)] += values[(*lead, position)]
