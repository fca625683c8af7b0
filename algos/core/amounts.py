"""Amounts of memory as people write them: a number of bytes, or text such as "2GB"."""

from __future__ import annotations

import math
from typing import Any

from .arguments import whole_number
from .errors import ConvbenchError, shown

#: Bytes by unit; a number without a unit is of bytes.
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "kB": 10**3, "MB": 10**6, "GB": 10**9}


def bytes_of(name: str, value: Any) -> int:
    """Return a number of bytes, given as one or as text with a unit.

    Examples
    --------
    >>> bytes_of("memory", "1.5MiB"), bytes_of("memory", "2GB"), bytes_of("memory", 4096)
    (1572864, 2000000000, 4096)
    """
    if not isinstance(value, str):
        return whole_number(name, value, least=0, most=2**63 - 1)
    text = value.strip()
    unit = next((unit for unit in UNITS if text.endswith(unit)), "")
    try:
        count = float(text.removesuffix(unit)) * UNITS.get(unit, 1)
    except ValueError:
        count = math.nan
    if not 0 <= count < 2**63:
        raise ConvbenchError(
            f"{name} {shown(value)} must be a number of bytes, or a size such as 64MiB or 2GB"
        )
    return int(count)
