"""Invented runs for the tests of `results` and `report.py`; nothing here was timed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from algos.core.problem import Problem
from results.records.checks import CLASSES
from results.records.record import Record
from results.records.records import RunWriter
from results.records.run import EndRecord, RunHeader
from results.tables.labels import GROUP

ALGORITHMS = ("naive", "im2col", "fft", "separable", "parallel")
ENVIRONMENT = {
    "cpu": "AMD EPYC 9B14", "cores": 2, "caches": {"L1d": 32768, "L2": 1048576, "L3": 33554432},
    "memory_bytes": 8 * 2**30, "governor": None, "os": "Linux 6.8 (Debian 12)",
    "python": "3.12.4", "numba": "0.61.0", "numpy": "2.2.1", "scipy": "1.15.0",
    "blas": "openblas 0.3.30", "threading_layer": "convbench", "fastmath": ["contract"],
    "git_commit": "bd6a1ce", "convbench": "0.1.0", "host": "bench",
}  # fmt: skip
#: Limits of a machine, in round numbers.
LIMITS = {
    "measured": "2026-11-20T10:00:00+00:00",
    "caches": {"L1d": 1000, "L2": 10_000, "L3": 100_000},
    "flops": {"float32": {"1": 100e9, "4": 300e9}},
    "bandwidth": {
        "L1": {"read": {"1": 100e9, "4": 400e9}, "copy": {"1": 50e9, "4": 500e9}},
        "L2": {"read": {"1": 50e9, "4": 200e9}},
        "L3": {"read": {"1": 20e9, "4": 80e9}},
        "DRAM": {"read": {"1": 10e9, "4": 15e9}},
    },
}


def header(**changes: Any) -> RunHeader:
    """Return a ``run`` record as the harness writes it."""
    usual: dict[str, Any] = {
        "suite": "quick", "title": "Five algorithms in a minute",
        "question": "Which algorithm should I use?", "baseline": "naive",
        "algorithms": list(ALGORITHMS), "threads": [1], "seed": 0, "budget_s": 60.0,
        "command": "convbench run quick", "started": "2026-11-20T10:42:12+00:00",
        "environment": ENVIRONMENT,
    }  # fmt: skip
    return RunHeader(**{**usual, **changes})


def record_of(line: dict[str, Any]) -> Record:
    """Return the record of a line as JSON has it."""
    return CLASSES[line["record"]].from_json(line)


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
    """A ``cell`` record, with samples that `write_run` makes passes of: one block each."""
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
        "group": 0, "status": status, "reason": reason,
        "samples_s": samples if isinstance(samples, np.ndarray) else list(samples) if ok else [],
        "loops": 17, "compile_s": 0.8 if ok else None, "prepare_s": 1e-5 if ok else None,
        "first_call_s": 2e-3 if ok else None, "workspace_bytes": 4096 if ok else None,
        "error_over_bound": 0.02 if ok else None,
        "threads_seen": {"convbench": threads, "openblas": threads} if ok else {}, **changes,
    }  # fmt: skip


def write_run(
    folder: Path, cells: Iterable[dict[str, Any]], end: str | None = "complete", **changes: Any
) -> Path:
    """Write a run of `cells` into `folder`; `end` None leaves it unfinished."""
    with RunWriter(folder, header(**changes)) as writer:
        for record in as_records(cells):
            writer.append(record_of(record))
        if end:
            writer.append(EndRecord(finished="2026-11-20T10:43:20", status=end))
    return writer.path


def as_records(cells: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return cells and passes as the harness writes them: by group, then by pass."""
    groups: dict[tuple[Any, ...], int] = {}
    samples: dict[int, dict[str, list[float | None]]] = {}
    records = []
    for given in cells:
        record = dict(given)
        key = tuple(record.get(name) for name in GROUP)
        record["group"] = number = groups.setdefault(key, len(groups))
        samples.setdefault(number, {})[record["algorithm"]] = list(record.pop("samples_s"))
        records.append(record)
    return records + [
        {
            "record": "pass", "group": number, "pass": at,
            "samples_s": {name: [taken[at]] for name, taken in known.items() if at < len(taken)},
        }
        for number, known in samples.items()
        for at in range(max(map(len, known.values())))
    ]  # fmt: skip


def model_time(algorithm: str, problem: Problem, threads: int, weights: str) -> float | None:
    """Return plausible seconds of `algorithm`, or None; each algorithm wins somewhere."""
    work = problem.multiply_adds
    points = problem.batch * float(np.prod(problem.output_size))
    maps = problem.in_channels + problem.out_channels
    cores = 1.0 if threads == 1 else 0.9 * threads
    taps_in_channel = float(np.prod(problem.kernel))
    match algorithm:
        case "naive":
            return 2e-6 + 2 * work / 1.6e9
        case "im2col":
            depth = problem.taps * problem.out_channels / problem.groups
            rate = 95e9 * min(1.0, (depth / 20000) ** 0.55)
            return 1.5e-5 + 2 * work / rate / cores
        case "fft":
            pairs = problem.in_channels * problem.out_channels / problem.groups
            return 8e-5 + points * (12e-9 * maps + 0.35e-9 * pairs) / cores**0.7
        case "separable":
            if weights in ("random",) or taps_in_channel == 1:
                return None
            return 1.2e-5 + points * maps * (0.5e-9 + 0.09e-9 * sum(problem.kernel)) / cores
        case _:
            fill = 0.25 if problem.in_channels == 1 else 1.0
            return 6e-6 + 2 * work / (88e9 * fill) / cores + 4e-6 * (threads - 1)


