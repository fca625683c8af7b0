"""Figures of a run: which ones its data supports, and each of them drawn."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pandas as pd

from .labels import plural
from .lines import MOST_PANELS, draw_lines
from .rows import draw_rows
from .statistics import ENOUGH
from .style import Picture, Sheet, joined, rc_context
from .sweeps import AXES, describe, families, split, with_coordinates
from .winner_map import draw_maps, maps


def draw(frame: pd.DataFrame, folder: str | os.PathLike[str]) -> list[Picture]:
    """Draw every figure that the run in `frame` supports, as PNG and SVG.

    Parameters
    ----------
    frame : DataFrame of `results.read`
    folder : path
        Where the files go; made where missing. Each appears whole or not at all.

    Returns
    -------
    list of Picture
        In the order a reader wants them; empty where nothing was timed.
    """
    target = Path(folder)
    pictures = []
    with rc_context():
        for sheet in sheets(frame):
            target.mkdir(parents=True, exist_ok=True)
            pictures.append(sheet.save(target))
    return pictures


def sheets(frame: pd.DataFrame) -> list[Sheet]:
    """The figures of `draw`, not yet saved; call it within `style.rc_context`."""
    timed = with_coordinates(frame[frame["time_s"].notna()])
    if timed.empty:
        return []
    baseline = str(frame.attrs.get("baseline", "naive"))
    if timed["label"].nunique() == 1:
        return [draw_rows("time-of-each", "each", timed, _about(frame, timed, "line"), baseline)]
    swept = timed[~timed["layer"]]
    along = {axis: families(swept, axis) for axis in AXES}
    drawn = [_winner_sheets(frame, swept)]
    # A grid would show the same cells once along either axis: time reads best over the size of
    # the input, the speed-up over that of the kernel, where the algorithms cross.
    for value, order in (("time", ("size", "kernel")), ("speedup", ("kernel", "size"))):
        shown: set[int] = set()
        for axis in (*order, "channels", "batch"):
            cells = {index for _, rows in along[axis] for index in rows.index}
            if cells - shown:
                drawn.append(_line_sheets(frame, axis, value, along[axis], baseline))
                shown |= cells
    in_sweep = {index for found in along.values() for _, rows in found for index in rows.index}
    rest = timed[~timed.index.isin(in_sweep)]
    layers = rest[rest["layer"]]
    if layers["label"].nunique() < 2:
        layers = layers.iloc[:0]
    drawn.append(_row_sheets(frame, "gflops", "throughput", layers, baseline))
    others = rest[~rest.index.isin(layers.index)]
    drawn.append(_row_sheets(frame, "time", "time-of-problems", others, baseline))
    for rows, name in ((layers, "speedup-of-layers"), (others, "speedup-of-problems")):
        if _has_speedups(rows, baseline):
            drawn.append(_row_sheets(frame, "speedup", name, rows, baseline))
    return [sheet for group in drawn for sheet in group]


def _winner_sheets(frame: pd.DataFrame, swept: pd.DataFrame) -> list[Sheet]:
    about = _about(frame, swept, "")
    return [draw_maps(name, across, up, panels, about)
            for name, across, up, panels in maps(swept)]  # fmt: skip


def _line_sheets(
    frame: pd.DataFrame,
    axis: str,
    value: str,
    found: list[tuple[dict[str, Any], pd.DataFrame]],
    baseline: str,
) -> list[Sheet]:
    drawn = []
    for shared, panels in split(found, MOST_PANELS):
        rows = pd.concat([part for _, part in panels])
        if value == "speedup" and not _has_speedups(rows, baseline):
            continue
        parts = [value, "over", axis, *(_slug(describe(*item)) for item in shared.items())]
        about = _about(frame, rows, "band")
        drawn.append(draw_lines("-".join(parts), axis, value, panels, about, baseline))
    return drawn


def _row_sheets(
    frame: pd.DataFrame, value: str, name: str, rows: pd.DataFrame, baseline: str, most: int = 40
) -> list[Sheet]:
    labels = list(dict.fromkeys(rows["label"]))
    drawn = []
    for start in range(0, len(labels), most):
        part = rows[rows["label"].isin(labels[start : start + most])]
        page = f"{name}-part-{start // most + 1}" if len(labels) > most else name
        drawn.append(draw_rows(page, value, part, _about(frame, part, "line"), baseline))
    return drawn


def _has_speedups(rows: pd.DataFrame, baseline: str) -> bool:
    return bool(rows.loc[rows["algorithm"] != baseline, "speedup"].notna().any())


def _about(frame: pd.DataFrame, rows: pd.DataFrame, mark: str) -> str:
    """Threads, dtype and machine, and what the `mark` (band or line) around a value is."""
    environment = frame.attrs.get("environment") or {}
    counts = sorted(set(rows["threads"]))
    said = plural(counts[0], "thread") if len(counts) == 1 else ""
    dtypes = ", ".join(dict.fromkeys(rows["dtype"]))
    interval = f"{mark}: 95 % interval of the median" if mark else ""
    if mark and rows["blocks"].min() < ENOUGH:
        interval += f" (of fewer than {ENOUGH} samples their range)"
    return joined([said, dtypes, str(environment.get("cpu") or ""), interval])


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("²", "").replace("³", "")).strip("-")
