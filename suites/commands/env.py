"""Command ``env``: show the machine and the versions that figures depend on."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from suites.machine import clock, environment, limits
from suites.machine.thread_advice import thread_advice

from .command import Command
from .command import Options as BaseOptions
from .consoles import out


@dataclass(frozen=True, kw_only=True)
class Options(BaseOptions):
    """Options of ``convbench env``."""

    json: bool
    fresh: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convbench env`` to `parser`."""
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")
    parser.add_argument(
        "--fresh", action="store_true", help="measure peak and bandwidths again (some seconds)"
    )


def execute(options: Options) -> int:
    """Show the environment, the timer and the machine's limits."""
    found = environment.environment()
    measured = limits.known(options.fresh)
    timer = clock.timer()
    if options.json:
        told = {**found, "threads": thread_advice(), "timer": timer, "limits": measured}
        print(json.dumps(told, indent=2))
        return 0
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in found.items():
        shown = value
        if key == "caches":
            shown = ", ".join(f"{name} {size >> 10} KiB" for name, size in value.items())
        elif key == "memory_bytes":
            key, shown = "memory", f"{value / 2**30:.1f} GiB"
        elif key == "fastmath":
            shown = ", ".join(value)
        table.add_row(key.replace("_", " "), "not known" if shown is None else escape(str(shown)))
    for number, sentence in enumerate(thread_advice()):
        table.add_row("" if number else "threads", escape(sentence))
    table.add_row("timer", ", ".join(f"{name[:-2]} {s * 1e9:.0f} ns" for name, s in timer.items()))
    for key, shown in limits.lines(measured):
        table.add_row(key, shown)
    out.print(table)
    return 0


COMMAND = Command("env", Options, add_arguments, execute)
