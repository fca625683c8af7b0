"""Claim: a statement of a book, a lecture or a paper, and the function that checks it.

A new claim is one function in a module of `suites.claims.sources`:

    @claim
    def valid_output() -> Findings:
        '''Convolve without padding: the output has m − k + 1 samples.

        Source: Deep Learning (2016), 9.5.
        '''
        y = algos.conv(np.ones((1, 1, 16)), np.ones((1, 1, 6)))
        yield equal("output samples for m = 16, k = 6", 16 - 6 + 1, y.shape[-1])

A function yields rows, sentences of its working, and figures. The stated value of a row is a
citation; the value found comes from the run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from results.verdicts.statistics import Interval

if TYPE_CHECKING:
    from results.figures.style import Sheet

#: A value as a row holds it; an `Interval` has a 95 % interval around its middle.
Value = bool | int | float | str | Interval


@dataclass(frozen=True)
class Row:
    """One statement with the value stated and the value found here.

    `holds` is None if noise leaves it undecided.
    """

    statement: str
    stated: Value
    found: Value
    holds: bool | None


Findings = Iterator["Row | str | Sheet"]


@dataclass(frozen=True)
class Claim:
    """A function that checks a claim, with the texts of its docstring."""

    name: str
    title: str
    source: str
    function: Callable[[], Findings]


#: Claims by name, in the order of their modules and lines, as far as modules are imported.
CLAIMS: dict[str, Claim] = {}


def claim(function: Callable[[], Findings]) -> Callable[[], Findings]:
    """Register `function` as a claim; its docstring gives title and source.

    Raises
    ------
    TypeError
        If the docstring names no source, or another claim has the name.
    """
    name = function.__name__.replace("_", "-")
    title, _, rest = (function.__doc__ or "").partition("\n")
    source = re.search(r"^\s*Source: (.+?)\s*(?:\n\s*\n|\Z)", rest, re.DOTALL | re.MULTILINE)
    if not title or not source:
        raise TypeError(f"claim {name} needs a docstring with a title and a line 'Source: …'")
    if name in CLAIMS:
        raise TypeError(f"there are two claims named {name}")
    CLAIMS[name] = Claim(name, title.rstrip("."), re.sub(r"\s+", " ", source[1]), function)
    return function


def equal(statement: str, stated: Value, found: Value) -> Row:
    """Return the row of a value that must be exactly the stated one."""
    return Row(statement, stated, found, bool(stated == found))


def about(statement: str, stated: float, found: float | Interval, within: float = 0.05) -> Row:
    """Return the row of a value stated roughly; `within` is the relative difference allowed."""
    low, high = sorted((stated * (1 - within), stated * (1 + within)))
    shown = f"{stated:,.0f}" if abs(stated) >= 1000 else f"{stated:g}"
    return between(statement, f"about {shown}", found, low, high)


def between(statement: str, stated: str, found: float | Interval, low: float, high: float) -> Row:
    """Return the row of a value that must lie in a range.

    An interval inside the range holds, one outside does not, and one across an end is undecided.
    """
    least, most = (found.low, found.high) if isinstance(found, Interval) else (found, found)
    inside, outside = low <= least and most <= high, most < low or least > high
    return Row(statement, stated, found, True if inside else False if outside else None)


def at_least(statement: str, stated: str, found: float | Interval, bound: float) -> Row:
    """Return the row of a value that must reach `bound`; see `between`."""
    return between(statement, stated, found, bound, math.inf)


def at_most(statement: str, stated: str, found: float | Interval, bound: float) -> Row:
    """Return the row of a value that may not pass `bound`; see `between`."""
    return between(statement, stated, found, -math.inf, bound)


def true(statement: str, found: bool, stated: bool = True) -> Row:
    """Return the row of a statement that is true or false."""
    return Row(statement, "yes" if stated else "no", "yes" if found else "no", found == stated)
