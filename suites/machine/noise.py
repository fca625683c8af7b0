"""What else the machine did meanwhile: other processes, a host that takes time away, frequency.

Read where the system tells, from counters that run anyway; looking at them disturbs nothing.
"""

from __future__ import annotations

import re
import resource
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from results.tables.disturbance import facts

_SCHEDULER = Path("/proc/self/sched")


class Watch:
    """Counts from its making on; `found` says what there was up to now."""

    def __init__(self) -> None:
        self._cpu, self._own = psutil.cpu_times(), _own_seconds()

    def found(self) -> dict[str, Any]:
        """Cores that other processes kept busy, share of time stolen, MHz; None: not told."""
        now, before = psutil.cpu_times(), self._cpu
        passed = {name: getattr(now, name) - getattr(before, name) for name in now._fields}
        for counted_twice in ("guest", "guest_nice"):  # in user and nice already
            passed.pop(counted_twice, None)
        total = sum(passed.values())
        if total <= 0:
            return {"other_cores": None, "steal": None, "mhz": _frequency()}
        stolen = passed.get("steal", 0.0)
        idle = passed.get("idle", 0.0) + passed.get("iowait", 0.0) + stolen
        others = max(total - idle - (_own_seconds() - self._own), 0.0)
        cores = psutil.cpu_count() or 1
        return {
            "other_cores": round(others / total * cores, 3),
            "steal": round(stolen / total, 4),
            "mhz": _frequency(),
        }


def interruptions() -> dict[str, int]:
    """How often this process had to give up its core, and was moved to another, so far.

    Involuntary context switches of all its threads, and migrations of the main one; what the
    system does not tell is left out.
    """
    counts = {"switches": resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw}
    with suppress(OSError):
        if found := re.search(r"nr_migrations\s*:\s*(\d+)", _SCHEDULER.read_text()):
            counts["migrations"] = int(found[1])
    return counts


def warnings(found: dict[str, Any]) -> list[str]:
    """Return clauses on what else was at work; `results.tables.disturbance` weighs them."""
    return facts(found, psutil.cpu_count())


def _own_seconds() -> float:
    """Processor time of this process and of all below it, those that have ended included."""
    seconds = 0.0
    root = psutil.Process()
    for process in [root, *root.children(recursive=True)]:
        with suppress(psutil.Error):
            seconds += sum(process.cpu_times()[:4])
    return seconds


def _frequency() -> float | None:
    try:
        return round(psutil.cpu_freq().current, 1)
    except (AttributeError, NotImplementedError, OSError):
        return None
