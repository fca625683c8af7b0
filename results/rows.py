"""One row per problem, one mark per algorithm: layers of networks, and what is no sweep."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from .labels import in_order, lead_text, plural, three_digits, time_text, times_text
from .lines import short
from .style import GREY, INK, Sheet, halo, look, new_sheet, tint

_COLUMNS = {
    "time": ("time_s", "time_low_s", "time_high_s"),
    "each": ("time_s", "time_low_s", "time_high_s"),
    "speedup": ("speedup", "speedup_low", "speedup_high"),
    "gflops": ("gflops", "gflops_low", "gflops_high"),
    "roofline": ("roofline_percent", "roofline_low", "roofline_high"),
    "peer": ("ratio", "ratio_low", "ratio_high"),
}
_QUESTIONS = {
    "time": "How long does each problem take?",
    "each": "How long does each algorithm take?",
    "speedup": "How many times as fast as {baseline} is each algorithm?",
    "gflops": "How much work does each algorithm get done per second?",
    "roofline": "How much of what the machine could do does each algorithm do?",
    "peer": "How many times as fast as the best of other people's is our best?",
}
_SCALES = {
    "time": "time per call",
    "each": "time per call",
    "speedup": "times as fast as {baseline}",
    "gflops": "effective GFLOP/s",
    "roofline": "share of the roofline",
    "peer": "their time / ours",
}


def _percent_text(value: float) -> str:
    """``2.63 %``, ``84.6 %``."""
    return f"{three_digits(value)} %"


_TEXTS: dict[str, Callable[[float], str]] = {
    "time": time_text, "each": time_text, "speedup": times_text, "roofline": _percent_text,
    "peer": lead_text,
}  # fmt: skip


def draw_rows(name: str, value: str, rows: pd.DataFrame, about: str, baseline: str) -> Sheet:
    """One panel per thread count; problems from top to bottom, the fastest of each named.

    Parameters
    ----------
    name : str
        File name without its ending.
    value : {"time", "speedup", "gflops", "roofline", "each", "peer"}
        ``"each"`` is for a single problem: its rows are the algorithms, fastest on top;
        ``"peer"`` for what `ratios.with_ratios` gives.
    rows : DataFrame
        Cells that were timed.
    about, baseline : str
        As in `lines.draw_lines`.
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
        about = f"{rows['label'].iloc[0]} · {about}"
    else:
        entries = list(dict.fromkeys(rows["label"]))
    if value not in ("each", "peer") and bool((rows["winner"] & ~rows["decided"]).any()):
        about += " · (?): not decided"
    if value in ("gflops", "roofline"):
        about += " · counts the direct algorithm's operations, so it may pass the machine's peak"
    threads = sorted(set(rows["threads"]))
    height = (0.42 if single else 0.33) * len(entries) + 0.75
    sheet = new_sheet(
        name,
        _QUESTIONS[value].format(baseline=baseline),
        about,
        panels=len(threads),
        columns=min(len(threads), 2),
        panel_height=height,
        legend=[] if single else names,
        sharex=True,
        sharey=True,
    )
    place = {entry: at for at, entry in enumerate(entries)}
    for at, (axes, count) in enumerate(zip(sheet.axes, threads, strict=True)):
        mine = rows[rows["threads"] == count]
        if len(threads) > 1:
            axes.set_title(plural(count, "thread"))
        if single:
            _marks(axes, mine, value, mine["algorithm"].map(place))
            _texts_of_each(axes, mine, place, baseline)
        else:
            _marks(axes, mine, value, mine["label"].map(place))
            _winners(axes, mine, value, place)
        axes.set_xlabel(_SCALES[value].format(baseline=baseline))
        axes.tick_params(labelbottom=True, labelleft=at % 2 == 0, length=0, axis="y")
    axes = sheet.axes[0]
    axes.set_ylim(len(entries) - 0.45, -0.55)
    axes.set_yticks(np.arange(len(entries)), [_wrapped(entry) for entry in entries], color=INK)
    _x_axis(sheet.axes, rows, value, 0.34 / min(len(threads), 2) ** -0.5 if single else 0.2)
    return sheet


