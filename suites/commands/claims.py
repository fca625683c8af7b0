"""Command ``claims``: check what books, lectures and papers state about convolution."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

import results
from results.records.files import disk_error
from suites.claims import catalogue, checking, page, terminal

from .arguments import output_file
from .command import Command
from .command import Options as BaseOptions
from .consoles import notes, out

EXAMPLES = """examples:
  convbench claims                    all of them; writes claims.md with figures
  convbench claims edge-detection     one claim with its working
  convbench claims --json claims.json
"""

#: Exit code if a claim could not be checked, such as for lack of a library.
UNCHECKED = 3


@dataclass(frozen=True, kw_only=True)
class Options(BaseOptions):
    """Options of ``convbench claims``."""

    names: tuple[str, ...]
    json: str | None
    folder: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convbench claims`` to `parser`."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="claims to check, with the steps shown (default: all, without steps)",
    )
    parser.add_argument("--json", metavar="FILE", help="also write all rows as JSON")
    parser.add_argument(
        "--folder", metavar="DIR",
        help="folder for claims.md and figures (default: claims, in the folder of runs)",
    )  # fmt: skip


def execute(options: Options) -> int:
    """Check claims, and print and save what was found; return the exit code.

    It is 0 if every claim could be checked, whether or not it holds.
    """
    chosen = catalogue.chosen(options.names)
    folder = Path(options.folder or results.runs_folder() / "claims").expanduser()
    file = output_file("--json", options.json)
    _make(folder)
    checked = []
    for found in checking.check_each(chosen):
        terminal.show(found, out, working=bool(options.names))
        for figure in page.save_figures(found, folder):
            if options.names:
                notes.print(f"figure: {escape(str(figure))}", soft_wrap=True)
        checked.append(found)
    terminal.show_exceptions(checked, out)
    if not options.names:
        notes.print(f"page: {escape(str(page.save_page(checked, folder)))}", soft_wrap=True)
    if file:
        page.save_json(checked, file)
    return UNCHECKED if any(found.unchecked for found in checked) else 0


def _make(folder: Path) -> None:
    """Make `folder`, or raise before minutes are spent on what goes there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(folder, error) from None


COMMAND = Command("claims", Options, add_arguments, execute, EXAMPLES)
