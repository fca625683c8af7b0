"""The audit of the harness: pairs with a known truth are decided as in any run.

Every group is one small problem and one algorithm under several names, each in its own process.
Two names are equals; the others are slow-downs, planted by making more calls than are counted.
With 101 calls for 100 the effect is exact on any machine. Passes, blocks, looks and verdicts are
those of `suites.timing.schedule`; nothing here decides anything.
"""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from itertools import accumulate, cycle, islice, product
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

import results
from algos.core.errors import ConvbenchError
from algos.core.problem import Problem
from results.records.record import Record
from results.records.run import EndRecord, RunHeader
from results.verdicts.audit import AGAIN, BASELINE, MIN_PAIRS, NAMES, Audit, audit_of, planted, save
from results.verdicts.decide import MIN_PASSES
from suites.cases.suite import Case
from suites.machine import clock
from suites.machine import environment as machine

from .bench import Settings
from .cell import Cell, Group
from .progress import progress_line
from .schedule import MAX_BLOCKS, LeftOut, Progress, Run

ALGORITHMS = ("naive", "im2col", "parallel", "fft")
#: Slow-downs planted in a group, by the fewest calls of a sample that make them whole calls.
PLANTED = {20: (0.05, 0.10), 100: (0.01, 0.02)}
#: Multiply-adds that take an algorithm a few microseconds.
FAST = {"naive": 6_000, "parallel": 50_000}
#: Seconds that five passes over a pair of equals take, slow-downs included. With 40 blocks of
#: 2.5 ms a pair takes 0.2 s a pass, with slow-downs twice as long.
LEAST_SECONDS = 1.5
#: Seconds of the budget for a pair. What five passes leave goes to further passes over undecided
#: pairs.
PAIR_SECONDS = 4.0
#: Most pairs of an audit.
MOST_PAIRS = 560


def cases() -> Iterator[tuple[Case, str]]:
    """Yield small problems, each with an algorithm for it."""
    sizes = range(8, 43)
    kinds = product(sizes, (3, 5), ((1, 1), (2, 3)))
    flat = (Problem(size=(n, n), kernel=k, in_channels=i, out_channels=o) for n, k, (i, o) in kinds)
    for problem, algorithm in product(flat, ALGORITHMS):
        yield Case(problem), algorithm


