"""Report of a finished run: figures, tables, and a page in HTML and in Markdown.

This module times nothing. All contents come from the records of a run, so the report can be made
again at any time, on any machine.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import results
from algos.core.errors import ConvbenchError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from results.figures.style import SavedFigure
    from results.records.run import RunRecords
    from results.tables.ratios import Ratio

_EPILOG = """\
RUN is the id of a run, its beginning, the name of a suite (its newest run), or the path of a
run's folder; left out, it is the run that started last.

examples:
  python report.py                          the latest run
  python report.py sizes                    the latest run of the suite `sizes`
  python report.py 20261120-104212-quick    this very run
  python report.py --runs /data/runs photo  runs kept elsewhere
  python report.py --claims headline headline-zen4
                                            README's claims, from the records of two machines
"""


def build(run: str | os.PathLike[str], strict: bool = False) -> list[Path]:
    """Write the report of `run` into its folder.

    Parameters
    ----------
    run : path
        The folder of a run, or its ``records.jsonl``.
    strict : bool
        Withhold verdicts unless the run's machine has passed its last audit.

    Returns
    -------
    list of Path
        Written files: ``report.md``, ``table.csv``, ``table.md``, ``report.html``, then every
        figure as PNG and SVG under ``figures/``. Each file appears whole or not at all.

    Raises
    ------
    ConvbenchError
        If the run cannot be read, or its folder cannot be written.
    """
    return _write(*_tabulated(run, strict))


def _tabulated(run: str | os.PathLike[str], strict: bool) -> tuple[RunRecords, pd.DataFrame]:
    """Return the records of `run` and their table."""
    from results.tables.table import tabulate_run
    from results.verdicts.audit import AUDITS, objection

    records = results.read_records(run)
    if strict:
        why = objection(records.path.parent / AUDITS, records.header.environment or {})
        records = replace(records, header=replace(records.header, withheld=why))
    return records, tabulate_run(records)


def _write(records: RunRecords, frame: pd.DataFrame) -> list[Path]:
    """Write the report into the folder of the run; see `build`."""
    from results.figures.matplotlib_backend import import_matplotlib
    from results.records.files import write_whole
    from results.tables.export import write_tables

    import_matplotlib()
    from results.figures.draw import draw
    from results.page.page import write_page

    tables = write_tables(frame, records.path)
    pictures = draw(frame, records.path / "figures")
    text = write_whole(records.path / "report.md", page_text(frame, pictures, records.path))
    page = write_page(frame, records.path)
    return [text, *tables, page, *(file for picture in pictures for file in picture.files)]


def page_text(frame: pd.DataFrame, pictures: Sequence[SavedFigure], folder: Path) -> str:
    """Return the page in Markdown: question, verdicts, figures, table, reasons, machine."""
    from results.tables import network
    from results.tables.ratios import direct_ratios, ratio_sentences, ratios
    from results.tables.summary import reasons, verdicts

    about = frame.attrs
    parts = [f"# {about.get('title') or about.get('suite') or 'A run of convbench'}"]
    if about.get("question"):
        parts.append(f"> {about['question']}")
    if (about.get("settings") or {}).get("cold_cache"):
        parts.append("Caches were emptied before every call.")
    parts.append(_bullets(verdicts(frame)))
    heading = ""
    for picture in pictures:
        if picture.question != heading:
            heading = picture.question
            parts.append(f"## {heading}")
        file = picture.files[0].relative_to(folder).as_posix()
        parts.append(f"![{heading} {picture.detail}]({file})")
    shown = sorted((folder / "pictures").glob("*.png"))
    if shown:
        parts.append("## What do the pictures look like?")
        parts += [f"![{file.stem}](pictures/{quote(file.name)})" for file in shown]
    found = ratios(frame)
    if found:
        parts += ["## How do our algorithms compare with the fastest peers?"]
        parts += [_ratio_table(found), _bullets(ratio_sentences(found))]
    if equal := direct_ratios(frame):
        parts += ["## And among algorithms with a direct sum's accuracy?"]
        parts += [_ratio_table(equal), _bullets(ratio_sentences(equal))]
    for whole in network.whole_network(frame):
        lines = [network.headings(whole), *network.rows(whole)]
        lines.insert(1, ["---", *["--:"] * (len(lines[0]) - 1)])
        parts += [f"## {network.title(whole)}", _table(lines)]
        parts += [_bullets(network.sentences(whole))]
    if len(frame):
        parts += [
            "## Every problem",
            _summary_table(frame),
            "Time per call, undisturbed: of the shortest sample of each pass; the fastest in bold, "
            "with a question mark where it is not decided. GFLOP/s count the operations of the "
            "direct algorithm, so the figure may pass the machine's peak. Every number with "
            "its interval is in [table.md](table.md), and for programs in [table.csv](table.csv).",
        ]
    why = reasons(frame)
    if why:
        parts += ["## Why some cells have no time", _bullets(why)]
    parts += ["## Where this was measured", _machine(about)]
    return "\n\n".join(parts) + "\n"


def _bullets(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _ratio_table(found: Sequence[Ratio]) -> str:
    from results.tables.ratios import HEADINGS, ratio_cells

    rule = ["---", *["--:"] * (len(HEADINGS) - 1)]
    return _table([list(HEADINGS), rule, *map(ratio_cells, found)])


def _table(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def _summary_table(frame: pd.DataFrame) -> str:
    """Return the summary: problems down, algorithms across, time and speed-up per cell."""
    from results.tables.labels import in_order, three_digits, times_text
    from results.tables.summary import summary

    baseline = frame.attrs.get("baseline")
    rows = summary(frame)
    names = in_order(frame["algorithm"])
    several = len({row.threads for row in rows}) > 1
    lines = [["input · kernel", *(["threads"] if several else []), *names, "GFLOP/s"]]
    lines.append(["---", *["--:"] * (len(lines[0]) - 1)])
    for row in rows:
        cells = [row.label, *([str(row.threads)] if several else [])]
        for name in names:
            entry = row.entries.get(name)
            text = entry.text if entry else ""
            if entry and entry.speedup == entry.speedup and name != baseline:
                text += f" ({times_text(entry.speedup)})"
            if name == row.winner:
                text = f"**{text}**" + (" ?" if row.rivals else "")
            cells.append(text)
        lines.append([*cells, three_digits(row.gflops)])
    return _table(lines)


def _machine(about: dict[Any, Any]) -> str:
    """Return the environment and the command of the run as a table."""
    from results.tables.about import about_rows

    known = [
        (name, f"`{text}`" if name == "command" else text.replace("|", "\\|"))
        for name, text in about_rows(about)
    ]
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {text} |" for name, text in known)])


def present(
    run: str | None, runs: str | None, strict: bool = False, console: Console | None = None
) -> None:
    """Show the summary of `run` in the folder `runs` on `console`, and write its report.

    Without `run`, it is the latest one. Raises `ConvbenchError` as `build` does.
    """
    from results.tables.labels import plural
    from results.tables.terminal import show

    records, frame = _tabulated(_folder(run, runs), strict)
    show(frame, console)
    files = _write(records, frame)
    figures = sum(file.suffix == ".png" for file in files)
    page = next(file for file in files if file.suffix == ".html")
    print(f"\n{plural(figures, 'figure')} and 2 tables, all of them on {files[0]} and {page}")


def _folder(run: str | None, runs: str | None) -> Path:
    return results.find(run, runs) if run else results.latest(runs)


def _write_claims(folders: Sequence[Path], strict: bool) -> None:
    """Write the claims of the README from the runs in `folders`."""
    from results.tables.claims import claims, write_claims
    from results.tables.labels import listed

    tabulated = [_tabulated(folder, strict) for folder in folders]
    page = write_claims(
        Path(__file__).with_name("README.md"), claims([frame for _, frame in tabulated])
    )
    paths = listed([str(records.path) for records, _ in tabulated])
    print(f"the claims of {page} are those of {paths} now")


def main(argv: Sequence[str] | None = None) -> int:
    """Show the summary, write the report, and return 0, or 2 after an error."""
    parser = argparse.ArgumentParser(
        prog="report.py",
        description="Figures, tables and a page from a finished run, written into its folder.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "run",
        nargs="*",
        metavar="RUN",
        help="id or folder of a run, or name of a suite (default: the latest run)",
    )
    parser.add_argument(
        "--runs", metavar="DIR", help="folder of runs (default: CONVBENCH_RUNS, or ./results/runs)"
    )
    parser.add_argument(
        "--strict", action="store_true", help="give verdicts only if the audit has passed"
    )
    parser.add_argument(
        "--claims",
        action="store_true",
        help="write the README's sentences on speed from the runs, normally one of each machine",
    )
    arguments = parser.parse_args(argv)

    if len(arguments.run) > 1 and not arguments.claims:
        parser.error("a report is of one run; only --claims takes several")
    try:
        runs = arguments.run or [None]
        if arguments.claims:
            _write_claims([_folder(run, arguments.runs) for run in runs], arguments.strict)
        else:
            present(runs[0], arguments.runs, arguments.strict)
    except ConvbenchError as error:
        print(f"report: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("report: stopped; what is written is whole, run it again", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
