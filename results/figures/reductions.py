"""Savings of 1×1 reductions: whole inception modules, with and without them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from results.tables.labels import in_order, plural, shortened, time_text

from .lines import short
from .looks import look
from .scales import arrowheads, limits, log_ticks
from .style import FAINT, INK, Sheet, new_sheet

#: Suffix of the name of a module without reductions; the rest names the module with them.
WITHOUT = " unreduced"


def pairs(timed: pd.DataFrame) -> pd.DataFrame:
    """Return the modules with reductions, each row joined to the module without.

    The times of the latter are ``without_s``, ``without_low_s`` and ``without_high_s``, NaN if
    it was not timed.
    """
    modules = timed[timed["kind"] == "inception"]
    with_them = modules[modules["saved"] > 0]
    without = modules[modules["name"].str.endswith(WITHOUT)]
    without = without.assign(name=without["name"].str.removesuffix(WITHOUT)).rename(
        columns={
            "time_s": "without_s", "time_low_s": "without_low_s", "time_high_s": "without_high_s",
        }
    )  # fmt: skip
    keys = ["name", "input_size", "dtype", "threads", "algorithm"]
    columns = ["without_s", "without_low_s", "without_high_s"]
    return with_them.merge(without[[*keys, *columns]].drop_duplicates(keys), "left", keys)


def draw_reductions(timed: pd.DataFrame, about: str) -> Sheet | None:
    """Draw a row per module with two marks per algorithm: with reductions, and hollow without.

    Return None if no module was timed both ways.
    """
    rows = pairs(timed)
    if rows.empty or rows["without_s"].isna().all():
        return None
    entries = list(dict.fromkeys(rows["label"]))
    threads = sorted(set(rows["threads"]))
    names = in_order(rows["algorithm"])
    sheet = new_sheet(
        "savings-of-reductions",
        "What do modules take, and what do their 1×1 reductions save?",
        f"filled: with reductions · hollow: without · right: time and work, in multiply-adds, "
        f"that they save the fastest algorithm · {about}",
        panels=len(threads),
        panel_height=max(0.33, 0.13 * len(names)) * len(entries) + 0.75,
        legend=names, sharex=True, sharey=True,
    )  # fmt: skip
    ends = limits(*(
        pd.concat([rows[f"time{end}_s"], rows[f"without{end}_s"]]) for end in ("", "_low", "_high")
    ))  # fmt: skip
    for axes, count in zip(sheet.axes, threads, strict=True):
        mine = rows[rows["threads"] == count]
        axes.set(xscale="log", xlim=ends)
        log_ticks(axes.xaxis, *ends, lambda seconds: short(time_text(seconds)), most=7)
        if len(threads) > 1:
            axes.set_title(plural(count, "thread"))
        for row, label in enumerate(entries):
            here = mine[mine["label"] == label]
            lanes = np.linspace(-0.25, 0.25, len(names)) if len(names) > 1 else [0.0]
            for lane, name in zip(lanes, names, strict=True):
                _marks(axes, here[here["algorithm"] == name], row + float(lane))
            if len(here):
                axes.annotate(
                    _saving(here.sort_values("time_s").iloc[0]), (1, row),
                    xycoords=("axes fraction", "data"), xytext=(6, 0), textcoords="offset points",
                    va="center", size=7.8, color=INK,
                )  # fmt: skip
        axes.tick_params(labelbottom=True, length=0, axis="y")
    sheet.axes[-1].set_xlabel("time per call")
    sheet.axes[0].set_ylim(len(entries) - 0.45, -0.55)
    for axes in sheet.axes:
        axes.set_yticks(np.arange(len(entries)), [shortened(e) for e in entries], color=INK)
    return sheet


def _marks(axes: Axes, cells: pd.DataFrame, height: float) -> None:
    """Draw one algorithm on one module: both times, joined by a line, and their intervals."""
    for _, cell in cells.iterrows():
        style = look(str(cell["algorithm"]))
        axes.hlines(height, cell["time_s"], cell["without_s"], color=FAINT, lw=1.2, zorder=1.5)
        for side, face in (("time", style.colour), ("without", "white")):
            low, high = cell[f"{side}_low_s"], cell[f"{side}_high_s"]
            axes.hlines(height, low, high, color=style.colour, lw=2.2, alpha=0.4, zorder=2)
            arrowheads(axes, [height], [low], [high], style.colour, along="x")
            axes.plot(
                cell[f"{side}_s"], height, ls="", marker=style.marker, ms=6.5, zorder=3,
                mfc=face, mec="white" if side == "time" else style.colour,
                mew=0.7 if side == "time" else 1.2,
            )  # fmt: skip


def _saving(best: pd.Series) -> str:
    """Return ``parallel: 41 % of time, 63 % of work``; without times, the work alone."""
    work = f"{best['saved']:.0%}".replace("%", " %") + " of work"
    if np.isnan(best["without_s"]):
        return f"{best['algorithm']}: {work}"
    time = f"{100 * (1 - best['time_s'] / best['without_s']):.0f} % of time"
    return f"{best['algorithm']}: {time}, {work}"
