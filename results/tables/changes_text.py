"""A comparison of runs as text: for the terminal, as Markdown for GitHub, and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from results.records.records import plain
from results.verdicts.decide import UNDECIDED

from .comparison import ORDER, Comparison
from .labels import listed, percent, plural, time_text, times_text

#: Bytes that GitHub takes for a comment or the body of an issue are 65 536. The summary of a job
#: may be longer.
MOST_BYTES = 65_000
#: Colour of each verdict in a terminal.
_COLOURS = {"slower": "bold red", "faster": "bold green", "undecided": "yellow"}
#: Undecided cells that a terminal shows.
_MOST_OPEN = 8
_HEADINGS = ("problem", "threads", "algorithm", "before", "after", "change", "95 % interval", "")


def value_text(value: float, baseline: str) -> str:
    """Return seconds, or a time over the baseline's."""
    return times_text(value) if baseline else time_text(value)


def interval_text(row: Any) -> str:
    """Return the interval of a change in percent."""
    if math.isnan(row["low"]) or math.isinf(row["high"]):
        return "–"
    return f"{percent(row['low'])} … {percent(row['high'])}"


def verdict_text(row: Any) -> str:
    """Return the verdict of a row, with the doubt where there is one."""
    return f"{row['verdict']}: {row['doubt']}" if row["doubt"] else str(row["verdict"])


def cells(row: Any, baseline: str) -> list[str]:
    """Return the cells of a row under the headings."""
    return [
        row["label"], str(row["threads"]), row["algorithm"], value_text(row["before"], baseline),
        value_text(row["after"], baseline), percent(row["change"]), interval_text(row),
        verdict_text(row),
    ]  # fmt: skip


def opening(found: Comparison) -> list[tuple[str, list[str]]]:
    """Return headings and sentences that come ahead of the rows, differences first."""
    parts = [
        (
            f"In {run}, other than in {found.names[0]}",
            [f"{kind}: {clause}" for kind, clauses in named.items() for clause in clauses]
            or ["nothing that is recorded"],
        )
        for run, named in found.differences.items()
    ]
    return [*parts, ("How it stands", [*standing(found)]), ("Note", [*found.notes])]


def standing(found: Comparison) -> Iterator[str]:
    """Yield sentences: the mean of every run, the verdicts counted, and the false alarms."""
    of = f"times relative to {found.baseline}" if found.baseline else "times"
    for run in found.names[1:]:
        count = int((found.rows["run"] == run).sum())
        yield (
            f"Geometric mean over {plural(count, 'matched cell')}: {of} in {run} "
            f"{percent(found.mean(run))} against {found.names[0]}."
        )
    yield f"{found.headline}."
    if doubts := found.doubts:
        yield "Undecided: " + listed([f"{count} {doubt}" for doubt, count in doubts]) + "."
    if found.broken:
        yield f"{plural(found.broken, 'cell')} worked before and failed after."
    yield found.false_alarms


def show(found: Comparison, console: Console) -> None:
    """Print the comparison: the number of cells that stayed, and the largest undecided changes."""
    console.print(Text(" → ".join(found.names), style="bold"), soft_wrap=True)
    for heading, sentences in opening(found):
        if sentences:
            console.print(Text(f"\n{heading}", style="bold"))
            for sentence in sentences:
                console.print(Text(f"• {sentence}"), soft_wrap=True)
    for run in found.names[1:]:
        moved = found.rows[(found.rows["run"] == run) & (found.rows["verdict"] != "equivalent")]
        open_ = moved[moved["verdict"] == UNDECIDED].index[_MOST_OPEN:]
        if len(moved):
            console.print("", _table(moved.drop(open_), found), soft_wrap=False)
        if len(open_):
            console.print(
                f"{plural(len(open_), 'more cell')} undecided, with smaller changes; "
                f"--format md and html list them", style="dim",
            )  # fmt: skip
    if found.unmatched:
        console.print(Text("\nNot compared", style="bold"))
        for sentence in found.unmatched:
            console.print(Text(f"• {sentence}", style="dim"), soft_wrap=True)


