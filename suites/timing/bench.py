"""The measurement of cells: one process per algorithm, its requests and its answers."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from algos import registry
from results.verdicts.decide import MIN_EFFECT
from suites.machine import clock, cores
from suites.workers.messages import (
    Again,
    Calibrate,
    Done,
    Drop,
    Load,
    Place,
    R,
    Request,
    Sample,
    Save,
    Unable,
    Weigh,
)  # fmt: skip
from suites.workers.process import Worker, WorkerDiedError

from .cell import Cell, memory_needed

#: Seconds on one core before all move to another.
STAY = 0.5
#: Memory that a process may take: this multiple of the prediction, and this many bytes more.
EXCESS, SLACK = 2, 1 << 30


@dataclass(frozen=True)
class Settings:
    """Settings of a run, chosen on the command line."""

    suite: str
    algorithms: tuple[str, ...]
    threads: tuple[int, ...] = (1,)
    baseline: str = ""
    min_effect: float = MIN_EFFECT
    budget: float = 60.0
    call_limit: float = 2.0
    timeout: float = 120.0
    seed: int = 0
    files: tuple[str, ...] = ()  # with algorithms from outside
    strict: bool = False  # no verdicts without a passed audit
    cold_cache: bool = False  # caches are emptied before every call
    elastic: bool = False  # the budget is a default, and may be stretched
    needed: float = 0.0  # seconds that verdicts take, by `suites.timing.estimate`

    @property
    def short(self) -> bool:
        """True if the budget is below what verdicts are expected to take."""
        return self.budget < self.needed


class Bench:
    """The worker processes of a pass, one per name; a failure ends only its own cell.

    Attributes
    ----------
    compiled : float
        Seconds that went to compiling so far.
    noise : dict
        Seconds of all samples, times their threads.
        Counts of interruptions and migrations during them.
    reports : dict
        Full text of the first exception of each algorithm.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.compiled = 0.0
        self.noise: dict[str, float] = {}
        self.reports: dict[str, str] = {}
        self._workers: dict[str, Worker] = {}
        self._ready: dict[str, set[int]] = {}  # the cells that each of them holds
        self._scales: dict[str, Worker] = {}  # workers that weigh and never time
        self._weighed: dict[Hashable, int | None] = {}

    def verify(self, cell: Cell) -> None:
        """Make `cell` ready and compare its output with the oracle."""
        found = self._ask(cell, Load(**self._about(cell)))
        if found is None:
            return
        cell.outcome = replace(found, workspace_bytes=cell.outcome.workspace_bytes)
        self.compiled += found.compile_s or 0.0
        if cell.alive:
            self._ready[cell.algorithm].add(cell.number)
        else:
            cell.end(found.status, found.reason)

    def weigh(self, cell: Cell) -> None:
        """Measure the peak memory of `cell` in another process; None if unknown.

        Thread counts that are predicted to need the same memory are measured once.
        """
        if cell.runs:  # an audit needs times only
            return
        key = cell.case, cell.algorithm, cell.outcome.workspace_bytes
        if key in self._weighed:
            cell.note(peak_extra_bytes=self._weighed[key])
            return
        name = cell.algorithm
        try:
            if name not in self._scales:
                self._scales[name] = self._new_worker(cell)
            found = self._scales[name].ask(self.settings.timeout, Weigh(**self._task(cell)))
        except WorkerDiedError:  # the cell itself goes on
            if name in self._scales:
                self._scales.pop(name).close()
        else:
            weight = None if isinstance(found, Unable) else found.peak_extra_bytes
            self._weighed[key] = weight
            cell.note(peak_extra_bytes=weight)

    def again(self, cell: Cell) -> float | None:
        """Make `cell` ready in another process; return the seconds, or None if it failed."""
        found = self._ask(cell, Again(**self._about(cell)))
        if found is None:
            return None
        self.compiled += found.compile_s
        self._ready[cell.algorithm].add(cell.number)
        return found.load_s

    def calibrate(self, cell: Cell) -> None:
        """Choose the number of calls of `cell` in a sample."""
        request = Calibrate(cell.number, cell.sample, self.settings.cold_cache)
        if found := self._ask_ready(cell, request):
            cell.loops, cell.once, cell.sweep = found.loops, found.once_s, found.sweep_s
            cell.note(counters=found.counters)

    def sample(self, cell: Cell, number: int) -> None:
        """Take one sample, as part of pass `number`."""
        loops = round(cell.loops * (1 + cell.planted))
        request = Sample(cell.number, loops, cell.warming, self.settings.cold_cache)
        found = self._ask_ready(cell, request)
        if found:
            sampled = cell.threads * loops * ((found.seconds or 0.0) + cell.sweep)
            for name, count in {**found.interruptions, "sampled_s": sampled}.items():
                self.noise[name] = self.noise.get(name, 0) + count
            calls = loops / cell.loops  # above 1 for a planted slow-down
            seconds = None if found.seconds is None else found.seconds * calls
            cell.samples[number].append(seconds)

    def save(self, cell: Cell, path: str) -> str | None:
        """Make `cell` write its output to `path`; return the disk's error, if any."""
        found = self._ask_ready(cell, Save(cell.number, path))
        return found.disk if found else None

    @contextmanager
    def one_core(self, chance: random.Random) -> Iterator[Callable[[], None]]:
        """Keep this thread and all processes on one core; yield a function that changes the core.

        This is for samples of one thread. Each process then starts on a core that is awake,
        since the process before it ran there. Across cores, waking up took longer than a short
        sample, and equals differed by 1.5 % from pass to pass instead of 0.8 %.

        A core may be slow for longer than a round, because another guest of the host shares it.
        So the function, called ahead of every block, moves all processes every `STAY` seconds.
        """
        if not cores.CAN_BE_CHOSEN:
            yield lambda: None
            return
        all_cores = os.sched_getaffinity(0)
        here, until = -1, 0.0

        def move() -> None:
            nonlocal here, until
            if clock.now() >= until:
                here = chance.choice(sorted(all_cores - {here}) or [here])
                self._place({here})
                until = clock.now() + STAY

        try:
            yield move
        except BaseException:  # the process asked last may never answer
            os.sched_setaffinity(0, all_cores)
            raise
        self._place(all_cores)

    def _place(self, on: set[int]) -> None:
        os.sched_setaffinity(0, on)
        self._tell_all(Place(sorted(on)))

    def drop(self) -> None:
        """Free the memory of all cells."""
        self._tell_all(Drop())
        for held in self._ready.values():
            held.clear()

    def _tell_all(self, request: Request[Done]) -> None:
        """Send `request` to every process; forget those that have died."""
        for name, worker in [*self._workers.items()]:
            paused = worker.paused
            try:
                worker.ask(self.settings.timeout, request)
                if paused:
                    worker.pause()
            except WorkerDiedError:
                self._workers.pop(name).close()
                self._ready[name].clear()

    def close(self) -> None:
        """End all processes."""
        for workers in (self._workers, self._scales):
            while workers:
                workers.popitem()[1].close()
        self._ready.clear()

    def _new_worker(self, cell: Cell) -> Worker:
        case, algorithm = cell.called
        chosen = registry.get_for(case.problem, algorithm)
        libraries = chosen.libraries if chosen.forks else ()
        return Worker(max(self.settings.threads), self.settings.files, libraries)

    def _task(self, cell: Cell) -> dict[str, Any]:
        """Return the fields of a `Task` for `cell`."""
        case, algorithm = cell.called
        return {
            "case": case.as_words(), "algorithm": algorithm,
            "threads": cell.threads, "seed": self.settings.seed,
        }  # fmt: skip

    def _about(self, cell: Cell) -> dict[str, Any]:
        """Return the fields of a `CellTask` for `cell`."""
        needed = memory_needed(cell.case.problem, cell.entrant, cell.threads)
        return {**self._task(cell), "cell": cell.number, "allowance": EXCESS * needed + SLACK}

    def _ask_ready(self, cell: Cell, request: Request[R]) -> R | None:
        """Call `_ask` for a ready cell; make it ready again if its process has died."""
        if cell.number not in self._ready.get(cell.algorithm, ()):
            self.again(cell)
        return self._ask(cell, request) if cell.alive else None

    def _ask(self, cell: Cell, request: Request[R]) -> R | None:
        """Return the reply of the cell's worker; None if it failed, which ends the cell.

        A worker of several threads is then paused.
        """
        name = cell.algorithm
        try:
            if name not in self._workers:
                self._workers[name], self._ready[name] = self._new_worker(cell), set()
            reply = self._workers[name].ask(self.settings.timeout, request)
            if cell.threads > 1:
                self._workers[name].pause()
        except WorkerDiedError as death:
            if name in self._workers:
                self._workers.pop(name).close()
                self._ready[name].clear()
            cell.end("failed", str(death))
            return None
        if isinstance(reply, Unable):
            if reply.whole:
                self.reports.setdefault(name, reply.whole)
            cell.end(reply.status, reply.reason)
            return None
        return reply
