"""Reduction of a failing problem to the smallest one that still fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from algos.core.errors import ConvbenchError
from suites.truth.families import family_cases

#: Most simpler problems to try.
ATTEMPTS = 300


def shrink(problem: Any, fails: Callable[[Any], bool]) -> Any:
    """Return the simplest problem found that `fails`.

    Every step makes one field smaller or plainer and keeps the first problem that still fails.
    The search is greedy, so the result is a local minimum, which is enough for debugging.
    """
    attempts = 0
    found = True
    while found and attempts < ATTEMPTS:
        found = False
        for simpler in _simpler(problem):
            attempts += 1
            if fails(simpler):
                problem, found = simpler, True
                break
            if attempts >= ATTEMPTS:
                break
    return problem


def _simpler(problem: Any) -> Iterator[Any]:
    """Yield problems that are simpler in one field, boldest first; each differs from `problem`."""
    seen = {problem}
    for changes in family_cases(problem).simpler(problem):
        try:
            simpler = replace(problem, name="", **changes)
        except ConvbenchError:
            continue
        if simpler not in seen:
            seen.add(simpler)
            yield simpler
