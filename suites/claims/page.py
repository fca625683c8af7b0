"""Page of claims in Markdown with its figures, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from results.records.files import write_whole
from suites.machine import clock, environment

from .checking import VERDICTS, Checked, tally
from .text import plain, text

FILE = "claims.md"
FIGURES = "figures"


def save_figures(checked: Checked, folder: Path) -> list[Path]:
    """Write the figures of a claim as PNG and SVG; return the PNG files."""
    from results.figures.style import rc_context

    with rc_context():
        return [sheet.save(folder / FIGURES).files[0] for sheet in checked.sheets]


def save_page(checked: Sequence[Checked], folder: Path) -> Path:
    """Write `claims.md` into `folder`; figures are linked, not written."""
    about = environment.environment()
    lines = [
        "# The textbook, measured", "",
        "What books, lectures and papers state about convolution, and what this machine finds. "
        "Stated values are citations; the others come from this run. Times and "
        "their intervals of 95 % are those of one process.",
        "",
        f"{about['cpu']}, {about['cores']} cores. NumPy {about['numpy']}, Numba {about['numba']}. "
        f"{clock.utc():%Y-%m-%d}.",
        "",
        tally(checked), "",
        "| Claim | Holds | Does not | Undecided |", "|---|---|---|---|",
        *(_counts(found) for found in checked), "",
    ]  # fmt: skip
    for found in checked:
        lines += _section(found)
    return write_whole(folder / FILE, "\n".join(lines) + "\n")


def _counts(found: Checked) -> str:
    """Return a line of the table of contents."""
    verdicts = [row.holds for row in found.rows]
    counts = [str(verdicts.count(v)) if v in verdicts else "" for v in (True, False, None)]
    cells = ["not checked", "", ""] if found.unchecked else counts
    return f"| [{found.claim.name}](#{found.claim.name}) | {' | '.join(cells)} |"


def _section(found: Checked) -> list[str]:
    name = found.claim.name
    lines = [f'<a id="{name}"></a>', "", f"## {found.claim.title}", ""]
    lines += [f"`{name}` · {found.claim.source}", ""]
    if found.unchecked:
        return [*lines, f"Not checked: {found.unchecked}", ""]
    lines += ["| Statement | Stated | Found | |", "|---|---|---|---|"]
    for row in found.rows:
        cells = (row.statement, text(row.stated), text(row.found), VERDICTS[row.holds])
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines.append("")
    for sheet in found.sheets:
        lines += [f"![{sheet.question}]({FIGURES}/{sheet.name}.png)", ""]
    return lines + [f"- {sentence}" for sentence in found.working] + [""] * bool(found.working)


def save_json(checked: Sequence[Checked], file: Path) -> Path:
    """Write all rows with numbers as numbers, for programs."""
    found: dict[str, Any] = {
        "environment": environment.environment(),
        "time": clock.utc().isoformat(timespec="seconds"),
        "claims": [_fields(one) for one in checked],
    }
    return write_whole(file, json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def _fields(found: Checked) -> dict[str, Any]:
    return {
        "name": found.claim.name,
        "title": found.claim.title,
        "source": found.claim.source,
        "seconds": round(found.seconds, 3),
        "unchecked": found.unchecked,
        "working": list(found.working),
        "rows": [
            {
                "statement": row.statement,
                "stated": plain(row.stated),
                "found": plain(row.found),
                "holds": row.holds,
            }
            for row in found.rows
        ],
    }
