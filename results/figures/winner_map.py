"""The winner map: the fastest algorithm over two sizes, marked if undecided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from results.tables.labels import lead_text

from .looks import look
from .scales import plain_number
from .style import GREY, INK, WIDTH, Sheet, joined, new_sheet, tint
from .sweeps import AXES, FIELDS, Panel, alike, coordinate, describe, distinguish, told_apart

MOST_PANELS = 8
#: Pairs of sizes that maps are drawn over: across, and up.
PAIRS = (("size", "kernel"), ("channels", "kernel"), ("channels", "size"), ("batch", "size"))


def maps(frame: pd.DataFrame) -> Iterator[tuple[str, str, str, list[Panel]]]:
    """Yield name, across, up and panels of each map that `frame` can fill."""
    if frame.empty:
        return
    cells = frame.to_dict("records")
    for across, up in PAIRS:
        placed = frame.assign(
            across=[coordinate(row, across) for row in cells],
            up=[coordinate(row, up) for row in cells],
        ).dropna(subset=["across", "up"])
        fixed = [field for field in FIELDS if field not in (across, up)]
        panels: list[Panel] = []
        for key, rows in placed.groupby(fixed, sort=False):
            points = rows[["across", "up"]].drop_duplicates()
            full = rows["across"].nunique() * rows["up"].nunique()
            shortest = min(rows["across"].nunique(), rows["up"].nunique())
            sound = len(points) == rows["problem"].nunique()  # one problem per cell of the map
            if shortest >= 2 and sound and len(points) >= 0.6 * full:
                panels.append((dict(zip(fixed, key, strict=True)), rows))
        number = 0
        for group in alike(panels, "across"):
            for start in range(0, len(group), MOST_PANELS):
                number += 1
                name = f"winner-{across}-{up}" + (f"-{number}" if number > 1 else "")
                yield name, across, up, group[start : start + MOST_PANELS]


def draw_maps(name: str, across: str, up: str, panels: Sequence[Panel], about: str) -> Sheet:
    """Draw one map per panel; each cell shows the winner and its lead."""
    places = sorted({at for _, rows in panels for at in rows["across"]})
    heights = sorted({at for _, rows in panels for at in rows["up"]})
    columns = 2 if len(panels) > 1 and len(places) <= 7 else 1
    same, differ = told_apart([fixed for fixed, _ in panels])
    first = panels[0][0]
    detail = joined(
        [
            *(describe(field, first[field]) for field in same if field not in ("threads", "dtype")),
            about,
            "number: lead over the next fastest",
            "striped: undecided",
        ]
    )
    sheet = new_sheet(
        name,
        "Which algorithm is the fastest?",
        detail,
        panels=len(panels),
        columns=columns,
        panel_height=0.75 + 0.44 * len(heights),
        sharey=True,
    )
    longest = max(len(str(name)) for _, rows in panels for name in rows["algorithm"])
    cell = 72 * WIDTH * 0.89 / columns / len(places)
    size = min(9.0, max(5.0, cell * 0.94 / (0.68 * longest)))
    for at, (axes, (fixed, rows)) in enumerate(zip(sheet.axes, panels, strict=True)):
        axes.set_title(joined(distinguish(field, fixed[field]) for field in differ))
        for x, place in enumerate(places):
            for y, height in enumerate(heights):
                here = rows[(rows["across"] == place) & (rows["up"] == height)]
                _cell(axes, x, y, here.sort_values("time_s"), size)
        axes.set_xlim(-0.5, len(places) - 0.5)
        axes.set_ylim(-0.5, len(heights) - 0.5)
        axes.set_xticks(np.arange(len(places)), [plain_number(place) for place in places])
        axes.set_yticks(np.arange(len(heights)), [plain_number(height) for height in heights])
        axes.tick_params(length=0, labelleft=at % columns == 0)
        axes.grid(False)
        axes.spines[:].set_visible(False)
        if at + columns >= len(panels):
            axes.set_xlabel(AXES[across].scale)
        if at % columns == 0:
            axes.set_ylabel(AXES[up].scale if len(heights) > 3 else AXES[up].grows)
    return sheet


def _cell(axes: Axes, x: float, y: float, ranked: pd.DataFrame, size: float) -> None:
    corner = (x - 0.5, y - 0.5)
    if ranked.empty:
        axes.add_patch(Rectangle(corner, 1, 1, fc="#f4f4f4", ec="white", lw=1.5))
        axes.text(x, y, "–", ha="center", va="center", color=GREY, size=size)
        return
    best = ranked.iloc[0]
    name = str(best["algorithm"])
    colour = look(name).colour
    if best["decided"]:
        axes.add_patch(Rectangle(corner, 1, 1, fc=tint(colour, 0.42), ec="white", lw=1.5))
        axes.text(x, y + 0.17, name, ha="center", va="center", size=size, weight="bold")
        lead = "alone"
        if len(ranked) > 1:
            lead = lead_text(float(ranked.iloc[1]["time_s"] / best["time_s"]))
        axes.text(x, y - 0.2, lead, ha="center", va="center", size=size - 0.5, color=INK)
        return
    rivals = str(best["rivals"]).split(", ")
    rival = look(rivals[0]).colour
    axes.add_patch(
        Rectangle(
            corner, 1, 1, fc=tint(colour, 0.16), ec=tint(rival, 0.35), hatch="///", lw=0, zorder=1
        )
    )
    axes.add_patch(Rectangle(corner, 1, 1, fc="none", ec="white", lw=1.5, zorder=1.1))
    more = "" if len(rivals) == 1 else "…"
    for shift, text in ((0.18, name), (-0.18, f"or {rivals[0]}{more}")):
        axes.text(
            x,
            y + shift,
            text,
            ha="center",
            va="center",
            size=size - 0.5,
            style="italic",
            bbox={"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.8},
        )
