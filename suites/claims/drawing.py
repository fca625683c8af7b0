"""Parts that figures of several claims share."""

from __future__ import annotations

from matplotlib.axes import Axes

from results.figures.scales import log_ticks


def log_scale(axes: Axes, which: str, most: int = 6) -> None:
    """Make the axis `which`, "x" or "y", logarithmic, with round ticks for what is drawn."""
    getattr(axes, f"set_{which}scale")("log")
    axis = getattr(axes, f"{which}axis")
    low, high = axis.get_view_interval()
    log_ticks(axis, low, high, short, most)


def short(value: float) -> str:
    """Return a number with a letter for thousands or millions.

    >>> [short(v) for v in (0.05, 2.0, 3000.0, 1e7)]
    ['0.05', '2', '3k', '10M']
    """
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
