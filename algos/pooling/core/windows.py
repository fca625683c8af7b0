"""Positions of the windows along one axis, for every way of laying them out.

A `WindowAxis` describes regular windows (size, stride, padding, dilation), adaptive ones, and the
random ones of fractional pooling. All have the same few numbers per output position, cut to the
input. No kernel therefore needs to test whether a sample exists.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from algos.core.errors import ConvbenchError
from algos.core.sizes import reads_inside


class Places(NamedTuple):
    """Arrays of one entry per output position; see `WindowAxis`."""

    begin: np.ndarray
    taps: np.ndarray
    skip: np.ndarray
    counted: np.ndarray
    full: np.ndarray


@dataclass(frozen=True, eq=False)
class WindowAxis:
    """The windows along one axis: their counts, and on demand the place of each.

    Counts are arithmetic. The arrays are made when a kernel first asks for one of them: a size
    can be judged before there is memory for its windows.

    Attributes
    ----------
    size : int
        Samples of the input.
    positions : int
        Output positions.
    window, fewest : int
        Taps of the largest and of the smallest window. Taps in the padding count.
    reads : int
        Samples read by all windows together. Samples that several windows share count for each.
    most_over : int
        Bound on the windows that hold one sample. It is exact but for samples near a border.
    lay : function
        Function that makes the arrays. See `places`.
    dilation : int
        Distance of the taps of a window, in samples.
    stride : int
        Distance of windows, in samples. Zero where they are not evenly spaced and of one size.
    before, after : int
        Padding in samples. The first window begins `before` samples ahead of the input, and the
        last may end `after` samples behind it.
    """

    size: int
    positions: int
    window: int
    fewest: int
    reads: int
    most_over: int
    lay: Callable[[], Places]
    dilation: int = 1
    stride: int = 0
    before: int = 0
    after: int = 0

    @cached_property
    def places(self) -> Places:
        """The place of every window.

        Tap t of window j, of those inside the input, is sample ``begin[j] + t·dilation`` for
        0 <= t < ``taps[j]``.
        """
        return self.lay()

    @property
    def begin(self) -> np.ndarray:
        """First sample inside the input, int64."""
        return self.places.begin

    @property
    def taps(self) -> np.ndarray:
        """Taps inside the input, int64."""
        return self.places.taps

    @property
    def skip(self) -> np.ndarray:
        """Taps in the padding before the first sample, int64."""
        return self.places.skip

    @property
    def counted(self) -> np.ndarray:
        """Taps on the input or its padding: fewer than the window on a ragged last position."""
        return self.places.counted

    @property
    def full(self) -> np.ndarray:
        """Taps of the window inside or outside the input, int64."""
        return self.places.full

    @property
    def reach(self) -> int:
        """Samples from the first to the last that a regular line's windows span."""
        return (self.positions - 1) * self.stride + (self.window - 1) * self.dilation + 1

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

    @property
    def first_empty(self) -> int | None:
        """First position of a regular line whose window holds padding alone, if there is one."""
        if not self.stride:
            return None
        if self.before > (self.window - 1) * self.dilation:
            return 0
        found = []
        if self.dilation > self.size:  # then the taps may straddle the input
            low, high = self.size + self.before, self.dilation - 1 + self.before
            found.append(
                first_residue(self.stride, self.dilation, low % self.dilation, high % self.dilation)
            )
        found.append(-(-(self.size + self.before) // self.stride))
        return min((j for j in found if j is not None and j < self.positions), default=None)


def first_residue(factor: int, modulus: int, low: int, high: int) -> int | None:
    """Return the least j >= 0 with low <= factor·j mod modulus <= high, or None.

    An interval that wraps around, low > high, holds 0. Its steps are those of Euclid's algorithm.
    """
    factor %= modulus
    if low == 0 or low > high:
        return 0
    if factor == 0:
        return None
    if 2 * factor > modulus:
        return first_residue(modulus - factor, modulus, modulus - high, modulus - low)
    if (j := -(-low // factor)) * factor <= high:
        return j
    rounds = first_residue(modulus, factor, -high % factor, -low % factor)
    return None if rounds is None else -(-(low + modulus * rounds) // factor)


def regular(
    size: int, window: int, stride: int, dilation: int, sides: tuple[int, int], positions: int
) -> WindowAxis:
    """Return windows of one size, `stride` apart."""
    before, after = sides
    reads = reads_inside(positions, stride, window, dilation, before, size)
    shared = math.gcd(stride, dilation)
    most = min(-(-window * shared // stride), -(-positions * shared // dilation))

    def lay() -> Places:
        start = np.arange(positions, dtype=np.int64) * stride - before
        first = np.maximum(-(start // dilation), 0)
        last = np.minimum((size - 1 - start) // dilation + 1, window)
        end = np.minimum((size + after - 1 - start) // dilation + 1, window)
        first = np.minimum(first, window)
        taps = np.maximum(last - first, 0)
        begin = np.where(taps > 0, start + first * dilation, 0)
        return Places(begin, taps, first, end, np.full(positions, window, np.int64))

    return WindowAxis(
        size, positions, window, window, reads, most, lay, dilation, stride, before, after
    )  # fmt: skip


def between(begin: np.ndarray, end: np.ndarray) -> Places:
    """Windows from each `begin` up to, not including, its `end`."""
    begin = np.asarray(begin, np.int64)
    taps = np.asarray(end, np.int64) - begin
    return Places(begin, taps, np.zeros_like(taps), taps, taps)


def adaptive(size: int, positions: int) -> WindowAxis:
    """Window j of O from floor(j·W/O) to ceil((j + 1)·W/O): as even as whole samples allow.

    The windows over one sample are the samples of a window where W and O change places. If O
    divides W, the windows are regular ones.
    """
    if size % positions == 0:
        window = size // positions
        return regular(size, window, window, 1, (0, 0), positions)

    def lay() -> Places:
        j = np.arange(positions, dtype=np.int64)
        return between(j * size // positions, -(-(j + 1) * size // positions))

    reads = size + positions - math.gcd(size, positions)
    least = -(-size // positions)
    return WindowAxis(
        size, positions, _largest_even(size, positions), least, reads,
        _largest_even(positions, size), lay,
    )  # fmt: skip


def _largest_even(size: int, positions: int) -> int:
    """Return the most samples in one of `positions` adaptive windows.

    Windows begin at multiples of g/O past a whole sample, with g the greatest common divisor.
    """
    whole, rest = divmod(size, positions)
    if not rest:
        return whole
    return whole + (2 if rest > math.gcd(size, positions) else 1)


def fractional_positions(size: int, ratio: float, overlapping: bool) -> int:
    """Return floor(W/ratio) windows, or more if these cannot cover the input in ones and twos."""
    span = size - 1 if overlapping else size
    return max(int(size / ratio), -(-span // 2))


def fractional(
    size: int, positions: int, sequence: str, overlapping: bool, seed: Sequence[int]
) -> WindowAxis:
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

    def lay() -> Places:
        rng = np.random.default_rng(seed)
        if sequence == "random":
            steps = np.ones(positions, np.int64)
            steps[: span - positions] = 2
            border = np.concatenate([[0], np.cumsum(rng.permutation(steps))])
        else:
            # α·(i + u) in whole numbers, u = shift / 2^32: no rounding can misplace a border.
            shift, above = int(rng.integers(1, 1 << 32)), positions << 32
            places = [-(-span * ((i << 32) + shift) // above) for i in range(positions + 1)]
            border = np.array(places, np.int64) - places[0]
        return between(border[:-1], border[1:] + overlapping)

    return WindowAxis(
        size, positions,
        window=(2 if span > positions else 1) + overlapping,
        fewest=(1 if span < 2 * positions else 2) + overlapping,
        reads=span + positions * overlapping,
        most_over=2 if overlapping and positions > 1 else 1,
        lay=lay,
    )  # fmt: skip
