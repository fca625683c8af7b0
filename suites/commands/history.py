"""Command ``history``: what became faster or slower over many runs of a suite."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import results
from algos.core.errors import ConvbenchError
from results.figures.matplotlib_backend import import_matplotlib
from results.records.files import write_whole
from results.tables.history import History, histories
from results.tables.history_rows import as_json, markdown, show

from .arguments import add_min_effect, add_runs, output_file
from .command import Command
from .command import Options as BaseOptions
from .consoles import notes, out, remark

EXAMPLES = """examples:
  convbench history quick
  convbench history sizes --anchor im2col
  convbench history quick --format html --output history.html
  convbench history quick --figure history.png
  convbench history quick --format md --fail-on slower

Each time is divided by that of the anchor in the same run, so a machine that is slower on one day
cancels. Choose an anchor whose code does not change. Each machine has a history of its own.
"""


@dataclass(frozen=True, kw_only=True)
class Options(BaseOptions):
    """Options of ``convbench history``."""

    suite: str
    anchor: str | None
    min_effect: float
    format: str
    output: str | None
    figure: str | None
    fail_on: str | None
    runs: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convbench history`` to `parser`."""
    parser.add_argument("suite", metavar="SUITE", help="name of a suite")
    parser.add_argument(
        "--anchor", metavar="A",
        help="algorithm that times are divided by (default: the baseline of the newest run)",
    )  # fmt: skip
    add_min_effect(parser)
    parser.add_argument(
        "--format", choices=("terminal", "md", "json", "html"), default="terminal",
        help="format of the output (default: terminal)",
    )  # fmt: skip
    parser.add_argument("--output", metavar="FILE", help="file to write (default: standard output)")
    parser.add_argument("--figure", metavar="FILE", help="draw the figure into a .png or .svg file")
    parser.add_argument(
        "--fail-on", choices=("slower",), help="exit with 1 if the newest run became slower"
    )
    add_runs(parser)


def execute(options: Options) -> int:
    """Show the history of a suite; return 1 if asked to fail and the newest run is slower."""
    figure = output_file("--figure", options.figure)
    output = output_file("--output", options.output)
    if figure and figure.suffix not in (".png", ".svg"):
        raise ConvbenchError(f"--figure {figure} ends in {figure.suffix!r}; use .png or .svg")
    if output and options.format == "terminal":
        raise ConvbenchError("--output goes with --format md, json or html")
    folder = options.runs or results.runs_folder()
    found, remarks = histories(folder, options.suite, options.anchor, options.min_effect)
    remark(remarks)
    if options.format == "terminal":
        for history in found:
            show(history, out)
            out.print()
    elif output:
        notes.print(f"written  {write_whole(output, _text(found, options.format))}",
                    soft_wrap=True, markup=False)  # fmt: skip
    else:
        sys.stdout.write(_text(found, options.format))
    if figure:
        _draw(found[0], figure)
    return 1 if options.fail_on and found[0].slower else 0


def _text(found: list[History], form: str) -> str:
    """Return the histories in a format for files."""
    if form == "html":
        import_matplotlib()
        from results.page.history import history_page

        return history_page(found)
    return markdown(found) if form == "md" else as_json(found)


def _draw(history: History, file: Path) -> None:
    """Write the figure of the machine of the newest run."""
    import_matplotlib()
    from results.page.history import figure_bytes, has_figure

    if not has_figure(history):
        raise ConvbenchError(
            f"{history.suite} has no two runs to draw on the machine of its newest run; "
            f"run the suite again"
        )
    notes.print(f"figure   {write_whole(file, figure_bytes(history, file.suffix[1:]))}",
                soft_wrap=True, markup=False)  # fmt: skip


COMMAND = Command("history", Options, add_arguments, execute, EXAMPLES)
