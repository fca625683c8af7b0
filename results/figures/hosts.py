"""Ratios on unlike hosts, side by side: what is fastest on one need not be on another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

import results
from results.tables.labels import in_order, shortened, times_text

from .looks import look
from .scales import limits, log_ticks
from .style import GREY, INK, SavedFigure, Sheet, new_sheet, rc_context

#: Most problems in the figure; others stand in the tables of each kind of host.
MOST = 40


def draw_ratios(runs: Sequence[Path]) -> SavedFigure:
    """Draw how many times as fast as the baseline each algorithm is, a panel per kind of host.

    Parameters
    ----------
    runs : sequence of Path
        Folders of the runs of a cluster, one for each kind. The files go into the first.
    """
    with rc_context():
        return ratio_sheet([results.read(run) for run in runs]).save(runs[0] / "figures")


def ratio_sheet(frames: Sequence[pd.DataFrame]) -> Sheet:
    """Return the figure of `draw_ratios`, unsaved."""
    baseline = str(frames[0].attrs.get("baseline", "naive"))
    shown = [f[(f["algorithm"] != baseline) & f["speedup"].notna()] for f in frames]
    entries = list(dict.fromkeys(_entry(row) for f in shown for _, row in f.iterrows()))[:MOST]
    place = {entry: at for at, entry in enumerate(entries)}
    names = in_order(pd.concat([f["algorithm"] for f in shown]))
    sheet = new_sheet(
        "ratios-of-hosts", f"How many times as fast as {baseline} is each algorithm, on each host?",
        "one panel for each kind of host; the times of unlike hosts are never pooled",
        panels=len(frames), columns=min(len(frames), 2),
        panel_height=0.33 * max(len(entries), 1) + 0.95, legend=names, sharex=True, sharey=True,
    )  # fmt: skip
    values = pd.concat([f["speedup"] for f in shown])
    ends = limits([*values, 1.0], values, values)
    for at, (axes, frame, rows) in enumerate(zip(sheet.axes, frames, shown, strict=True)):
        axes.set(xscale="log", xlim=ends)
        log_ticks(axes.xaxis, *ends, times_text, most=4)
        axes.axvline(1.0, color=GREY, lw=1, zorder=1.5)
        environment = frame.attrs.get("environment") or {}
        cores = environment.get("usable_cores") or environment.get("cores")
        axes.set_title(f"{environment.get('cpu')}, {cores} cores")
        for name in names:
            mine = rows[rows["algorithm"] == name]
            there = np.array([place.get(_entry(row), np.nan) for _, row in mine.iterrows()])
            style = look(name)
            axes.plot(
                mine["speedup"], there, ls="", marker=style.marker, color=style.colour, ms=6.5,
                mec="white", mew=0.7, zorder=3,
            )  # fmt: skip
        axes.tick_params(labelbottom=True, labelleft=at % 2 == 0, length=0, axis="y")
        axes.set_xlabel(f"times as fast as {baseline}")
    axes = sheet.axes[0]
    axes.set_ylim(len(entries) - 0.45, -0.55)
    axes.set_yticks(np.arange(len(entries)), [shortened(e) for e in entries], color=INK)
    return sheet


def _entry(row: pd.Series) -> str:
    threads = f", {row['threads']} threads" if row["threads"] > 1 else ""
    return f"{row['label']}{threads}"
