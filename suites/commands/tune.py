"""Command ``tune``: measure which algorithm is fastest, and let the automatic choice know."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from rich.markup import escape

import algos
import results
from algos.backend.threads import available
from algos.choice import machine, wisdom
from algos.core.errors import ConvbenchError
from results.tables.labels import plural
from suites.cases.suite import Case, Suite
from suites.choice import tuning
from suites.choice.regrets import automatic_choices, cases_of
from suites.timing.estimate import seconds_needed
from suites.timing.progress import Finished, measure
from suites.timing.schedule import Settings

from .arguments import add_limits, add_runs, seconds
from .command import Command
from .consoles import out, remark
from .everyday_suite import ChoiceCases, add_cases, chosen_suite
from .selection import thread_counts

EXAMPLES = """examples:
  convbench tune --problem "mb1_ic64ih56_oc64_kh3_ph1" --budget 30s
  convbench tune resnet50 --threads 1,2
  convbench tune --batch shapes_resnet_50 --budget 10min
  convbench tune --export wisdom.json
  convbench tune --import wisdom.json
  convbench tune --forget
"""
#: Folder of the records of tunings, in that of all runs.
TUNINGS = "tunings"


@dataclass(frozen=True, kw_only=True)
class Options(ChoiceCases):
    """Options of ``convbench tune``."""

    suite: str | None
    threads: str | None
    budget: float | None
    call_limit: float
    timeout: float
    export_to: str | None
    import_from: str | None
    forget: bool
    runs: str | None
    #: Words of the command line, kept in the records.
    words: tuple[str, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convbench tune`` to `parser`."""
    what = parser.add_argument_group("what to tune")
    what.add_argument(
        "suite", nargs="?", help="name of a suite, a .toml file, or everyday (default: quick)"
    )
    add_cases(what)
    how = parser.add_argument_group("how")
    how.add_argument(
        "--threads", metavar="N,M", help="thread counts (default: all cores that may be used)"
    )
    how.add_argument(
        "--budget", type=seconds, metavar="TIME",
        help="time to spend, such as 30s or 5min (default: what the problems need)",
    )  # fmt: skip
    add_limits(how)
    add_runs(how, f"; tunings go to its folder {TUNINGS}")
    kept = parser.add_argument_group("measured times (wisdom)")
    kept.add_argument(
        "--export", dest="export_to", metavar="FILE", help="write all measured times to a file"
    )
    kept.add_argument(
        "--import", dest="import_from", metavar="FILE", help="add the times of an exported file"
    )
    kept.add_argument("--forget", action="store_true", help="delete all measured times")


def execute(options: Options) -> int:
    """Forget, import, tune and export, as far as asked for; return 1 after wrong results."""
    asked = bool(options.suite or options.problem or options.batch)
    code = 0
    if options.forget:
        out.print(f"{_entries(wisdom.forget())} forgotten.")
    if options.import_from:
        count = wisdom.import_from(options.import_from)
        out.print(f"{_entries(count)} imported from {escape(options.import_from)}.", soft_wrap=True)
    if asked or not (options.forget or options.import_from or options.export_to):
        code = _tune(options)
    if options.export_to:
        count = wisdom.export_to(options.export_to)
        out.print(f"{_entries(count)} exported to {escape(options.export_to)}.", soft_wrap=True)
    return code


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def _tune(options: Options) -> int:
    """Measure the problems in a run of its own and learn from it."""
    chosen, notes = chosen_suite(options, options.suite)
    remark(notes)
    threads = thread_counts(options.threads or str(available()))
    chosen, settings = planned(chosen, options, threads)
    folder = Path(options.runs or results.runs_folder()) / TUNINGS
    done = measure(chosen, settings, folder, out, options.words)
    return learn(done)


def planned(chosen: Suite, options: Options, threads: tuple[int, ...]) -> tuple[Suite, Settings]:
    """Return the suite with the algorithms worth timing, and the settings of the run."""
    cases = [case for case in chosen.cases if tuning.can_be_tuned(case)]
    if not cases:
        raise ConvbenchError(
            f"{chosen.title}: no problem here has a choice between several algorithms"
        )
    if left := len(chosen.cases) - len(cases):
        remark([f"{plural(left, 'problem')} without a choice of algorithms left out"])
    cases = [tuning.racing(case, threads, options.seed) for case in cases]
    needed = _needed(cases, threads, options.call_limit)
    if options.budget and options.budget < needed:
        cases = [tuning.racing(case, threads, options.seed, short=True) for case in cases]
        needed = _needed(cases, threads, options.call_limit)
    names = tuple(sorted({name for case in cases for name in case.algorithms}))
    settings = Settings(
        suite=chosen.name, algorithms=names, threads=threads,
        budget=options.budget or 5.0 * math.ceil(needed / 5),
        baseline="parallel" if "parallel" in names else names[0], seed=options.seed,
        call_limit=options.call_limit, timeout=options.timeout,
        elastic=options.budget is None, needed=needed,
    )  # fmt: skip
    return replace(chosen, cases=tuple(cases), title=f"Tuning: {chosen.title}"), settings


def _needed(cases: list[Case], threads: tuple[int, ...], call_limit: float) -> float:
    names = tuple({name for case in cases for name in case.algorithms})
    return seconds_needed(cases, names, threads, call_limit)


def learn(done: Finished) -> int:
    """Learn from a finished run, and print what has changed; return 1 after wrong results."""
    frame = results.read(done.path)
    known = tuning.learnable(frame)
    cases, seed = cases_of(frame), int(frame.attrs.get("seed") or 0)
    before = automatic_choices(cases, seed)
    learnt = algos.wisdom(known) if len(known) else 0
    after = automatic_choices(cases, seed)
    found = tuning.changes(frame, before, after)
    for change in found:
        out.print(f"• {escape(str(change))}", soft_wrap=True)
    out.print(escape(tuning.summary(learnt, len(cases), found)), soft_wrap=True)
    if learnt < len(cases):
        out.print("More --budget measures the others.", soft_wrap=True)
    _print_failures(frame)
    out.print(f"kept in  {machine.folder()}", soft_wrap=True, markup=False)
    out.print(f"see it   convbench report {done.path}", soft_wrap=True, markup=False)
    if done.status == "interrupted":
        raise ConvbenchError("interrupted; the times measured so far were kept where they suffice")
    return int((frame["status"] == "failed").any())


def _print_failures(frame: pd.DataFrame) -> None:
    for _, row in frame[frame["status"] == "failed"].iterrows():
        out.print(
            f"[bold red]{escape(str(row['algorithm']))} FAILED[/] on {escape(str(row['label']))}: "
            f"{escape(str(row['reason']))}",
            soft_wrap=True,
        )


COMMAND = Command("tune", Options, add_arguments, execute, EXAMPLES)
