"""Explanation of a choice: every algorithm with its time, or the sentence why it cannot."""

from __future__ import annotations

import math
import shlex
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from algos import registry
from algos.adapters import performer
from algos.backend import threads as pools

from . import accuracy as classes
from .decide import Known, Order, Ranked, eligible, first, order_of, taken
from .values import unsuited
from .wisdom import descriptor

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Candidate:
    """An algorithm of the problem's family, with its expected time or the `reason` against it.

    Attributes
    ----------
    time_s, low_s, high_s : float or None
        Time of a call in this use, in seconds. `low_s` and `high_s` bound its 95 % interval.
    prepare_s : float or None
        Time to prepare the kernel. The unit is seconds.
    workspace_bytes : int or None
        Peak memory in bytes. Operands and result do not count.
    accuracy : str
        Class of accuracy. It is the strictest that admits the algorithm.
    break_even : int or None
        Number of calls until the preparation pays. From then on, the algorithm has taken no longer
        than any that prepares in less time. It is 0 if none prepares in less time, and None if the
        preparation never pays.
    source : str
        Source of the time. One of "measured here", "shipped", "model", "pinned" and "".
    reason : str
        Sentence that says why the algorithm was ruled out. Empty for a candidate.
    """

    algorithm: str
    time_s: float | None = None
    low_s: float | None = None
    high_s: float | None = None
    prepare_s: float | None = None
    workspace_bytes: int | None = None
    accuracy: str = ""
    break_even: int | None = None
    source: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Explanation:
    """The algorithm chosen for a problem, and what the choice rests on."""

    problem: Any
    algorithm: str
    source: str
    threads: int
    use: str
    candidates: tuple[Candidate, ...]

    @property
    def command(self) -> str:
        """Command that measures the candidates and remembers the times."""
        text = shlex.quote(descriptor(self.problem))
        return f"convbench tune --problem {text} --threads {self.threads}"

    def to_frame(self) -> pd.DataFrame:
        """Return the candidates as a table, one row each."""
        import pandas as pd

        return pd.DataFrame([asdict(candidate) for candidate in self.candidates])

    def __str__(self) -> str:
        about = {"model": "predicted", "": "the only candidate"}.get(self.source, self.source)
        head = f"{self.problem}, {self.threads} thread(s), {self.use}: {self.algorithm} ({about})"
        width = max(len(candidate.algorithm) for candidate in self.candidates)
        lines = [f"  {c.algorithm:{width}}  {_told(c)}" for c in self.candidates]
        return "\n".join([head, *lines, f"to settle it: {self.command}"])

    def _repr_html_(self) -> str:
        from html import escape

        head = escape(str(self).split("\n", 1)[0])
        return f"<p>{head}</p>{self.to_frame().to_html(index=False, na_rep='')}"


def explain(
    problem: Any,
    w: np.ndarray | None = None,
    *,
    use: str = "prepared",
    accuracy: str | float = "standard",
    memory: int | None = None,
    threads: int | None = None,
    deterministic: bool = False,
) -> Explanation:
    """Return the automatic choice for `problem`, with every candidate and its reasons.

    Parameters are those of `choose`; nothing is timed.

    Examples
    --------
    >>> from algos import Problem
    >>> found = explain(Problem(size=(32, 32), kernel=5), threads=1)
    >>> found.algorithm in {candidate.algorithm for candidate in found.candidates}
    True
    """
    order = order_of(problem, use, accuracy, memory, threads, deterministic)
    w = taken(problem, w)
    count = 1 if deterministic else pools.check(threads)
    chosen = first(order, problem, w)
    found = [_candidate(one, order, problem, w, use, count) for one in order.ranked]
    found.sort(key=lambda candidate: bool(candidate.reason))
    others = [Candidate(name, reason=reason) for name, reason in sorted(order.reasons.items())]
    return Explanation(problem, chosen.name, chosen.known.source, count, use, (*found, *others))


def _candidate(
    one: Ranked, order: Order, problem: Any, w: np.ndarray | None, use: str, threads: int
) -> Candidate:
    reason = unsuited(one.able, problem, w)
    asked = problem.with_images
    known = one.known
    timed = not math.isnan(known.time_s)
    found = Candidate(
        one.name, workspace_bytes=one.able.workspace_bytes(asked, threads),
        accuracy=classes.class_of(registry.of(problem.family)[one.name], asked),
        source=known.source, reason=reason or "",
    )  # fmt: skip
    if not timed:
        return found
    return replace(
        found, time_s=known.time_s, low_s=known.low_s, high_s=known.high_s,
        prepare_s=known.prepare_s, break_even=_break_even(known, order, use),
    )  # fmt: skip


def _break_even(own: Known, order: Order, use: str) -> int | None:
    """Return the calls after which `own` has cost no more than all that prepare less."""
    once = own.prepare_s if use == "once" else 0.0
    least = 0
    for other in (one.known for one in order.ranked):
        if not other.prepare_s < own.prepare_s:
            continue
        saved = (other.time_s - (other.prepare_s if use == "once" else 0.0)) - (own.time_s - once)
        if saved <= 0:
            return None
        least = max(least, math.ceil((own.prepare_s - other.prepare_s) / saved))
    return least


def _told(candidate: Candidate) -> str:
    """Return a candidate's facts in one line."""
    if candidate.time_s is None:
        return candidate.reason or "no time is known"
    parts = [
        f"{seconds(candidate.time_s)} ({seconds(candidate.low_s)} … {seconds(candidate.high_s)})",
        f"prepare {seconds(candidate.prepare_s)}",
        f"{(candidate.workspace_bytes or 0) / 2**20:.3g} MiB",
        candidate.accuracy,
        candidate.source,
    ]
    if candidate.break_even:
        parts.append(f"pays after {candidate.break_even} calls")
    return ", ".join([*parts, *([candidate.reason] if candidate.reason else [])])


def seconds(value: float | None) -> str:
    """Return a time with its unit.

    >>> seconds(0.00123), seconds(4.5e-6), seconds(12.0)
    ('1.23 ms', '4.5 µs', '12 s')
    """
    if value is None:
        return "?"
    for scale, unit in ((1.0, "s"), (1e-3, "ms")):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value * 1e6:.3g} µs"


def candidates_of(problem: Any) -> list[str]:
    """Return the names of our algorithms that can compute `problem`: those worth timing."""
    asked = problem.with_images
    return [
        name for name, algorithm in eligible(problem).items()
        if not performer(algorithm, asked).why_not(asked)
    ]  # fmt: skip
