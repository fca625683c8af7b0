"""Arithmetic of sizes: padding, extent, output size and reads, for every operation.

All functions compute with integers. Their cost does not grow with the sizes. The formula is:

    output = (W − (F − 1)·D − 1 + P)/S + 1

W is the input size and F the window or kernel size. D is the dilation, P the padding of both sides
together, and S the stride.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .arguments import choice, is_several, whole_numbers
from .errors import ConvbenchError, shown

AXES = {1: "w", 2: "hw", 3: "dhw"}
FITS = ("floor", "ceil", "exact")
PADDINGS = ("valid", "same", "full")

#: Largest size, stride, padding or extent along an axis: an address space holds 2^48 bytes, and
#: kernels may multiply and add numbers of this size in 64 bits.
LARGEST = 2**48

Padding = int | str | Sequence[int] | Sequence[Sequence[int]]
Sides = tuple[tuple[int, int], ...]


def extent(taps: int, dilation: int) -> int:
    """Return the number of samples that dilated taps span, (F − 1)·D + 1."""
    return (taps - 1) * dilation + 1


def output_positions(size: int, extent: int, stride: int, sides: tuple[int, int], fit: str) -> int:
    """Return (W − extent + P)/S + 1, rounded as `fit` says."""
    up = stride - 1 if fit == "ceil" else 0
    return (size + sum(sides) - extent + up) // stride + 1


def floor_sum(count: int, modulus: int, factor: int, shift: int) -> int:
    """Return the sum of (factor·j + shift) // modulus over 0 <= j < count.

    Its steps are those of Euclid's algorithm. `factor` and `shift` are not negative.
    """
    total = 0
    while True:
        whole, factor = divmod(factor, modulus)
        total += whole * (count * (count - 1) // 2)
        whole, shift = divmod(shift, modulus)
        total += whole * count
        count, shift = divmod(factor * count + shift, modulus)
        if not count:
            return total
        modulus, factor = factor, modulus


def reads_inside(
    positions: int, stride: int, taps: int, dilation: int, before: int, size: int
) -> int:
    """Return how many taps of all positions along an axis lie on the input, not its padding.

    Position i and tap k meet sample i·stride + k·dilation − before.
    """

    def up_to(last: int) -> int:
        """Return how many pairs have i·stride + k·dilation <= last."""
        whole = max(min(taps, (last - (positions - 1) * stride) // dilation + 1), 0)
        some = max(min(taps, last // dilation + 1) - whole, 0)
        least = last - (whole + some - 1) * dilation
        return whole * positions + (some + floor_sum(some, stride, dilation, least) if some else 0)

    return up_to(before + size - 1) - up_to(before - 1)


def check_fit(
    axis_names: str,
    size: Sequence[int],
    extent: Sequence[int],
    stride: Sequence[int],
    padding: Sides,
    fit: str,
    what: str = "kernel",
) -> None:
    """Raise where what is slid (`what`) has no position or, under "exact", misfits.

    Under "ceil" it may exceed the padded input by less than a stride: one ragged position.
    """
    for axis, w, e, s, (before, after) in zip(
        axis_names, size, extent, stride, padding, strict=True
    ):
        room = w + before + after
        if max(e, room) > LARGEST:
            raise ConvbenchError(
                f"the {what} spans {e} samples along {axis}, the padded input {room}; both must "
                f"be at most 2^48, beyond which no array reaches"
            )
        if output_positions(w, e, s, (before, after), fit) < 1:
            raise ConvbenchError(
                f"the {what} spans {e} samples along {axis}, the padded input only {room} "
                f"({before} + {w} + {after}); use a smaller {what} or dilation, "
                f"or padding of at least {math.ceil((e - w) / 2)}"
            )
        rest = (room - e) % s
        if rest and fit == "exact":
            raise ConvbenchError(
                f"stride {s} does not fit along {axis}: (W − extent + P)/S = "
                f"({w} − {e} + {before + after})/{s} = {(room - e) / s:g} is not whole, "
                f"{rest} of {room} samples would be left over; pad by {s - rest} more, "
                f'crop by {rest}, or say fit="floor" or fit="ceil"'
            )


def resolve_padding(
    padding: Padding, size: Sequence[int], extent: Sequence[int], stride: Sequence[int]
) -> Sides:
    """Return `padding` as one (before, after) pair per axis."""
    axes = len(size)
    if isinstance(padding, str):
        choice("padding", padding, PADDINGS)
        if padding == "valid":
            return ((0, 0),) * axes
        if padding == "full":
            return tuple((e - 1, e - 1) for e in extent)
        return tuple(same_padding(*axis) for axis in zip(size, extent, stride, strict=True))
    if is_several(padding):
        entries = list(padding)  # type: ignore[arg-type]
        if len(entries) != axes:
            raise ConvbenchError(
                f"padding {shown(padding)} has {len(entries)} entries for {axes} spatial axes; "
                f"give one number, one per axis, or one (before, after) pair per axis"
            )
    else:
        entries = [padding] * axes
    pairs = []
    for entry in entries:
        pair = whole_numbers("padding", entry, least=0)
        if len(pair) > 2:
            raise ConvbenchError(f"padding {shown(entry)} of one axis must be (before, after)")
        pairs.append((pair[0], pair[-1]))
    return tuple(pairs)


def same_padding(size: int, extent: int, stride: int) -> tuple[int, int]:
    """Return the padding that gives ceil(W/S) positions, the odd sample behind."""
    positions = -(-size // stride)
    total = max((positions - 1) * stride + extent - size, 0)
    return total // 2, total - total // 2
