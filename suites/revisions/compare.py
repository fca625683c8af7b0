"""Comparison of two revisions: their work trees, one session, and its result as a table."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from algos.core.errors import ConvbenchError
from results.records.run import RunHeader
from results.tables.changes import compare_in_turns
from results.tables.comparison import Comparison
from results.tables.labels import plural
from results.tables.matched import Key
from suites.cases.suite import Suite
from suites.machine import clock
from suites.machine import environment as machine

from .cells import AFTER, BEFORE, TwoSided, records, two_sided
from .session import TOO_FEW, Session, Settings
from .trees import Revision, checked_out


def compare_revisions(
    repository: Path,
    names: Sequence[str],
    suite: Suite,
    algorithms: tuple[str, ...],
    settings: Settings,
    tell: Callable[[str], None] = lambda text: None,
) -> Comparison:
    """Build two revisions, time them in turns, and return what changed.

    Parameters
    ----------
    repository : Path
        A folder inside the repository.
    names : two str
        Revisions to compare. The earlier one comes first.
    suite, algorithms
        Problems to time, and the algorithms to time them with.
    settings : Settings
        Settings of the session. They hold threads, budget, seed and minimum effect.
    tell : function
        Function that shows a line of progress.

    Raises
    ------
    ConvbenchError
        If a revision does not exist, or nothing could be timed under both.
    """
    tell("checking out both revisions")
    with checked_out(repository, names) as revisions, tempfile.TemporaryDirectory() as scratch:
        cells = two_sided(suite.cases, algorithms, settings.threads, settings.seed, Path(scratch))
        if not cells:
            raise ConvbenchError(
                f"none of {', '.join(algorithms)} can be timed on the problems of suite "
                f"{suite.name}; `convbench run --dry-run` shows why"
            )
        return measure(revisions, cells, suite, settings, tell)


def measure(
    revisions: Sequence[Revision],
    cells: Sequence[TwoSided],
    suite: Suite,
    settings: Settings,
    tell: Callable[[str], None] = lambda text: None,
) -> Comparison:
    """Time `cells` under two revisions that are checked out, and return what changed."""
    session = Session(revisions, cells, settings, tell)
    session.build()
    verdicts = session.run()
    header = RunHeader(
        suite=suite.name, title=suite.title, baseline=suite.baseline, threads=settings.threads,
        seed=settings.seed, min_effect=settings.min_effect, budget_s=settings.budget,
        started=clock.utc().isoformat(),
    )  # fmt: skip
    before, after = (
        records(cells, side, replace(header, id=str(revision), environment={
            **machine.environment(), "git_commit": revision.commit[:12]}))
        for side, revision in zip((BEFORE, AFTER), revisions, strict=True)
    )  # fmt: skip
    found = compare_in_turns(before, after, verdicts, _notes(revisions, session, verdicts, suite))
    if found.rows.empty:
        raise ConvbenchError(
            f"nothing could be timed under both revisions: {'; '.join(found.unmatched)}"
        )
    return found


def _notes(
    revisions: Sequence[Revision],
    session: Session,
    verdicts: Mapping[Key, tuple[str, str]],
    suite: Suite,
) -> list[str]:
    before, after = (f"{one}, {one.subject!r}" for one in revisions)
    notes = [
        f"Before is {before}; after is {after}.",
        "Both revisions ran in turns in one session, in fresh processes for every pass, so what "
        "else the machine did met both.",
    ]
    if session.again:
        notes.append(
            f"{plural(session.again, 'cell')} looked slower and had a second measurement, which "
            f"alone decides."
        )
    if early := sum(TOO_FEW in doubt for _, doubt in verdicts.values()):
        notes.append(f"{plural(early, 'cell')} had {TOO_FEW}; a longer --budget decides more.")
    if revisions[0].commit == revisions[1].commit:
        notes.append("Both names stand for the same commit: every difference is a false alarm.")
    if count := sum(case.problem.family.is_pipeline for case in suite.cases):
        notes.append(f"{plural(count, 'pipeline')} left out; their convolutions can be timed.")
    return notes
