"""Layout: the order in memory of an array (N, C, *size), whose axes always mean the same.

With "channels_first" such an array is C-contiguous. With "channels_last" the channels of a pixel
lie side by side, as (N, *size, C) in C order. Only the strides differ, as with PyTorch's memory
formats. Where the channels or the spatial axes have one element, both layouts are the same memory.
"""

from __future__ import annotations

from functools import cache

import numpy as np

CHANNELS_FIRST, CHANNELS_LAST = LAYOUTS = ("channels_first", "channels_last")


def in_memory(array: np.ndarray, layout: str) -> np.ndarray:
    """Return a view of `array`, (N, C, *size), whose axes have the order of `layout`.

    It is C-contiguous if `array` has that layout.
    """
    return array if layout == CHANNELS_FIRST else array.transpose(_last(array.ndim))


def by_axes(stored: np.ndarray, layout: str) -> np.ndarray:
    """Return the view (N, C, *size) of an array whose axes have the order of `layout`."""
    return stored if layout == CHANNELS_FIRST else stored.transpose(_second(stored.ndim))


def shape_in_memory(shape: tuple[int, ...], layout: str) -> tuple[int, ...]:
    """Return the lengths of the axes of ``(N, C, *size)`` in the order of `layout`."""
    return shape if layout == CHANNELS_FIRST else (shape[0], *shape[2:], shape[1])


def has_layout(array: np.ndarray, layout: str) -> bool:
    """Return True if `array` lies in memory without gaps in the order of `layout`."""
    return in_memory(array, layout).flags.c_contiguous


def laid_out(array: np.ndarray, layout: str) -> np.ndarray:
    """Return `array` in `layout`: itself if it lies so in memory, else a copy."""
    return by_axes(np.ascontiguousarray(in_memory(array, layout)), layout)


def layout_of(x: np.ndarray, *others: np.ndarray | None) -> str:
    """Return "channels_last" if `x` lies so in memory and not C-contiguous, else "channels_first".

    Of `others`, those that are given must have their channels last, too.
    """
    if x.flags.c_contiguous or not 3 <= x.ndim <= 5:
        return CHANNELS_FIRST
    given = (x, *(one for one in others if isinstance(one, np.ndarray)))
    last = all(a.ndim >= 3 and has_layout(a, CHANNELS_LAST) for a in given)
    return CHANNELS_LAST if last else CHANNELS_FIRST


@cache
def _last(axes: int) -> tuple[int, ...]:
    """Return the order of axes that puts the second of `axes` axes last."""
    return (0, *range(2, axes), 1)


@cache
def _second(axes: int) -> tuple[int, ...]:
    """Return the order of axes that puts the last of `axes` axes second."""
    return (0, axes - 1, *range(1, axes - 1))
