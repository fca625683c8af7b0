"""Disturbances of a measurement: other processes, stolen time, clock frequency.

They are read from counters that the system keeps anyway, so reading them disturbs nothing.
"""

from __future__ import annotations

import re
import resource
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from results.verdicts.other_work import facts

_SCHEDULER = Path("/proc/self/sched")


class Watch:
    """Disturbances since this object was made; `found` returns them."""

    def __init__(self) -> None:
        self._cpu, self._own = psutil.cpu_times(), _own_seconds()

    def found(self) -> dict[str, Any]:
        """Return cores busy with other processes, share of stolen time, and MHz; None: unknown."""
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
    """Return counts of context switches and migrations of this process so far.

    Switches are the involuntary ones of all threads; migrations are those of the main thread,
    left out if the system does not tell them.
    """
    counts = {"switches": resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw}
    with suppress(OSError):
        if found := re.search(r"nr_migrations\s*:\s*(\d+)", _SCHEDULER.read_text()):
            counts["migrations"] = int(found[1])
    return counts


def warnings(found: dict[str, Any]) -> list[str]:
    """Return clauses on the disturbances that `results.verdicts.other_work` finds notable."""
    return facts(found, psutil.cpu_count())


def _own_seconds() -> float:
    """Return the processor seconds of this process and its descendants, ended ones included."""
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
