"""Command ``shape``: show the sizes of a problem and their derivation."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from rich.markup import escape

from algos.notation import parse
from suites.cases.notation import remarks
from suites.truth.families import family_cases

from .command import Command
from .command import Options as BaseOptions
from .consoles import out

EXAMPLES = """examples:
  convbench shape "mb1_ic3ih227_oc96_kh11_sh4"
  convbench shape "mb1_ic64ih56_oc128_kh3_sh2ph1_bwdd"
"""


@dataclass(frozen=True, kw_only=True)
class Options(BaseOptions):
    """Options of ``convbench shape``."""

    descriptor: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convbench shape`` to `parser`."""
    parser.add_argument("descriptor", metavar="DESCRIPTOR", help="problem in benchdnn's notation")


def execute(options: Options) -> int:
    """Show the sizes of a problem with the formula filled in."""
    problem = parse(options.descriptor)
    for line in family_cases(problem).explain(problem) + remarks(options.descriptor, problem):
        out.print(escape(line), soft_wrap=True)
    return 0


COMMAND = Command("shape", Options, add_arguments, execute, EXAMPLES)
