"""The form of minimal filtering that a kernel gets: F(m, r) along one axis or along two.

Square kernels are filtered along the last two axes, as are the slices of a volume's kernel. Others
are filtered along their last axis, or along the one before if they are one tap wide. The taps of
all other axes are summed like channels, before the way back. A kernel of 3 × 3 × 3 takes four times
fewer products with F(4 × 4, 3 × 3). Its outputs are transformed back once.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

from algos.core.problem import Problem

#: F(1, 1), which leaves an axis as it is.
NONE = (1, 1)


class Form(NamedTuple):
    """Outputs m of a tile and taps r, (m, r), along the last axis but one and along the last."""

    down: tuple[int, int]
    across: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Samples that a tile depends on along both axes, m + r − 1; also its points."""
        (m, r), (n, s) = self
        return m + r - 1, n + s - 1

    @property
    def points(self) -> int:
        """Products that a tile takes for each pair of channels."""
        return math.prod(self.size)

    @property
    def taps(self) -> int:
        """Taps of the kernel that are filtered, r along both axes."""
        return self.down[1] * self.across[1]

    @property
    def outputs(self) -> int:
        """Outputs of a tile."""
        return self.down[0] * self.across[0]

    @property
    def constants(self) -> tuple[Any, Any]:
        """(m, r, m + r − 1) of `down` and of `across`, each number as a tuple of that length."""
        down, across = (
            tuple((0,) * count for count in (*axis, size))
            for axis, size in zip(self, self.size, strict=True)
        )
        return down, across

    def tiles(self, problem: Problem) -> tuple[int, int]:
        """Return (rows, columns) of tiles in an image or a slice; the last may be ragged."""
        _, rows, columns = volume(problem.output_size)
        return -(-rows // self.down[0]), -(-columns // self.across[0])

    def sums(self, problem: Problem) -> int:
        """Return the taps that are summed like channels."""
        return problem.taps // (problem.in_channels // problem.groups) // self.taps


@lru_cache(maxsize=256)
def form(problem: Problem, m: int, squares: tuple[int, ...], lines: tuple[int, ...]) -> Form | None:
    """Return the form of the tiles of F(m, 3) for a kernel, or None if it fits none.

    `squares` are the taps r for which tiles have two axes, `lines` those for which they have one.
    """
    steps = zip(volume(problem.stride), volume(problem.dilation), strict=True)
    _, down, across = (stride == dilation == 1 for stride, dilation in steps)
    _, rows, columns = volume(problem.kernel)
    if rows == columns and rows in squares and down and across:
        return Form((outputs_of(m, rows), rows), (outputs_of(m, columns), columns))
    if columns in lines and across:
        return Form(NONE, (m, columns))
    if columns == 1 and rows in lines and down and across:
        return Form((m, rows), NONE)
    return None


def outputs_of(m: int, taps: int) -> int:
    """Return the outputs of a tile along an axis, if it has `m` with three taps.

    With two taps it has one more, which takes as many products.
    """
    return m + 1 if taps == 2 else m


def volume(sizes: tuple[int, ...], fill: int = 1) -> tuple[int, int, int]:
    """Return per-axis numbers for three axes, with `fill` for those that are not there."""
    deep, down, across = (fill,) * (3 - len(sizes)) + tuple(sizes)
    return deep, down, across
