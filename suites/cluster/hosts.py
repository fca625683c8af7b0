"""Hosts of a cluster: their identity and their kind.

A host is identified by its machine, not by its worker: two workers of one machine would disturb
each other's measurements. Hosts are of one kind if their processor, cores, caches, memory and
versions are equal.
"""

from __future__ import annotations

import json
import os
import platform
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from results.records.differences import comparable
from suites.machine.environment import environment

#: Variable that replaces the identity of a host. "process" gives every worker process its own: for
#: tests of several workers on one machine, whose times then disturb each other.
VARIABLE = "CONVBENCH_HOST"
#: Resource that a worker offers, once, to measure.
RESOURCE = "convbench"
#: Facts that are equal for all hosts of one kind. Their memory is equal to a GiB.
ALIKE = (
    "cpu", "target", "cores", "usable_cores", "caches", "python", "numba", "numpy", "scipy", "blas",
    "fastmath",
)  # fmt: skip


@dataclass(frozen=True)
class Host:
    """A worker that answered: its address, its machine, and what it has installed.

    Attributes
    ----------
    address : str
        Address of the worker. Dask sends its tasks there.
    identity, name : str
        Names of the machine. `identity` is unique, `name` is for people.
    convbench : str
        Version, commit and fingerprint of the source.
    resources : dict
        Resources that the worker offers. A task needs `RESOURCE`.
    environment : dict
        Environment, as in the header of a run. Empty if it could not be read.
    trouble : str
        Reason why the environment could not be read. Empty otherwise.
    """

    address: str
    identity: str = ""
    name: str = ""
    convbench: str = ""
    resources: Mapping[str, float] | None = None
    environment: Mapping[str, Any] | None = None
    trouble: str = ""

    @property
    def kind(self) -> str:
        """Text that is equal for all hosts of one kind."""
        facts = self.environment or {}
        known = {name: facts.get(name) for name in ALIKE}
        known["GiB"] = comparable("memory_bytes", facts.get("memory_bytes") or 0)
        return json.dumps(known, sort_keys=True)

    @property
    def title(self) -> str:
        """Processor and cores, for people."""
        facts = self.environment or {}
        return f"{facts.get('cpu', 'unknown processor')}, {facts.get('usable_cores', '?')} cores"


def facts() -> dict[str, Any]:
    """Return what `Host` holds of the machine that this process runs on."""
    known = environment()
    return {
        "identity": identity(), "name": str(known["host"]), "convbench": version(),
        "environment": json.loads(json.dumps(known)),
    }  # fmt: skip


def identity() -> str:
    """Return a text that no other machine has: its id and the id of its present start."""
    named = os.environ.get(VARIABLE, "")
    if named and named != "process":
        return named
    parts = [platform.node()]
    for file in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        try:
            parts.append(Path(file).read_text(encoding="ascii").strip())
        except OSError:
            continue
    return "/".join([*parts, *([str(os.getpid())] if named else [])])


@cache
def version() -> str:
    """Return version, commit and a fingerprint of the source: they must agree in a cluster."""
    known = environment()
    root = Path(__file__).parents[2]
    found = 0
    for package in ("algos", "results", "suites"):
        for file in sorted((root / package).rglob("*.py")):
            if "runs" not in file.parts:
                name = file.relative_to(root).as_posix().encode()
                found = zlib.crc32(name + file.read_bytes(), found)
    commit = f", commit {known['git_commit']}" if known["git_commit"] else ""
    return f"{known['convbench']} ({found:08x}{commit})"
