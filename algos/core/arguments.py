"""Checks of single arguments: the value in the type that the rest expects, or one sentence."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from numbers import Real
from typing import Any

import numpy as np

from .errors import ConvbenchError, closest, shown

#: Largest whole number taken for a size, a step or a padding. Sums and products of a few of
#: them still fit the 64-bit integers of the kernels.
MOST = 2**40


def whole_number(name: str, value: Any, least: int = 1, most: int | None = MOST) -> int:
    """Return `value` as one int from `least` to `most`."""
    number = _index(value)
    if number is None:
        wanted = "one whole number" if is_several(value) else "one of the whole numbers"
        raise ConvbenchError(f"{name} {shown(value)} must be {wanted}")
    _check_range(name, value, (number,), least, most)
    return number


def whole_numbers(
    name: str, value: Any, least: int = 1, most: int | None = MOST
) -> tuple[int, ...]:
    """Return `value`, one whole number or several, as a tuple of ints from `least` to `most`."""
    numbers = tuple(map(_index, several(value)))
    if None in numbers:
        raise ConvbenchError(f"{name} {shown(value)} must be whole numbers")
    _check_range(name, value, numbers, least, most)  # type: ignore[arg-type]
    return numbers  # type: ignore[return-value]


def per_axis(name: str, value: Any, axes: int, least: int = 1) -> tuple[int, ...]:
    """Return `value`, one whole number or one per axis, as one per axis."""
    numbers = whole_numbers(name, value, least)
    if not is_several(value):
        return numbers * axes
    if len(numbers) != axes:
        raise ConvbenchError(
            f"{name} {shown(value)} has {len(numbers)} entries for {axes} spatial axes; "
            f"give one number, or one per axis"
        )
    return numbers


def number(
    name: str, value: Any, low: float, high: float, expected: str, closed: bool = False
) -> float:
    """Return `value` as a float in (low, high), or in [low, high] where `closed`."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, Real) or isinstance(value, bool | np.bool_):
        raise ConvbenchError(f"{name} {shown(value)} is no number; it must be {expected}")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not (low <= found <= high if closed else low < found < high):
        raise ConvbenchError(f"{name} {shown(value)} must be {expected}")
    return found


def truth(name: str, value: Any) -> bool:
    """Return `value` as a bool; nothing but True and False is one."""
    if not isinstance(value, bool | np.bool_):
        raise ConvbenchError(f"{name} {shown(value)} must be True or False")
    return bool(value)


def choice(name: str, value: Any, known: Iterable[str]) -> str:
    """Return `value`, one of the words in `known`."""
    words = list(known)
    if not isinstance(value, str) or value not in words:
        word = value if isinstance(value, str) else shown(value)
        raise ConvbenchError(f"{name} {shown(value)} is not known; {closest(word, words)}")
    return value


def text(name: str, value: Any) -> str:
    """Return `value`, which must be text."""
    if not isinstance(value, str):
        raise ConvbenchError(f"{name} {shown(value)} must be text")
    return value


def dtype_name(value: Any, known: Sequence[str]) -> str:
    """Return the name of a data type, given as its name, a NumPy type or a `numpy.dtype`."""
    if isinstance(value, type | np.dtype):
        with suppress(TypeError):
            value = np.dtype(value).name
    if not isinstance(value, str) or value not in known:
        word = value if isinstance(value, str) else shown(value)
        raise ConvbenchError(f"dtype {shown(value)} is not supported; {closest(word, list(known))}")
    return value


def is_several(value: Any) -> bool:
    """Return True for an ordered collection, text apart."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping | Set)


def several(value: Any) -> tuple[Any, ...]:
    """Return the entries of `value`, or `value` itself as the only one."""
    return tuple(value) if is_several(value) else (value,)


def _index(value: Any) -> int | None:
    """Return `value` as an int; None where it is none, and for truth values."""
    if isinstance(value, bool | np.bool_) or getattr(value, "dtype", None) == np.dtype(bool):
        return None
    try:
        return operator.index(value)
    except Exception:  # other people's types may raise anything
        return None


def _check_range(
    name: str, value: Any, numbers: tuple[int, ...], least: int, most: int | None
) -> None:
    must = f"{name} {shown(value)} must be"
    if is_several(value):
        must += " along every axis"
    if not numbers or min(numbers) < least:
        raise ConvbenchError(f"{must} a whole number of at least {least}")
    if most is not None and max(numbers) > most:
        raise ConvbenchError(f"{must} a whole number of at most {most}")
