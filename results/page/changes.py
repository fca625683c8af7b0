"""Page of a comparison of runs: one file without scripts that needs no network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from results.tables.changes_text import interval_text, opening, value_text, verdict_text
from results.tables.comparison import Comparison
from results.tables.labels import percent

_FOLDER = Path(__file__).parent
#: Width of the drawing of a change, and the margin at each end, in pixels.
WIDTH, MARGIN = 180, 8
#: Least and largest change in percent at the ends of the drawings.
LEAST_SCALE, LARGEST_SCALE = 5.0, 100.0


def changes_page(found: Comparison) -> str:
    """Return the page of a comparison as text."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    scale = _scale(found)
    rows = [_row(row, found.baseline, scale) for row in found.rows.to_dict("records")]
    return environment.get_template("changes.html").render(
        names=found.names,
        headline=found.headline,
        sections=[part for part in opening(found) if part[1]],
        rows=rows,
        several=len(found.names) > 2,
        scale=f"{scale:g} %",
        width=WIDTH,
        unmatched=found.unmatched,
        style="\n".join((_FOLDER / f"{name}.css").read_text("utf-8") for name in ("page", "parts")),
    )


def _scale(found: Comparison) -> float:
    """Return the percentage at the ends of the drawings: nine of ten changes lie within."""
    sizes = found.rows["change"].map(lambda ratio: 100 * abs(math.log(ratio))).sort_values()
    common = float(sizes.quantile(0.9)) if len(sizes) else 0.0
    return float(math.ceil(min(max(1.5 * common, LEAST_SCALE), LARGEST_SCALE)))


def _row(row: Any, baseline: str, scale: float) -> dict[str, Any]:
    return {
        **row,
        "before": value_text(row["before"], baseline),
        "after": value_text(row["after"], baseline),
        "change": percent(row["change"]),
        "between": interval_text(row),
        "said": verdict_text(row),
        "at": _place(row["change"], scale),
        "from_": _place(row["low"], scale),
        "to": _place(row["high"], scale),
    }


def _place(ratio: float, scale: float) -> float | None:
    """Return the place of a change in its drawing in pixels; None if it is not known."""
    if math.isnan(ratio):
        return None
    share = math.log(ratio) * 100 / scale if 0 < ratio < math.inf else math.copysign(1, ratio - 1)
    middle = WIDTH / 2
    return round(middle + (middle - MARGIN) * min(max(share, -1.0), 1.0), 1)
