"""Command ``report``: draw the figures and write the tables of a run."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from suites import load_ours

from .arguments import add_runs
from .command import Command
from .command import Options as BaseOptions
from .consoles import out

EXAMPLES = """examples:
  convbench report
  convbench report sizes
  convbench report 20261120-104212-quick
"""


@dataclass(frozen=True, kw_only=True)
class Options(BaseOptions):
    """Options of ``convbench report``."""

    run: str | None
    runs: str | None
    strict: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convbench report`` to `parser`."""
    parser.add_argument(
        "run",
        nargs="?",
        metavar="RUN",
        help="id or folder of a run, or name of a suite (default: the latest run)",
    )
    add_runs(parser)
    parser.add_argument(
        "--strict", action="store_true", help="give verdicts only if the audit has passed"
    )


def execute(options: Options) -> int:
    """Write the report of a run; return the exit code."""
    present = load_ours("report", "convbench_report").present
    present(options.run, options.runs, options.strict, out)
    return 0


COMMAND = Command("report", Options, add_arguments, execute, EXAMPLES)