def _table(rows: pd.DataFrame, found: Comparison) -> Table:
    several = len(found.names) > 2
    title = str(rows["run"].iloc[0]) if several else None
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold", title=title,
        title_justify="left",
    )  # fmt: skip
    shown = [*range(len(_HEADINGS))]
    if set(rows["threads"]) == {1}:
        shown.remove(_HEADINGS.index("threads"))
    if (~np.isfinite(rows[["low", "high"]])).any(axis=1).all():
        shown.remove(_HEADINGS.index("95 % interval"))
    for number in shown:
        heading = _HEADINGS[number]
        left = heading in ("problem", "algorithm", "")
        table.add_column(
            heading, justify="left" if left else "right", overflow="fold",
            no_wrap=heading != "problem",
        )  # fmt: skip
    for row in rows.to_dict("records"):
        verdict = str(row["verdict"])
        texts = [*cells(row, found.baseline)[:-1], verdict]
        style = _COLOURS.get(verdict, "")
        *before, last = (texts[number] for number in shown)
        table.add_row(*map(Text, before), Text(last, style=style))
    return table


def as_markdown(found: Comparison, most: int = MOST_BYTES) -> str:
    """Return the comparison as Markdown of at most `most` bytes, the gravest rows first.

    Cells that stayed are folded away. Rows that do not fit are counted.
    """
    head = [f"### {found.headline}", " → ".join(f"`{_escaped(name)}`" for name in found.names)]
    for heading, sentences in opening(found):
        if sentences:
            head.append(f"**{_escaped(heading)}**\n\n{_bullets(sentences)}")
    several = len(found.names) > 2
    moved, stayed = (
        [_markdown_line(row, found, several) for row in found.rows.to_dict("records")
         if (row["verdict"] == "equivalent") == same]
        for same in (False, True)
    )  # fmt: skip
    headings = [*(["run"] if several else []), *_HEADINGS[:-1], "verdict"]
    rule = ["---" if name in ("run", "problem", "algorithm", "verdict") else "--:"
            for name in headings]  # fmt: skip
    opened = "\n".join([_line(headings), _line(rule)])
    lists = [("", moved), (f"{len(stayed)} equivalent", stayed)]
    missing = [f"- {_escaped(sentence)}" for sentence in found.unmatched]
    text = _fitting("\n\n".join(head), most - 500)
    left = 0
    for summary, lines in lists:
        if lines:
            start, end = (f"<details><summary>{summary}</summary>\n\n", "\n\n</details>")
            start, end = (start, end) if summary else ("", "")
            text, lost = _append(text, f"{start}{opened}", lines, end, most - 400)
            left += lost
    if missing:
        text, lost = _append(text, "**Not compared**\n", missing, "", most - 300)
        left += lost
    if left:
        text += (
            f"\n\n{plural(left, 'more line')} did not fit here; "
            f"`convbench compare --format json` holds everything."
        )
    return text + "\n"


def _append(text: str, start: str, lines: Sequence[str], end: str, most: int) -> tuple[str, int]:
    """Append as many of `lines` as fit into `most` bytes; return also how many did not."""
    kept: list[str] = []
    room = most - _size(text) - _size(start) - _size(end) - 4
    for line in lines:
        room -= _size(line) + 1
        if room < 0:
            break
        kept.append(line)
    if not kept:
        return text, len(lines)
    body = "\n".join([start, *kept])
    return f"{text}\n\n{body}{end}", len(lines) - len(kept)


def _fitting(text: str, most: int) -> str:
    """Return `text`, cut to `most` bytes."""
    return text if _size(text) <= most else text.encode()[: most - 3].decode(errors="ignore") + "…"


def _size(text: str) -> int:
    return len(text.encode())


def _markdown_line(row: Any, found: Comparison, several: bool) -> str:
    texts = cells(row, found.baseline)
    if row["verdict"] in ("slower", "faster"):
        texts[-1] = f"**{texts[-1]}**"
    return _line([*([row["run"]] if several else []), *texts])


def _line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(map(_escaped, texts)) + " |"


def _bullets(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {_escaped(sentence)}" for sentence in sentences)


def _escaped(text: str) -> str:
    """Return `text` on one line, without signs that Markdown reads as a cell or as HTML."""
    joined = " ".join(text.split())
    return joined.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def as_json(found: Comparison) -> str:
    """Return the comparison as JSON: what differs, the means, the counts, and every row."""
    content = {
        "runs": list(found.names),
        "baseline": found.baseline or None,
        "min_effect": found.min_effect,
        "differences": found.differences,
        "means": {run: found.mean(run) for run in found.names[1:]},
        "counts": {name: found.counts[name] for name in ORDER},
        "broken": found.broken,
        "sentences": [*standing(found), *found.notes],
        "unmatched": list(found.unmatched),
        "rows": found.rows.to_dict("records"),
    }
    return json.dumps(plain(content), ensure_ascii=False, allow_nan=False, indent=1) + "\n"