def measured(
    problem: Problem,
    *,
    seed: int = 0,
    blocks: int = 9,
    threads: int = 1,
    weights: str = "random",
    algorithms: Iterable[str] = ALGORITHMS,
    **fields: Any,
) -> list[dict[str, Any]]:
    """Cells of every algorithm on `problem`, sampled in the same blocks with shared drift."""
    rng = np.random.default_rng([seed, problem.multiply_adds, threads])
    drift = np.exp(rng.normal(0, 0.05, blocks))
    cells = []
    for algorithm in algorithms:
        time = model_time(algorithm, problem, threads, weights)
        shared = {"threads": threads, "weights": weights, **fields}
        if time is None:
            rank = min(problem.kernel)
            reason = (
                "a kernel of one tap has nothing to separate"
                if rank == 1
                else f"the kernel is no outer product: its rank is {rank}, expected 1"
            )
            cells.append(cell(algorithm, problem, status="unsupported", reason=reason, **shared))
        elif time > 2.0:
            reason = f"would take about {time:.0f} s a call, more than the time left"
            cells.append(cell(algorithm, problem, status="skipped", reason=reason, **shared))
        else:
            noise = np.exp(rng.normal(0, 0.03, blocks)) * (1 + rng.exponential(0.02, blocks))
            cells.append(cell(algorithm, problem, samples=time * drift * noise, **shared))
    return cells


def grid(
    sizes: Iterable[int] = (64, 128, 256, 512, 1024, 2048),
    kernels: Iterable[int] = (3, 7, 15, 31, 63),
    threads: Iterable[int] = (1,),
    weights: Iterable[str] = ("random",),
    **fields: Any,
) -> list[dict[str, Any]]:
    """Cells of a sweep over image size × kernel size."""
    kernels, threads, weights = tuple(kernels), tuple(threads), tuple(weights)
    return [
        record
        for kind in weights
        for size in sizes
        for kernel in kernels
        for count in threads
        for record in measured(
            Problem(size=(size, size), kernel=kernel, padding="same"),
            threads=count,
            weights=kind,
            **fields,
        )
    ]


LAYERS = (
    Problem(size=(227, 227), kernel=11, in_channels=3, out_channels=96, stride=4,
            name="alexnet:conv1"),
    Problem(size=(27, 27), kernel=5, in_channels=96, out_channels=256, groups=2, padding=2,
            name="alexnet:conv2"),
    Problem(size=(13, 13), kernel=3, in_channels=256, out_channels=384, padding=1,
            name="alexnet:conv3"),
    Problem(size=(56, 56), kernel=3, in_channels=64, out_channels=64, padding=1,
            name="resnet50:layer1.0.conv2"),
    Problem(size=(56, 56), kernel=1, in_channels=64, out_channels=256,
            name="resnet50:layer1.0.conv3"),
    Problem(size=(56, 56), kernel=3, in_channels=128, out_channels=128, groups=128, padding=1,
            name="mobilenet:conv4/dw"),
)  # fmt: skip
SIGNAL = Problem(size=(131072,), kernel=127, padding="same", name="fir")
VOLUME = Problem(
    size=(24, 24, 24), kernel=3, in_channels=8, out_channels=8, padding="same", name="volume"
)


def layers(threads: Iterable[int] = (1,), **fields: Any) -> list[dict[str, Any]]:
    """Return cells of a few network layers, a signal and a volume, each with a name."""
    return [
        record
        for problem in (*LAYERS, SIGNAL, VOLUME)
        for count in threads
        for record in measured(problem, threads=count, **fields)
    ]


def troubled() -> list[dict[str, Any]]:
    """Return cells of one problem, one for each thing that can happen to a cell."""
    problem = Problem(size=(512, 512), kernel=9, padding="same")
    return [
        *measured(problem, algorithms=("naive", "parallel")),
        cell("im2col", problem, status="refused",
             reason="would need 12.4 GiB of memory, 7.1 GiB are free"),
        cell("fft", problem, status="failed",
             reason="wrong result: the error at (0, 0, 3, 4) is 17 times its bound; "
                    "repeat it with `convbench verify --problem mb1_ic1ih512_oc1_kh9_ph4`"),
        cell("separable", problem, status="unsupported",
             reason="the kernel is no outer product: its rank is 9, expected 1"),
        cell("winograd", problem, status="skipped",
             reason="would take about 40 s, 12 s are left"),
    ]  # fmt: skip
