"""The table of a run in a notebook: its main columns, the verdicts above them."""

from __future__ import annotations

from html import escape

import pandas as pd

from .labels import GROUP, STATUS_WORDS, VERDICT_SIGNS, lead_text, three_digits, time_text
from .summary import verdicts

#: Most rows that a notebook shows.
MOST_ROWS = 60


class RunTable(pd.DataFrame):
    """Table of a run that a notebook shows by its main columns.

    It is a DataFrame in all else. What is selected from it is a plain DataFrame.
    """

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def _repr_html_(self) -> str:
        return html_table(self)


def for_notebooks(frame: pd.DataFrame) -> RunTable:
    """Return the table of a run as a `RunTable`."""
    table = RunTable(frame)
    table.attrs.update(frame.attrs)
    return table


def html_table(frame: pd.DataFrame) -> str:
    """Return verdicts and main columns of `frame` as HTML, the fastest of a problem first."""
    about = frame.attrs
    head = [about.get("suite"), str(about.get("started") or "")[:16].replace("T", " "),
            (about.get("environment") or {}).get("cpu"), about.get("status")]  # fmt: skip
    title = " · ".join(escape(str(part)) for part in head if part)
    parts = [f"<p><b>{title}</b></p>"]
    parts.append(f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in verdicts(frame))}</ul>")
    names = ["input · kernel", "threads", "algorithm", "time", f"× {about.get('baseline')}",
             "lead", "GFLOP/s", "passes"]  # fmt: skip
    lines = ["".join(f"<th>{escape(name)}</th>" for name in names)]
    for _, group in frame.groupby(list(GROUP), sort=False):
        ranked = group.sort_values(["winner", "time_s"], ascending=[False, True], kind="stable")
        times = ranked["time_s"].dropna().tolist()
        lead = times[1] / times[0] if len(times) > 1 else float("nan")
        for number, (_, row) in enumerate(ranked.iterrows()):
            cells = _cells(row, lead if number == 0 else float("nan"))
            tag = "<td style='text-align: left'>{}</td>"
            lines.append("".join(tag.format(cell) for cell in cells))
    rest = len(lines) - 1 - MOST_ROWS
    rows = "".join(f"<tr>{line}</tr>" for line in lines[: MOST_ROWS + 1])
    parts.append(f"<table>{rows}</table>")
    more = f"{rest} more rows; " if rest > 0 else ""
    parts.append(
        f"<p>{more}{len(frame.columns)} columns; <code>frame.columns</code> names them, "
        f"<code>convbench list columns</code> explains them.</p>"
    )
    return "".join(parts)


def _cells(row: pd.Series, lead: float) -> list[str]:
    """Return the cells of a row as HTML; the winner is bold, and has a ? if undecided."""
    texts = [str(row["label"]), str(row["threads"]), str(row["algorithm"])]
    if row["status"] != "ok":
        return [*map(escape, texts), STATUS_WORDS[row["status"]], *[""] * 4]
    ratio = float(row["speedup"])
    texts += [
        time_text(float(row["time_s"])),
        "" if ratio != ratio else lead_text(ratio) + VERDICT_SIGNS.get(str(row["verdict"]), ""),
        "" if lead != lead else lead_text(lead),
        three_digits(float(row["gflops"])),
        str(row["passes"]),
    ]
    cells = [escape(text) for text in texts]
    if row["winner"]:
        cells[2] = f"<b>{cells[2]}</b>" + ("" if row["decided"] else " ?")
    return cells
