"""Sample that stands at a position beyond the border, inside a kernel.

The meaning of the modes is that of `algos.core.boundary`, which has the same for whole arrays.
"""

from __future__ import annotations

from algos.backend.compiler import kernel
from algos.core.boundary import BOUNDARIES, OUTSIDE

#: Numbers by which kernels know the modes: their places in `BOUNDARIES`.
NEAREST, REFLECT, MIRROR, WRAP = map(BOUNDARIES.index, ("nearest", "reflect", "mirror", "wrap"))


@kernel
def standing(mode, position, size):
    """Return the sample that stands at `position`, or OUTSIDE.

    `mode`: number of the boundary.
    `position`: counted from the first of the axis's `size` samples; it may lie anywhere.
    """
    if 0 <= position < size:
        return position
    if mode == NEAREST:
        return 0 if position < 0 else size - 1
    if mode == WRAP:
        return position % size
    if mode == REFLECT:
        place = position % (2 * size)
        return min(place, 2 * size - 1 - place)
    if mode == MIRROR:
        period = max(2 * size - 2, 1)
        place = position % period
        return min(place, period - place) if size > 1 else 0
    return OUTSIDE
