"""Disturbance of a run by other work on the machine: its sentences, and how grave it is.

The facts are counted while a run goes on (`suites.machine.noise`) and kept in its last record. How grave
they are, only the samples tell: a pass is read by its shortest samples, so most runs beside
other work are decided all the same. Times are called not to be trusted where the samples show
the disturbance too: most comparisons that had passes enough stayed undecided, or most times
drifted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from results.verdicts.decide import MIN_PASSES, UNDECIDED

from .labels import plural

#: Cores that others may keep busy, and the share of time a host may take, without a remark.
FEW_CORES, LITTLE_STEAL = 0.1, 0.01
#: Times a second that a thread at work may be interrupted. With work of low priority (nice 19)
#: on both cores of a virtual machine it was 27 to 32 times, and the mean sample 9 % longer than
#: the shortest; beside one or two rivals of its own priority 72 to 120 times, 110 to 230 where
#: two threads meet them.
FEW_SWITCHES = 50.0
#: Part of the comparisons that may stay undecided, and of the times that may drift, where a
#: disturbed machine is still to be trusted.
TOLERATED = 0.5
#: Level of a run: nothing else was at work; something was; and the samples suffered from it.
QUIET, NOTE, DISTRUST = "quiet", "note", "distrust"


def facts(noise: Mapping[str, Any], cores: int | None = None) -> list[str]:
    """Return a clause for everything else that was at work; none where all was quiet."""
    said = []
    if (others := noise.get("other_cores") or 0.0) > FEW_CORES:
        of = f" of {cores}" if cores else ""
        said.append(f"other processes kept {others:.1f}{of} cores busy meanwhile")
    if (stolen := noise.get("steal") or 0.0) > LITTLE_STEAL:
        said.append(f"the host of this virtual machine took {100 * stolen:.0f} % of the time away")
    worked = noise.get("sampled_s") or 0.0
    if worked and (noise.get("switches") or 0) / worked > FEW_SWITCHES:
        said.append(
            f"while they were timed, algorithms had to give up a core "
            f"{noise['switches'] / worked:.0f} times a second"
        )
    return said


def disturbance(frame: pd.DataFrame) -> dict[str, Any]:
    """The ``level`` of a run and the ``sentences`` that explain it; `frame` is its table."""
    cores = (frame.attrs.get("environment") or {}).get("cores")
    found = facts(frame.attrs.get("noise") or {}, cores)
    timed = frame[frame["time_s"].notna()]
    if not found or timed.empty:
        return {"level": QUIET, "sentences": []}
    judged = timed[(timed["passes"] >= MIN_PASSES) & (timed["verdict"] != "")]
    judged = judged[judged["verdict"] != "withheld"]
    decided = int((judged["verdict"] != UNDECIDED).sum())
    drifting = int((timed["drift"] != 1).sum())
    clauses = "; ".join(found)
    if drifting > TOLERATED * len(timed):
        level, why = DISTRUST, f"{drifting} of {plural(len(timed), 'time')} drifted"
    elif decided < (1 - TOLERATED) * len(judged):
        level, why = DISTRUST, f"{decided} of {plural(len(judged), 'comparison')} could be decided"
    elif judged.empty:
        level, why = NOTE, f"no comparison has had its {MIN_PASSES} passes"
    else:
        level, why = (
            NOTE,
            (f"{decided} of {plural(len(judged), 'comparison')} could be decided all the same"),
        )
    if level == DISTRUST:
        sentence = (
            f"warning: {clauses}; {why}: these times are not to be trusted, end what else "
            f"runs and run again"
        )
    else:
        sentence = f"note: {clauses}; {why}"
    return {"level": level, "sentences": [f"{sentence}."]}


def footnote(frame: pd.DataFrame) -> str:
    """The level in a few words, for the line under a figure's heading; empty where quiet."""
    level = (frame.attrs.get("disturbance") or {}).get("level", QUIET)
    return {NOTE: "machine not quiet", DISTRUST: "machine disturbed: not to be trusted"}.get(
        level, ""
    )