def _marks(axes: Axes, rows: pd.DataFrame, value: str, places: pd.Series) -> None:
    middle, low, high = _COLUMNS[value]
    for name in in_order(rows["algorithm"]):
        mine = rows["algorithm"] == name
        style = look(name)
        spans = rows[mine]
        axes.hlines(
            places[mine], spans[low], spans[high],
            color=style.colour, lw=2.2, alpha=0.55, zorder=2.5,
        )  # fmt: skip
        axes.plot(
            spans[middle], places[mine], ls="", marker=style.marker, color=style.colour,
            ms=6.5, mec="white", mew=0.7, zorder=3,
        )  # fmt: skip


def _winners(axes: Axes, rows: pd.DataFrame, value: str, place: dict[str, int]) -> None:
    """Name the fastest of each row; for GFLOP/s with a bar that ends at it."""
    middle, low, high = _COLUMNS[value]
    text = _TEXTS.get(value, three_digits)
    for label, group in rows.groupby("label", sort=False):
        best = group.sort_values(["winner", "time_s"], ascending=[False, True]).iloc[0]
        name, at = str(best["algorithm"]), place[str(label)]
        if value == "gflops":
            axes.barh(at, best[middle], height=0.62, color=tint(look(name).colour, 0.22), zorder=1)
        side = -1 if value == "time" else 1
        said = text(float(best[middle]))
        if value == "peer":
            said = f"{said} {best['peer']}"
        else:
            doubt = "" if best["decided"] or not best["winner"] else " (?)"
            said = f"{name} {said}{doubt}"
        axes.annotate(
            said,
            (best[low if side < 0 else high], at),
            xytext=(8 * side, 0),
            textcoords="offset points",
            ha="right" if side < 0 else "left",
            va="center",
            size=7.8,
            color=INK,
            path_effects=halo(),
            zorder=4,
        )


def _texts_of_each(axes: Axes, rows: pd.DataFrame, place: dict[str, int], baseline: str) -> None:
    for _, row in rows.iterrows():
        text = time_text(float(row["time_s"]))
        if row["algorithm"] != baseline and not np.isnan(row["speedup"]):
            text += f", {times_text(float(row['speedup']))} as fast as {baseline}"
        axes.annotate(
            text, (row["time_high_s"], place[row["algorithm"]]), xytext=(9, 0),
            textcoords="offset points", va="center", size=8.5, path_effects=halo(), zorder=4,
        )  # fmt: skip


def _x_axis(all_axes: list[Axes], rows: pd.DataFrame, value: str, margin: float) -> None:
    """Limits with room for the text beside the marks, and few, exact ticks."""
    _, low, high = _COLUMNS[value]
    least, most = float(rows[low].min()), float(rows[high].max())
    room = margin * len(all_axes[:2])
    if value == "gflops":
        all_axes[0].set_xlim(0, most * (1 + 0.9 * room))
        return
    decades = max(np.log10(most / least), 0.3)
    left = least / 10 ** (decades * (room * 1.3 if value == "time" else 0.06))
    right = most * 10 ** (decades * (0.06 if value == "time" else room * 1.3))
    if value in ("speedup", "peer"):
        left = min(left, 0.9)
    if value == "roofline":
        right = max(right, 110)
    text = _TEXTS[value]
    shown = np.log10(right / left)
    subs = (1.0,) if shown > 2 else (1.0, 3.0) if shown > 1.2 else (1.0, 2.0, 5.0)
    for axes in all_axes:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=7))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: short(text(at))))
        if value in ("speedup", "roofline", "peer"):
            axes.axvline(100 if value == "roofline" else 1, color=GREY, lw=1, zorder=1.5)
    all_axes[0].set_xlim(left, right)


def _wrapped(label: str) -> str:
    return "\n".join(textwrap.wrap(label, 30, break_long_words=False)) if len(label) > 34 else label
