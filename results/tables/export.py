"""Export of a run's table: all columns as CSV, the main ones as Markdown."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pandas as pd

from results.records.columns import MIN_PASSES
from results.records.files import write_whole

from .labels import (
    GROUP,
    STATUS_WORDS,
    bytes_text,
    error_text,
    three_digits,
    time_text,
    times_text,
)
from .summary import reasons


def write_tables(frame: pd.DataFrame, folder: str | os.PathLike[str]) -> list[Path]:
    """Write ``table.csv`` and ``table.md`` into `folder`, each whole or not at all.

    The CSV holds every column of `results.read` in its units. Spaces separate samples, and
    semicolons separate passes. The Markdown holds the main columns, in readable units.
    """
    target = Path(folder)
    return [
        write_whole(target / "table.csv", csv_table(frame)),
        write_whole(target / "table.md", markdown_table(frame)),
    ]


def csv_table(frame: pd.DataFrame) -> str:
    """Return every column of `frame` as CSV; see `write_tables`."""
    plain = frame.assign(
        samples=[
            "; ".join(" ".join(f"{sample:.9g}" for sample in entries) for entries in passes)
            for passes in frame["samples"]
        ]
    )
    return plain.to_csv(index=False, float_format="%.9g", lineterminator="\n")


def markdown_table(frame: pd.DataFrame) -> str:
    """Return `frame` as a Markdown table: problems in order, the fastest first and bold."""
    if frame.empty:
        return "No cell was measured.\n"
    baseline = frame.attrs.get("baseline", "naive")
    head = [
        "input · kernel", "threads", "algorithm", "time", "95 % interval", f"against {baseline}",
        "95 % interval", "verdict", "passes", "GFLOP/s", "compile", "prepare", "first call",
        "from cache", "convert", "workspace", "error", "error / bound", "accuracy",
    ]  # fmt: skip
    lines = [_line(head), _line(["---", "--:", "---", *["--:"] * (len(head) - 3)])]
    for _, group in frame.groupby(list(GROUP), sort=False):
        ranked = group.sort_values(["winner", "time_s"], ascending=[False, True])
        lines += [_line(_cells(row)) for _, row in ranked.iterrows()]
    notes = [f"- {text}" for text in reasons(frame)]
    return "\n".join([*lines, *(["", *notes] if notes else []), ""])


def _cells(row: pd.Series) -> list[str]:
    cells = [row["label"], str(row["threads"]), row["algorithm"]]
    if row["status"] != "ok":
        return [*cells, STATUS_WORDS[row["status"]], *[""] * 15]
    sure = row["passes"] >= MIN_PASSES
    cells += [
        time_text(row["time_s"]),
        _between(time_text(row["time_low_s"]), time_text(row["time_high_s"])) if sure else "–",
        times_text(row["speedup"]),
        _between(times_text(row["speedup_low"]), times_text(row["speedup_high"])) if sure else "–",
        row["verdict"],
        str(row["passes"]),
        three_digits(row["gflops"]),
        time_text(row["compile_s"]),
        time_text(row["prepare_s"]),
        time_text(row["first_call_s"]),
        time_text(row["load_s"]),
        time_text(row["convert_s"]),
        bytes_text(row["workspace_bytes"]),
        error_text(row["relative_error"]),
        _small(row["error_over_bound"]),
        row["accuracy"],
    ]
    if row["winner"]:
        cells[2:4] = [f"**{text}**" for text in cells[2:4]]
    return cells


def _between(low: str, high: str) -> str:
    """Return an interval like ``1.02 – 1.10 ms``; a shared unit appears once."""
    if low == high:
        return low
    low_number, _, low_unit = low.partition(" ")
    return f"{low_number if low_unit == high.partition(' ')[2] else low} – {high}"


def _small(ratio: float) -> str:
    if math.isnan(ratio):
        return "–"
    return "0" if ratio == 0 else three_digits(ratio) if ratio >= 1e-3 else f"{ratio:.0e}"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
