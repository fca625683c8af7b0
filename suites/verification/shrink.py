"""From a problem that fails to the smallest one that still does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from algos.core.errors import ConvbenchError
from suites.truth.families import family_cases

#: How many simpler problems to try at the most.
ATTEMPTS = 300


def shrink(problem: Any, fails: Callable[[Any], bool]) -> Any:
    """The simplest problem found that `fails`, by trying simpler ones as long as any does.

    Every step makes one field smaller or plainer: greedy, hence a local minimum, which is
    what a person who debugs needs.
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
    """Problems with one thing less, boldest first; each differs from `problem`."""
    seen = {problem}
    for changes in family_cases(problem).simpler(problem):
        try:
            simpler = replace(problem, name="", **changes)
        except ConvbenchError:
            continue
        if simpler not in seen:
            seen.add(simpler)
            yield simpler
