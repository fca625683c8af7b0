"""Command ``regret``: measure how far the automatic choice is from the fastest algorithm."""

from __future__ import annotations

import argparse
import math
import os
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from rich.markup import escape
from rich.table import Table

import results
from algos.backend.threads import available
from algos.core.errors import ConvbenchError
from results.records.files import write_whole
from results.tables.labels import lead_text, plural
from results.tables.regret import Figures, regret
from suites.cases import everyday
from suites.cases.choosing import without_wisdom
from suites.choice import regrets, tuning
from suites.choice.bars import BARS
from suites.timing.estimate import seconds_needed
from suites.timing.progress import interrupted, measure
from suites.timing.schedule import Settings

from .arguments import add_runs, output_file, seconds
from .command import Command
from .consoles import out, remark
from .everyday_suite import ChoiceCases, add_cases, chosen_suite, is_suite
from .resuming import resumed
from .selection import thread_counts

EXAMPLES = """examples:
  convbench regret                               300 everyday problems, with 1 and 2 threads
  convbench regret --count 40 --seed 7 --budget 10min
  convbench regret vgg16 --threads 1
  convbench regret 20261120-104212-sizes         a finished run
  convbench regret everyday --tuned   after: convbench tune everyday --threads 1,2
  NUMBA_CPU_NAME=haswell convbench regret        with the instructions of another processor
"""
#: Number of problems that are listed, those with the largest regret.
LISTED = 5


@dataclass(frozen=True, kw_only=True)
class Options(ChoiceCases):
    """Options of ``convbench regret``."""

    what: str | None
    threads: str | None
    budget: float | None
    tuned: bool
    table: str | None
    resume: str | None
    runs: str | None
    #: Words of the command line, kept in the records; `resume` reads them.
    words: tuple[str, ...] = ()
    #: Folder of the run that is resumed.
    earlier: Path | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convbench regret`` to `parser`."""
    what = parser.add_argument_group("what to judge on")
    what.add_argument(
        "what", nargs="?", metavar="SUITE|RUN",
        help="a suite to time, or a finished run (default: the suite everyday)",
    )  # fmt: skip
    add_cases(what)
    how = parser.add_argument_group("how")
    how.add_argument("--threads", metavar="N,M", help="thread counts (default: 1,2)")
    how.add_argument(
        "--budget",
        type=seconds,
        metavar="TIME",
        help="time to spend, such as 10min or 1h (default: what the problems need)",
    )
    how.add_argument(
        "--tuned",
        action="store_true",
        help="use the measured times of convbench tune, and apply the tighter limits",
    )
    how.add_argument("--table", metavar="FILE", help="write the regret of every problem as CSV")
    how.add_argument("--resume", metavar="RUN", help="continue an interrupted measurement")
    add_runs(how)


def execute(options: Options) -> int:
    """Judge the automatic choice on a run; return 1 if a limit is exceeded."""
    if options.resume:
        options = resumed(COMMAND, options, options.resume)
    table = output_file("--table", options.table)
    if options.what and not is_suite(options.what):
        if options.problem or options.batch or options.earlier:
            raise ConvbenchError(
                f"{options.what} names no suite, so it is taken for a finished run; leave out "
                f"--problem, --batch and --resume"
            )
        path = results.find(options.what, options.runs)
    else:
        path = _measured(options)
    return judge(results.read(path), options.tuned, table)


def _measured(options: Options) -> Path:
    """Time the candidates of every problem; return the folder of the run."""
    listed = options.problem or options.batch
    name = options.what or (None if listed else everyday.CONVOLUTIONS)
    chosen, notes = chosen_suite(options, name)
    remark(notes)
    threads = thread_counts(options.threads or ("1,2" if available() > 1 else "1"))
    cases = tuple(
        tuning.racing(case, threads, options.seed)
        for case in chosen.cases
        if tuning.can_be_tuned(case)
    )
    if not cases:
        raise ConvbenchError(
            f"{chosen.title}: no problem here has a choice between several algorithms"
        )
    names = tuple(sorted({name for case in cases for name in case.algorithms}))
    needed = seconds_needed(cases, names, threads, Settings.call_limit)
    settings = Settings(
        suite=chosen.name, algorithms=names, threads=threads, needed=needed, seed=options.seed,
        budget=options.budget or 5.0 * math.ceil(needed / 5), elastic=options.budget is None,
        baseline="parallel" if "parallel" in names else names[0],
    )  # fmt: skip
    folder = options.runs or results.runs_folder()
    done = measure(
        replace(chosen, cases=cases), settings, folder, out, options.words, options.earlier
    )
    out.print(f"run      {done.path}", soft_wrap=True, markup=False)
    if done.status == "interrupted":
        raise interrupted(done.path, COMMAND.name)
    return done.path


def judge(frame: pd.DataFrame, tuned: bool = False, table: Path | None = None) -> int:
    """Print the regret of the automatic choice and of simpler rules; return 1 if it is too large.

    Unless `tuned`, choices know nothing that was measured by the user.
    """
    frame = regrets.admitted(frame)
    regrets.check_cases(frame)
    with nullcontext() if tuned else without_wisdom():
        rules = regrets.rules_of(frame)
        changing = regrets.unsteady(frame, rules[0].chosen)
    found = regrets.table_of(frame, rules)
    _print_table(found)
    each = regret(frame, rules[0].chosen)
    _print_worst(each)
    if table:
        written = write_whole(table, each.to_csv(index=False))
        out.print(f"table    {written}", soft_wrap=True, markup=False)
    foreign = os.environ.get("NUMBA_CPU_NAME")
    bars = BARS["tuned" if tuned else "foreign" if foreign else "untuned"]
    said = [
        f"{rule.title}: {sentence}"
        for rule, about, _ in found
        if rule in rules[:2]
        for sentence in bars.missed(about)
    ]
    if tuned:
        default = next((r.chosen for r in rules if r.title == regrets.DEFAULT), rules[0].chosen)
        slower = regrets.slower_than(frame, rules[0].chosen, default)
        said += [f"slower than without tuning, beyond doubt: {one}" for one in slower]
    if changing:
        said.append(f"{plural(changing, 'choice')} differed when asked for twice")
    out.print(f"\nLimits of geometric mean / 95th percentile / worst, {bars}.")
    for sentence in said:
        out.print(f"[bold red]Exceeded:[/] {escape(sentence)}.", soft_wrap=True)
    if not said:
        out.print("All limits are kept. Every choice was the same when asked for twice.")
    return int(bool(said))


def _print_table(found: list[tuple[regrets.Rule, Figures, Figures]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("regret of", no_wrap=True)
    for heading in ("problems", "not timed", "mean", "95 %", "worst", "auto, same problems"):
        table.add_column(heading, justify="right", no_wrap=True)
    for rule, about, auto in found:
        table.add_row(
            escape(rule.title), str(about.count), str(about.missing), _percent(about.mean),
            _percent(about.percentile), _percent(about.worst), _percent(auto.mean),
        )  # fmt: skip
    out.print(table)


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.1f} %"


def _print_worst(each: pd.DataFrame) -> None:
    worst = each[each["regret"] > 0].sort_values("regret", ascending=False).head(LISTED)
    if len(worst):
        out.print("\nFarthest from the fastest:")
    for _, row in worst.iterrows():
        out.print(
            f"• {escape(str(row['label']))}, {plural(int(row['threads']), 'thread')}: "
            f"{row['chosen']}, {lead_text(1 + row['regret'])} the time of {row['best']}",
            soft_wrap=True,
        )


COMMAND = Command("regret", Options, add_arguments, execute, EXAMPLES)
