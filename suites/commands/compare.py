"""Command ``compare``: what got faster or slower, between runs or between two revisions."""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

import results
from algos.core.errors import ConvbenchError
from results.records.files import write_whole
from results.records.records import read_records
from results.tables.changes import compare_runs
from results.tables.changes_text import as_json, as_markdown, show
from results.tables.comparison import Comparison
from results.tables.labels import plural

from .arguments import add_runs, output_file, percent, seconds, whole_number
from .command import Command
from .command import Options as BaseOptions
from .consoles import notes, out, remark

EXAMPLES = """examples:
  convbench compare 20261120-104212-quick 20261121-091500-quick
  convbench compare before after --fail-on slower
  convbench compare laptop server --baseline naive
  convbench compare A B C --format md --output changes.md
  convbench compare --rev main --rev HEAD quick
  convbench compare --rev HEAD~1 --rev HEAD --algorithms parallel --fail-on slower
"""

FORMATS = ("terminal", "md", "json", "html")
#: Options of either kind of comparison alone.
_OF_RUNS = ("baseline", "beyond_shift", "runs")
_OF_REVISIONS = ("problem", "algorithms", "threads", "budget", "seed", "repository")
#: Seconds that two revisions are timed for.
BUDGET = 120.0


@dataclass(frozen=True, kw_only=True)
class Options(BaseOptions):
    """Options of ``convbench compare``."""

    names: tuple[str, ...]
    rev: tuple[str, ...]
    fail_on: str | None
    format: str
    output: str | None
    min_effect: float | None
    baseline: str | None
    beyond_shift: bool
    runs: str | None
    problem: tuple[str, ...]
    algorithms: str | None
    threads: str | None
    budget: float | None
    seed: int | None
    repository: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convbench compare`` to `parser`."""
    parser.add_argument(
        "names", nargs="*", metavar="RUN",
        help="ids or folders of runs: the one to compare with, then one or more others; with "
        "--rev, the name of a suite (default: quick)",
    )  # fmt: skip
    parser.add_argument(
        "--fail-on", choices=["slower"],
        help="exit with 1 if a cell became slower, or fails now and worked before",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=FORMATS, default="terminal",
        help="format of the output (default: terminal)",
    )  # fmt: skip
    parser.add_argument("--output", metavar="FILE", help="file to write (default: standard output)")
    parser.add_argument(
        "--min-effect", type=percent, metavar="PERCENT",
        help="smallest difference that counts (default: that of the runs, or 2%%)",
    )  # fmt: skip
    runs = parser.add_argument_group("to compare runs")
    runs.add_argument(
        "--baseline", metavar="A",
        help="compare times divided by those of this algorithm; always done for runs of "
        "different machines",
    )  # fmt: skip
    runs.add_argument(
        "--beyond-shift", action="store_true",
        help="first divide out the change that most cells share",
    )  # fmt: skip
    add_runs(runs)
    revisions = parser.add_argument_group("to compare revisions, timed in turns in one session")
    revisions.add_argument(
        "--rev", action="append", default=[], metavar="REV",
        help="branch, tag or commit; give it twice, the earlier revision first",
    )  # fmt: skip
    revisions.add_argument(
        "--problem", action="append", default=[], metavar="DESCRIPTOR",
        help="problem to time instead of a suite; may be repeated",
    )  # fmt: skip
    revisions.add_argument(
        "--algorithms", metavar="A,B", help="algorithms to time (default: the suite's)"
    )
    revisions.add_argument("--threads", metavar="N,M", help="thread counts (default: 1)")
    revisions.add_argument(
        "--budget", type=seconds, metavar="SECONDS",
        help=f"time to spend, without building (default: {BUDGET:g})",
    )  # fmt: skip
    revisions.add_argument(
        "--seed", type=whole_number(0), help="seed of data and order (default: 0)"
    )
    revisions.add_argument(
        "--repository", metavar="DIR",
        help="any folder of the git repository (default: the current folder)",
    )  # fmt: skip


def execute(options: Options) -> int:
    """Show what changed; return 1 if --fail-on asks for it, else 0."""
    _check(options)
    path = output_file("--output", options.output)
    found = _of_revisions(options) if options.rev else _of_runs(options)
    _write(found, options.format, path)
    if options.fail_on is None:
        return 0
    if found.counts["withheld"]:
        raise ConvbenchError(
            "--fail-on cannot decide, because the verdicts of a run are withheld; run convbench "
            "audit first, or measure without --strict"
        )
    return 1 if found.counts["slower"] or found.broken else 0


def _check(options: Options) -> None:
    """Raise an error if options do not go together."""
    for name in _OF_RUNS if options.rev else _OF_REVISIONS:
        if getattr(options, name) not in (None, False, ()):
            of, how = ("runs", "without") if options.rev else ("revisions", "with")
            raise ConvbenchError(
                f"--{name.replace('_', '-')} goes with a comparison of {of}, that is, {how} --rev"
            )
    if options.rev and len(options.rev) != 2:
        raise ConvbenchError(
            f"--rev was given {plural(len(options.rev), 'time')}; give it twice, the earlier "
            f"revision first"
        )
    if options.rev and len(options.names) > 1:
        raise ConvbenchError(
            f"{len(options.names)} suites were given, {' and '.join(options.names)}; give one"
        )
    if not options.rev and len(options.names) < 2:
        raise ConvbenchError(
            f"{len(options.names) or 'no'} run was given; give two or more, or --rev twice"
        )


def _of_runs(options: Options) -> Comparison:
    folder = options.runs or results.runs_folder()
    runs = [read_records(_found(name, folder)) for name in options.names]
    return compare_runs(runs, options.min_effect, options.baseline, options.beyond_shift)


def _found(name: str, folder: str | Path) -> Path:
    """Return the path of the run that `name` stands for; any file of records will do."""
    path = Path(name).expanduser()
    return path if path.is_file() else results.find(name, folder)


def _of_revisions(options: Options) -> Comparison:
    """Return the comparison of two revisions; what it needs takes long to import."""
    from suites.revisions.compare import compare_revisions
    from suites.revisions.session import Settings

    from . import selection as choose

    suite, remarks = choose.run_suite(
        choose.RunCases(
            suite=options.names[0] if options.names else None, problem=options.problem,
            batch=None, weights=None, dtype=None, input=None, kernel=None,
        )
    )  # fmt: skip
    remark(remarks)
    among = choose.families_of(suite.cases)
    algorithms = choose.algorithms(options.algorithms, suite.algorithms, among, suite.also)
    suite = choose.admitting(suite, algorithms if options.algorithms else ())
    usual = Settings()
    settings = Settings(
        threads=choose.thread_counts(options.threads or "1"),
        min_effect=usual.min_effect if options.min_effect is None else options.min_effect,
        budget=options.budget or BUDGET, seed=options.seed or 0,
    )  # fmt: skip
    repository = Path(options.repository or ".").expanduser()
    if not repository.is_dir():
        raise ConvbenchError(
            f"--repository {repository} is no folder; give a folder of a repository"
        )
    with notes.status("starting") as status:
        return compare_revisions(
            repository, options.rev, suite, algorithms, settings,
            lambda text: status.update(escape(text)),
        )  # fmt: skip


def _write(found: Comparison, form: str, path: Path | None) -> None:
    """Write the comparison to a file or to standard output."""
    if path:
        content = _formats()[form](found)
        notes.print(f"written  {write_whole(path, content)}", soft_wrap=True, markup=False)
    elif form == "terminal":
        show(found, out)
    else:
        sys.stdout.write(_formats()[form](found))


def _formats() -> dict[str, Callable[[Comparison], str]]:
    from results.page.changes import changes_page

    return {"terminal": _as_text, "md": as_markdown, "json": as_json, "html": changes_page}


def _as_text(found: Comparison) -> str:
    """Return what a terminal of this width would show."""
    console = Console(file=io.StringIO(), width=shutil.get_terminal_size().columns, highlight=False)
    show(found, console)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


COMMAND = Command("compare", Options, add_arguments, execute, EXAMPLES)
