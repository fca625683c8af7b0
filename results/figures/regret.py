"""Regret of the automatic choice: its time over the fastest's, for every problem of a run."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from results.tables.labels import in_order, lead_text, plural, shortened
from results.tables.regret import chosen_by_auto, figures, regret

from .looks import look
from .scales import limits, log_ticks
from .style import GREY, INK, Sheet, halo, joined, new_sheet

#: Number of problems that are named, the worst ones.
NAMED = 4
#: Regret from which a problem is named.
LEAST_NAMED = 0.05


def draw_regret(frame: pd.DataFrame, about: str) -> Sheet | None:
    """Draw the problems by rising regret, one panel per thread count.

    Return None if the run knows the choice for fewer than two problems, or all choices are right.
    """
    found = regret(frame, chosen_by_auto(frame))
    found = found[found["regret"].notna()]
    if found["label"].nunique() < 2 or not found["regret"].max() > 0:
        return None
    counts = sorted(set(found["threads"]))
    sheet = new_sheet(
        "regret-of-auto",
        'How far is algorithm="auto" from the fastest?',
        joined(
            [
                "each mark is a problem, in the colour of the algorithm that auto takes",
                "the fastest of those that its accuracy admits",
                about,
            ]
        ),
        panels=len(counts),
        columns=min(len(counts), 2),
        panel_height=2.6,
        legend=in_order(found["chosen"]),
        sharey=True,
    )
    times = 1 + found["regret"]
    low, high = limits(times, [], [])
    for axes, count in zip(sheet.axes, counts, strict=True):
        here = found[found["threads"] == count].sort_values("regret", kind="stable")
        axes.set(yscale="log", ylim=(min(low, 0.99), high), xlim=(-2, 102))
        log_ticks(axes.yaxis, low, high, lead_text, most=7)
        _marks(axes, here)
        here_figures = figures(here)
        axes.set_title(
            joined([
                plural(int(count), "thread") if len(counts) > 1 else "",
                f"geometric mean {lead_text(1 + here_figures.mean)}",
                f"95 % below {lead_text(1 + here_figures.percentile)}",
            ])
        )  # fmt: skip
        axes.set_xlabel("problems in %, by rising distance")
    sheet.axes[0].set_ylabel("time over the fastest's")
    return sheet


def _marks(axes: Axes, ordered: pd.DataFrame) -> None:
    """Draw the marks of one panel and name the worst problems."""
    last = max(len(ordered) - 1, 1)
    axes.axhline(1, color=GREY, lw=0.8)
    for place, (_, row) in enumerate(ordered.iterrows()):
        style = look(str(row["chosen"]))
        axes.plot(
            100 * place / last, 1 + row["regret"], ls="", marker=style.marker, ms=5,
            color=style.colour, mew=0,
        )  # fmt: skip
    worst = ordered.tail(NAMED)
    for rank, (_, row) in enumerate(worst[::-1].iterrows()):
        if row["regret"] >= LEAST_NAMED:
            axes.annotate(
                f"{shortened(str(row['label']), 30)}: {row['best']} {lead_text(1 + row['regret'])}",
                (0.03, 0.94 - 0.09 * rank), xycoords="axes fraction", size=7.5, color=INK,
                va="top", path_effects=halo(),
            )  # fmt: skip
