"""Time that a run needs for verdicts: its first pass, and four more of the contenders.

The estimate is made before any measurement, and is good to a factor of two. Of the machine it knows
only the memory that is built in, so a run that is resumed later asks for the same budget. It was
tuned on a 2-core AVX-512 machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from results.verdicts.decide import MIN_PASSES
from suites.cases.suite import Case

from .cell import memory_of_machine, obstacle, work_of

#: Seconds to verify, weigh and calibrate a cell, and to load it in a later pass, without calls.
VERIFYING, LOADING = 0.25, 0.05
#: Seconds to start a process, once a pass for every algorithm.
STARTING = 0.1
#: Multiply-adds per second of the plainest loop, and of a typical contender.
PLAIN_PACE, PACE = 1.2e9, 1e10
#: The algorithm that is never among the contenders if there are others.
PLAIN = "naive"
#: Calls of the first pass (verified, weighed, calibrated, sampled), and of a later one.
FIRST_CALLS, LATER_CALLS = 6, 4


def seconds_needed(
    cases: Iterable[Case], algorithms: tuple[str, ...], threads: Iterable[int], call_limit: float
) -> float:
    """Return the seconds until all contenders have had the fewest passes for a verdict."""
    seconds, later = 0.0, MIN_PASSES - 1
    counts = tuple(threads)
    for case in cases:
        names = [name for name in case.entrants(algorithms) if _able(case, name)]
        for name in names:
            once = work_of(case.problem, name) / (PLAIN_PACE if name == PLAIN else PACE)
            if once > call_limit:
                continue
            races = name != PLAIN or len(names) == 1
            seconds += (
                VERIFYING + FIRST_CALLS * once + races * later * (LOADING + LATER_CALLS * once)
            )
    return len(counts) * seconds + MIN_PASSES * STARTING * len(algorithms)


def _able(case: Case, name: str) -> bool:
    return obstacle(case.problem, name, 1, memory_of_machine()) is None


def shortfall(budget: float, needed: float) -> str:
    """Return a sentence on a budget below the need; empty if it suffices."""
    if budget >= needed:
        return ""
    enough = math.ceil(needed)
    return (
        f"Five passes of the contenders need about {enough} s, more than the budget of "
        f"{budget:g} s: algorithms far behind are left out after the first pass, and verdicts may "
        f"stay open; give --budget {enough}."
    )
