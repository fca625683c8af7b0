"""Command ``merge``: join shards of one suite into one run."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import results
from results.records.merge import merged
from results.records.records import read_records, write_records

from .arguments import add_runs
from .command import Command
from .command import Options as BaseOptions
from .consoles import show_written

EXAMPLES = """examples:
  convbench merge 20261120-104212-sizes 20261120-111502-sizes
  convbench merge shard1 shard2 shard3 --runs all
"""


@dataclass(frozen=True, kw_only=True)
class Options(BaseOptions):
    """Options of ``convbench merge``."""

    parts: tuple[str, ...]
    runs: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convbench merge`` to `parser`."""
    parser.add_argument(
        "parts", nargs="+", metavar="RUN",
        help="ids or folders of runs of one suite, measured on one machine with the same versions",
    )  # fmt: skip
    add_runs(parser)


def execute(options: Options) -> int:
    """Write the runs as one; return the exit code."""
    folder = options.runs or results.runs_folder()
    parts = [read_records(results.find(part, folder)) for part in options.parts]
    show_written(write_records(folder, merged(parts)))
    return 0


COMMAND = Command("merge", Options, add_arguments, execute, EXAMPLES)
