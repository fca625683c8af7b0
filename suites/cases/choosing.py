"""The automatic choice of an algorithm for a case, with or without what was measured here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import algos
from algos import registry
from algos.choice import Explanation, accuracy, forget_choices, machine
from algos.choice.wisdom import descriptor
from algos.core.errors import ConvbenchError
from results.records.columns import GROUP
from results.records.entrants import Entrant

from . import data
from .suite import Case


def automatic(case: Case, threads: int, seed: int = 0, use: str = "prepared") -> str:
    """Return the name that ``algorithm="auto"`` stands for; empty if it cannot be told.

    A problem made of several layers has no choice of its own. An algorithm from outside may raise
    when it is asked. Its own row says so, and the choice is then unknown.
    """
    family = case.problem.family
    if family.is_pipeline:
        return ""
    try:
        return algos.choose(case.problem, data.kernel(case, seed), use=use, threads=threads)
    except ConvbenchError:
        return ""
    except Exception:
        if all(type(one).__module__.startswith("algos.") for one in registry.of(family).values()):
            raise
        return ""


def is_admitted(problem: Any, algorithm: str) -> bool:
    """Return True if the automatic choice may take `algorithm` at its default accuracy.

    A faster algorithm that errs more is not a missed choice. Unknown algorithms are admitted. An
    entrant of another layout is like its algorithm.
    """
    found = registry.of(problem.family).get(Entrant.of(algorithm).algorithm)
    return found is None or accuracy.admits("standard", found, problem)


def explained(
    case: Case,
    threads: int | None = None,
    seed: int = 0,
    *,
    use: str = "prepared",
    accuracy: str | float = "standard",
    memory: int | None = None,
) -> Explanation:
    """Return the explanation of the automatic choice for a case.

    Raises
    ------
    ConvbenchError
        If the problem has no choice, or no algorithm meets the demands.
    """
    if case.problem.family.is_pipeline:
        raise ConvbenchError(
            f"{case.problem} is made of several layers; explain each of them, as convbench shape "
            f"lists them"
        )
    return algos.explain(
        case.problem, data.kernel(case, seed), use=use, accuracy=accuracy, memory=memory,
        threads=threads,
    )  # fmt: skip


@contextmanager
def without_wisdom() -> Iterator[None]:
    """Let choices inside this block know nothing that was measured by the user."""
    before = os.environ.get(machine.VARIABLE)
    machine.rates()  # kept for the process: a model scaled to this machine is not wisdom
    os.environ[machine.VARIABLE] = str(machine.folder() / "none")
    forget_choices()
    try:
        yield
    finally:
        if before is None:
            del os.environ[machine.VARIABLE]
        else:
            os.environ[machine.VARIABLE] = before
        forget_choices()


def key_of(case: Case, threads: int) -> tuple[object, ...]:
    """Return the key that `results.tables.regret.key_of` gives the rows of a case."""
    p = case.problem
    values = {
        "operation": p.operation, "problem": descriptor(p),
        "name": p.name, "weights": case.weights, "pixels": case.pixels, "dtype": p.dtype,
        "threads": threads,
    }  # fmt: skip
    return tuple(values[name] for name in GROUP)
