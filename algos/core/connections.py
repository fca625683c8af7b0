"""Connection tables between output and input channels (Goodfellow fig. 9.15).

A table has a row per output channel and a column per input channel. A problem holds it as one whole
number per row, whose bit c stands for input channel c. That is hashable, and short as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .arguments import is_several, whole_numbers
from .arrays import read_only
from .errors import ConvbenchError, shown


def resolve_connections(value: Any, outputs: int, inputs: int) -> tuple[int, ...] | None:
    """Return the table `value` as one number per output channel; None if all are connected.

    `value` is a table (O, C) of truth values, or one number per row already.
    """
    if value is None:
        return None
    try:
        array = np.asarray(value, dtype=object)
    except Exception:  # of rows of different depth, or from another library's array
        array = np.empty(0, object)
    if array.ndim == 2:
        if array.shape != (outputs, inputs):
            raise ConvbenchError(
                f"connections have shape {array.shape}; expected one row per output channel and "
                f"one column per input channel, {(outputs, inputs)}"
            )
        rows = tuple(sum(1 << c for c, on in enumerate(row) if _is_on(on)) for row in array)
    else:
        rows = _numbers(value, outputs)
    for output, row in enumerate(rows):
        if row <= 0 or row.bit_length() > inputs:
            raise ConvbenchError(
                f"connections of output channel {output} are {row:#b}; expected at least one "
                f"and only those of {inputs} input channels"
            )
    return None if all(row.bit_count() == inputs for row in rows) else rows


def _is_on(entry: Any) -> bool:
    """Return an entry of a table as a truth value."""
    if isinstance(entry, str | bytes) or np.ndim(entry) or entry not in (0, 1):
        raise ConvbenchError(
            f"connections hold {shown(entry)}; expected a table of True and False, or of 1 and 0"
        )
    return bool(entry)


def _numbers(value: Any, outputs: int) -> tuple[int, ...]:
    """Return the numbers in `value`, one per output channel."""
    # No upper limit: channel c is bit c of a number.
    rows = whole_numbers("connections", value, least=0, most=None) if is_several(value) else ()
    if len(rows) != outputs:
        raise ConvbenchError(
            f"connections {shown(value)} must be a table of {outputs} rows, one per output "
            f"channel, or as many whole numbers whose bits are their input channels"
        )
    return rows


def as_table(rows: Sequence[int], inputs: int) -> np.ndarray:
    """Return the table of truth values, (O, C), read-only."""
    return read_only(np.array([[row >> c & 1 for c in range(inputs)] for row in rows], bool))


def to_text(rows: Sequence[int]) -> str:
    """Return one hexadecimal number per output channel, separated by dots."""
    return ".".join(f"{row:x}" for row in rows)


def from_text(text: str) -> tuple[int, ...]:
    """Return the numbers that `to_text` wrote."""
    return tuple(int(row, 16) for row in text.split("."))
