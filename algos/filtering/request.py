"""Settings of a call of `convolve` or `correlate`, and the problem that they pose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from algos.choice import AUTO
from algos.choice.decide import ALWAYS
from algos.core.algorithm import Algorithm
from algos.core.arguments import MOST, choice, is_several, several, whole_numbers
from algos.core.boundary import BOUNDARIES, real_value
from algos.core.errors import ConvbenchError, shown
from algos.core.problem import Problem

MODES = ("full", "same", "valid")


@dataclass(frozen=True)
class Request:
    """One call: `flip` tells convolution from correlation, `limits` guide the automatic choice.

    "same" is centred as in `scipy.signal`, or as in `scipy.ndimage` if `as_ndimage`. The result is
    converted to `dtype`, if given; `overflow` says what happens to numbers that it cannot hold.
    """

    flip: bool
    mode: str = "full"
    method: str | Algorithm = AUTO
    boundary: str = "zeros"
    cval: complex = 0.0
    as_ndimage: bool = False
    origin: Any = 0
    threads: int | None = None
    limits: Any = ()
    dtype: np.dtype | None = None
    overflow: str = "error"

    @property
    def algorithm(self) -> str | Algorithm:
        """The algorithm asked for, under its own name."""
        return ALWAYS if self.asks("direct") else self.method

    def asks(self, *methods: str) -> bool:
        """Return True if the method is one of these words; a method may be of any type."""
        return isinstance(self.method, str) and self.method in methods

    def exchanges(self, size: tuple[int, ...], kernel: tuple[int, ...]) -> bool:
        """Return True if image and kernel change places, since convolution commutes.

        Mode "valid" needs it if the kernel is larger. Mode "full" with zeros beyond the border
        costs less with the smaller array as the kernel, even if the larger one is separable.
        """
        if self.mode == "valid":
            return holds(kernel, size)
        zeros = self.mode == "full" and self.boundary == "zeros"
        return zeros and math.prod(size) < min(math.prod(kernel), sum(kernel))

    def __post_init__(self) -> None:
        choice("mode", self.mode, MODES)
        choice("boundary", self.boundary, BOUNDARIES)
        if self.mode != "same" and any(several(self.origin)):
            raise ConvbenchError(
                f'origin {shown(self.origin)} moves the kernel of mode="same", but mode is '
                f"{self.mode!r}; leave origin out"
            )


def check_axes(size: Sequence[int], kernel: Sequence[int], what: str = "image") -> None:
    """Raise unless both shapes have the same 1, 2 or 3 axes, none of them empty."""
    if len(size) != len(kernel) or not 1 <= len(size) <= 3:
        raise ConvbenchError(
            f"{what} has {len(size)} axes and kernel {len(kernel)}; both need the same number, "
            f"1, 2 or 3"
        )
    if 0 in size or 0 in kernel:
        raise ConvbenchError(f"neither {what} nor kernel may have an empty axis")


def check_real(numbers: str = "real numbers", **dtypes: np.dtype) -> None:
    """Raise unless all named types are of real numbers; `numbers` says what is supported."""
    for what, dtype in dtypes.items():
        if dtype.kind not in "biuf":
            raise ConvbenchError(f"{what} is {dtype}; arrays of {numbers} are supported")


def posed(request: Request, size: Sequence[int], kernel: Sequence[int], dtype: str) -> Problem:
    """Return the problem of a real image and a kernel of these sizes.

    Raises
    ------
    ConvbenchError
        If the value beyond the border is complex, among others.
    """
    asked = (
        tuple(size), tuple(kernel), request.mode, request.flip, request.boundary,
        real_value(request.cval), request.as_ndimage, request.origin, dtype,
    )  # fmt: skip
    try:
        return _posed(*asked)
    except TypeError:  # an origin that cannot be looked up by, such as a list
        return _posed.__wrapped__(*asked)


@lru_cache(maxsize=1024, typed=True)
def _posed(
    size: tuple[int, ...], kernel: tuple[int, ...], mode: str, flip: bool, boundary: str,
    cval: float, as_ndimage: bool, origin: Any, dtype: str,
) -> Problem:  # fmt: skip
    moved = _origin(origin, kernel)
    padding: Any = {
        "full": tuple((k - 1, k - 1) for k in kernel),
        "same": tuple(
            same_sides(k, o, flip, as_ndimage) for k, o in zip(kernel, moved, strict=True)
        ),
        "valid": 0,
    }[mode]
    return Problem(
        size=size, kernel=kernel, padding=padding, flip=flip, dtype=dtype,
        boundary=boundary, cval=cval,
    )  # fmt: skip


def holds(outer: tuple[int, ...], inner: tuple[int, ...]) -> bool:
    """Return True if shape `outer` is larger than `inner`, and smaller along no axis."""
    return outer != inner and all(o >= i for o, i in zip(outer, inner, strict=True))


def same_sides(taps: int, origin: int, flip: bool, as_ndimage: bool) -> tuple[int, int]:
    """Return the padding of one axis for an output of the input's size.

    `scipy.ndimage.convolve` centres even kernels otherwise than `scipy.signal.convolve`.
    """
    before = taps // 2 - origin - (as_ndimage and taps % 2 == 0) if flip else taps // 2 + origin
    return before, taps - 1 - before


def _origin(origin: Any, kernel: Sequence[int]) -> tuple[int, ...]:
    """Return an origin per axis, within the kernel."""
    found = whole_numbers("origin", origin, least=-MOST)
    found = found if is_several(origin) else found * len(kernel)
    if len(found) != len(kernel):
        raise ConvbenchError(
            f"origin {shown(origin)} has {len(found)} entries for {len(kernel)} axes; "
            f"give one number, or one per axis"
        )
    for taps, moved in zip(kernel, found, strict=True):
        if not -(taps // 2) <= moved <= (taps - 1) // 2:
            raise ConvbenchError(
                f"origin {shown(origin)} moves the kernel off the sample: with {taps} taps it must "
                f"be from {-(taps // 2)} to {(taps - 1) // 2}"
            )
    return found
