"""Values of claims as text and as JSON."""

from __future__ import annotations

import math
from typing import Any

from results.verdicts.statistics import Interval

from .claim import Value


def text(value: Value) -> str:
    """Return a value for tables.

    >>> [text(v) for v in (8026, 1234567, 0.12345, 2.0, "yes", Interval(2.0, 1.5, 3.14159))]
    ['8026', '1,234,567', '0.123', '2', 'yes', '2 (1.5 … 3.14)']
    """
    if isinstance(value, Interval):
        return f"{_number(value.middle)} ({_number(value.low)} … {_number(value.high)})"
    return value if isinstance(value, str) else _number(value)


def _number(value: float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (value == int(value) if math.isfinite(value) else False):
        return f"{int(value):,}" if abs(value) >= 10_000 else str(int(value))
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.3g}"


def plain(value: Value) -> Any:
    """Return a value for JSON; an interval becomes its middle and its ends."""
    return value._asdict() if isinstance(value, Interval) else value
