"""Disturbance of a run by other work on the machine: its level, and sentences about it.

The facts are counted during a run (`suites.machine.noise`) and kept in its last record. Their
effect shows only in the samples. A pass counts by its shortest samples, so most runs beside other
work still reach verdicts. Times are distrusted if the samples show the disturbance too. That is
the case if the fastest of most problems with enough passes stayed undecided, or if most times
drifted.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from results.verdicts.decide import MIN_PASSES
from results.verdicts.other_work import facts

from .labels import TOO_EARLY, plural

#: Part of problems that may be undecided, and of times that may drift, before the times of a
#: disturbed machine are distrusted.
TOLERATED = 0.5
#: Levels of a run: no other work; other work; other work that affected the samples.
QUIET, NOTE, DISTRUST = "quiet", "note", "distrust"


def disturbance(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the ``level`` of the run in `frame`, and the ``sentences`` that explain it."""
    found = facts(frame.attrs.get("noise") or {})
    timed = frame[frame["time_s"].notna()]
    if not found or timed.empty:
        return {"level": QUIET, "sentences": []}
    fastest = timed[timed["winner"]]
    early = fastest["doubt"].str.startswith((TOO_EARLY, "verdicts are withheld"))
    judged = fastest[~early]
    decided, drifting = int(judged["decided"].sum()), int((timed["drift"] != 1).sum())
    clauses = "; ".join(found)
    of_all = f"of {plural(len(judged), 'problem')} {decided} could be decided"
    level = NOTE
    if drifting > TOLERATED * len(timed):
        level, why = DISTRUST, f"{drifting} of {plural(len(timed), 'time')} drifted"
    elif judged.empty:
        why = f"no problem has had its {MIN_PASSES} passes"
    elif decided < (1 - TOLERATED) * len(judged):
        level, why = DISTRUST, of_all
    else:
        why = f"{of_all} all the same"
    if level == DISTRUST:
        sentence = (
            f"warning: {clauses}; {why}: these times are not to be trusted, end what else "
            f"runs and run again"
        )
    else:
        sentence = f"note: {clauses}; {why}"
    return {"level": level, "sentences": [f"{sentence}."]}


def footnote(frame: pd.DataFrame) -> str:
    """Return the level in a few words for the heading of a figure; empty if quiet."""
    level = (frame.attrs.get("disturbance") or {}).get("level", QUIET)
    return {NOTE: "machine not quiet", DISTRUST: "machine disturbed: not to be trusted"}.get(
        level, ""
    )
