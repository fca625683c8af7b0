"""Made-up runs for the tests of `results` and `report.py`: nothing here was ever timed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from algos.problem import Problem
from results.records import RunWriter

ALGORITHMS = ("naive", "im2col", "fft", "separable", "parallel")
ENVIRONMENT = {
    "cpu": "AMD EPYC 9B14", "cores": 2, "caches": {"L1d": 32768, "L2": 1048576, "L3": 33554432},
    "memory_bytes": 8 * 2**30, "governor": None, "os": "Linux 6.8 (Debian 12)",
    "python": "3.12.4", "numba": "0.61.0", "numpy": "2.2.1", "scipy": "1.15.0",
    "blas": "openblas 0.3.30", "threading_layer": "omp", "fastmath": ["contract"],
    "git_commit": "bd6a1ce", "convbench": "0.1.0", "host": "bench",
}  # fmt: skip


def header(**changes: Any) -> dict[str, Any]:
    """A ``run`` record as the harness writes it."""
    return {
        "suite": "quick", "title": "Five algorithms in a minute",
        "question": "Which algorithm should I use?", "baseline": "naive",
        "algorithms": list(ALGORITHMS), "threads": [1], "seed": 0, "budget_s": 60.0,
        "command": "convbench run quick", "started": "2026-11-20T10:42:12+00:00",
        "environment": ENVIRONMENT, **changes,
    }  # fmt: skip


def cell(
    algorithm: str,
    problem: Problem | None = None,
    *,
    samples: Iterable[float | None] | np.ndarray = (1.0e-3, 1.1e-3, 1.2e-3),
    threads: int = 1,
    status: str = "ok",
    reason: str = "",
    weights: str = "random",
    pixels: str = "random",
    suite: str = "quick",
    **changes: Any,
) -> dict[str, Any]:
    """A ``cell`` record as the harness writes it."""
    problem = problem or Problem(size=(256, 256), kernel=7, padding="same")
    ok = status == "ok"
    return {
        "record": "cell", "suite": suite, "problem": str(problem), "name": problem.name,
        "operation": problem.operation, "algorithm": algorithm, "dtype": problem.dtype,
        "threads": threads, "weights": weights, "pixels": pixels, "batch": problem.batch,
        "in_channels": problem.in_channels, "out_channels": problem.out_channels,
        "groups": problem.groups, "size": list(problem.size), "kernel": list(problem.kernel),
        "stride": list(problem.stride), "dilation": list(problem.dilation),
        "output_size": list(problem.output_size), "multiply_adds": problem.multiply_adds,
        "compulsory_bytes": problem.compulsory_bytes, "parameters": problem.parameters,
        "status": status, "reason": reason,
        "samples_s": samples if isinstance(samples, np.ndarray) else list(samples) if ok else [],
        "loops": 17, "compile_s": 0.8 if ok else None, "prepare_s": 1e-5 if ok else None,
        "first_call_s": 2e-3 if ok else None, "workspace_bytes": 4096 if ok else None,
        "error_over_bound": 0.02 if ok else None,
        "threads_seen": {"numba": threads, "openblas": threads} if ok else {}, **changes,
    }  # fmt: skip


def write_run(
    folder: Path, cells: Iterable[dict[str, Any]], end: str | None = "complete", **changes: Any
) -> Path:
    """Write a run of `cells` into `folder`; `end` None leaves it unfinished."""
    with RunWriter(folder, header(**changes)) as writer:
        for record in cells:
            writer.append(record)
        if end:
            writer.append({"record": "end", "finished": "2026-11-20T10:43:20", "status": end})
    return writer.path
