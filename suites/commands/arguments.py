"""Arguments that several commands share, and the types of their values."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from results.verdicts.decide import MIN_EFFECT


def add_algorithm_file(parser: argparse._ActionsContainer) -> None:
    """Add ``--algorithm-file``."""
    parser.add_argument(
        "--algorithm-file", action="append", default=[], metavar="PATH",
        help="a Python file with algorithms of your own; may be repeated",
    )  # fmt: skip


def add_min_effect(parser: argparse._ActionsContainer) -> None:
    """Add ``--min-effect``."""
    parser.add_argument(
        "--min-effect", type=percent, default=MIN_EFFECT, metavar="PERCENT",
        help="differences below do not matter (default: 2%%)",
    )  # fmt: skip


def seconds(text: str) -> float:
    """Return a positive, finite number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} must be a positive number of seconds")
    return value


def percent(text: str) -> float:
    """Return ``2%`` as 0.02; the sign may be left out."""
    try:
        value = float(text.removesuffix("%")) / 100
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a percentage such as 2% or 0.5%")
    return value


def whole_number(least: int) -> Callable[[str], int]:
    """Return a function that reads whole numbers from `least` on."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from {least} on")
        return int(text)

    return parse
