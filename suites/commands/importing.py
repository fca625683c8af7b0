"""Command ``import``: make a run of files of pytest-benchmark."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import results
from results.records.pytest_benchmark import read_files
from results.records.records import write_records

from .arguments import add_runs
from .command import Command
from .command import Options as BaseOptions
from .consoles import show_written

EXAMPLES = """examples:
  pytest --benchmark-only --benchmark-json=bench.json
  convbench import bench.json
  convbench import run1.json run2.json run3.json run4.json run5.json    five passes: verdicts
"""


@dataclass(frozen=True, kw_only=True)
class Options(BaseOptions):
    """Options of ``convbench import``."""

    files: tuple[str, ...]
    runs: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convbench import`` to `parser`."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE",
        help="JSON of pytest-benchmark; several files are the passes of one run",
    )  # fmt: skip
    add_runs(parser)


def execute(options: Options) -> int:
    """Write the benchmarks of the files as a run; return the exit code."""
    found = read_files([Path(file).expanduser() for file in options.files])
    show_written(write_records(options.runs or results.runs_folder(), found))
    return 0


COMMAND = Command("import", Options, add_arguments, execute, EXAMPLES)
