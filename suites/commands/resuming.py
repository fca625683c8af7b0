"""Options of a command that goes on with an interrupted run."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import results
from algos.core.errors import ConvbenchError

from .command import AnyOptions, Command


def resumed(command: Command[AnyOptions], options: AnyOptions, run: str) -> AnyOptions:
    """Return the options of the earlier run, changed by the ones given now.

    The records of `run` hold its command line, and the budget of an earlier resumption. Timing
    later refuses options that disagree.

    Raises
    ------
    ConvbenchError
        If another command made the run.
    """
    now: Any = options
    earlier = results.find(run, now.runs)
    records = results.read_records(earlier)
    words = tuple(records.header.words or [command.name])
    if words[0] != command.name:
        raise ConvbenchError(
            f"run {run} was made by convbench {words[0]}, but convbench {command.name} can only "
            f"resume runs of its own; see convbench {words[0]} --help"
        )
    before: Any = command.parse(list(words[1:]))
    usual = command.parse([])
    if (records.budget_s or 0.0) > (records.header.budget_s or 0.0):
        before = replace(before, budget=records.budget_s)
    given = {field.name: getattr(now, field.name) for field in fields(now)}
    changed = {name: value for name, value in given.items() if value != getattr(usual, name)}
    told: AnyOptions = replace(
        before, **{**changed, "words": words, "earlier": earlier, "resume": None}
    )
    return told
