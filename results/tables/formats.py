"""Formats that a run's table can be exported to; one frame is behind all of them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable

import pandas as pd

from algos.core.errors import ConvbenchError
from results.records.columns import DEFINED
from results.records.pytest_benchmark import exported as pytest_benchmark_json
from results.records.records import plain
from results.records.run import RunRecords

from .export import csv_table, markdown_table
from .labels import GROUP, STATUS_WORDS, VERDICT_SIGNS, time_text, times_text
from .table import tabulate_run

#: Characters that LaTeX reads as commands, or that pdfTeX's fonts lack.
_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "×": r"$\times$", "→": r"$\to$", "≈": r"$\approx$", "·": r"$\cdot$", "µ": r"\textmu{}",
    "²": r"$^2$", "³": r"$^3$",
}  # fmt: skip


def json_table(frame: pd.DataFrame) -> str:
    """Return `frame` as JSON: ``run`` (its attributes), ``columns`` with units, and ``rows``.

    NaN becomes null, and infinity the text "inf".
    """
    content = {
        "run": dict(frame.attrs),
        "columns": [
            {"name": one.name, "unit": one.unit, "meaning": one.meaning} for one in DEFINED
        ],
        "rows": frame.to_dict("records"),
    }
    return json.dumps(plain(content), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def parquet_table(frame: pd.DataFrame) -> bytes:
    """Return `frame` as Parquet; pandas reads its attributes back, too.

    Raises `ConvbenchError` if pyarrow is not installed.
    """
    table = frame.copy(deep=False)
    table.attrs = plain(dict(frame.attrs))
    content = io.BytesIO()
    try:
        table.to_parquet(content, engine="pyarrow", index=False)
    except ImportError:
        raise ConvbenchError(
            "the format parquet needs pyarrow, which is not installed; run pip install pyarrow"
        ) from None
    return content.getvalue()


def latex_table(frame: pd.DataFrame) -> str:
    """Return the main columns as a LaTeX table: the fastest of a problem first and bold.

    The table needs the packages booktabs and longtable.
    """
    baseline = frame.attrs.get("baseline") or "naive"
    head = ("problem", "threads", "algorithm", "time", f"over {baseline}")
    lines = [
        "% needs \\usepackage{booktabs,longtable}",
        "\\begin{longtable}{lrlrr}",
        "\\toprule",
        _latex_line(head),
        "\\midrule\\endhead",
        "\\bottomrule\\endfoot",
    ]
    for _, group in frame.groupby(list(GROUP), sort=False):
        ranked = group.sort_values(["winner", "time_s"], ascending=[False, True])
        for _, row in ranked.iterrows():
            ok = row["status"] == "ok"
            time = time_text(row["time_s"]) if ok else STATUS_WORDS[row["status"]]
            ratio = times_text(row["speedup"]) + VERDICT_SIGNS.get(row["verdict"], "")
            cells = (row["label"], row["threads"], row["algorithm"], time, ratio if ok else "")
            lines.append(_latex_line(cells, bold=row["winner"]))
    return "\n".join([*lines, "\\end{longtable}", ""])


def _latex_line(cells: tuple[object, ...], bold: bool = False) -> str:
    """Return a row of a LaTeX table; if `bold`, algorithm and time are."""
    texts = [re.sub(".", lambda sign: _LATEX.get(sign[0], sign[0]), str(cell)) for cell in cells]
    if bold:
        texts[2:4] = [f"\\textbf{{{text}}}" for text in texts[2:4]]
    return " & ".join(texts) + " \\\\"


def _tabulated(
    table: Callable[[pd.DataFrame], str | bytes],
) -> Callable[[RunRecords], str | bytes]:
    return lambda run: table(tabulate_run(run))


#: Functions that turn a run into text or bytes, by format.
FORMATS: dict[str, Callable[[RunRecords], str | bytes]] = {
    "csv": _tabulated(csv_table),
    "md": _tabulated(markdown_table),
    "latex": _tabulated(latex_table),
    "json": _tabulated(json_table),
    "parquet": _tabulated(parquet_table),
    "pytest-benchmark": pytest_benchmark_json,
}
