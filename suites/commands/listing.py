"""Command ``list``: show suites, algorithms, filters, columns or the problems of a suite."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from rich.markup import escape
from rich.table import Table

from algos import registry
from algos.core.errors import ConvbenchError
from algos.core.family import AlgorithmBase
from results.records.columns import DEFINED
from suites.cases import filters, offered, suite
from suites.claims import catalogue

from .command import Command
from .command import Options as BaseOptions
from .consoles import out, remark

EXAMPLES = """examples:
  convbench list suites
  convbench list algorithms
  convbench list filters
  convbench list problems vgg16
  convbench list columns              of the table of a run, with units
"""


@dataclass(frozen=True, kw_only=True)
class Options(BaseOptions):
    """Options of ``convbench list``."""

    what: str
    suite: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convbench list`` to `parser`."""
    parser.add_argument("what", choices=(*_TABLES, "problems"))
    parser.add_argument(
        "suite", nargs="?", metavar="SUITE", help="with problems: name of the suite"
    )


def execute(options: Options) -> int:
    """Print the list that was asked for."""
    if options.what == "problems":
        _print_problems(options.suite)
        return 0
    if options.suite:
        raise ConvbenchError(
            f"{options.suite!r} goes with problems, not with {options.what}; "
            f"try convbench list problems {options.suite}"
        )
    table = Table(box=None, pad_edge=False, header_style="bold")
    _TABLES[options.what](table)
    out.print(table)
    if options.what == "suites":
        remark(offered.broken().values())
    return 0


def _print_problems(name: str | None) -> None:
    if not name:
        raise ConvbenchError("whose problems? Name a suite, such as convbench list problems vgg16")
    for case in suite.load(name).cases:
        out.print(escape(str(case.problem)), soft_wrap=True)


def _add_suites(table: Table) -> None:
    for heading in ("suite", "problems", "question"):
        table.add_column(heading, no_wrap=heading == "suite")
    for name in suite.names():
        try:
            loaded = suite.load(name)
        except ConvbenchError as error:
            if name not in offered.files():
                raise
            table.add_row(name, "", f"[red]{escape(str(error))}[/]")
            continue
        table.add_row(name, str(len(loaded.cases)), escape(loaded.question))


def _add_filters(table: Table) -> None:
    for heading in ("filter", "size", "what it is"):
        table.add_column(heading)
    for row in filters.spellings():
        table.add_row(*map(escape, row))


def _add_algorithms(table: Table) -> None:
    table.add_column("algorithm", no_wrap=True)
    table.add_column("what it is")
    table.add_column("of", no_wrap=True)
    for family in registry.FAMILIES:
        for name, algorithm in registry.of(family).items():
            asked = " [dim](only when asked for by name)[/]" if algorithm.opt_in else ""
            there = "" if _installed(algorithm) else " [yellow](not installed)[/]"
            table.add_row(name, escape(algorithm.summary) + asked + there, family.name)


def _installed(algorithm: AlgorithmBase) -> bool:
    """Return True if the libraries that `algorithm` calls can be imported; import none."""
    return all(find_spec(name.partition(".")[0]) for name in algorithm.libraries)


def _add_claims(table: Table) -> None:
    for heading in ("claim", "what is checked"):
        table.add_column(heading, no_wrap=heading == "claim")
    for claim in catalogue.claims().values():
        table.add_row(claim.name, escape(claim.title))


def _add_columns(table: Table) -> None:
    for heading in ("column", "type", "unit", "meaning"):
        table.add_column(heading, no_wrap=heading == "column")
    for column in DEFINED:
        table.add_row(column.name, column.dtype, column.unit, escape(column.meaning))


_TABLES: dict[str, Callable[[Table], None]] = {
    "suites": _add_suites,
    "algorithms": _add_algorithms,
    "filters": _add_filters,
    "claims": _add_claims,
    "columns": _add_columns,
}


COMMAND = Command("list", Options, add_arguments, execute, EXAMPLES)
