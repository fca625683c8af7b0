"""Choice of the figures that a run supports, and their drawing."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pandas as pd

from results.records.columns import MIN_PASSES
from results.tables.disturbance import footnote
from results.tables.labels import plural
from results.tables.ratios import with_ratios
from results.tables.roofline import MULTIPLYING, peak

from .lines import MOST_PANELS, draw_lines
from .reductions import draw_reductions
from .regret import draw_regret
from .roofline import draw_roofline
from .rows import draw_rows
from .scales import steady_intervals
from .style import SavedFigure, Sheet, joined, rc_context
from .sweeps import (
    AXES,
    LEAST,
    Panel,
    alike,
    describe,
    families,
    longest,
    split,
    told_apart,
    with_coordinates,
)
from .winner_map import draw_maps, maps


def draw(frame: pd.DataFrame, folder: str | os.PathLike[str]) -> list[SavedFigure]:
    """Draw every figure that the run in `frame` supports, as PNG and SVG.

    Parameters
    ----------
    frame : DataFrame of `results.read`
    folder : path
        Folder for the files; created if missing. Each file appears whole or not at all.

    Returns
    -------
    list of SavedFigure
        In reading order; empty if nothing was timed.
    """
    with rc_context():
        return [sheet.save(Path(folder)) for sheet in sheets(frame)]


def sheets(frame: pd.DataFrame) -> list[Sheet]:
    """Return the figures of `draw`, unsaved; call it within `style.rc_context`."""
    timed = with_coordinates(frame[frame["time_s"].notna()])
    if timed.empty:
        return []
    baseline = str(frame.attrs.get("baseline", "naive"))
    against = with_ratios(timed, MIN_PASSES)
    timed = steady_intervals(timed, baseline)
    if timed["label"].nunique() == 1:
        return [
            draw_rows("time-of-each", "each", timed, about_line(frame, timed, "line"), baseline)
        ]
    swept = timed[~timed["layer"]]
    along = sweeps_along(swept)
    drawn = [row_sheets(frame, "peer", "against-peers", against, baseline)]
    drawn.append(winner_sheets(frame, swept))
    for value in ("time", "speedup"):
        drawn.append(line_sheets(frame, value, along, baseline))
    in_sweep = {index for groups in along.values()
                for group in groups for _, rows in group for index in rows.index}  # fmt: skip
    rest = timed[~timed.index.isin(in_sweep)]
    layers = rest[rest["layer"] & rest["kind"].isin(MULTIPLYING)]
    if layers["label"].nunique() < 2:
        layers = layers.iloc[:0]
    drawn.append(row_sheets(frame, "gflops", "throughput", layers, baseline))
    others = rest[~rest.index.isin(layers.index)]
    drawn.append(row_sheets(frame, "time", "time-of-problems", others, baseline))
    for rows, name in ((layers, "speedup-of-layers"), (others, "speedup-of-problems")):
        if _has_speedups(rows, baseline):
            drawn.append(row_sheets(frame, "speedup", name, rows, baseline))
    if sheet := draw_reductions(timed, about_line(frame, timed, "line")):
        drawn.insert(0, [sheet])
    if sheet := draw_regret(frame, about_line(frame, timed, "")):
        drawn.append([sheet])
    drawn.append(roofline_sheets(frame, timed))
    return [sheet for group in drawn for sheet in group]


def sweeps_along(swept: pd.DataFrame) -> dict[str, list[list[Panel]]]:
    """Return the groups of sweeps along every axis that are long enough to draw."""
    return {
        axis: [group for group in alike(families(swept, axis)) if longest(group) >= LEAST]
        for axis in AXES
    }


def winner_sheets(frame: pd.DataFrame, swept: pd.DataFrame) -> list[Sheet]:
    """Return the maps of the winners over two sizes."""
    about = about_line(frame, swept, "")
    return [draw_maps(name, across, up, panels, about)
            for name, across, up, panels in maps(swept)]  # fmt: skip


def line_sheets(
    frame: pd.DataFrame, value: str, along: dict[str, list[list[Panel]]], baseline: str
) -> list[Sheet]:
    """Draw every sweep once, along the axis on which `value` is most telling.

    A grid of sizes can be drawn along either axis. Time reads best over the input size. The
    speed-up reads best over the kernel size, where the algorithms cross.
    """
    first = ("size", "kernel") if value == "time" else ("kernel", "size")
    shown: set[int] = set()
    drawn = []
    for axis in (*first, "channels", "batch"):
        for number, group in enumerate(along[axis]):
            new = [panel for panel in group if not shown.issuperset(panel[1].index)]
            if not new:
                continue
            panels = new if longest(new) >= LEAST else group
            shown.update(index for _, rows in panels for index in rows.index)
            name = f"{value}-over-{axis}" + (_apart(along[axis], number) if number else "")
            for shared, part in split(panels, MOST_PANELS):
                rows = pd.concat([rows for _, rows in part])
                if value == "speedup" and not _has_speedups(rows, baseline):
                    continue
                parts = [name, *(_slug(describe(*item)) for item in shared.items())]
                page = "-".join(word for word in parts if word)
                about = about_line(frame, rows, "band")
                drawn.append(draw_lines(page, axis, value, part, about, baseline))
    return drawn


def _apart(groups: list[list[Panel]], number: int) -> str:
    """Return the end of a file name that distinguishes a group of sweeps from the first."""
    same, _ = told_apart([fixed for fixed, _ in groups[number]])
    first = groups[0][0][0]
    for field in ("channels", "spatial", "size", "kernel"):
        if field in same and groups[number][0][0][field] != first[field]:
            return "-" + _slug(describe(field, groups[number][0][0][field]))
    return f"-{number + 1}"


def row_sheets(
    frame: pd.DataFrame, value: str, name: str, rows: pd.DataFrame, baseline: str, most: int = 40
) -> list[Sheet]:
    """Return figures with a row per problem, `most` of them in each."""
    labels = list(dict.fromkeys(rows["label"]))
    drawn = []
    for start in range(0, len(labels), most):
        part = rows[rows["label"].isin(labels[start : start + most])]
        page = f"{name}-part-{start // most + 1}" if len(labels) > most else name
        peaks = _peaks(frame, part) if value == "gflops" else None
        drawn.append(draw_rows(page, value, part, about_line(frame, part, "line"), baseline, peaks))
    return drawn


def roofline_sheets(frame: pd.DataFrame, timed: pd.DataFrame) -> list[Sheet]:
    """Draw cells under the roofs, and for up to 40 problems each cell's share of its roof.

    Pooling is compared with the bandwidth alone, because no peak limits it.
    """
    known = timed[timed["attainable_s"] > 0]
    baseline = str(frame.attrs.get("baseline", "naive"))
    under = known[known["kind"].isin(MULTIPLYING) & (known["intensity"] > 0)]
    drawn = []
    if len(under):
        drawn.append(draw_roofline(under, frame.attrs["limits"], about_line(frame, under, "")))
    if len(under) and under["label"].nunique() <= 40:
        drawn += row_sheets(frame, "roofline", "share-of-roofline", under, baseline)
    pools = known[~known["kind"].isin(MULTIPLYING)]
    return drawn + row_sheets(frame, "bandwidth", "share-of-bandwidth", pools, baseline)


def _peaks(frame: pd.DataFrame, rows: pd.DataFrame) -> dict[tuple[str, int], float]:
    """Return the measured peaks of the machine in GFLOP/s, by dtype and thread count."""
    limits = frame.attrs.get("limits") or {}
    asked = set(zip(rows["dtype"], rows["threads"].astype(int), strict=True))
    return {
        (dtype, threads): peak(limits, dtype, threads) / 1e9
        for dtype, threads in sorted(asked)
        if dtype in limits.get("flops", {})
    }


def _has_speedups(rows: pd.DataFrame, baseline: str) -> bool:
    return bool(rows.loc[rows["algorithm"] != baseline, "speedup"].notna().any())


def about_line(frame: pd.DataFrame, rows: pd.DataFrame, mark: str) -> str:
    """Return threads, dtype, machine and the meaning of `mark`, for the line under a heading."""
    environment = frame.attrs.get("environment") or {}
    counts = sorted(set(rows["threads"]))
    said = plural(counts[0], "thread") if len(counts) == 1 else ""
    dtypes = ", ".join(dict.fromkeys(rows["dtype"]))
    interval = f"{mark}: 95 % interval of {MIN_PASSES} passes or more" if mark else ""
    if mark and rows["passes"].max() < MIN_PASSES:
        interval = f"no intervals: fewer than {MIN_PASSES} passes"
    return joined([said, dtypes, str(environment.get("cpu") or ""), interval, footnote(frame)])


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("²", "").replace("³", "")).strip("-")
