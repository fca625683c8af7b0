"""From a problem that fails to the smallest one that still does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from algos.errors import ConvbenchError
from algos.problem import Problem

#: How many simpler problems to try at the most.
ATTEMPTS = 300


def shrink(problem: Problem, fails: Callable[[Problem], bool]) -> Problem:
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


def _simpler(problem: Problem) -> Iterator[Problem]:
    """Problems with one thing less, boldest first; each differs from `problem`."""
    seen = {problem}
    for changes in _changes(problem):
        try:
            simpler = replace(problem, name="", **changes)
        except ConvbenchError:
            continue
        if simpler not in seen:
            seen.add(simpler)
            yield simpler


def _changes(p: Problem) -> Iterator[dict[str, Any]]:
    yield {"batch": 1}
    yield {"groups": 1, "in_channels": p.in_channels // p.groups,
           "out_channels": p.out_channels // p.groups}  # fmt: skip
    if p.groups > 2:
        yield {"groups": 2, "in_channels": p.in_channels // p.groups * 2,
               "out_channels": p.out_channels // p.groups * 2}  # fmt: skip
    for name in ("in_channels", "out_channels"):
        for count in _smaller(getattr(p, name) // p.groups):
            yield {name: count * p.groups}
    yield {"bias": False}
    yield {"bias": bool(p.bias)}
    yield {"tile": 1}
    yield {"connections": None}
    if p.connections:
        last = p.out_channels - 1
        yield {"out_channels": last, "connections": p.connections[:last]}
    yield {"flip": False}
    yield {"fit": "floor"}
    yield {"operation": "forward"}
    yield {"dtype": "float32"}
    yield {"padding": 0}
    for name in ("stride", "dilation"):
        yield {name: 1}
    for name in ("size", "kernel", "stride", "dilation", "tile"):
        values = getattr(p, name)
        for axis, value in enumerate(values):
            for smaller in _smaller(value):
                yield {name: (*values[:axis], smaller, *values[axis + 1 :])}
    for axis, sides in enumerate(p.padding):
        for fewer in ((0, sides[1]), (sides[0], 0), (sides[0] // 2, sides[1] // 2)):
            yield {"padding": (*p.padding[:axis], fewer, *p.padding[axis + 1 :])}


def _smaller(value: int) -> Iterator[int]:
    """1, a half, one less."""
    for smaller in dict.fromkeys((1, value // 2, value - 1)):
        if 1 <= smaller < value:
            yield smaller
