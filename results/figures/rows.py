"""Dot plots with a row per problem and a mark per algorithm, for problems outside sweeps."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from results.tables.labels import (
    in_order,
    lead_text,
    plural,
    shortened,
    three_digits,
    time_text,
    times_text,
)

from .lines import short
from .looks import look
from .scales import arrowheads, leaving, limits, log_ticks
from .style import GREY, INK, Sheet, joined, new_sheet, tint

_COLUMNS = {
    "time": ("time_s", "time_low_s", "time_high_s"),
    "each": ("time_s", "time_low_s", "time_high_s"),
    "speedup": ("speedup", "speedup_low", "speedup_high"),
    "gflops": ("gflops", "gflops_low", "gflops_high"),
    "roofline": ("roofline_percent", "roofline_low", "roofline_high"),
    "bandwidth": ("roofline_percent", "roofline_low", "roofline_high"),
    "peer": ("ratio", "ratio_low", "ratio_high"),
}
_QUESTIONS = {
    "time": "How long does each problem take?",
    "each": "How long does each algorithm take?",
    "speedup": "How many times as fast as {baseline} is each algorithm?",
    "gflops": "How much work does each algorithm do per second?",
    "roofline": "How near does each algorithm come to the machine's limit?",
    "bandwidth": "How near does each algorithm come to the machine's bandwidth?",
    "peer": "How many times as fast as the best of other people's is our best?",
}
_SCALES = {
    "time": "time per call",
    "each": "time per call",
    "speedup": "times as fast as {baseline}",
    "gflops": "effective GFLOP/s",
    "roofline": "share of the roofline",
    "bandwidth": "share of the bandwidth",
    "peer": "their time / ours",
}


def _percent_text(value: float) -> str:
    """Return a percentage like ``2.63 %`` or ``84.6 %``."""
    return f"{three_digits(value)} %"


_TEXTS: dict[str, Callable[[float], str]] = {
    "time": time_text, "each": time_text, "speedup": times_text, "roofline": _percent_text,
    "bandwidth": _percent_text, "peer": lead_text,
}  # fmt: skip
#: Position of the reference line: as fast as the baseline or peer, or 100 % of the limit.
_REFERENCES = {"speedup": 1.0, "peer": 1.0, "roofline": 100.0, "bandwidth": 100.0}
#: Heights in inches: a row, a row of a single problem, a line of a multi-line label.
_ROW, _ROW_OF_EACH, _LINE = 0.33, 0.42, 0.16


def draw_rows(
    name: str,
    value: str,
    rows: pd.DataFrame,
    about: str,
    baseline: str,
    peaks: Mapping[tuple[str, int], float] | None = None,
) -> Sheet:
    """Draw one panel per thread count, problems from top to bottom, the fastest of each named.

    The names stand right of the panel, where no mark or line crosses them. `name` is the name of
    the file without its ending; `about` and `baseline` are as in `lines.draw_lines`.

    Parameters
    ----------
    value : {"time", "speedup", "gflops", "roofline", "bandwidth", "each", "peer"}
        ``"each"`` is for a single problem: its rows are the algorithms, the fastest on top.
        ``"peer"`` is for the rows of `ratios.with_ratios`.
    rows : DataFrame
        Timed cells, with the intervals to draw.
    peaks : mapping, optional
        For ``"gflops"``: the machine's peak in GFLOP/s, by dtype and thread count.
    """
    scale = rows["gflops"] * rows["time_s"]
    rows = rows.assign(
        gflops_low=scale / rows["time_high_s"],
        gflops_high=scale / rows["time_low_s"],
        roofline_low=100 * rows["attainable_s"] / rows["time_high_s"],
        roofline_high=100 * rows["attainable_s"] / rows["time_low_s"],
    )
    middle = _COLUMNS[value][0]
    if value == "speedup":
        rows = rows[rows["algorithm"] != baseline]
    rows = rows[rows[middle].notna()]
    single = value == "each"
    names = in_order(rows["algorithm"])
    if single:
        best = rows.groupby("algorithm")["time_s"].min()
        entries = [str(algorithm) for algorithm in best.sort_values().index]
        about = f"{shortened(str(rows['label'].iloc[0]))} · {about}"
    else:
        entries = list(dict.fromkeys(rows["label"]))
    shown = set(zip(rows["dtype"], rows["threads"], strict=True))
    peaks = {key: rate for key, rate in (peaks or {}).items() if key in shown}
    ends = _ends(rows, value, peaks)
    about += _notes(rows, value, ends)
    threads = sorted(set(rows["threads"]))
    wrapped = [_wrapped(entry) for entry in entries]
    tallest = _LINE * max(label.count("\n") + 1 for label in wrapped)
    sheet = new_sheet(
        name,
        _QUESTIONS[value].format(baseline=baseline),
        about,
        panels=len(threads),
        columns=min(len(threads), 2),
        panel_height=max(_ROW_OF_EACH if single else _ROW, tallest) * len(entries) + 0.75,
        legend=[] if single else names,
        sharex=True,
        sharey=True,
    )
    place = {entry: at for at, entry in enumerate(entries)}
    _x_axis(sheet.axes, value, ends)
    for at, (axes, count) in enumerate(zip(sheet.axes, threads, strict=True)):
        mine = rows[rows["threads"] == count]
        here = {dtype: rate for (dtype, n), rate in peaks.items() if n == count}
        for rate in here.values():
            axes.axvline(rate, color=GREY, lw=1, zorder=1.5)
        axes.set_title(_title(plural(count, "thread") if len(threads) > 1 else "", here))
        _marks(axes, mine, value, mine["algorithm" if single else "label"].map(place))
        if single:
            _texts_of_each(axes, mine, place, baseline)
        else:
            _winners(axes, mine, value, place)
        axes.set_xlabel(_SCALES[value].format(baseline=baseline))
        axes.tick_params(labelbottom=True, labelleft=at % 2 == 0, length=0, axis="y")
    axes = sheet.axes[0]
    axes.set_ylim(len(entries) - 0.45, -0.55)
    axes.set_yticks(np.arange(len(entries)), wrapped, color=INK)
    return sheet


def _title(threads: str, peaks: Mapping[str, float]) -> str:
    """Return the title of a panel: its thread count, and its peaks by dtype."""
    said = [three_digits(rate) for rate in peaks.values()]
    if len(said) > 1:
        said = [f"{text} {dtype}" for text, dtype in zip(said, peaks, strict=True)]
    return joined([threads, f"line: peak {', '.join(said)}" if said else ""])


def _notes(rows: pd.DataFrame, value: str, ends: tuple[float, float]) -> str:
    """Return remarks on the marks of this figure for the line under the heading."""
    _, low, high = _COLUMNS[value]
    said = ""
    if leaving(ends, rows[low], rows[high]):
        said += " · arrowhead: the interval goes on"
    if value not in ("each", "peer") and bool((rows["winner"] & ~rows["decided"]).any()):
        said += " · (?): not decided"
    if value in ("gflops", "roofline"):
        said += " · counts the direct algorithm's operations, so it may pass the machine's peak"
    return said


def _marks(axes: Axes, rows: pd.DataFrame, value: str, places: pd.Series) -> None:
    middle, low, high = _COLUMNS[value]
    for name in in_order(rows["algorithm"]):
        mine = rows["algorithm"] == name
        style = look(name)
        spans = rows[mine & rows[low].notna() & rows[high].notna()]
        there = places[spans.index]
        axes.hlines(there, spans[low], spans[high], color=style.colour, lw=2.2, alpha=0.55,
                    zorder=2.5)  # fmt: skip
        arrowheads(axes, there, spans[low], spans[high], style.colour, along="x")
        axes.plot(
            rows.loc[mine, middle], places[mine], ls="", marker=style.marker, color=style.colour,
            ms=6.5, mec="white", mew=0.7, zorder=3,
        )  # fmt: skip


def _beside(axes: Axes, at: int, text: str, size: float) -> None:
    """Write `text` right of the panel, at the height of row `at`."""
    axes.annotate(
        text, (1, at), xycoords=("axes fraction", "data"), xytext=(6, 0),
        textcoords="offset points", va="center", size=size, color=INK,
    )  # fmt: skip


def _winners(axes: Axes, rows: pd.DataFrame, value: str, place: dict[str, int]) -> None:
    """Name the fastest of each row; for GFLOP/s, draw a bar up to it."""
    middle = _COLUMNS[value][0]
    text = _TEXTS.get(value, three_digits)
    for label, group in rows.groupby("label", sort=False):
        best = group.sort_values(["winner", "time_s"], ascending=[False, True]).iloc[0]
        name, at = str(best["algorithm"]), place[str(label)]
        if value == "gflops":
            axes.barh(at, best[middle], height=0.62, color=tint(look(name).colour, 0.22), zorder=1)
        said = text(float(best[middle]))
        if value == "peer":
            said = f"{said} {best['peer']}"
        else:
            doubt = "" if best["decided"] or not best["winner"] else " (?)"
            said = f"{name} {said}{doubt}"
        _beside(axes, at, said, 7.8)


def _texts_of_each(axes: Axes, rows: pd.DataFrame, place: dict[str, int], baseline: str) -> None:
    for _, row in rows.iterrows():
        text = time_text(float(row["time_s"]))
        if row["algorithm"] != baseline and not np.isnan(row["speedup"]):
            text += f", {times_text(float(row['speedup']))} as fast as {baseline}"
        _beside(axes, place[row["algorithm"]], text, 8.5)


def _ends(
    rows: pd.DataFrame, value: str, peaks: Mapping[tuple[str, int], float]
) -> tuple[float, float]:
    """Return the ends of the scale, with room for marks and reference lines."""
    middle, low, high = _COLUMNS[value]
    if value == "gflops":
        most = max(float(rows[middle].max()), *peaks.values(), 1e-9)
        reach = float(rows[high].max())
        return 0.0, 1.04 * max(most, min(reach, 1.15 * most) if reach == reach else 0.0)
    marks = [*rows[middle]]
    if value in _REFERENCES:
        marks.append(_REFERENCES[value])
    return limits(marks, rows[low], rows[high])


def _x_axis(all_axes: list[Axes], value: str, ends: tuple[float, float]) -> None:
    """Set few, round ticks, and draw the reference line."""
    if value == "gflops":
        all_axes[0].set_xlim(ends)
        return
    text, most = _TEXTS[value], 7 if len(all_axes) == 1 else 4
    for axes in all_axes:
        axes.set(xscale="log", xlim=ends)
        log_ticks(axes.xaxis, *ends, lambda at: short(text(at)), most=most)
        if value in _REFERENCES:
            axes.axvline(_REFERENCES[value], color=GREY, lw=1, zorder=1.5)


def _wrapped(label: str) -> str:
    label = shortened(label)
    return "\n".join(textwrap.wrap(label, 30)) if len(label) > 34 else label
