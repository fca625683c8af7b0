"""The machine's limits: peak arithmetic and bandwidth, measured once and remembered.

The limits are those that our own best loops reach (`suites.machine.roofs`), not those of a data
sheet, so an algorithm can be compared with them. They are measured with one thread and with all.
The best of several rounds is kept in the user's cache folder for a month.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from algos.choice.machine import rates, remember_rates
from algos.core.errors import ConvbenchError
from algos.simd.registers import aligned, lanes_of
from results.records.files import write_whole

from . import clock, noise, roofs
from . import environment as machine

#: Version of the measurement; changing it invalidates the cache.
VERSION = 1
EXPIRES_DAYS = 30.0
ROUNDS, SAMPLE_SECONDS = 5, 0.015
DTYPES = ("float32", "float64")
#: Kernels that move memory, and the number of arrays that each goes over.
MOTIONS: dict[str, tuple[Any, int]] = {
    "read": (roofs.read, 1), "copy": (roofs.copy, 2), "triad": (roofs.triad, 3),
}  # fmt: skip


@dataclass
class Probe:
    """One limit at one thread count: `jobs` run concurrently and do `amount` of work in all."""

    limit: str
    kind: str
    threads: int
    jobs: Sequence[Callable[[int], object]]
    amount: float
    rounds: int = 1
    best: float = 0.0

    def run(self, pool: ThreadPoolExecutor) -> float:
        """Take one sample and keep the best rate; return the sample's seconds."""
        if len(self.jobs) == 1:
            seconds = clock.per_call(partial(self.jobs[0], self.rounds), 1)
        else:
            seconds = clock.per_call(
                lambda: [*pool.map(lambda job: job(self.rounds), self.jobs)], 1
            )
        self.best = max(self.best, self.amount * self.rounds / seconds)
        return seconds

    def calibrate(self, pool: ThreadPoolExecutor) -> None:
        """Choose the number of rounds in a sample; the first call compiles."""
        self.run(pool)
        self.best = 0.0
        while (seconds := self.run(pool)) < SAMPLE_SECONDS / 2:
            self.rounds *= min(max(2, round(SAMPLE_SECONDS / seconds)), 100)


def known(fresh: bool = False) -> dict[str, Any]:
    """Return this machine's limits; measure them if none are remembered, or if `fresh`.

    Returns
    -------
    dict
        ``flops``: per second by threads, ``{"float32": {"1": 1.1e11, "2": 2.2e11}, …}``.
        ``bandwidth``: bytes per second, ``{"L1": {"read": {"1": …}, "copy": …, "triad": …}}``.
        ``caches``: bytes by level. ``measured``: date and time.
        ``doubts``: sentences, present only if the machine was busy during the measurement;
        such limits are not remembered.
    """
    file = cache_file()
    fingerprint = _fingerprint()
    if not fresh:
        with suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(file.read_text())
            age = clock.days_since(kept["limits"]["measured"])
            if kept["fingerprint"] == fingerprint and age < EXPIRES_DAYS:
                if rates() is None:
                    _tell_choice(kept["limits"])
                return kept["limits"]
    watch = noise.Watch()
    limits = measure()
    if doubts := noise.warnings(watch.found()):
        return {**limits, "doubts": doubts}
    with suppress(ConvbenchError):  # a folder that cannot be written costs a second each time
        write_whole(file, json.dumps({"fingerprint": fingerprint, "limits": limits}, indent=1))
        _tell_choice(limits)
    return limits


def single_rates(limits: dict[str, Any]) -> tuple[float, float]:
    """Return the multiply-adds and bytes per second of one thread: float32, copied from DRAM."""
    return limits["flops"]["float32"]["1"] / 2, limits["bandwidth"]["DRAM"]["copy"]["1"]


def _tell_choice(limits: dict[str, Any]) -> None:
    """Keep the rates that the automatic choice scales its predictions with."""
    with suppress(ConvbenchError, KeyError):  # limits may be of an older version
        remember_rates(*single_rates(limits))


def _fingerprint() -> dict[str, Any]:
    """Return the facts that must be unchanged for remembered limits to hold."""
    about = machine.environment()
    names = ("cpu", "target", "usable_cores", "caches", "host", "numba")
    return {"version": VERSION, **{name: about[name] for name in names}}


