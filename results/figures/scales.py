"""Scales fitted to the marks: limits, ticks, and arrowheads on cut intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from results.records.columns import GROUP, MIN_PASSES

#: `MARGIN` is the extension of an axis beyond the outermost marks, as a part of their span.
#: `STRETCH` is the most it may grow to show intervals. `SPAN` is the least span, in decades.
MARGIN, STRETCH, SPAN = 0.06, 0.2, 0.6


def steady_intervals(timed: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Return `timed` with NaN for intervals of fewer than `MIN_PASSES` passes.

    The interval of a speed-up counts the passes shared with `baseline`.
    """
    kept = {index: _passes(samples) for index, samples in timed["samples"].items()}
    paired: dict[Hashable, int] = {}
    for _, rows in timed.groupby(list(GROUP), sort=False):
        reference = set().union(*(kept[at] for at in rows.index[rows["algorithm"] == baseline]))
        paired |= {at: len(kept[at] & reference) for at in rows.index}
    frame = timed.copy()
    few = frame["passes"] < MIN_PASSES
    frame.loc[few, ["time_low_s", "time_high_s"]] = np.nan
    few = pd.Series(paired, dtype="int64").reindex(frame.index) < MIN_PASSES
    frame.loc[few, ["speedup_low", "speedup_high"]] = np.nan
    return frame


def _passes(samples: Sequence[Sequence[float]]) -> set[int]:
    """Return the numbers of the passes that hold a sample."""
    return {n for n, taken in enumerate(samples) if any(one == one for one in taken)}


def limits(
    marks: Iterable[float], lows: Iterable[float], highs: Iterable[float]
) -> tuple[float, float]:
    """Return the ends of a log scale with all `marks` and the near parts of their intervals.

    >>> limits([1.0, 10.0], [0.95, 5.0], [1.1, 1e9])
    (0.8709635899560806, 15.848931924611136)
    """
    known = [mark for mark in marks if mark > 0]
    least, most = min(known), max(known)
    span = max(math.log10(most / least), SPAN)
    margin, stretch = 10 ** (MARGIN * span), 10 ** (STRETCH * span)
    low = min((end for end in lows if end > 0), default=least)
    high = max((end for end in highs if end > 0), default=most)
    return (
        min(max(low, least / stretch), least / margin),
        max(min(high, most * stretch), most * margin),
    )


def plain_number(value: float) -> str:
    """Return a size as text: whole numbers in full, others with four digits.

    >>> plain_number(1048576.0), plain_number(181.0193)
    ('1048576', '181')
    """
    return f"{value:.0f}" if value == round(value) or value >= 1000 else f"{value:.4g}"


def log_ticks(axis: Axis, low: float, high: float, text: Callable[[float], str], most: int) -> None:
    """Put few, round ticks on a log scale from `low` to `high`, labelled by `text`."""
    decades = math.log10(high / low)
    if decades > 2.2:
        subs: tuple[float, ...] = (1.0,)
    elif decades > 1.2:
        subs = (1.0, 3.0)
    elif decades > 0.5:
        subs = (1.0, 2.0, 5.0)
    else:
        subs = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
    axis.set_major_locator(LogLocator(subs=subs, numticks=most))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(lambda at, _: text(at)))


def leaving(ends: tuple[float, float], lows: Any, highs: Any) -> bool:
    """Return True if an interval reaches beyond `ends`."""
    return bool((np.asarray(lows) < ends[0]).any() or (np.asarray(highs) > ends[1]).any())


def arrowheads(
    axes: Axes, places: Any, lows: Any, highs: Any, colour: str, *, along: str, size: float = 4
) -> None:
    """Mark the points where intervals leave `axes`, whose limits are final.

    `along` is the axis of the intervals, "x" or "y"; `places` are positions on the other axis.
    """
    places = np.asarray(places, dtype=float)
    ends = axes.get_xlim() if along == "x" else axes.get_ylim()
    for end, outside, marker in (
        (ends[0], np.asarray(lows) < ends[0], "<" if along == "x" else "v"),
        (ends[1], np.asarray(highs) > ends[1], ">" if along == "x" else "^"),
    ):
        if not outside.any():
            continue
        there = places[outside]
        at = np.full(there.size, end)
        across, up = (at, there) if along == "x" else (there, at)
        axes.plot(
            across, up, ls="", marker=marker, ms=size, color=colour, mew=0, clip_on=False,
            zorder=3.5, label="_arrowhead",
        )  # fmt: skip
