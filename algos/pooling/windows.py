"""Positions of the windows along one axis, for every way of laying them out.

A `Line` lists them. Windows may be regular (size, stride, padding, dilation), adaptive, or random
as in fractional pooling. All become the same few numbers per output position, clipped to the input,
so that no kernel tests whether a sample exists.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ConvbenchError


@dataclass(frozen=True, eq=False)
class Line:
    """Windows along one axis; arrays have one entry per output position.

    Tap t of window j, counted inside the input, is sample ``begin[j] + t·dilation`` for 0 <= t <
    ``taps[j]``.

    Attributes
    ----------
    size : int
        Samples of the input.
    begin, taps : int64 array
        First sample inside the input, and number of taps inside.
    skip : int64 array
        Number of taps in the padding before that sample.
    counted : int64 array
        Taps on the input or its padding: less than the window on a ragged last position.
    full : int64 array
        Taps of the window, inside or not.
    dilation : int
    stride : int
        0 if the windows are not evenly spaced and of one size.
    before : int
        Distance of the first window's start before the input.
    """

    size: int
    begin: np.ndarray
    taps: np.ndarray
    skip: np.ndarray
    counted: np.ndarray
    full: np.ndarray
    dilation: int = 1
    stride: int = 0
    before: int = 0

    @property
    def positions(self) -> int:
        """Number of output positions."""
        return len(self.begin)

    @property
    def window(self) -> int:
        """Taps of the largest window."""
        return int(self.full.max())

    @property
    def reads(self) -> int:
        """Number of samples read, over all windows."""
        return int(self.taps.sum())

    @property
    def reach(self) -> int:
        """Samples from the first to the last that a regular line's windows span."""
        return (self.positions - 1) * self.stride + (self.window - 1) * self.dilation + 1

    @property
    def most_over(self) -> int:
        """Largest number of windows that hold one sample."""
        covered = np.zeros(self.size, np.int64)
        for tap in range(int(self.taps.max())):
            inside = self.taps > tap
            np.add.at(covered, self.begin[inside] + tap * self.dilation, 1)
        return int(covered.max())

    @property
    def is_trivial(self) -> bool:
        """True if there is one window per sample, which holds that sample alone.

        Windows behind the last sample lie in the padding; with them the line is not trivial.
        """
        return (
            self.stride == 1
            and self.window == 1
            and self.before == 0
            and self.positions == self.size
        )


def regular(
    size: int, window: int, stride: int, dilation: int, sides: tuple[int, int], positions: int
) -> Line:
    """Return windows of one size, `stride` apart."""
    before, after = sides
    start = np.arange(positions, dtype=np.int64) * stride - before
    first = np.maximum(-(start // dilation), 0)
    last = np.minimum((size - 1 - start) // dilation + 1, window)
    end = np.minimum((size + after - 1 - start) // dilation + 1, window)
    first = np.minimum(first, window)
    taps = np.maximum(last - first, 0)
    begin = np.where(taps > 0, start + first * dilation, 0)
    full = np.full(positions, window, np.int64)
    return Line(size, begin, taps, first, end, full, dilation, stride, before)


def between(size: int, begin: np.ndarray, end: np.ndarray) -> Line:
    """Return windows from each `begin` up to, not including, its `end`."""
    begin = np.asarray(begin, np.int64)
    taps = np.asarray(end, np.int64) - begin
    return Line(size, begin, taps, np.zeros_like(taps), taps, taps)


def adaptive(size: int, positions: int) -> Line:
    """Return windows from floor(j·W/O) to ceil((j + 1)·W/O), for j < O: as even as possible."""
    j = np.arange(positions, dtype=np.int64)
    return between(size, j * size // positions, -(-(j + 1) * size // positions))


def fractional_positions(size: int, ratio: float, overlapping: bool) -> int:
    """Return floor(W/ratio) windows, or more if these cannot cover the input in ones and twos."""
    span = size - 1 if overlapping else size
    return max(int(size / ratio), -(-span // 2))


def fractional(
    size: int, positions: int, sequence: str, overlapping: bool, rng: np.random.Generator
) -> Line:
    """Return windows between borders that are one or two samples apart, in a random order.

    Source: Graham, *Fractional Max-Pooling* (arXiv:1412.6071, 2014), section 2. Method `random`
    shuffles the steps. Method `pseudorandom` takes the borders ceil(α·(i + u)) with one random u,
    so that ones and twos are spread evenly. Overlapping windows share their border sample. Disjoint
    windows cover every sample once; their borders run to one past the last sample.
    """
    span = size - 1 if overlapping else size
    if not positions <= span <= 2 * positions:
        raise ConvbenchError(
            f"{size} samples cannot be pooled by steps of one and two into {positions} windows; "
            f"choose another ratio, or a larger input"
        )
    if sequence == "random":
        steps = np.ones(positions, np.int64)
        steps[: span - positions] = 2
        border = np.concatenate([[0], np.cumsum(rng.permutation(steps))])
    else:
        # α·(i + u) in whole numbers, u = shift / 2^32: no rounding can misplace a border.
        shift = int(rng.integers(1, 1 << 32))
        places = [-(-span * ((i << 32) + shift) // (positions << 32)) for i in range(positions + 1)]
        border = np.array(places, np.int64) - places[0]
    return between(size, border[:-1], border[1:] + (1 if overlapping else 0))
