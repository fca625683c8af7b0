"""Tuning: the algorithms worth timing on a problem, and what a finished run changes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from algos.choice.explain import candidates_of
from results.records.columns import MIN_PASSES
from results.tables.labels import GROUP, lead_text, plural, time_text
from results.tables.regret import Key, key_of
from results.verdicts.statistics import geometric_mean
from suites.cases.choosing import explained
from suites.cases.suite import Case

#: Algorithms left out where others can: plain loops were never the fastest.
PLAIN = ("naive",)
#: If time is short, algorithms are left out whose time is expected above this multiple of the
#: shortest. The model is wrong by more than this in less than one case in a hundred.
CLOSE = 4.0
#: Factor by which noise alone may change the time of a single pass.
NOISE = 1.5


@dataclass(frozen=True)
class Change:
    """The automatic choice for a problem before and after, with their times in seconds."""

    label: str
    threads: int
    before: str
    after: str
    before_s: float
    after_s: float

    def __str__(self) -> str:
        times = f"{time_text(self.before_s)} → {time_text(self.after_s)}"
        return (
            f"{self.label}, {plural(self.threads, 'thread')}: {self.before} → {self.after}, {times}"
        )


def racing(case: Case, threads: Iterable[int], seed: int = 0, short: bool = False) -> Case:
    """Return `case` with the algorithms worth timing; if time is `short`, only close ones.

    An algorithm without a known time is always worth timing. The present choice is so, too.
    """
    able = candidates_of(case.problem)
    names = [name for name in able if name not in PLAIN] or able
    if short and len(names) > 1:
        kept: set[str] = set()
        for count in threads:
            found = explained(case, count, seed)
            times = {
                one.algorithm: one.time_s
                for one in found.candidates
                if one.time_s is not None and not math.isnan(one.time_s)
            }
            least = min(times.values(), default=math.inf)
            near = {n for n in names if times.get(n, 0.0) <= CLOSE * least}
            kept |= near | {found.algorithm}
        names = [name for name in names if name in kept]
    return replace(case, algorithms=tuple(names))


def can_be_tuned(case: Case) -> bool:
    """Return True if the problem has a choice: more than one algorithm of ours can compute it."""
    return not case.problem.family.is_pipeline and len(candidates_of(case.problem)) > 1


def learnable(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a run that may be learnt from, with an interval each.

    Problems are left out if no two algorithms have enough passes for an interval. An algorithm
    with fewer has left the race far behind. It stays, with an interval as wide as noise, so that
    it is not taken for one whose time nobody knows.
    """
    timed = frame[frame["time_s"].notna()]
    enough = timed[timed["passes"] >= MIN_PASSES].groupby(list(GROUP))["algorithm"].nunique()
    known = {key for key, count in enough.items() if count > 1}
    keys = [key_of(row) for _, row in timed.iterrows()]
    kept = timed[np.array([key in known for key in keys], dtype=bool)].copy()
    wide = (kept["passes"] < MIN_PASSES) | ~np.isfinite(kept["time_high_s"])
    kept["time_low_s"] = kept["time_low_s"].mask(wide, kept["time_s"] / NOISE)
    kept["time_high_s"] = kept["time_high_s"].mask(wide, kept["time_s"] * NOISE)
    kept.attrs = frame.attrs
    return kept


def changes(
    frame: pd.DataFrame, before: Mapping[Key, str], after: Mapping[Key, str]
) -> list[Change]:
    """Return the problems whose automatic choice has changed, in the order of the run."""
    found = []
    for _, cells in frame.groupby(list(GROUP), sort=False):
        row = cells.iloc[0]
        key = key_of(row)
        old, new = before.get(key, ""), after.get(key, "")
        if new == old:
            continue
        times = cells.set_index("algorithm")["time_s"]
        found.append(
            Change(
                str(row["label"]), int(row["threads"]), old, new,
                float(times.get(old, math.nan)), float(times.get(new, math.nan)),
            )
        )  # fmt: skip
    return found


def summary(learnt: int, asked: int, found: list[Change]) -> str:
    """Return a sentence on a tuning that learnt `learnt` of `asked` problems."""
    text = f"{learnt} of {plural(asked, 'problem')} measured well enough to learn from"
    if not found:
        return f"{text}; no choice is better beyond doubt than the one before."
    gains = [one.before_s / one.after_s for one in found]
    text += f"; {plural(len(found), 'choice')} changed"
    mean = geometric_mean(gains)
    return f"{text}." if math.isnan(mean) else f"{text}, {lead_text(mean)} as fast on average."
