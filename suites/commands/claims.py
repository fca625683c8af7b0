"""Command ``claims``: check what books, lectures and papers state about convolution."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

import results
from algos.core.errors import ConvbenchError
from results.records.files import disk_error
from suites.claims import catalogue, checking, page, terminal

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
    _check_places(folder, options.json)
    checked = []
    for found in checking.check_each(chosen):
        terminal.show(found, out, working=bool(options.names))
        for file in page.save_figures(found, folder):
            if options.names:
                notes.print(f"figure: {escape(str(file))}", soft_wrap=True)
        checked.append(found)
    terminal.show_exceptions(checked, out)
    if not options.names:
        notes.print(f"page: {escape(str(page.save_page(checked, folder)))}", soft_wrap=True)
    if options.json:
        page.save_json(checked, Path(options.json).expanduser())
    return UNCHECKED if any(found.unchecked for found in checked) else 0


def _check_places(folder: Path, file: str | None) -> None:
    """Raise before minutes are spent if `folder` or the JSON `file` cannot be written."""
    for place in (folder, *((Path(file).expanduser().parent,) if file else ())):
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(place, error) from None
    if file and Path(file).expanduser().is_dir():
        raise ConvbenchError(f"--json {file} is a folder; give the name of a file")


COMMAND = Command("claims", Options, add_arguments, execute, EXAMPLES)
