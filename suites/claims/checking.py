"""Checks of claims: every claim is run once, and its findings are sorted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from algos.core.errors import ConvbenchError
from suites.machine import clock

from .claim import Claim, Row

if TYPE_CHECKING:
    from results.figures.style import Sheet

#: Words for `Row.holds`.
VERDICTS = {True: "holds", False: "does not hold", None: "undecided"}


@dataclass(frozen=True)
class Checked:
    """A claim with its findings; `unchecked` says why there are none."""

    claim: Claim
    rows: tuple[Row, ...] = ()
    working: tuple[str, ...] = ()
    sheets: tuple[Sheet, ...] = ()
    unchecked: str | None = None
    seconds: float = 0.0


def check(claim: Claim) -> Checked:
    """Run a claim; if a library or memory is missing, say so instead of raising."""
    from results.figures.style import Sheet, rc_context

    unchecked = None
    found: list[Any] = []
    with clock.stopwatch() as time, rc_context():
        try:
            found.extend(claim.function())
        except ConvbenchError as error:
            unchecked = str(error)
        except MemoryError:
            unchecked = "memory ran out; close other programs and start again"
    if unchecked:
        return Checked(claim, unchecked=unchecked, seconds=time.seconds)
    return Checked(
        claim,
        tuple(item for item in found if isinstance(item, Row)),
        tuple(item for item in found if isinstance(item, str)),
        tuple(item for item in found if isinstance(item, Sheet)),
        seconds=time.seconds,
    )


def check_each(claims: Iterable[Claim]) -> Iterator[Checked]:
    """Check claims one after the other, so that none disturbs the timing of another."""
    return map(check, claims)


def tally(checked: Iterable[Checked]) -> str:
    """Return a sentence that counts verdicts and claims that could not be checked."""
    checked = list(checked)
    rows = [row.holds for found in checked for row in found.rows]
    parts = [f"{rows.count(True)} of {len(rows)} statements hold"]
    parts += [f"{rows.count(False)} do not"] if False in rows else []
    parts += [f"{rows.count(None)} are undecided"] if None in rows else []
    missing = sum(found.unchecked is not None for found in checked)
    parts += [f"{missing} claims could not be checked"] if missing else []
    return ", ".join(parts) + "."
