"""Command ``compile``: compile every kernel ahead of its first use."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from algos.core.problem import DTYPES
from suites.timing import compiling

from . import selection as choose
from .command import Command
from .command import Options as BaseOptions
from .consoles import notes, out

EXAMPLES = """examples:
  convbench compile
  convbench compile --cold --dtype float32
"""


@dataclass(frozen=True, kw_only=True)
class Options(BaseOptions):
    """Options of ``convbench compile``."""

    algorithms: str | None
    dtype: str | None
    cold: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convbench compile`` to `parser`."""
    parser.add_argument(
        "--algorithms", metavar="A,B", help="algorithms to compile (default: all of ours)"
    )
    parser.add_argument("--dtype", choices=DTYPES, help="data type to compile for (default: both)")
    parser.add_argument(
        "--cold", action="store_true", help="compile everything again, into a temporary cache"
    )


def execute(options: Options) -> int:
    """Compile kernels, and show their number and the seconds they took."""
    algorithms = None
    if options.algorithms:
        algorithms = choose.algorithms(options.algorithms, (), compiling.FAMILIES)
        choose.without_layouts(algorithms, "convbench compile")
    types = (options.dtype,) if options.dtype else DTYPES
    return compiling.compile_and_show(types, algorithms, options.cold, out, notes)


COMMAND = Command("compile", Options, add_arguments, execute, EXAMPLES)
