"""Report page of a run: template, style, scripts and data joined into one file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from results.records.files import write_whole
from results.tables.about import about_rows
from results.tables.network import sentences as network_sentences
from results.tables.network import sums_sentence, whole_network
from results.tables.summary import verdicts
from results.tables.table import folded_reasons
from results.verdicts.audit import AUDITS, last_audit

from .badges import badges
from .grid import grid
from .model import page_model
from .pictures import pictures
from .views import VIEWS

FILE = "report.html"
_FOLDER = Path(__file__).parent
#: Scripts in the order in which they are joined.
_SCRIPTS = ("data", "theme", "plots", "standings", "curves", "costs", "grid", "detail", "app")


def write_page(frame: pd.DataFrame, folder: Path) -> Path:
    """Write ``report.html`` for the table of a run into `folder`, and return its path.

    Raises
    ------
    ConvbenchError
        If the file cannot be written.
    """
    return write_whole(folder / FILE, page_text(frame, folder))


def page_text(frame: pd.DataFrame, folder: Path) -> str:
    """Return the page for the table of a run; `folder` is that of the run, for its pictures."""
    about = frame.attrs
    model = page_model(frame)
    audit = last_audit(folder.parent / AUDITS, about.get("environment") or {})
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html").render(
        title=str(about.get("title") or about.get("suite") or "A run of convbench"),
        question=str(about.get("question") or "Which algorithm should I use?"),
        started=str(about.get("started") or "")[:10],
        verdict=model["verdicts"]["|"],
        sentences=[
            *verdicts(frame),
            *(
                text
                for whole in whole_network(frame)
                for text in (sums_sentence(whole), *network_sentences(whole))
            ),
        ],
        badges=badges(frame, audit),
        views=VIEWS,
        grid=grid(model, model["order"]),
        reasons=folded_reasons(frame),
        about=about_rows(about),
        pictures=pictures(folder),
        style=_joined("css", ("page", "parts")),
        script=_joined("js", _SCRIPTS),
        plotly=get_plotlyjs(),
        data=_as_json(model),
    )


def _joined(ending: str, names: Iterable[str]) -> str:
    return "\n".join((_FOLDER / f"{name}.{ending}").read_text("utf-8") for name in names)


def _as_json(value: Any) -> str:
    """Return `value` as JSON without characters that could end the element it stands in."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
