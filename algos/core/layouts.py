"""Arrays in another library's layout: recognised by their shapes, and how to turn them."""

from __future__ import annotations

import math
from typing import Any

from .arguments import whole_number
from .errors import ConvbenchError, shown

Shape = tuple[int, ...]


def check_axes(what: str, shape: Shape, **per_axis: Any) -> None:
    """Raise where a value has an entry per spatial axis of an array without batch axis."""
    for name, value in per_axis.items():
        if isinstance(value, tuple | list) and len(value) == len(shape) - 1 > 1:
            raise ConvbenchError(
                f"{name} {shown(value)} has {len(value)} entries, {what} of shape {shape} has "
                f"{len(shape) - 2} spatial axes; expected is (N, C, *size): where the batch axis "
                f"is missing, give {what}[None]"
            )


def check_gradient_layouts(g: Shape, w: Shape, what: str) -> None:
    """Raise where `g`, ``(N, O, *size)``, named `what`, or its kernel is of another layout."""
    if 0 in g or 0 in w or len(w) < 3:
        return
    given = f"{what} has shape {g} and kernel {w}"
    if len(g) == len(w) - 1 and len(w) != 2 * len(g) - 2:
        raise ConvbenchError(
            f"{given}: the batch axis is missing, expected is (N, O, *output_size); "
            f"give the {what} as g[None]"
        )
    if len(g) != len(w) or g[1] == w[0]:
        return
    if g[-1] == w[0]:
        raise ConvbenchError(
            f"{given}: the {what} is channels last, expected is (N, O, *output_size); "
            f"give np.moveaxis(g, -1, 1)"
        )
    if g[1] == w[-1]:
        raise ConvbenchError(
            f"{given}: the kernel is channels last, (*kernel, C/groups, O), expected is "
            f"(O, C/groups, *kernel); give np.moveaxis(w, (-1, -2), (0, 1))"
        )


def check_layouts(x: Shape, w: Shape, groups: Any = 1, tile: Any = 1) -> None:
    """Raise where an input or a kernel of these shapes is of another layout.

    Expected are ``(N, C, *size)`` and ``(O, C/groups, *kernel)``. What fits neither this nor
    another known layout passes: other checks have a sentence for it.
    """
    if 0 in x or 0 in w or len(w) < 3:
        return
    if len(x) == len(w) - 1 and tile in (1, None):
        _check_batched(x, w, whole_number("groups", groups))
    elif len(x) == len(w):
        groups = whole_number("groups", groups)
        if x[1] != w[1] * groups:
            _check_order(x, w, groups)


def _check_batched(x: Shape, w: Shape, groups: int) -> None:
    """Raise for ``(C, *size)`` and ``(*size, C)``."""
    tiled = len(w) == 2 * len(x) - 2 and x[1] == w[len(x) - 1] * groups
    also = (
        f"; for tiled layers: these kernels have a period of {w[: len(x) - 2]}, tile "
        f"{(1,) * (len(x) - 2)} was asked for"
        if tiled
        else ""
    )
    if x[0] == w[1] * groups:
        raise ConvbenchError(
            f"input has shape {x} and kernel {w}: this is (C, *size) without a batch axis, "
            f"expected is (N, C, *size); give x[None]{also}"
        )
    if x[-1] == w[1] * groups:
        raise ConvbenchError(
            f"input has shape {x} and kernel {w}: this is (*size, C), channels last and without "
            f"a batch axis, expected is (N, C, *size); give np.moveaxis(x, -1, 0)[None]{also}"
        )
    if len(w) != 2 * len(x) - 2:
        raise ConvbenchError(
            f"input has shape {x} and kernel {w}; expected (N, C, *size) with {w[1] * groups} "
            f"channels: an axis is missing, x[None] adds a batch of one"
        )


def _check_order(x: Shape, w: Shape, groups: int) -> None:
    """Raise for channels-last inputs, and for kernels ``(O, *kernel, C)``, ``(*kernel, C, O)``."""
    needed = (
        f"kernel has shape {w}, input {x}: its {x[1]} channels in {groups} group(s) need "
        f"{(w[0], x[1] // groups, *w[2:])}"
    )
    if x[-1] == w[1] * groups:
        raise ConvbenchError(
            f"{needed}; if the input is channels last, (N, *size, C), give np.moveaxis(x, -1, 1)"
        )
    turned = {
        "(O, *kernel, C/groups)": (w[-1], w[1:-1], "np.moveaxis(w, -1, 1)"),
        "(*kernel, C/groups, O)": (w[-2], w[:-2], "np.moveaxis(w, (-1, -2), (0, 1))"),
    }
    sources = {"": (x[1], x[2:]), " and np.moveaxis(x, -1, 1)": (x[-1], x[1:-1])}
    for also, (channels, size) in sources.items():
        for layout, (inputs, kernel, remedy) in turned.items():
            if inputs * groups == channels and math.prod(kernel) <= math.prod(size):
                raise ConvbenchError(
                    f"{needed}; if the kernel is channels last, {layout}"
                    f"{', and the input too' if also else ''}, give {remedy}{also}"
                )
