"""Arguments that several commands share, and the types of their values."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from algos.core.amounts import bytes_of
from algos.core.errors import ConvbenchError
from results.verdicts.decide import MIN_EFFECT


def add_algorithm_file(parser: argparse._ActionsContainer) -> None:
    """Add ``--algorithm-file``."""
    parser.add_argument(
        "--algorithm-file", action="append", default=[], metavar="PATH",
        help="Python file with algorithms of your own; may be repeated",
    )  # fmt: skip


def add_min_effect(parser: argparse._ActionsContainer) -> None:
    """Add ``--min-effect``."""
    parser.add_argument(
        "--min-effect", type=percent, default=MIN_EFFECT, metavar="PERCENT",
        help="smallest difference that counts (default: 2%%)",
    )  # fmt: skip


def add_limits(parser: argparse._ActionsContainer) -> None:
    """Add ``--call-limit`` and ``--timeout``."""
    parser.add_argument(
        "--call-limit", type=seconds, default=2.0, metavar="SECONDS",
        help="skip a cell if one call would take longer (default: 2)",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=seconds, default=120.0, metavar="SECONDS",
        help="stop an algorithm that does not answer within this time (default: 120)",
    )  # fmt: skip


def add_runs(parser: argparse._ActionsContainer, more: str = "") -> None:
    """Add ``--runs``; `more` says what else goes to its folder."""
    parser.add_argument(
        "--runs", metavar="DIR",
        help=f"folder of runs{more} (default: CONVBENCH_RUNS, or ./results/runs)",
    )  # fmt: skip


def output_file(option: str, text: str | None) -> Path | None:
    """Return the file that `option` names, or None if it was not given.

    Raise if it cannot be written, so that nobody waits for content that is lost.
    """
    if text is None:
        return None
    path = Path(text).expanduser()
    if path.is_dir():
        raise ConvbenchError(f"{option} {path} is a folder; give the name of a file")
    folder = next((parent for parent in path.parents if parent.exists()), path.parent)
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConvbenchError(
            f"{option} {path} cannot be written: {folder} takes no files; name another file"
        )
    return path


#: Seconds by unit; a number without a unit is of seconds.
_SECONDS = {"min": 60.0, "h": 3600.0, "s": 1.0}


def seconds(text: str) -> float:
    """Return a positive, finite number of seconds; ``30``, ``30s``, ``5min`` and ``1h`` are read.

    >>> seconds("90"), seconds("1.5min")
    (90.0, 90.0)
    """
    unit = next((unit for unit in _SECONDS if text.endswith(unit)), "")
    try:
        value = float(text.removesuffix(unit)) * _SECONDS.get(unit, 1.0)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(
            f"{text!r} must be a positive number of seconds, or a time such as 30s, 5min or 1h"
        )
    return value


def bytes_count(text: str) -> int:
    """Return a number of bytes; ``4096``, ``64MiB`` and ``1GB`` are read.

    >>> bytes_count("1.5MiB")
    1572864
    """
    try:
        return bytes_of("size", text)
    except ConvbenchError:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be a number of bytes, or a size such as 64MiB or 1GB"
        ) from None


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
