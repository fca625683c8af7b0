"""Differences between runs: machine, versions, settings and problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .run import RunHeader

#: Facts of an environment that identify a machine.
MACHINE = ("host", "cpu", "cores", "usable_cores", "caches", "memory_bytes")


def differences(then: RunHeader, now: RunHeader) -> Iterator[str]:
    """Yield a clause for each difference in machine, versions, settings and problems."""
    yield from clauses(then.environment, now.environment)
    yield from clauses(then.settings, now.settings)
    if then.problems != now.problems:
        yield "the problems of the suite are others now"


def clauses(then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield a clause like "numba was 0.64.0, is 0.65.1" for each entry that differs."""
    before, after = then or {}, now or {}
    for key in dict.fromkeys([*before, *after]):
        if before.get(key) != after.get(key):
            name = key.replace("_", " ")
            yield f"{name} was {_shown(before.get(key))}, is {_shown(after.get(key))}"


def same_machine(then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> bool:
    """Return True if two environments are those of one machine; what is unknown is no sign."""
    before, after = then or {}, now or {}
    known = [key for key in MACHINE if before.get(key) and after.get(key)]
    return all(before[key] == after[key] for key in known)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    return "not known" if value is None else str(value)