def measure() -> dict[str, Any]:
    """Measure every limit: about two seconds, plus the compilation of four small kernels."""
    cores = machine.usable_cores()
    caches = machine.caches()
    with ThreadPoolExecutor(cores) as pool:
        probes = [*_arithmetic(cores), *_traffic(cores, caches)]
        for probe in probes:
            probe.calibrate(pool)
        for _ in range(ROUNDS):
            for probe in probes:
                probe.run(pool)
    limits: dict[str, Any] = {
        "measured": clock.utc().isoformat(), "caches": caches, "flops": {}, "bandwidth": {},
    }  # fmt: skip
    for probe in probes:
        if probe.limit == "flops":
            by_threads = limits["flops"].setdefault(probe.kind, {})
        else:
            by_threads = limits["bandwidth"].setdefault(probe.limit, {}).setdefault(probe.kind, {})
        by_threads[str(probe.threads)] = round(probe.best)
    return limits


def _arithmetic(cores: int) -> Iterator[Probe]:
    for dtype in DTYPES:
        lane = lanes_of(np.dtype(dtype).itemsize)
        work = 2 * roofs.ROWS * roofs.COLUMNS * lane
        for threads in sorted({1, cores}):
            jobs = []
            for _ in range(threads):
                scalars = np.full(roofs.ROWS, 1e-3, dtype)
                vectors = np.full(roofs.COLUMNS * lane, 1e-3, dtype)
                out = np.zeros(roofs.ROWS * roofs.COLUMNS * lane, dtype)
                jobs.append(partial(_multiply_add, scalars, vectors, out))
            yield Probe("flops", dtype, threads, jobs, 1000.0 * work * threads)


def _multiply_add(scalars: np.ndarray, vectors: np.ndarray, out: np.ndarray, rounds: int) -> None:
    roofs.multiply_add(scalars, vectors, 1000 * rounds, out)


def _traffic(cores: int, caches: dict[str, int]) -> Iterator[Probe]:
    last = max(caches.values())
    room = min(4 * last, machine.available_memory() // 4)
    everything = aligned(room // 4, np.float32)
    everything[:] = 1
    for level, size in {**caches, "DRAM": room}.items():
        for kind, (move, streams) in MOTIONS.items():
            for threads in sorted({1, cores}):
                whole = size if level == "DRAM" else size * 3 // 5
                each = whole // threads if level in ("L3", "DRAM") else whole
                share = everything.size // threads
                jobs, amount = [], 0
                for thread in range(threads):
                    mine = everything[thread * share : (thread + 1) * share]
                    arrays = _cut(mine, each // 4, streams)
                    amount += streams * arrays[0].nbytes
                    jobs.append(partial(_move, move, arrays))
                yield Probe(level.removesuffix("d"), kind, threads, jobs, amount)


def _cut(room: np.ndarray, elements: int, streams: int) -> list[np.ndarray]:
    """Return `streams` arrays of `elements` in all, whole turns long, not a page apart."""
    turn = roofs.UNROLLED * lanes_of(4)
    apart = 17 * 16  # elements; 17 cache lines, so that streams do not meet in one set
    length = max((min(elements, room.size - streams * apart) // streams) // turn, 1) * turn
    return [room[i * (length + apart) :][:length] for i in range(streams)]


def _move(move: Any, arrays: list[np.ndarray], rounds: int) -> None:
    source, other, target = arrays[0], arrays[len(arrays) // 2], arrays[-1]
    if len(arrays) == 1:
        target = np.empty(roofs.UNROLLED * lanes_of(4), np.float32)
    move(_ONE, source, other, rounds, target)


_ONE = np.full(1, 1e-30, np.float32)


def lines(limits: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the limits as text: a name, and the values with one thread and with all."""
    for dtype, by_threads in limits["flops"].items():
        yield f"peak {dtype}", _figures(by_threads, "GFLOP/s")
    for level, motions in limits["bandwidth"].items():
        for motion, by_threads in motions.items():
            yield f"{level} {motion}", _figures(by_threads, "GB/s")
    yield "measured", f"{limits['measured'][:16].replace('T', ' ')} UTC"
    for sentence in limits.get("doubts", ()):
        yield "not remembered", sentence


def _figures(by_threads: dict[str, float], unit: str) -> str:
    shown = ", ".join(f"{rate / 1e9:.0f}" for rate in by_threads.values())
    threads = " and ".join(by_threads)
    return f"{shown} {unit} with {threads} thread{'' if threads == '1' else 's'}"


def cache_file() -> Path:
    """Return the path of the file that remembers the limits."""
    return machine.cache_folder() / "limits.json"
