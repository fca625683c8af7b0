"""The processes of both revisions, one of each at a time: cells are loaded and sampled there."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from algos.core.errors import ConvbenchError
from suites.machine import clock, cores
from suites.timing.bench import STAY
from suites.workers.process import WorkerDiedError

from .cells import SIDES, TwoSided
from .child import Child, UnableError
from .trees import Revision

#: Seconds that an answer may take.
WAITING = 120.0


class StoppedError(Exception):
    """A request after `Turns.stop`."""


class Turns:
    """The two sides of a session; a process that died is replaced, and costs only its cell.

    `threads` are the most that a call may use; `chance` chooses the core.
    """

    def __init__(self, revisions: Sequence[Revision], threads: int, chance: random.Random) -> None:
        self._revisions = dict(zip(SIDES, revisions, strict=True))
        self._threads, self._random = threads, chance
        self._children: dict[str, Child] = {}
        self._stopped = False

    def start(self) -> None:
        """Start a fresh process for each side, and wait until both have imported."""
        self.close()
        for side in SIDES:
            self._children[side] = Child(self._revisions[side], self._threads)
        self.drop()

    def drop(self, sides: Sequence[str] = SIDES, timeout: float = WAITING) -> None:
        """Free the memory of all cells on `sides`; each answers within `timeout` seconds.

        Raises
        ------
        ConvbenchError
            If a process cannot import its revision, or has died since.
        """
        for side in sides:
            try:
                self._ask(side, timeout, "drop")
            except WorkerDiedError as death:
                raise ConvbenchError(
                    f"revision {self._revisions[side]} cannot be timed: {death}; install what it "
                    f"needs, or give another revision"
                ) from None
            self._children[side].loaded.clear()

    def stop(self) -> None:
        """End all processes, and every request that waits for an answer in another thread."""
        self._stopped = True
        for child in [*self._children.values()]:
            child.kill()

    def sample(self, cell: TwoSided, side: str, number: int) -> None:
        """Take one sample of a side; its cell is loaded again if its process has died."""
        mine = cell.sides[side]
        if not cell.alive or not self.load(cell, side, WAITING):
            return
        answer = self._ask_about(cell, side, WAITING, "sample", loops=mine.loops, warm=mine.warming)
        if answer:
            mine.samples.setdefault(number, []).append(answer["seconds"])

    def shortest(self, cell: TwoSided, side: str, timeout: float) -> None:
        """Note the seconds of the shortest call of a cell that is loaded; a failure ends it."""
        if answer := self._ask_about(cell, side, timeout, "shortest"):
            cell.sides[side].once = answer["seconds"]

    def load(self, cell: TwoSided, side: str, timeout: float, result: str = "") -> bool:
        """Make a cell ready on one side, unless it is; return False if that ends it."""
        mine = cell.sides[side]
        if side in self._children and cell.number in self._children[side].loaded:
            return True
        case, algorithm = mine.called
        answer = self._ask_about(
            cell, side, timeout, "load", problem=str(case.problem), arrays=list(cell.arrays),
            algorithm=algorithm, threads=mine.threads, result=result,
        )  # fmt: skip
        if answer is not None:
            self._children[side].loaded.add(cell.number)
        return mine.alive

    def _ask_about(
        self, cell: TwoSided, side: str, timeout: float, do: str, **arguments: Any
    ) -> dict[str, Any] | None:
        """Ask the process of a side about a cell; return None if that fails, which ends the cell.

        A process of several threads is then paused.
        """
        mine = cell.sides[side]
        try:
            answer = self._ask(side, timeout, do, cell=cell.number, **arguments)
        except UnableError as error:
            mine.end(error.status, error.reason)
            return None
        except WorkerDiedError as death:
            mine.end("failed", str(death))
            return None
        if mine.threads > 1:
            self._children[side].pause()
        return answer

    def _ask(self, side: str, timeout: float, do: str, **arguments: Any) -> dict[str, Any]:
        """Ask the process of a side; one that died is replaced at the next request."""
        if side not in self._children:
            self._children[side] = Child(self._revisions[side], self._threads)
        if self._stopped:  # asked last, so that `stop` misses no process
            raise StoppedError
        try:
            return self._children[side].ask(timeout, do, **arguments)
        except WorkerDiedError:
            self._children.pop(side).close()
            raise

    def close(self) -> None:
        """End all processes."""
        while self._children:
            self._children.popitem()[1].close()

    @contextmanager
    def placed(self, threads: int) -> Iterator[Callable[[], None]]:
        """Keep all on one core while one thread works; yield a function that changes the core.

        See `suites.timing.bench.Bench.one_core`.
        """
        if threads > 1 or not cores.CAN_BE_CHOSEN:
            yield lambda: None
            return
        every = os.sched_getaffinity(0)
        here, until = -1, 0.0

        def move() -> None:
            nonlocal here, until
            if clock.now() >= until:
                here = self._random.choice(sorted(every - {here}) or [here])
                self._place({here})
                until = clock.now() + STAY

        try:
            yield move
        finally:
            self._place(every)

    def _place(self, on: set[int]) -> None:
        for process in (0, *(child.pid for child in self._children.values())):
            with suppress(ProcessLookupError):
                os.sched_setaffinity(process, on)