class AuditRun(Run):
    """A run whose groups are one algorithm each, under the names of `results.verdicts.audit`."""

    def __init__(self, pairs: int, settings: Settings, scratch: Path) -> None:
        super().__init__((), settings, scratch)
        chosen = list(cases())
        step = max(1, len(chosen) // pairs)
        effects = cycle(PLANTED.values())
        for number, (case, algorithm) in enumerate(islice(chosen[::step], pairs)):
            names = [BASELINE, AGAIN]
            # Slow-downs need many calls in a sample, so they are planted in fast ones.
            if case.problem.multiply_adds <= FAST.get(algorithm, 0):
                names += map(planted, next(effects))
            cells = [
                Cell(case, name, 1, number, runs=algorithm, planted=NAMES[name]) for name in names
            ]
            self.groups.append(Group(number, case, 1, cells, blocks=MAX_BLOCKS))

    def _economise(self) -> Iterator[LeftOut]:
        """Keep the groups whose five passes fit the budget; raise if they are too few."""
        if 0 < self._pass < MIN_PASSES:
            least, room = min(MIN_PAIRS, len(self.groups)), self.remaining()
            costs = [
                (MIN_PASSES - self._pass) * sum(cell.seconds for cell in group.alive)
                for group in self.groups
            ]
            kept = sum(total <= room for total in accumulate(costs))
            if kept < least:
                needed = self.settings.budget - room + 1.1 * sum(costs[:least])
                raise ConvbenchError(
                    f"after {self._pass} of {MIN_PASSES} passes {max(room, 0):.0f} s are left of "
                    f"{self.settings.budget:g} s, too few for {least} pairs "
                    f"on this machine as it is now; give --budget {needed:.0f}, or end what "
                    f"else runs"
                )
            self.groups = self.groups[:kept]
        yield from ()

    def _calibrate(self, group: Group) -> None:
        """Choose the calls of a sample, the same number under every name."""
        if not group.alive:  # the budget is spent
            return
        first, *others = group.alive
        self.bench.calibrate(first)
        effects = tuple(cell.planted for cell in group.cells if cell.planted)
        least = next((calls for calls, known in PLANTED.items() if known == effects), 1)
        first.loops = least * max(1, round(first.loops / least))
        for cell in others:
            cell.loops, cell.once = first.loops, first.once


def check_budget(budget: float) -> None:
    """Raise `ConvbenchError` if the budget leaves too few pairs for an audit."""
    least = MIN_PAIRS * LEAST_SECONDS
    if budget < least:
        raise ConvbenchError(
            f"--budget {budget:g} s is too short: an audit takes {MIN_PAIRS} pairs in "
            f"{MIN_PASSES} passes, about {least:g} s; give --budget {least:g} or more"
        )


def run_and_show(settings: Settings, folder: Path, out: Console) -> int:
    """Audit within the budget, write records and results; return 1 if the harness falls short."""
    pairs = min(MOST_PAIRS, max(MIN_PAIRS, int(settings.budget / PAIR_SECONDS)))
    out.print(
        f"[bold]Audit[/]: {pairs} pairs of equals and slow-downs of 1, 2, 5 and 10 %, "
        f"decided as in a run, within about {settings.budget:g} s"
    )
    header = RunHeader(
        suite="audit", title="Audit", baseline=BASELINE, algorithms=list(NAMES),
        threads=settings.threads, seed=settings.seed, min_effect=settings.min_effect,
        budget_s=settings.budget, command=shlex.join(["convbench", *sys.argv[1:]]),
        started=clock.utc().isoformat(), environment=machine.environment(),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch, results.RunWriter(folder, header) as writer:
        run = AuditRun(pairs, settings, Path(scratch))
        try:
            _measure(run, writer, out)
        except ConvbenchError:  # without a result, no records are kept
            shutil.rmtree(writer.path, ignore_errors=True)
            raise
        state = "out of budget" if run.out_of_time else "complete"
        writer.append(EndRecord(finished=clock.utc().isoformat(), status=state))
    records = results.read_records(writer.path)
    found = audit_of(records)
    save(found, records)
    show(found, out)
    out.print(f"\naudit    {writer.path}", soft_wrap=True)
    return 1 if found.shortcomings else 0


def _measure(run: AuditRun, writer: results.RunWriter, out: Console) -> None:
    """Write every record as soon as it is made."""
    columns = (BarColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=out, transient=True) as bar, closing(iter(run)) as events:
        task = bar.add_task("starting", total=run.budget)
        for event in events:
            if isinstance(event, Record):
                writer.append(event)
            elif isinstance(event, Progress):
                spent = run.budget - max(event.left, 0)
                bar.update(
                    task, total=run.budget, completed=spent, description=progress_line(event)
                )


def show(audit: Audit, out: Console) -> None:
    """Print the error rates in per cent, with their exact intervals in brackets."""
    if not audit.coverage[AGAIN].trials:
        out.print(f"No pair had its {MIN_PASSES} passes, so nothing can be said.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("rule", no_wrap=True)
    effects = [name for name in NAMES if name not in (BASELINE, AGAIN)]
    for heading in ("false alarms", *(f"found {name.removeprefix('A ')}" for name in effects)):
        table.add_column(heading, justify="right")
    for rule, alarms in audit.alarms.items():
        rates = [audit.power[rule][name] for name in effects]
        table.add_row(rule, str(alarms), *map(str, rates))
    out.print(table)
    equals = audit.coverage[AGAIN]
    others = [rate for name, rate in audit.coverage.items() if name != AGAIN]
    hits, trials = (sum(getattr(r, what) for r in others) for what in ("hits", "trials"))
    out.print(
        f"\nNominal 95 % intervals held the truth in {equals} of {equals.trials} pairs of equals"
        + (f", and in {type(equals)(hits, trials)} of {trials} slow-downs." if trials else ".")
    )
    middle, low, high = audit.variances
    out.print(
        f"Variance between passes over that within: {middle:.2f} ({low:.2f} – {high:.2f}); "
        f"{audit.passes:.1f} passes a pair. All rates in per cent, with exact 95 % intervals."
    )
    for sentence in audit.shortcomings:
        out.print(f"[bold red]Falls short:[/] {sentence}.")
