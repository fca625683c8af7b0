"""Disturbance of a run by other work on the machine: its level, and sentences about it.

The facts are counted during a run (`suites.machine.noise`) and kept in its last record. Their
effect shows only in the samples. A pass counts by its shortest samples, so most runs beside other
work still reach verdicts. Times are distrusted if the samples show the disturbance too. That is
the case if the fastest of most problems with enough passes stayed undecided, or if most times
drifted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from results.verdicts.decide import MIN_PASSES

from .labels import TOO_EARLY, plural

#: Cores that others may keep busy, and share of time a host may take, without a note.
FEW_CORES, LITTLE_STEAL = 0.1, 0.01
#: Interruptions per second of a working thread that need no note. On a quiet virtual machine of
#: two cores there were 7 to 15. Beside work of low priority (nice 19) on both cores there were 27
#: to 32, and the mean sample was 9 % longer than the shortest. Beside one or two processes of equal
#: priority there were 72 to 120, and with two threads 110 to 230.
FEW_SWITCHES = 50.0
#: Part of problems that may be undecided, and of times that may drift, before the times of a
#: disturbed machine are distrusted.
TOLERATED = 0.5
#: Levels of a run: no other work; other work; other work that affected the samples.
QUIET, NOTE, DISTRUST = "quiet", "note", "distrust"


def facts(noise: Mapping[str, Any], cores: int | None = None) -> list[str]:
    """Return a clause for each kind of other work; none if the machine was quiet."""
    said = []
    if (others := noise.get("other_cores") or 0.0) > FEW_CORES:
        of = f" of {cores}" if cores else ""
        said.append(f"other processes kept {others:.1f}{of} cores busy during the run")
    if (stolen := noise.get("steal") or 0.0) > LITTLE_STEAL:
        said.append(
            f"the host of this virtual machine took {100 * stolen:.0f} % of the processor time"
        )
    worked = noise.get("sampled_s") or 0.0
    if worked and (noise.get("switches") or 0) / worked > FEW_SWITCHES:
        said.append(
            f"while they were timed, algorithms had to give up a core "
            f"{noise['switches'] / worked:.0f} times a second"
        )
    return said


def disturbance(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the ``level`` of the run in `frame`, and the ``sentences`` that explain it."""
    cores = (frame.attrs.get("environment") or {}).get("cores")
    found = facts(frame.attrs.get("noise") or {}, cores)
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
