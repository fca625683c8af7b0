"""The suite of everyday problems, beside those in files, for commands that judge choices."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from suites.cases import everyday, suite
from suites.cases.suite import Suite

from .arguments import whole_number
from .selection import ListedCases, RunCases, run_suite


@dataclass(frozen=True, kw_only=True)
class ChoiceCases(ListedCases):
    """Options that select the problems of a command on the automatic choice."""

    count: int
    seed: int


def add_cases(parser: argparse._ActionsContainer) -> None:
    """Add the options of `ChoiceCases` but the suite."""
    parser.add_argument(
        "--problem", action="append", default=[], metavar="DESCRIPTOR",
        help="one problem in benchdnn's notation; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--batch", metavar="FILE",
        help="problem file of benchdnn; deconv:FILE or pool:FILE for its other drivers",
    )  # fmt: skip
    parser.add_argument(
        "--weights", metavar="SPEC", help="with --problem or --batch: values of the kernels"
    )
    parser.add_argument("--dtype", metavar="D", help="float32 or float64, for every problem")
    parser.add_argument(
        "--count", type=whole_number(1), default=300, metavar="N",
        help="with the suite everyday: number of problems (default: 300)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=whole_number(0), default=0,
        help="seed of everyday problems, data and order (default: 0)",
    )  # fmt: skip


def is_suite(text: str) -> bool:
    """Return True if `text` names a suite, or a file of one."""
    return text in (*everyday.NAMES, *suite.names()) or text.lower().endswith(".toml")


def chosen_suite(options: ChoiceCases, name: str | None) -> tuple[Suite, list[str]]:
    """Return the suite `name`, or that of the listed problems, and notes on what is left out."""
    if name in everyday.NAMES and not (options.problem or options.batch):
        return everyday.suite(str(name), options.count, options.seed), []
    return run_suite(
        RunCases(
            suite=name, problem=options.problem, batch=options.batch, weights=options.weights,
            dtype=options.dtype, input=None, kernel=None,
        )
    )  # fmt: skip
