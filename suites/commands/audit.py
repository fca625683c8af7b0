"""Command ``audit``: measure the error rate of verdicts on this machine."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import results
from results.verdicts.audit import AUDITS, BASELINE
from suites.timing import audit
from suites.timing.schedule import Settings

from .arguments import add_min_effect, add_runs, seconds, whole_number
from .command import Command
from .command import Options as BaseOptions
from .consoles import out

EXAMPLES = """examples:
  convbench audit
  convbench audit --budget 200
"""


@dataclass(frozen=True, kw_only=True)
class Options(BaseOptions):
    """Options of ``convbench audit``."""

    budget: float
    min_effect: float
    seed: int
    runs: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convbench audit`` to `parser`."""
    parser.add_argument(
        "--budget", type=seconds, default=600.0, metavar="SECONDS",
        help="time to spend; the number of pairs follows from it (default: 600)",
    )  # fmt: skip
    add_min_effect(parser)
    parser.add_argument(
        "--seed", type=whole_number(0), default=0, help="seed of data and order (default: 0)"
    )
    add_runs(parser, f"; audits go to its folder {AUDITS}")


def execute(options: Options) -> int:
    """Decide pairs of known truth; return 1 if verdicts cannot be trusted here."""
    audit.check_budget(options.budget)
    settings = Settings(
        suite="audit", algorithms=(), baseline=BASELINE, min_effect=options.min_effect,
        budget=options.budget, seed=options.seed,
    )  # fmt: skip
    folder = Path(options.runs or results.runs_folder()) / AUDITS
    return audit.run_and_show(settings, folder, out)


COMMAND = Command("audit", Options, add_arguments, execute, EXAMPLES)
