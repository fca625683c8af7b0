"""Style of all figures: colours, markers, headings, and saving.

Figures are 800 px wide for a README, at twice that resolution.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from results.records.files import write_whole

from .looks import look

WIDTH = 8.0
DENSITY = 200
INK, GREY, FAINT = "#222222", "#666666", "#d9d9d9"

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": GREY,
    "axes.edgecolor": "#999999",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "text.color": INK,
    "text.parse_math": False,  # a name may contain a dollar sign
    "hatch.linewidth": 1.1,
    "svg.hashsalt": "convbench",  # makes files reproducible
    "svg.fonttype": "path",
}


def tint(colour: str, strength: float) -> tuple[float, float, float]:
    """Mix `colour` with white; `strength` 1 is the colour itself, 0 is white."""
    red, green, blue = (1 - strength * (1 - part) for part in to_rgb(colour))
    return red, green, blue


def halo(width: float = 2.5) -> list[Any]:
    """Return the effect of a white rim that keeps text readable over lines."""
    return [withStroke(linewidth=width, foreground="white")]


class NotebookFigure(Figure):
    """Figure that a notebook shows as it is, without pyplot."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the figure as PNG, and the width to show it with, in pixels."""
        content = io.BytesIO()
        with rc_context():
            self.savefig(content, format="png", facecolor="white")
        return content.getvalue(), {"width": round(100 * WIDTH)}


@dataclass(frozen=True)
class SavedFigure:
    """A saved figure: the question it answers, a sentence about it, and its files."""

    name: str
    question: str
    detail: str
    files: tuple[Path, ...]


@dataclass
class Sheet:
    """A figure with room for its heading; `save` puts the heading in and writes the files."""

    name: str
    question: str
    detail: str
    figure: Figure
    axes: list[Axes]
    legend: tuple[str, ...] = ()

    def save(self, folder: Path) -> SavedFigure:
        """Write ``<name>.png`` and ``<name>.svg`` into `folder`."""
        files = (folder / f"{self.name}.png", folder / f"{self.name}.svg")
        self.settle()
        for file in files:
            metadata: Any = {"Date": None} if file.suffix == ".svg" else {"Software": None}
            content = io.BytesIO()
            self.figure.savefig(
                content, format=file.suffix[1:], facecolor="white", metadata=metadata
            )
            write_whole(file, content.getvalue())
        return SavedFigure(self.name, self.question, self.detail, files)

    def settle(self) -> None:
        """Compute the layout once, and keep it: computing it draws the whole figure."""
        if self.figure.get_layout_engine() is not None:
            self.figure.draw_without_rendering()
            self.figure.set_layout_engine("none")


def new_sheet(
    name: str,
    question: str,
    detail: str,
    *,
    panels: int = 1,
    columns: int = 1,
    panel_height: float = 2.6,
    legend: Sequence[str] = (),
    **subplots: Any,
) -> Sheet:
    """Return an empty sheet of `panels` panels in `columns` columns under its heading.

    `legend` names the algorithms to explain under the heading, outside every panel.
    """
    rows = -(-panels // columns)
    title = textwrap.wrap(question, 68)
    small = textwrap.wrap(detail, 126)
    heights = [0.12, 0.23 * len(title), 0.05 + 0.165 * len(small), 0.27 if legend else 0.0]
    head = sum(heights) + 0.08
    height = head + rows * panel_height
    figure = NotebookFigure(figsize=(WIDTH, height), dpi=DENSITY, layout="constrained")
    engine: Any = figure.get_layout_engine()
    engine.set(rect=(0.005, 0.005, 0.985, 1 - head / height - 0.005), w_pad=0.06, h_pad=0.06)
    top = 1 - heights[0] / height
    figure.text(0.012, top, "\n".join(title), size=13, weight="bold", va="top", linespacing=1.15)
    top -= (heights[1] + 0.04) / height
    figure.text(0.012, top, "\n".join(small), size=8.5, color=GREY, va="top", linespacing=1.3)
    if legend:
        top -= heights[2] / height
        _legend(figure, legend, top)
    grid = figure.subplots(rows, columns, squeeze=False, **subplots)
    axes = list(grid.flat)
    for unused in axes[panels:]:
        unused.remove()
    return Sheet(name, question, detail, figure, axes[:panels], tuple(legend))


def _legend(figure: Figure, algorithms: Sequence[str], top: float) -> None:
    handles = [
        Line2D([], [], ls="", marker=look(name).marker, color=look(name).colour, ms=6.5, label=name)
        for name in algorithms
    ]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.0, top),
        ncols=min(len(handles), 9),
        frameon=False,
        fontsize=9,
        handletextpad=0.1,
        columnspacing=1.3,
        borderaxespad=0.2,
    ).set_in_layout(False)


def spread_out(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return positions from `low` to `high`, at least `gap` apart, closest to `wanted`.

    The method is least squares, by pooling adjacent violators on positions minus gaps.

    >>> spread_out([1.0, 1.0, 5.0], 1.0, 0.0, 10.0)
    [0.5, 1.5, 5.0]
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    blocks: list[tuple[float, int]] = []
    for place, index in enumerate(order):
        mean, count = wanted[index] - place * gap, 1
        while blocks and blocks[-1][0] > mean:
            before, size = blocks.pop()
            mean, count = (before * size + mean * count) / (size + count), size + count
        blocks.append((mean, count))
    bases = [mean for mean, count in blocks for _ in range(count)]
    top = high - (len(wanted) - 1) * gap
    placed = [0.0] * len(wanted)
    for place, index in enumerate(order):
        placed[index] = max(min(bases[place], top), low) + place * gap
    return placed


def rc_context() -> Any:
    """Return a context in which new figures have this style."""
    rc: Any = dict(mpl.rcParamsDefault)
    rc.update(RC)
    rc.pop("backend", None)
    return mpl.rc_context(rc)


def joined(parts: Iterable[str]) -> str:
    """Join the non-empty `parts`, like ``a · b · c``."""
    return " · ".join(part for part in parts if part)
