"""Positions that outputs read along an axis, within the array and beyond its border."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from algos.core.arguments import choice, number
from algos.core.boundary import BOUNDARIES, OUTSIDE, real_value, sources
from algos.core.errors import ConvbenchError
from algos.filtering.request import same_sides


def checked_border(boundary: str | None, cval: complex) -> tuple[str, float]:
    """Return the boundary, zeros by default, and the value of positions that hold no sample.

    Raises
    ------
    ConvbenchError
        If the boundary is unknown, or `cval` does not belong to it.
    """
    border = "zeros" if boundary is None else boundary
    choice("boundary", border, BOUNDARIES)
    if border != "constant" and cval != 0:
        raise ConvbenchError(f'cval {cval} goes with boundary "constant", not "{border}"')
    return border, number("cval", real_value(cval), -math.inf, math.inf, "a number", closed=True)


@dataclass(frozen=True)
class Piece:
    """Neighbouring positions that one read serves.

    Attributes
    ----------
    start, stop : int
        Positions, counted from the first one asked for.
    first, last : int
        Samples to read: from `first` up to, but without, `last`. Both are 0 for positions that
        hold zero or a constant.
    order : ndarray of int64 or None
        Sample for each position, counted from `first`; None if they follow one another.
    """

    start: int
    stop: int
    first: int
    last: int
    order: np.ndarray | None = None

    @property
    def is_outside(self) -> bool:
        """True if no sample stands at these positions."""
        return self.first == self.last


def pieces(boundary: str, size: int, start: int, stop: int) -> tuple[Piece, ...]:
    """Return the reads that bring the samples at positions from `start` to `stop`.

    An axis that has fewer samples than are asked for is read once as a whole. All others are read
    in runs of neighbours.

    Examples
    --------
    >>> [(p.start, p.stop, p.first, p.last) for p in pieces("wrap", 10, -2, 6)]
    [(0, 2, 8, 10), (2, 8, 0, 6)]
    """
    if start >= 0 and stop <= size:
        return (Piece(0, stop - start, start, stop),)
    found = sources(boundary, size, start, stop)
    inside = found[found != OUTSIDE]
    if len(inside) and int(np.ptp(inside)) < len(found) and len(inside) == len(found):
        first = int(inside.min())
        return (_piece(found, 0, len(found), first, int(inside.max()) + 1),)
    return tuple(_runs(found))


def _runs(found: np.ndarray) -> Iterator[Piece]:
    """Yield a piece for each run of samples that ascend, descend or repeat."""
    at = 0
    while at < len(found):
        end = at + 1
        if found[at] == OUTSIDE:
            while end < len(found) and found[end] == OUTSIDE:
                end += 1
            yield Piece(at, end, 0, 0)
        else:
            steps = np.diff(found[at:])
            if len(steps) and abs(steps[0]) <= 1 and found[end] != OUTSIDE:
                same = (steps == steps[0]) & (found[end:] != OUTSIDE)
                end = at + 1 + (len(same) if same.all() else int(same.argmin()))
            run = found[at:end]
            yield _piece(found, at, end, int(run.min()), int(run.max()) + 1)
        at = end


def _piece(found: np.ndarray, start: int, stop: int, first: int, last: int) -> Piece:
    order = found[start:stop] - first
    plain = last - first == stop - start and bool((np.diff(order) == 1).all())
    return Piece(start, stop, first, last, None if plain else order)


@dataclass(frozen=True)
class Span:
    """One axis of a convolution: where its outputs lie, and the positions that each reads.

    Output p reads positions p − `before` to p − `before` + `kernel` − 1 of an axis of `size`
    samples.
    """

    size: int
    kernel: int
    before: int
    outputs: int

    @classmethod
    def of(cls, mode: str, size: int, kernel: int, flip: bool, boundary: str | None) -> Span:
        """Return the axis for a `mode` of SciPy's: "full", "same" or "valid".

        "same" is centred as `algos.convolve` does, or `algos.correlate` where `flip` is False.
        """
        same, _ = same_sides(kernel, 0, flip, boundary is not None)
        before = {"full": kernel - 1, "same": same, "valid": 0}[mode]
        outputs = {"full": size + kernel - 1, "same": size, "valid": size - kernel + 1}[mode]
        return cls(size, kernel, before, outputs)

    @property
    def padding(self) -> tuple[int, int]:
        """Positions before and after the samples that outputs read."""
        return self.before, self.outputs + self.kernel - 1 - self.size - self.before

    def read_by(self, start: int, stop: int) -> tuple[int, int]:
        """Return the first position that outputs `start` to `stop` read, and one past the last."""
        return start - self.before, stop - self.before + self.kernel - 1
