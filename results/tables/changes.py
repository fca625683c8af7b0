"""Two or more runs side by side: what differs between them, and what got faster or slower.

The first run is the one that all others are compared with. Across machines a time says nothing, so
there only times relative to a common baseline are compared. Nothing is ever pooled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import pandas as pd

from algos.core.errors import ConvbenchError
from results.records.differences import same_machine, sorted_differences
from results.records.run import RunRecords, names_of
from results.verdicts.changes import (
    FEWEST_FOR_SHIFT,
    Change,
    Estimate,
    judged,
    shift,
    welch,
)  # fmt: skip
from results.verdicts.decide import MIN_EFFECT
from results.verdicts.statistics import paired_ratios, ratio_interval

from .comparison import Comparison, as_table, row_of
from .labels import listed, percent, plural
from .matched import KEY, Key, Pair, broken, key_of, matched, sides, unmatched
from .table import tabulate_run


def compare_runs(
    runs: Sequence[RunRecords],
    min_effect: float | None = None,
    baseline: str | None = None,
    beyond_shift: bool = False,
) -> Comparison:
    """Compare later runs with the first one.

    Parameters
    ----------
    runs : sequence of RunRecords
        Runs to compare. Two or more, each only once.
    min_effect : float, optional
        The relative difference that matters. By default the largest that a run was made with.
    baseline : str, optional
        Algorithm that times are relative to. Runs of different machines always need one. By
        default it is the baseline that they share.
    beyond_shift : bool
        True to judge changes beyond the shift that most cells share.

    Raises
    ------
    ConvbenchError
        If the runs cannot be compared.
    """
    if len(runs) < 2:
        raise ConvbenchError("one run was given, and comparing takes two or more")
    names = names_of(runs)
    frames = [_table(run, name) for run, name in zip(runs, names, strict=True)]
    base = baseline or _shared_baseline(runs, names)
    _check_holds(base, frames, names)
    first, *later = [sides(frame, base) for frame in frames]
    lists = [matched(first, other) for other in later]
    lacking = [
        sentence
        for name, other in zip(names[1:], later, strict=True)
        for sentence in unmatched(first, other, (names[0], name))
    ]
    if not any(lists):
        raise ConvbenchError(
            f"runs {listed(names)} share no cell with a time, so there is nothing to compare "
            f"({'; '.join(lacking) or 'nothing was timed'}); give runs of one suite"
        )
    if min_effect is None:
        own = [run.header.min_effect for run in runs]
        min_effect = max(MIN_EFFECT if effect is None else effect for effect in own)
    shifts = [0.0] * len(later)
    if beyond_shift:
        shifts = [_shift(pairs, name) for pairs, name in zip(lists, names[1:], strict=True)]
    changes = _judged(lists, min_effect, shifts)
    if any(run.header.withheld for run in runs):
        changes = [change._replace(verdict="withheld") for change in changes]
    rows = [
        row_of(name, pair, change)
        for (name, pair), change in zip(_named(names[1:], lists), changes, strict=True)
    ]
    return Comparison(
        names, as_table(rows), min_effect, base,
        {name: sorted_differences(runs[0], run)
         for name, run in zip(names[1:], runs[1:], strict=True)},
        _notes(names, runs, frames, base, shifts), lacking,
        sum(broken(first, other) for other in later),
    )  # fmt: skip


def _named(names: Sequence[str], lists: Sequence[list[Pair]]) -> list[tuple[str, Pair]]:
    return [(name, pair) for name, pairs in zip(names, lists, strict=True) for pair in pairs]


def compare_in_turns(
    before: RunRecords,
    after: RunRecords,
    verdicts: Mapping[Key, tuple[str, str]],
    notes: Sequence[str] = (),
) -> Comparison:
    """Compare two sides of one session, whose samples were taken in turns.

    The change is that of neighbouring samples. The time after is the time before, changed by it.
    `verdicts` holds verdict and doubt of each cell by `KEY`, as the session found them.
    """
    names = names_of((before, after))
    one, other = (
        sides(_table(run, name)) for run, name in zip((before, after), names, strict=True)
    )
    rows = []
    for pair in matched(one, other):
        verdict, doubt = verdicts[key_of(pair[0].row)]
        ratio = ratio_interval(pair[1].passes, pair[0].passes, ratio=paired_ratios)
        row = row_of(names[1], pair, Change(verdict, ratio, doubt))
        rows.append({**row, "after": row["before"] * ratio.middle})
    effect = before.header.min_effect
    return Comparison(
        names, as_table(rows), MIN_EFFECT if effect is None else effect, notes=notes,
        unmatched=unmatched(one, other, (names[0], names[1])), broken=broken(one, other),
    )  # fmt: skip


def _table(run: RunRecords, name: str) -> pd.DataFrame:
    frame = tabulate_run(run)
    if frame.duplicated([*KEY]).any():
        raise ConvbenchError(
            f"run {name} holds cells twice, as an audit does on purpose, so they cannot be "
            f"matched; give runs of `convbench run`"
        )
    return frame


def _shared_baseline(runs: Sequence[RunRecords], names: Sequence[str]) -> str:
    """Return the baseline of runs of different machines; empty on one machine."""
    headers = [run.header for run in runs]
    pairs = combinations(zip(names, headers, strict=True), 2)
    apart = [
        (one, other)
        for one, other in pairs
        if not same_machine(one[1].environment, other[1].environment)
    ]
    if not apart:
        return ""
    found = {header.baseline or "" for header in headers}
    if len(found) == 1 and "" not in found:
        return found.pop()
    (name, _), (other_name, _) = apart[0]
    theirs = listed([header.baseline or "none" for header in headers])
    raise ConvbenchError(
        f"runs {name} and {other_name} are of different machines, where only times relative to a "
        f"common baseline can be compared; their baselines are {theirs}; give --baseline "
        f"ALGORITHM with one that all have timed"
    )


def _check_holds(base: str, frames: Sequence[pd.DataFrame], names: Sequence[str]) -> None:
    """Raise an error unless every run has timed the algorithm `base`."""
    for frame, name in zip(frames, names, strict=True):
        timed = list(dict.fromkeys(frame["algorithm"][frame["time_s"].notna()]))
        if base and base not in timed:
            raise ConvbenchError(
                f"run {name} has no time of the baseline {base!r}; give --baseline with one of "
                f"{', '.join(timed) or 'none, for nothing was timed'}"
            )


def _shift(pairs: Sequence[Pair], name: str) -> float:
    """Return the shift that most cells of a run share, as a logarithm."""
    if len(pairs) < FEWEST_FOR_SHIFT:
        raise ConvbenchError(
            f"run {name} has {plural(len(pairs), 'matched cell')}, too few to tell a shift of all "
            f"from a change of some; give runs with {FEWEST_FOR_SHIFT} or more, or leave out "
            f"--beyond-shift"
        )
    return shift([_estimate(pair) for pair in pairs])


def _judged(
    lists: Sequence[Sequence[Pair]], min_effect: float, shifts: Sequence[float]
) -> list[Change]:
    """Return the change of every pair of all lists; they are one family of tests."""
    estimates = [
        one._replace(mean=one.mean - moved)
        for pairs, moved in zip(lists, shifts, strict=True)
        for one in map(_estimate, pairs)
    ]
    passes = [min(len(side.values) for side in pair) for pairs in lists for pair in pairs]
    return judged(estimates, passes, min_effect)


def _estimate(pair: Pair) -> Estimate:
    before, after = pair
    return welch([*before.values.values()], [*after.values.values()])


def _notes(
    names: Sequence[str],
    runs: Sequence[RunRecords],
    frames: Sequence[pd.DataFrame],
    baseline: str,
    shifts: Sequence[float],
) -> list[str]:
    """Return sentences on how far a comparison of separate sessions can be trusted."""
    notes = []
    if baseline:
        notes.append(
            f"Times are relative to {baseline} in the same passes, so only changes beyond its own "
            f"show."
        )
    else:
        notes.append(
            "What differs between two sessions, such as temperature or neighbours, moves all "
            "cells together and is no part of the intervals; convbench compare --rev measures "
            "two revisions in one session."
        )
    for name, moved in zip(names[1:], shifts, strict=True):
        if moved:
            notes.append(
                f"The shift that most cells of {name} share, {percent(math.exp(moved))}, is taken "
                f"out of every change."
            )
    for name, run, frame in zip(names, runs, frames, strict=True):
        if run.header.withheld:
            notes.append(f"Verdicts are withheld, for those of {name} are: {run.header.withheld}.")
        if run.status not in ("complete", "out of budget"):
            notes.append(f"Run {name} is {run.status}.")
        notes += [f"{name}: {said}" for said in frame.attrs["disturbance"]["sentences"]]
    return notes
