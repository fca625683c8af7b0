"""Small multiples of a history: a panel per problem, the change of each algorithm run by run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from results.tables.history import VERDICTS, History, Series
from results.tables.labels import in_order, percent, plural, shortened

from .looks import look
from .style import GREY, INK, Sheet, halo, joined, new_sheet, spread_out

#: Most panels of the figure, and their columns.
MOST_PANELS, COLUMNS = 12, 3
#: Least reach of the vertical axis on both sides of zero, and its highest end, in per cent.
LEAST_REACH, MOST_REACH = 4.0, 300.0
#: Reach of the vertical axis over that of the marks: room for the name of a change.
ROOM = 1.3
#: Verdicts of series that are drawn faintly.
_CALM = ("steady", "too few runs", "recovered")


def draw_history(history: History) -> Sheet:
    """Draw the change of every ratio since its first level, problems that changed most first."""
    panels = _panels(history)
    shown = panels[:MOST_PANELS]
    names = in_order(one.algorithm for group in shown for one in group)
    detail = joined([
        history.machine, f"time over that of {history.anchor}, as a change since the first runs",
        "line: fitted level", "bar: 95\u00a0% interval of a run",
        f"{len(shown)} of {plural(len(panels), 'problem')}, the most changed first"
        if len(shown) < len(panels) else "",
    ])  # fmt: skip
    sheet = new_sheet(
        "history", f"What became faster or slower in {history.suite}?", detail,
        panels=len(shown), columns=min(len(shown), COLUMNS), panel_height=1.9, legend=names,
        sharex=True,
    )  # fmt: skip
    threads = {one.threads for one in history.series}
    for at, (axes, group) in enumerate(zip(sheet.axes, shown, strict=True)):
        several = plural(group[0].threads, "thread") if len(threads) > 1 else ""
        axes.set_title(joined([shortened(group[0].label, 34), several]), size=8)
        _panel(axes, group, len(history.runs))
        axes.tick_params(labelbottom=at + COLUMNS >= len(shown))
        if at + COLUMNS >= len(shown):
            _name_runs(axes, history)
    sheet.settle()
    for axes, group in zip(sheet.axes, shown, strict=True):
        _name_changes(axes, group)
    return sheet


def _panels(history: History) -> list[list[Series]]:
    """Return the series by problem and thread count, the gravest first."""
    groups: dict[tuple[str, int], list[Series]] = {}
    for one in history.series:  # in the order of gravity
        groups.setdefault((one.label, one.threads), []).append(one)
    return list(groups.values())


def _change(one: Series, logs: np.ndarray) -> np.ndarray:
    """Return `logs` as a change in per cent since the first level of the series."""
    change: np.ndarray = 100 * np.expm1(logs - one.changes.levels[0])
    return change


def _panel(axes: Axes, group: Sequence[Series], count: int) -> None:
    axes.axhline(0, color=GREY, lw=0.8, zorder=1.5)
    low, high = -LEAST_REACH, LEAST_REACH
    for one in sorted(group, key=lambda s: -VERDICTS.index(s.verdict)):
        style = look(one.algorithm)
        strength = 0.3 if one.verdict in _CALM else 1.0
        runs, change = np.array(one.runs) + 1, _change(one, one.logs)
        error = 1.96 * np.nan_to_num(one.errors)
        ends = _change(one, one.logs - error), _change(one, one.logs + error)
        axes.vlines(
            runs, ends[0], ends[1], color=style.colour, lw=1, alpha=0.5 * strength, zorder=2
        )
        axes.plot(
            runs, change, ls="", marker=style.marker, color=style.colour, ms=4, mec="white",
            mew=0.4, alpha=strength, zorder=3, label=one.algorithm,
        )  # fmt: skip
        levels = _change(one, one.changes.levels)
        straight = one.changes.creep is not None
        axes.plot(
            runs, levels, color=style.colour, lw=1.4, alpha=strength, zorder=2.5,
            drawstyle="default" if straight else "steps-mid", label="_level",
        )  # fmt: skip
        low = min(low, ROOM * float(change.min()))
        high = max(high, ROOM * float(change.max()))
    axes.set(xlim=(0.5, count + 0.5), ylim=(low, min(high, MOST_REACH)))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda at, _: _tick(at)))
    axes.tick_params(labelsize=7.5)


def _tick(at: float) -> str:
    return f"{at:+g} %".replace("-", "−") if at else "0"


def _name_runs(axes: Axes, history: History) -> None:
    """Write the dates of the first and the last run below a panel."""
    dates = [str(run.started or "")[:10] for run in (history.runs[0], history.runs[-1])]
    axes.set_xticks([1, len(history.runs)], dates)
    for label, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
        label.set(horizontalalignment=side)


def _name_changes(axes: Axes, group: Sequence[Series]) -> None:
    """Write the change of every series that is not calm at its right end."""
    told = [one for one in group if one.verdict not in _CALM]
    ends = [float(_change(one, one.changes.levels)[-1]) for one in told]
    low, high = axes.get_ylim()
    gap = (high - low) * 9.5 / (axes.get_window_extent().height * 72 / axes.figure.dpi)
    for one, end, height in zip(
        told, ends, spread_out(ends, gap, low + gap, high - gap), strict=True
    ):
        axes.annotate(
            percent(1 + end / 100), (one.runs[-1] + 1, height), xytext=(0, 4), ha="right",
            textcoords="offset points", va="bottom", size=7.5, weight="bold",
            color=look(one.algorithm).colour, path_effects=halo(), zorder=5,
        )  # fmt: skip
    if not told and group:
        few = all(one.verdict == "too few runs" for one in group)
        axes.annotate(
            "too few runs" if few else "steady", (0.98, 0.88), xycoords="axes fraction",
            ha="right", size=7.5, color=INK, alpha=0.6,
        )  # fmt: skip
