"""One HTML page for a run: it needs no other file and asks for nothing over the network.

Figures are inlined as images, so a name of an algorithm or problem stays text. All tables are
complete without JavaScript; with it, they can be sorted and filtered.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pandas as pd
from jinja2 import Environment
from markupsafe import Markup

from results.figures.style import SavedFigure
from results.tables.labels import (
    GROUP,
    STATUS_WORDS,
    bytes_text,
    error_text,
    in_order,
    lead_text,
    three_digits,
    time_text,
    times_text,
)
from results.tables.ratios import HEADINGS, direct_ratios, ratio_cells, ratio_sentences, ratios
from results.tables.summary import Row, reasons, summary, verdicts

#: Steps of colour between the fastest algorithm and one that takes `SLOWEST` times as long.
STEPS, SLOWEST = 5, 32.0
#: Width of an inlined figure in pixels, and its number of colours: about 90 kB a figure.
WIDTH, COLOURS = 1200, 48


@dataclass(frozen=True)
class Shade:
    """One cell of the table of ratios.

    `order` sorts the cell; `step` is its colour, 0 for the fastest; `glyph` repeats the colour
    for readers who do not see it.
    """

    text: str
    order: float
    step: int | None = None
    glyph: str = ""
    title: str = ""


def page_html(frame: pd.DataFrame, pictures: Sequence[SavedFigure], machine: dict[str, str]) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    frame : DataFrame
        The table of a run.
    pictures : sequence of SavedFigure
        Its figures; the PNG file of each is inlined.
    machine : dict of str
        Facts about the machine and the run, by name.
    """
    about = frame.attrs
    compared = [
        (heading, [ratio_cells(ratio) for ratio in found], ratio_sentences(found))
        for heading, found in (
            ("How do our algorithms compare with the fastest peers?", ratios(frame)),
            ("And among algorithms with a direct sum's accuracy?", direct_ratios(frame)),
        )
        if found
    ]
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        _part("report.html")
    )
    names = in_order(frame["algorithm"]) if len(frame) else []
    return template.render(
        title=about.get("title") or about.get("suite") or "A run of convbench",
        question=about.get("question"),
        sentences=verdicts(frame),
        figures=[(picture, _inlined(picture)) for picture in pictures],
        names=names,
        several=len(frame) > 0 and frame["threads"].nunique() > 1,
        shades=[(row, shades(row, names)) for row in summary(frame)] if len(frame) else [],
        cells=_cells(frame),
        headings=HEADINGS,
        compared=compared,
        reasons=reasons(frame) if len(frame) else [],
        machine=machine,
        style=Markup(_part("report.css")),
        script=Markup(_part("report.js")),
    )


def shades(row: Row, names: Sequence[str]) -> list[Shade]:
    """Return a cell for each of `names`: its time over the time of the fastest in `row`.

    >>> from results.tables.summary import Entry
    >>> entries = {"fft": Entry(2.0, 1.0, "ok"), "parallel": Entry(1.0, 2.0, "ok")}
    >>> [cell.text for cell in shades(Row("512²", 1, entries, "parallel"), ["fft", "parallel"])]
    ['2.00×', '1.00 s']
    """
    best = min((e.time_s for e in row.entries.values() if e.status == "ok"), default=math.nan)
    return [_shade(row, name, best) for name in names]


def _shade(row: Row, name: str, best: float) -> Shade:
    entry = row.entries.get(name)
    if entry is None:
        return Shade("", math.inf)
    if entry.status != "ok":
        return Shade(STATUS_WORDS[entry.status], math.inf)
    ratio = entry.time_s / best
    if name == row.winner:
        glyph, title = ("?", row.doubt) if row.rivals else ("★", "the fastest")
        return Shade(entry.text, ratio, 0, glyph, title)
    step = min(STEPS, 1 + int(STEPS * math.log(max(ratio, 1.0)) / math.log(SLOWEST)))
    title = f"{entry.text} a call"
    if name in row.rivals:
        return Shade(lead_text(ratio), ratio, step, "?", f"{title}; it may be the fastest")
    return Shade(lead_text(ratio), ratio, step, "▁▂▃▅▇"[step - 1], title)


def _cells(frame: pd.DataFrame) -> list[list[tuple[str, float | str]]]:
    """Return every cell of the run: text and sort key of each column of the last table."""
    found: list[list[tuple[str, float | str]]] = []
    for _, group in frame.groupby(list(GROUP), sort=False) if len(frame) else ():
        for _, cell in group.iterrows():
            timed = cell["time_s"] == cell["time_s"]
            between = f"{time_text(cell['time_low_s'])} – {time_text(cell['time_high_s'])}"
            words = STATUS_WORDS.get(str(cell["status"]), "")
            found.append(
                [
                    (str(cell["label"]), str(cell["label"])),
                    (str(cell["algorithm"]), str(cell["algorithm"])),
                    (str(cell["threads"]), float(cell["threads"])),
                    _figure(cell["time_s"], time_text) if timed else (words, math.inf),
                    (between if cell["time_low_s"] == cell["time_low_s"] else "", math.inf),
                    _figure(cell["speedup"], times_text),
                    _figure(cell["gflops"], three_digits),
                    _figure(cell["roofline_percent"], three_digits),
                    _figure(cell["relative_error"], error_text),
                    _figure(cell["peak_extra_bytes"], bytes_text),
                    _figure(cell["compile_s"], time_text),
                    _figure(cell["prepare_s"], time_text),
                    (str(cell["problem"]), str(cell["problem"])),
                ]
            )
    return found


def _figure(value: float, text: Callable[[float], str]) -> tuple[str, float | str]:
    """Return a number as text with its sort key; NaN is empty and sorts last."""
    if value is None or value != value:
        return "", math.inf
    return text(value), float(value)


def _inlined(picture: SavedFigure) -> str:
    """Return `picture` as a small data URL: `WIDTH` pixels wide, with `COLOURS` colours."""
    from PIL import Image

    file = next(Path(file) for file in picture.files if Path(file).suffix == ".png")
    data = io.BytesIO()
    with Image.open(file) as image:
        size = (WIDTH, round(image.height * WIDTH / image.width))
        small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    few = small.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
