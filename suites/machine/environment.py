"""What the numbers were measured on: processor, caches, memory, versions, threading."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numba
import psutil
from platformdirs import user_cache_path
from threadpoolctl import threadpool_info

from algos.backend.compiler import FASTMATH
from algos.backend.emitter import target_cpu
from algos.backend.threads import threading_layer

#: Where the system does not say how large its caches are.
USUAL_CACHES = {"L1d": 32 << 10, "L2": 512 << 10, "L3": 16 << 20}

_CPU = Path("/sys/devices/system/cpu/cpu0")


@cache
def environment() -> dict[str, Any]:
    """Everything about this machine and installation that a figure depends on."""
    import numpy as np
    import scipy

    return {
        "cpu": cpu_name(),
        "target": target_cpu(),
        "cores": psutil.cpu_count(logical=False) or psutil.cpu_count() or 1,
        "usable_cores": usable_cores(),
        "caches": _caches(),
        "memory_bytes": psutil.virtual_memory().total,
        "governor": _read(_CPU / "cpufreq" / "scaling_governor"),
        "os": platform.platform(),
        "host": platform.node(),
        "python": platform.python_version(),
        "convbench": _convbench_version(),
        "numba": numba.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "blas": _blas(),
        "threading_layer": threading_layer(),
        "fastmath": sorted(FASTMATH),
        "git_commit": _git_commit(),
    }


@cache
def cpu_name() -> str:
    """The processor's marketing name."""
    for line in (_read(Path("/proc/cpuinfo")) or "").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    from cpuinfo import get_cpu_info

    return str(get_cpu_info().get("brand_raw") or platform.processor() or platform.machine())


def usable_cores() -> int:
    """Cores this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not offered by this system
        return os.cpu_count() or 1


def cache_folder() -> Path:
    """Return the folder that keeps what was measured of this machine between runs."""
    named = os.environ.get("CONVBENCH_CACHE")
    return Path(named).expanduser() if named else user_cache_path("convbench")


def available_memory() -> int:
    """Bytes that can be had without swapping, cgroup limits included where readable."""
    free = psutil.virtual_memory().available
    limit = _read(Path("/sys/fs/cgroup/memory.max"))
    used = _read(Path("/sys/fs/cgroup/memory.current"))
    if limit and used and limit.isdigit() and used.isdigit():
        free = min(free, int(limit) - int(used))
    return max(free, 0)


def caches() -> dict[str, int]:
    """Bytes of every level of cache; the usual ones where the system does not tell."""
    return _caches() or USUAL_CACHES


def _caches() -> dict[str, int]:
    """Bytes of the first core's caches, ``{"L1d": 32768, …}``; empty where not readable."""
    sizes = {}
    for index in sorted(_CPU.glob("cache/index*")):
        kind, level, size = (_read(index / name) for name in ("type", "level", "size"))
        if size and level and kind != "Instruction":
            factor = {"K": 1 << 10, "M": 1 << 20}.get(size[-1], 1)
            sizes[f"L{level}{'d' if level == '1' else ''}"] = int(size.rstrip("KM")) * factor
    return sizes


def _blas() -> str:
    """The BLAS that NumPy multiplies with; SciPy may have loaded another beside it."""
    infos = [info for info in threadpool_info() if info["user_api"] == "blas"]
    infos = [info for info in infos if "numpy" in info["filepath"]] or infos
    return ", ".join(sorted({f"{i['internal_api']} {i.get('version')}" for i in infos}))


def _convbench_version() -> str:
    try:
        return version("convbench")
    except PackageNotFoundError:
        return "unknown"


def _git_commit() -> str | None:
    """The commit of the checkout this code runs from, "+" appended where it was edited."""
    ask = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=12"]
    ask += ["--exclude=*", "--dirty=+"]
    for _ in range(3):  # one that was killed, or waited long for its disk, has answered nothing
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
