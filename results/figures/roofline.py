"""Roofline plot: cells under the limits measured on the same machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from results.tables import roofline
from results.tables.labels import in_order, plural, three_digits

from .looks import look
from .style import FAINT, GREY, INK, Sheet, halo, joined, new_sheet

#: Least factor between two bandwidths that leaves room for a name between their slopes.
_NEAR = 1.8


def draw_roofline(timed: pd.DataFrame, limits: dict[str, Any], about: str) -> Sheet:
    """Draw work per second against work per byte, one panel per thread count and dtype.

    Parameters
    ----------
    timed : DataFrame
        Cells that have a time and a roof.
    limits : dict
        Peaks and bandwidths, from the header of the run.
    about : str
        Line under the heading. It tells the machine.
    """
    panels: list[Any] = [
        (dtype, threads, rows) for (threads, dtype), rows in timed.groupby(["threads", "dtype"])
    ]
    names = in_order(timed["algorithm"])
    detail = joined([
        "large: the fastest of each problem, on a line that ends at its roof",
        "counts the direct algorithm's operations, so others may pass it", about,
    ])  # fmt: skip
    sheet = new_sheet(
        "roofline", "How far from the machine's limit?", detail, panels=len(panels),
        panel_height=4.4 if len(panels) == 1 else 3.6, legend=names, sharex=True, sharey=True,
    )  # fmt: skip
    _scales(sheet.axes, timed, limits, panels)
    for axes, (dtype, threads, _) in zip(sheet.axes, panels, strict=True):
        several = [plural(threads, "thread")] if timed["threads"].nunique() > 1 else []
        several += [dtype] if timed["dtype"].nunique() > 1 else []
        axes.set_title(joined(several))
        axes.set_ylabel("effective GFLOP/s")
    sheet.axes[-1].set_xlabel("operations per compulsory byte")
    sheet.settle()  # for the slopes
    for axes, (dtype, threads, rows) in zip(sheet.axes, panels, strict=True):
        _roofs(axes, limits, dtype, threads)
        _cells(axes, rows, names)
    return sheet


def _scales(
    all_axes: list[Axes], timed: pd.DataFrame, limits: dict[str, Any], panels: list[Any]
) -> None:
    highest = max(roofline.peak(limits, dtype, threads) for dtype, threads, _ in panels) / 1e9
    ridges = [
        roofline.peak(limits, dtype, threads) / bandwidth
        for dtype, threads, _ in panels
        for bandwidth in roofline.bandwidths(limits, threads).values()
    ]
    left = min(float(timed["intensity"].min()), *ridges) / 12
    right = max(float(timed["intensity"].max()), *ridges) * 1.8
    low = max(float(timed["gflops"].min()) / 1.5, highest / 1e5)
    high = max(highest, float(timed["gflops"].max())) * 1.7
    for axes in all_axes:
        axes.set(xscale="log", yscale="log", xlim=(left, right), ylim=(low, high))
        axes.xaxis.set_major_locator(LogLocator(numticks=8))
        axes.yaxis.set_major_locator(LogLocator(numticks=8))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:g}"))
            axis.set_minor_formatter(NullFormatter())


def _roofs(axes: Axes, limits: dict[str, Any], dtype: str, threads: int) -> None:
    """Draw the peak, and a named slope for every level of memory."""
    peak = roofline.peak(limits, dtype, threads) / 1e9
    left, right = axes.get_xlim()
    low, _ = axes.get_ylim()
    roofs = {k: v / 1e9 for k, v in roofline.bandwidths(limits, threads).items()}
    axes.plot([peak / max(roofs.values()), right], [peak, peak], color=INK, lw=1.3, zorder=2)
    axes.annotate(
        f"peak {three_digits(peak)} GFLOP/s", (peak / max(roofs.values()), peak), xytext=(2, 3),
        textcoords="offset points", size=8, color=INK, path_effects=halo(), zorder=6,
    )  # fmt: skip
    for bandwidth in roofs.values():
        start = max(left, low / bandwidth)
        ends = np.array([start, peak / bandwidth])
        axes.plot(ends, bandwidth * ends, color=GREY, lw=0.9, zorder=1.8)
    _name_slopes(axes, roofs, peak)


def _name_slopes(axes: Axes, roofs: dict[str, float], peak: float) -> None:
    """Write names along the slopes, ending a little below the peak or further down.

    A name stands above its slope, or below it if the next slope above is too near.
    """
    pixels = axes.transData.transform([(1, 1), (10, 10)])
    angle = float(np.degrees(np.arctan2(*(pixels[1] - pixels[0])[::-1])))
    for place, (level, bandwidth) in enumerate(roofs.items()):
        at = (0.8, 0.16)[place % 2] * peak / bandwidth  # neighbours may be close
        below = any(1 < other / bandwidth < _NEAR for other in roofs.values())
        axes.annotate(
            f"{level} {three_digits(bandwidth)} GB/s", (at, bandwidth * at),
            xytext=(1.5, -1.5) if below else (-1.5, 1.5), textcoords="offset points",
            rotation=angle, rotation_mode="anchor", size=7, color=GREY, ha="right",
            va="top" if below else "bottom", path_effects=halo(1.5), zorder=2.1,
        )  # fmt: skip


def _cells(axes: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    roof = rows["flops"] / rows["attainable_s"] / 1e9
    rows = rows.assign(roof=roof)
    for name in names:
        mine = rows[(rows["algorithm"] == name) & ~rows["winner"]]
        style = look(name)
        axes.plot(
            mine["intensity"], mine["gflops"], ls="", marker=style.marker, color=style.colour,
            ms=4, mec="white", mew=0.4, alpha=0.55, zorder=3,
        )  # fmt: skip
    best = rows[rows["winner"]]
    axes.vlines(best["intensity"], best["gflops"], best["roof"], color=FAINT, lw=1.2, zorder=1.5)
    axes.plot(
        best["intensity"], best["roof"], ls="", marker="_", color=GREY, ms=6, mew=1, zorder=2.2
    )
    for name in names:
        mine = best[best["algorithm"] == name]
        style = look(name)
        axes.plot(
            mine["intensity"], mine["gflops"], ls="", marker=style.marker, color=style.colour,
            ms=8, mec="white", mew=0.8, zorder=4,
        )  # fmt: skip
