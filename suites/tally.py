"""A verification as one watches it: progress, the table, what failed and how to see it again."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from algos.errors import ConvbenchError
from algos.plugins import load_file

from .suite import Case
from .verify import CANARIES, Score, Verifier, repro_line


def verify_and_show(
    verifier: Verifier,
    names: Sequence[str],
    cases: Sequence[Case],
    canaries: bool,
    out: Console,
    notes: Console,
) -> int:
    """Judge the algorithms called `names`, and where asked the judge; 1 where either fails."""
    wrong = load_file(CANARIES) if canaries else ()
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    scores = []
    with Progress(*columns, console=notes, transient=True) as progress:
        task = progress.add_task("verify", total=len(cases) * len(names) + len(wrong))
        for name in names:
            progress.update(task, description=f"verify {name}")
            scores.append(verifier.score(name, cases, lambda: progress.advance(task)))
        progress.update(task, description="canaries")
        verifier.files = (*verifier.files, CANARIES) if canaries else verifier.files
        alive = []
        for canary in wrong:
            if not verifier.killed(canary, cases):
                alive.append(canary)
            progress.advance(task)
        verifier.close()
    out.print(_table(scores))
    for score in scores:
        _show_failures(score, verifier, out)
    if not any(score.cases for score in scores):
        raise ConvbenchError("nothing was judged: none of the cases is supported")
    return _conclude(scores, wrong, alive, out)


def _table(scores: Sequence[Score]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("algorithm")
    for heading in (
        "cases", "exact", "worst error/bound", "properties held", "other bits by threads",
        "cannot", "mistrusted", "wrong", "time",
    ):  # fmt: skip
        table.add_column(heading, justify="right")
    for s in scores:
        style = "red" if s.failures else "green" if s.cases else "dim"
        judged = (
            str(s.exact), f"{s.worst:.3g}", str(s.properties), "no" if s.threads_agree else "yes",
        )  # fmt: skip
        table.add_row(
            f"[{style}]{s.algorithm}[/]", str(s.cases), *(judged if s.cases else ["–"] * 4),
            str(s.unsupported), str(s.mistrusted), str(len(s.failures)), f"{s.seconds:.1f} s",
        )  # fmt: skip
    return table


def _show_failures(score: Score, verifier: Verifier, out: Console) -> None:
    for failure in score.failures[:3]:
        out.print(f"\n[red]{score.algorithm}[/]: {escape(failure.reason)}", soft_wrap=True)
        out.print(f"  on {escape(str(failure.case.problem))}", soft_wrap=True)
        again = repro_line(
            score.algorithm, failure.smallest, verifier.threads, verifier.seed,
            [file for file in verifier.files if file != CANARIES],
        )  # fmt: skip
        what = "the smallest case that fails" if failure.smallest != failure.case else "again"
        out.print(f"  {what}: {escape(again)}", soft_wrap=True)
    if len(score.failures) > 3:
        out.print(f"  … and {len(score.failures) - 3} more of {score.algorithm}")


def _conclude(
    scores: Sequence[Score], canaries: Sequence[str], alive: Sequence[str], out: Console
) -> int:
    judged = sum(score.cases for score in scores)
    rejected = sum(len(score.failures) for score in scores)
    out.print(
        f"\n{rejected} of {judged} cases rejected. Exact: equality on integers was asked for and "
        f"met; mistrusted: most of an exact output was zero, which proves little."
    )
    if canaries:
        killed = len(canaries) - len(alive)
        out.print(f"Canaries, wrong on purpose: {killed} of {len(canaries)} caught.")
        for name in alive:
            out.print(f"  [red]{name}[/] passed: more cases are needed to trust this verdict")
    return 1 if rejected or alive else 0
