"""The machine and installation: processor, caches, memory, versions, threading."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

import numba
import psutil
from platformdirs import user_cache_path
from threadpoolctl import threadpool_info

from algos.backend.compiler import FASTMATH
from algos.backend.emitter import target_cpu

#: Cache sizes in bytes, assumed if the system does not tell them.
USUAL_CACHES = {"L1d": 32 << 10, "L2": 512 << 10, "L3": 16 << 20}

_CPU = Path("/sys/devices/system/cpu/cpu0")


@cache
def environment() -> dict[str, Any]:
    """Return all facts about this machine and installation that a result depends on."""
    import numpy as np
    import scipy

    return {
        "cpu": cpu_name(),
        "target": target_cpu(),
        "cores": psutil.cpu_count(logical=False) or psutil.cpu_count() or 1,
        "usable_cores": usable_cores(),
        "caches": _caches(),
        "memory_bytes": total_memory(),
        "governor": _read(_CPU / "cpufreq" / "scaling_governor"),
        "os": platform.platform(),
        "host": platform.node(),
        "python": platform.python_version(),
        "convbench": _convbench_version(),
        "numba": numba.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "blas": _blas(),
        "threading_layer": "convbench",
        "fastmath": sorted(FASTMATH),
        "git_commit": _git_commit(),
    }


def library_versions(modules: Iterable[str]) -> dict[str, str]:
    """Return the versions of other people's libraries, by distribution, of those installed."""
    wanted = {name.partition(".")[0] for name in modules}
    found = packages_distributions() if wanted else {}
    names = sorted({name for module in wanted for name in found.get(module, ())})
    return {name: version(name) for name in names}


@cache
def cpu_name() -> str:
    """Return the processor's marketing name."""
    for line in (_read(Path("/proc/cpuinfo")) or "").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    from cpuinfo import get_cpu_info

    return str(get_cpu_info().get("brand_raw") or platform.processor() or platform.machine())


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not offered by this system
        return os.cpu_count() or 1


def cache_folder() -> Path:
    """Return the folder that keeps measurements of this machine between runs."""
    named = os.environ.get("CONVBENCH_CACHE")
    return Path(named).expanduser() if named else user_cache_path("convbench")


def total_memory() -> int:
    """Return the bytes of memory that the machine has."""
    return int(psutil.virtual_memory().total)


def available_memory() -> int:
    """Return the bytes available without swapping, within a readable cgroup limit."""
    free = psutil.virtual_memory().available
    limit = _read(Path("/sys/fs/cgroup/memory.max"))
    used = _read(Path("/sys/fs/cgroup/memory.current"))
    if limit and used and limit.isdigit() and used.isdigit():
        free = min(free, int(limit) - int(used))
    return max(free, 0)


def caches() -> dict[str, int]:
    """Return the bytes of every cache level; `USUAL_CACHES` if the system does not tell."""
    return _caches() or USUAL_CACHES


def _caches() -> dict[str, int]:
    """Return the bytes of the first core's caches, ``{"L1d": 32768, …}``; empty if unreadable."""
    sizes = {}
    for index in sorted(_CPU.glob("cache/index*")):
        kind, level, size = (_read(index / name) for name in ("type", "level", "size"))
        if size and level and kind != "Instruction":
            factor = {"K": 1 << 10, "M": 1 << 20}.get(size[-1], 1)
            sizes[f"L{level}{'d' if level == '1' else ''}"] = int(size.rstrip("KM")) * factor
    return sizes


def _blas() -> str:
    """Return the name of NumPy's BLAS; SciPy may have loaded a second one."""
    infos = [info for info in threadpool_info() if info["user_api"] == "blas"]
    infos = [info for info in infos if "numpy" in info["filepath"]] or infos
    return ", ".join(sorted({f"{i['internal_api']} {i.get('version')}" for i in infos}))


def _convbench_version() -> str:
    try:
        return version("convbench")
    except PackageNotFoundError:
        return "unknown"


def _git_commit() -> str | None:
    """Return the commit of this checkout, with "+" appended if it was edited."""
    ask = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=12"]
    ask += ["--exclude=*", "--dirty=+"]
    for _ in range(3):  # git may be killed, or wait too long for its disk
        try:
            done = subprocess.run(ask, capture_output=True, text=True, timeout=5)
        except subprocess.TimeoutExpired:
            continue
        except OSError:
            return None
        if done.returncode >= 0:
            return done.stdout.strip() or None
    return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
