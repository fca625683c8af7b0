"""Line plots of a sweep: time, or speed-up over the baseline, against a size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from results.tables.labels import in_order, time_text, times_text

from .line_ends import label_ends
from .looks import look
from .scales import arrowheads, leaving, limits, log_ticks, plain_number
from .style import GREY, Sheet, joined, new_sheet
from .sweeps import FIELDS, WINDOW, Panel, axis_of, describe, distinguish, told_apart

MOST_PANELS = 9
#: Size of the letters of panel titles, in points, by the number of columns.
_TITLES = (9.5, 9.5, 7.5)
#: By value: its column, and the columns of the ends of its interval.
VALUES: dict[str, tuple[str, str, str]] = {
    "time": ("time_s", "time_low_s", "time_high_s"),
    "speedup": ("speedup", "speedup_low", "speedup_high"),
}


def draw_lines(
    name: str, axis: str, value: str, panels: Sequence[Panel], about: str, baseline: str
) -> Sheet:
    """Draw one log-log panel per sweep of `panels` along `axis`; bands are the intervals.

    Parameters
    ----------
    name : str
        File name of the figure. It has no ending.
    axis : {"size", "kernel", "channels", "batch"}
        Quantity on the horizontal axis. The others are fixed.
    value : {"time", "speedup"}
        Quantity on the vertical axis. A speed-up is relative to `baseline`.
    panels : sequence of Panel
        Fixed fields of each sweep, and its rows. Each row has its position ``at``.
    about : str
        Line under the heading. It tells the machine and the meaning of the bands.
    baseline : str
        Algorithm that speed-ups refer to.
    """
    panels = sorted(panels, key=lambda panel: _panel_order(panel[0]))
    words = axis_of(axis, panels)
    same, differ = told_apart([fixed for fixed, _ in panels])
    _, low, high = VALUES[value]
    first = panels[0][0]
    unsaid = {"threads", "dtype"} | ({"weights"} if words is WINDOW else set())
    told = [field for field in _title_order(same) if field not in unsaid]
    detail = joined([*(describe(field, first[field]) for field in told), about])
    columns = min(len(panels), 2 if len(panels) <= 6 else 3)
    ends = _ends([rows for _, rows in panels], value, baseline)
    if any(leaving(ends, rows[low], rows[high]) for _, rows in panels):
        detail += " · arrowhead: the interval goes on"
    sheet = new_sheet(
        name,
        _question(words.grows, value, baseline),
        detail,
        panels=len(panels),
        columns=columns,
        panel_height=3.7 if columns == 1 else 2.75 if columns == 2 else 2.4,
        sharex=True,
        sharey=True,
    )
    names = in_order(pd.concat([rows for _, rows in panels])["algorithm"])
    for at, (axes, (fixed, rows)) in enumerate(zip(sheet.axes, panels, strict=True)):
        title = joined(distinguish(field, fixed[field]) for field in _title_order(differ))
        axes.set_title(title, size=_TITLES[columns - 1])
        _panel(axes, rows, value, names, baseline)
        below = at + columns >= len(panels)
        leftmost = at % columns == 0
        axes.tick_params(labelbottom=True, labelleft=leftmost, left=leftmost)
        if below:
            axes.set_xlabel(words.scale)
        if leftmost:
            axes.set_ylabel("time per call" if value == "time" else f"times as fast as {baseline}")
    places = {float(at) for _, rows in panels for at in rows["at"]}
    _scales(sheet.axes, places, value, ends, ticks=(12, 7, 5)[columns - 1])
    for axes, (_, rows) in zip(sheet.axes, panels, strict=True):
        for key, mine in rows[rows[low].notna()].groupby("algorithm"):
            if value == "time" or key != baseline:
                arrowheads(axes, mine["at"], mine[low], mine[high], look(str(key)).colour,
                           along="y")  # fmt: skip
    label_ends(sheet)
    return sheet


def _question(grows: str, value: str, baseline: str) -> str:
    if value == "time":
        return f"How does the time grow with the {grows}?"
    return f"How many times as fast as {baseline}, as the {grows} grows?"


def _title_order(fields: Sequence[str]) -> list[str]:
    return sorted(fields, key=lambda field: FIELDS.index(field) if field in FIELDS else -1)


def _panel_order(fixed: dict[str, Any]) -> tuple[Any, ...]:
    """Return a sort key: random weights last, then kernel, size and threads as numbers."""
    numbers = [
        math.prod(int(part) for part in fixed[field].split("x")) if field in fixed else 0
        for field in ("kernel", "size")
    ]
    return (fixed.get("weights") != "random", *numbers, fixed.get("threads", 0))


def _panel(axes: Axes, rows: pd.DataFrame, value: str, names: Sequence[str], baseline: str) -> None:
    middle, low, high = VALUES[value]
    for name in names:
        mine = rows[(rows["algorithm"] == name) & rows[middle].notna()].sort_values("at")
        if mine.empty or (value == "speedup" and name == baseline):
            continue
        style = look(name)
        axes.fill_between(
            mine["at"], mine[low], mine[high], color=style.colour, alpha=0.22, lw=0, zorder=2
        )
        axes.plot(
            mine["at"],
            mine[middle],
            color=style.colour,
            marker=style.marker,
            ls=(0, style.dashes) if style.dashes else "-",
            lw=1.7,
            ms=5,
            mec="white",
            mew=0.6,
            zorder=3,
            label=name,
        )
    if value == "speedup":
        axes.axhline(1, color=GREY, lw=1, zorder=1.5)


def _ends(frames: Sequence[pd.DataFrame], value: str, baseline: str) -> tuple[float, float]:
    """Return the ends of the scale: all marks, and the parts of intervals near them."""
    middle, low, high = VALUES[value]
    rows = pd.concat(frames)
    if value == "speedup":
        rows = rows[rows["algorithm"] != baseline]
        return limits([1.0, *rows[middle].dropna()], rows[low], rows[high])
    return limits(rows[middle].dropna(), rows[low], rows[high])


def _scales(
    all_axes: Sequence[Axes], places: set[float], value: str, ends: tuple[float, float], ticks: int
) -> None:
    """Make the scales logarithmic, with ticks at points of the sweep as room allows."""
    span = math.log(max(places) / min(places))
    chosen: list[float] = []
    for at in sorted(places, reverse=True):
        if not chosen or math.log(chosen[-1] / at) > span / (ticks + 0.5):
            chosen.append(at)
    text = time_text if value == "time" else times_text
    for axes in all_axes:
        axes.set(xscale="log", yscale="log", ylim=ends)
        axes.xaxis.set_major_locator(FixedLocator(chosen))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: plain_number(at)))
        log_ticks(axes.yaxis, *ends, lambda at: short(text(at)), most=12)


def short(text: str) -> str:
    """Shorten ``1.00 ms`` to ``1 ms``, because labels of ticks are exact."""
    number, *unit = text.split(" ")
    if "." in number:
        number = number.rstrip("×").rstrip("0").rstrip(".") + ("×" if number[-1] == "×" else "")
    return " ".join([number, *unit])
