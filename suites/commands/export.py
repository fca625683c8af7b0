"""Command ``export``: write the table of a run in a format for other programs."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

import results
from algos.core.errors import ConvbenchError
from results.records.files import write_whole
from results.tables.formats import FORMATS

from .arguments import add_runs, output_file
from .command import Command
from .command import Options as BaseOptions
from .consoles import notes

EXAMPLES = """examples:
  convbench export sizes                                  every column as CSV
  convbench export sizes --format md
  convbench export 20261120-104212-quick --format parquet --output quick.parquet
  convbench export quick --format pytest-benchmark --output 0001_quick.json
  pytest-benchmark compare 0001_quick.json
"""


@dataclass(frozen=True, kw_only=True)
class Options(BaseOptions):
    """Options of ``convbench export``."""

    run: str | None
    format: str
    output: str | None
    runs: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convbench export`` to `parser`."""
    parser.add_argument(
        "run",
        nargs="?",
        metavar="RUN",
        help="id or folder of a run, or name of a suite (default: the latest run)",
    )
    parser.add_argument(
        "--format", choices=[*FORMATS], default="csv", help="format of the output (default: csv)"
    )
    parser.add_argument("--output", metavar="FILE", help="file to write (default: standard output)")
    add_runs(parser)


def execute(options: Options) -> int:
    """Write the table of a run to a file or to standard output; return the exit code."""
    path = output_file("--output", options.output)
    folder = (
        results.find(options.run, options.runs) if options.run else results.latest(options.runs)
    )
    content = FORMATS[options.format](results.read_records(folder))
    if path:
        notes.print(f"written  {write_whole(path, content)}", soft_wrap=True, markup=False)
    elif isinstance(content, str):
        sys.stdout.write(content)
    elif sys.stdout.isatty():
        raise ConvbenchError(f"{options.format} is a binary format; give --output FILE, or a pipe")
    else:
        sys.stdout.buffer.write(content)
    return 0


COMMAND = Command("export", Options, add_arguments, execute, EXAMPLES)
