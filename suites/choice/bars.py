"""Limits that the regret of the automatic choice must keep."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from results.tables.regret import Figures


@dataclass(frozen=True)
class Bars:
    """Largest regrets admitted: of the geometric mean, the 95th percentile and the worst."""

    name: str
    mean: float
    percentile: float
    worst: float

    def missed(self, found: Figures) -> Iterator[str]:
        """Yield a sentence for each limit that `found` exceeds."""
        for what, value, most in (
            ("geometric mean", found.mean, self.mean),
            ("95th percentile", found.percentile, self.percentile),
            ("worst regret", found.worst, self.worst),
        ):
            if value > most:
                yield f"the {what} is {value:.1%}, at most {most:.0%} is admitted ({self.name})"

    def __str__(self) -> str:
        limits = (self.mean, self.percentile, self.worst)
        known = " / ".join("–" if math.isinf(one) else f"{100 * one:g} %" for one in limits)
        return f"{self.name}: {known}"


#: Limits by name. "untuned": no problem was timed before. "tuned": every problem was.
#: "foreign": untuned, with the instructions of another processor.
BARS = {
    "untuned": Bars("untuned", 0.05, 0.25, 1.0),
    "tuned": Bars("tuned", 0.02, 0.10, 0.15),
    "foreign": Bars("untuned, other instructions", 0.10, math.inf, 1.5),
}
