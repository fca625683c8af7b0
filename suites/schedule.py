"""What is timed when: cells made ready, then randomised blocks, within a time budget.

All algorithms of a problem take turns: a block is one sample of each, in random order, so
whatever the machine does meanwhile befalls them alike, and their ratios inside a block are
worth more than their times. A worker process holds each algorithm; one works at a time.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algos.errors import ConvbenchError

from . import clock
from .cell import Cell, describe, memory_allowed, memory_needed, obstacle, performer
from .process import Worker, WorkerDiedError
from .suite import Case

#: Blocks of a problem: as many as its share of the time allows, between these.
MIN_BLOCKS, MAX_BLOCKS = 5, 25
#: Multiply-adds that claim as much of the time budget as every problem gets anyway.
EQUAL_SHARE = 3e7
#: Seconds of a sample: a share of the time there is, between these.
MIN_SAMPLE, MAX_SAMPLE = 0.002, 0.05
#: Seconds that idle thread pools are given to stop spinning before another process starts.
SETTLE = 0.01


@dataclass(frozen=True)
class Settings:
    """How to run: what the command line decides."""

    suite: str
    algorithms: tuple[str, ...]
    threads: tuple[int, ...] = (1,)
    budget: float = 60.0
    call_limit: float = 2.0
    timeout: float = 120.0
    seed: int = 0
    files: tuple[str, ...] = ()  # of algorithms from outside


@dataclass(frozen=True)
class Progress:
    """Where a run stands: `done` of `total` groups (a problem at a thread count)."""

    done: float
    total: int
    text: str


@dataclass(frozen=True)
class Picture:
    """The filtered output of a case, left in `path` as an array file."""

    case: Case
    path: Path


Event = dict[str, Any] | Progress | Picture


class Run:
    """Measures cases one after the other; iterate over it for records and progress."""

    def __init__(self, cases: tuple[Case, ...], settings: Settings, scratch: Path) -> None:
        self.settings = settings
        self.groups = [(case, n) for n in settings.threads for case in cases]
        self._scratch = scratch
        self._workers: dict[str, Worker] = {}
        self._paces: dict[tuple[str, int, str], float] = {}
        self._random = random.Random(settings.seed)
        self._begun = clock.now()
        self._open: list[Cell] = []
        self.out_of_time = False

    def __iter__(self) -> Generator[Event, None, None]:
        try:
            for index, (case, threads) in enumerate(self.groups):
                yield from self._group(index, case, threads)
        finally:
            for worker in self._workers.values():
                worker.close()

    def unfinished(self) -> Iterator[dict[str, Any]]:
        """Records of what an interruption left of the problem in hand: whatever is known."""
        for cell in self._open:
            if cell.samples or not cell.alive:
                yield cell.record(self.settings.suite)

    def remaining(self) -> float:
        """Seconds of the budget that are left."""
        return self.settings.budget - (clock.now() - self._begun)

    def _share(self, index: int) -> float:
        """Seconds that group `index` may take of what is left, by its size among those to come."""
        weights = [1 + case.problem.multiply_adds / EQUAL_SHARE for case, _ in self.groups[index:]]
        return max(self.remaining(), 0.0) * weights[0] / sum(weights)

    def _group(self, index: int, case: Case, threads: int) -> Iterator[Event]:
        """One problem at one thread count: every algorithm, made ready and then timed."""
        cells = [Cell(case, name, threads) for name in case.entrants(self.settings.algorithms)]
        self._open = list(cells)
        total = len(self.groups)
        deadline = clock.now() + self._share(index)
        if self.remaining() <= 0:
            self.out_of_time = True
            for cell in cells:
                cell.end(
                    "skipped",
                    f"the time budget of {self.settings.budget:g} s was spent; raise --budget",
                )
        memory = memory_allowed()
        label = case.problem.name or describe(case)["problem"]
        for number, cell in enumerate(cells):
            yield Progress(index + 0.5 * number / len(cells), total, f"{label} {cell.algorithm}")
            memory -= self._ready(cell, memory)
        alive = [cell for cell in cells if cell.alive]
        for cell in alive:
            self._calibrate(cell, (deadline - clock.now()) / (15 * len(alive)))
        for block in range(MAX_BLOCKS):
            if not self._another_block(alive, block, deadline):
                break
            yield Progress(index + 0.5 + 0.5 * block / MAX_BLOCKS, total, label)
            self._block(alive)
        while self._open:
            yield self._open.pop(0).record(self.settings.suite)
        yield from self._picture(case, alive)
        for cell in alive:
            if cell.alive:
                self._ask(cell, "drop")

    def _another_block(self, cells: list[Cell], block: int, deadline: float) -> bool:
        alive = [cell for cell in cells if cell.alive]
        if not alive:
            return False
        cost = sum(cell.once * cell.loops for cell in alive)
        if block < MIN_BLOCKS:
            return block < 3 or cost < max(self.remaining(), 1.0)
        return clock.now() + cost < deadline

    def _ready(self, cell: Cell, memory: int) -> int:
        """Verify `cell` and make it ready; returns the bytes it now holds."""
        if not cell.alive:
            return 0
        problem, settings = cell.case.problem, self.settings
        if found := obstacle(problem, cell.algorithm, cell.threads, memory):
            cell.end(*found)
            return 0
        algorithm = performer(problem, cell.algorithm)
        cell.work = algorithm.work(problem)
        cell.workspace_bytes = algorithm.workspace_bytes(problem, cell.threads)
        pace = self._paces.get((cell.algorithm, cell.threads, problem.operation), 0.0)
        predicted = pace * cell.work
        if predicted > settings.call_limit:
            cell.end(
                "skipped",
                f"one call would take about {predicted:.3g} s at the best pace it showed, "
                f"longer than --call-limit {settings.call_limit:g} s",
            )
            return 0
        self._ask(
            cell, "load",
            case=cell.case.as_words(), algorithm=cell.algorithm, threads_wanted=cell.threads,
            seed=settings.seed,
        )  # fmt: skip
        if not cell.alive:
            return 0
        return memory_needed(problem, cell.algorithm, cell.threads)

    def _calibrate(self, cell: Cell, seconds: float) -> None:
        """Choose the calls in a sample.

        On warm code alone: a first call also reads compiled code from the disk, and taken for
        the pace of a small problem it would have every larger one predicted too slow.
        """
        self._ask(cell, "calibrate", seconds=min(max(seconds, MIN_SAMPLE), MAX_SAMPLE))
        if not cell.alive:
            return
        key = (cell.algorithm, cell.threads, cell.case.problem.operation)
        if cell.work:  # a kernel that sees padding alone has nothing to do
            pace = cell.once / cell.work
            self._paces[key] = min(pace, self._paces.get(key, pace))  # small problems mislead

    def _block(self, cells: list[Cell]) -> None:
        """One sample of each, in random order."""
        order = [cell for cell in cells if cell.alive]
        self._random.shuffle(order)
        for cell in order:
            answer = self._ask(cell, "sample", loops=cell.loops)
            if "seconds" in answer:
                cell.samples.append(answer["seconds"])
            if cell.threads > 1:
                clock.settle(SETTLE)

    def _ask(self, cell: Cell, do: str, **request: Any) -> dict[str, Any]:
        """Ask the cell's worker; whatever goes wrong ends the cell and nothing else."""
        worker = self._workers.get(cell.algorithm)
        if worker is None:
            worker = self._workers[cell.algorithm] = Worker(
                max(self.settings.threads), self.settings.files
            )
        try:
            answer = worker.ask(self.settings.timeout, do=do, **request)
        except WorkerDiedError as death:
            worker.close()
            del self._workers[cell.algorithm]
            cell.end("failed", str(death))
            return {}
        cell.loops = answer.pop("loops", cell.loops)
        cell.once = answer.pop("once_s", cell.once)
        if answer.get("status", "ok") != "ok":
            cell.end(answer["status"], answer["reason"])
        if do == "load":
            cell.result = answer
        return answer

    def _picture(self, case: Case, cells: list[Cell]) -> Iterator[Picture]:
        """Have the fastest algorithm leave its output behind, where the input is a picture."""
        done = [cell for cell in cells if cell.alive and cell.samples]
        if case.pixels == "random" or not done:
            return
        best = min(done, key=lambda cell: min(s for s in cell.samples if s is not None))
        path = self._scratch / f"{len(list(self._scratch.iterdir()))}.npy"
        answer = self._ask(best, "save", path=str(path))
        if "disk" in answer:
            raise ConvbenchError(
                f"{path} cannot be written: {answer['disk']}; set TMPDIR elsewhere"
            )
        if best.alive:
            yield Picture(case, path)
