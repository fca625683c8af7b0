"""Page of a history: one HTML file with sentences, figure and table for every machine."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from results.figures.history import draw_history
from results.figures.style import rc_context
from results.tables.history import SLOWER, History
from results.tables.history_rows import HEADINGS, name, rows, sentences

_FOLDER = Path(__file__).parent


def history_page(found: Sequence[History]) -> str:
    """Return the page of one suite's histories, that of the newest run first."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    style = "\n".join((_FOLDER / f"{part}.css").read_text("utf-8") for part in ("page", "parts"))
    return environment.get_template("history.html").render(
        suite=found[0].suite,
        style=style,
        headings=HEADINGS,
        slower=SLOWER,
        machines=[
            {
                "name": history.machine,
                "sentences": sentences(history),
                "rows": rows(history),
                "figure": figure_url(history) if has_figure(history) else "",
                "runs": [(name(run), str(run.started or "")[:16].replace("T", " "))
                         for run in history.runs],
            }
            for history in found
        ],
    )  # fmt: skip


def has_figure(history: History) -> bool:
    """Return True if there are runs to compare."""
    return len(history.runs) > 1 and bool(history.series)


def figure_bytes(history: History, ending: str) -> bytes:
    """Return the figure of a history as ``png`` or ``svg``."""
    content = io.BytesIO()
    with rc_context():
        figure = draw_history(history).figure
        about = {"Date": None} if ending == "svg" else {"Software": None}
        figure.savefig(content, format=ending, facecolor="white", metadata=about)
    return content.getvalue()


def figure_url(history: History) -> str:
    """Return the figure as a URL that holds all of its data."""
    code = base64.b64encode(figure_bytes(history, "png")).decode()
    return f"data:image/png;base64,{code}"
