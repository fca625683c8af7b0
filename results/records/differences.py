"""Differences between runs: machine, versions, settings and problems."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from .run import RunHeader, RunRecords

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
        if comparable(key, before.get(key)) != comparable(key, after.get(key)):
            name = key.replace("_", " ")
            yield f"{name} was {_shown(before.get(key))}, is {_shown(after.get(key))}"


def same_machine(then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> bool:
    """Return True if two environments are those of one machine.

    Entries that one of them lacks are not compared.
    """
    before, after = then or {}, now or {}
    known = [key for key in MACHINE if before.get(key) and after.get(key)]
    return all(comparable(key, before[key]) == comparable(key, after[key]) for key in known)


def comparable(key: str, value: Any) -> Any:
    """Return what is compared of a fact: memory to a GiB, for the kernel's share of it varies."""
    return round(value / 2**30) if key == "memory_bytes" and value else value


def sorted_differences(then: RunRecords, now: RunRecords) -> dict[str, list[str]]:
    """Return clauses on what differs between two runs, by kind; kinds without any are left out.

    The kinds are machine, versions, threads and settings.
    """
    before, after = then.header.environment or {}, now.header.environment or {}
    threads, settings = [_threads(run) for run in (then, now)], [_settings(then), _settings(now)]
    shared = [name for name in threads[0] if name in threads[1]]
    found = {
        "machine": clauses(_only(before, MACHINE), _only(after, MACHINE)),
        "versions": clauses(_without(before, MACHINE), _without(after, MACHINE)),
        "threads": clauses(*(_only(counts, shared) for counts in threads)),
        "settings": clauses(*settings),
    }
    return {kind: said for kind, these in found.items() if (said := [*these])}


def _threads(run: RunRecords) -> dict[str, list[int]]:
    """Return the thread counts that were asked for, and those that each library had."""
    counts = {"threads": {*(run.header.threads or ())}}
    for cell in run.cells:
        for library, count in cell.threads_seen.items():
            counts.setdefault(f"threads of {library}", set()).add(count)
    return {name: sorted(found) for name, found in counts.items()}


#: Settings that are stated elsewhere or follow from others.
_IMPLIED = ("threads", "elastic", "needed", "min_effect", "baseline", "suite", "seed")


def _settings(run: RunRecords) -> dict[str, Any]:
    """Return what the user chose, whether or not the settings were recorded as a whole."""
    header = run.header
    named = {name: getattr(header, name) for name in ("suite", "baseline", "min_effect", "seed")}
    return {**named, **_without(header.settings or {}, _IMPLIED)}


def _only(entries: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in entries.items() if name in names}


def _without(entries: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in entries.items() if name not in names}


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    return "not known" if value is None else str(value)
