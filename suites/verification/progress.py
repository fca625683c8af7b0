"""Display of a verification: progress, the table, and each failure with its repro line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from algos.core.errors import ConvbenchError
from algos.core.family import Family
from algos.registry import load_file
from suites.cases.generate import OPERATIONS
from suites.cases.suite import Case
from suites.timing.bars import can_move
from suites.truth.families import FAMILY_CASES

from .verifier import SHOWN, Score, Verifier, repro_line, sequence_line

#: Exit code if nothing was wrong, but some cases could not be judged.
UNJUDGED = 3

#: Cases on which every canary is tried, if the algorithms are judged on fewer.
CANARY_CASES = 120


@dataclass(frozen=True)
class Campaign:
    """Cases of one family, and the algorithms to judge on them."""

    family: Family
    names: Sequence[str]
    cases: Sequence[Case]


def verify_and_show(
    verifier: Verifier,
    campaigns: Sequence[Campaign],
    canaries: bool,
    out: Console,
    notes: Console,
) -> int:
    """Judge the algorithms of each campaign; with `canaries`, test the judge as well.

    Returns 1 if an algorithm or the judge fails, and 3 if no algorithm is wrong but some cases
    could not be judged.
    """
    if not any(c.names and c.cases for c in campaigns):
        raise ConvbenchError("nothing was judged: none of the algorithms is for these cases")
    known = {c.family: FAMILY_CASES[c.family].canaries for c in campaigns if canaries}
    files = {family: path for family, path in known.items() if path}
    wrong = [
        (c, name) for c in campaigns if c.family in files for name in load_file(files[c.family])
    ]
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    scores, alive = [], []
    total = sum(len(c.cases) * len(c.names) for c in campaigns) + len(wrong)
    moving = can_move(notes)
    with Progress(*columns, console=notes, transient=True, disable=not moving) as progress:
        task = progress.add_task("verify", total=total)
        for campaign, name in ((c, name) for c in campaigns for name in c.names):
            progress.update(task, description=f"verify {name}")
            score = verifier.score(name, campaign.cases, lambda: progress.advance(task))
            scores.append(score)
            if total > len(campaign.cases) and not notes.is_terminal:  # no bar is shown there
                notes.print(f"{name}: {score.cases} cases, {len(score.failures)} wrong")
        progress.update(task, description="canaries")
        asked = verifier.files
        verifier.files = (*asked, *files.values())
        tried = {c.family: _canary_cases(c, verifier.seed) for c, _ in wrong}
        for campaign, canary in wrong:
            if not verifier.killed(canary, tried[campaign.family]):
                alive.append(canary)
            progress.advance(task)
        verifier.close()
        verifier.files = asked
    out.print(table(scores))
    for score in scores:
        _show_failures(score, verifier, out)
        _show_unjudged(score, out)
    if not any(score.cases or score.unjudged for score in scores):
        raise ConvbenchError("nothing was judged: none of the cases is supported")
    return _conclude(scores, [name for _, name in wrong], alive, out)


def _canary_cases(campaign: Campaign, seed: int) -> list[Case]:
    """Return the cases of a campaign, and more up to `CANARY_CASES`."""
    more = FAMILY_CASES[campaign.family].cases(CANARY_CASES, seed, OPERATIONS)
    return [*campaign.cases, *more[len(campaign.cases) :]]


def table(scores: Sequence[Score]) -> Table:
    """Return the table of a verification, whose names fit 80 columns unbroken."""
    found = Table(
        box=None, header_style="bold", pad_edge=False, padding=(0, 1), collapse_padding=True
    )
    families = {s.family for s in scores}
    unjudged = any(s.unjudged for s in scores)
    found.add_column("algorithm", vertical="bottom", overflow="fold")
    for heading in (
        "cases", "exact", "worst\nerror/\nbound", "properties\nheld", "cannot",
        *(["not\njudged"] if unjudged else []), "wrong", "time",
    ):  # fmt: skip
        found.add_column(heading, justify="right", vertical="bottom", no_wrap=True)
    before = None
    for s in scores:
        if len(families) > 1 and s.family != before:
            found.add_row(f"[bold]{s.family}[/]")
        before = s.family
        style = "red" if s.failures else "yellow" if s.unjudged else "green" if s.cases else "dim"
        exact = str(s.exact) if s.exact == s.asked else f"{s.exact} of {s.asked}"
        judged = (exact, f"{s.worst:.3g}", str(s.properties)) if s.cases else ["–"] * 3
        found.add_row(
            f"[{style}]{s.algorithm}[/]", str(s.cases), *judged, str(s.unsupported),
            *([str(len(s.unjudged))] if unjudged else []), str(len(s.failures)),
            f"{s.seconds:.1f} s",
        )  # fmt: skip
    return found


def _show_failures(score: Score, verifier: Verifier, out: Console) -> None:
    for failure in score.failures[:SHOWN]:
        out.print(f"\n[red]{score.algorithm}[/]: {escape(failure.reason)}", soft_wrap=True)
        out.print(f"  on {escape(str(failure.case.problem))}", soft_wrap=True)
        if not failure.alone:
            again = sequence_line(score.algorithm, verifier)
            out.print(
                f"  only after other cases: it is case {failure.number} here, and passes alone in "
                f"a fresh process; all in turn: {escape(again)}",
                soft_wrap=True,
            )
            continue
        again = repro_line(
            score.algorithm, failure.smallest, verifier.threads, verifier.seed,
            verifier.files,
        )  # fmt: skip
        what = "the smallest case that fails" if failure.smallest != failure.case else "again"
        out.print(f"  {what}: {escape(again)}", soft_wrap=True)
    if len(score.failures) > SHOWN:
        out.print(f"  … and {len(score.failures) - SHOWN} more of {score.algorithm}")
    if report := next((f.whole for f in score.failures if f.whole), ""):
        out.print(f"\n{score.algorithm} raised, in full:\n{escape(report)}", soft_wrap=True)


def _show_unjudged(score: Score, out: Console) -> None:
    """Print every reason once, with the first case that it applies to."""
    first: dict[str, list[Case]] = {}
    for case, reason in score.unjudged:
        first.setdefault(reason, []).append(case)
    for reason, cases in first.items():
        more = f" and {len(cases) - 1} more" if len(cases) > 1 else ""
        out.print(
            f"\n[yellow]{score.algorithm}[/] was not judged: {escape(reason)}\n"
            f"  on {escape(str(cases[0].problem))}{more}",
            soft_wrap=True,
        )


def _conclude(
    scores: Sequence[Score], canaries: Sequence[str], alive: Sequence[str], out: Console
) -> int:
    judged = sum(score.cases for score in scores)
    rejected = sum(len(score.failures) for score in scores)
    unjudged = sum(len(score.unjudged) for score in scores)
    out.print()
    if judged:
        exactly = _exactly(sum(s.asked for s in scores), sum(s.exact for s in scores))
        out.print(f"{rejected} of {judged} cases rejected. {exactly}", soft_wrap=True)
    if unjudged:
        out.print(
            f"[yellow]Not judged: {unjudged} of {judged + unjudged} cases.[/] Time or memory ran "
            f"out; raise --timeout or take smaller problems.",
            soft_wrap=True,
        )
    doubtful = sum(score.mistrusted for score in scores)
    if doubtful:
        out.print(f"{doubtful} exact cases are mistrusted: most of the output was zero anyway.")
    by_threads = [score.algorithm for score in scores if not score.threads_agree]
    if by_threads:
        out.print(f"Other bits, within the bound, with all threads: {', '.join(by_threads)}.")
    if canaries:
        killed = len(canaries) - len(alive)
        out.print(f"Canaries, wrong on purpose: {killed} of {len(canaries)} caught.")
    if alive:
        out.print(
            f"[red]More cases are needed to trust this verdict[/]: {len(alive)} passed, "
            f"{', '.join(alive)}.",
            soft_wrap=True,
        )
    if rejected or alive:
        return 1
    return UNJUDGED if unjudged else 0


def _exactly(asked: int, found: int) -> str:
    """Return the sentence on equality, which direct sums of integers must reach."""
    if not asked:
        return "Exact: equality on integers is not shown, it could be asked for in no case."
    if not found:
        return f"Exact: equality on integers is not shown, it was met in none of {asked} cases."
    return f"Exact: equality on integers was asked for in {asked} cases, and met in {found}."
