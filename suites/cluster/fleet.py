"""The fleet: each host measures one problem at a time, and each kind of host measures all.

We give out the tasks ourselves, one for each host, and bind each to its host. So a host that dies
takes one task with it, which goes to another of its kind; and a task has one result, the first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from algos.core.errors import ConvbenchError
from results.records.checks import checked
from results.records.run import RunHeader, RunRecords
from suites.cases.suite import Suite
from suites.machine import clock
from suites.timing.estimate import seconds_needed
from suites.timing.schedule import EQUAL_SHARE, Settings

from .connection import LOOK, Connection, GoneError
from .hosts import RESOURCE, Host, version
from .ledger import Ledger
from .task import Task

#: Hosts on which a task may fail before it is given up.
ATTEMPTS = 3
#: Seconds to wait for a host that can measure, where there is none.
WAIT = 60.0


@dataclass(eq=False)
class _Busy:
    """A host at work."""

    host: Host
    task: Task
    future: Any
    begun: float


@dataclass(frozen=True)
class TaskTime:
    """Seconds of a task from its start here to its result, and those of its process there."""

    number: int
    host: str
    total: float
    process: float


@dataclass(frozen=True)
class Measured:
    """Result of a measurement: its runs by kind of host, its status, and its tasks.

    Attributes
    ----------
    paths : dict of str to Path
        Folder of the run of each kind of host.
    status : str
        State at the end. One of "complete" and "interrupted".
    reason : str
        Sentence that says why it was interrupted. Empty if it is complete.
    tasks : list of TaskTime
        Finished tasks, in the order of their ends.
    """

    paths: dict[str, Path]
    status: str
    reason: str
    tasks: list[TaskTime] = field(default_factory=list)


class Fleet:
    """A measurement of a suite by all hosts of a scheduler."""

    def __init__(
        self, suite: Suite, settings: Settings, connection: Connection, header: RunHeader,
        folder: Path, tell: Callable[[str], None], wait: float = WAIT,
    ) -> None:  # fmt: skip
        self.suite, self.settings, self.connection = suite, settings, connection
        self.header, self.folder, self.tell, self.patience = header, folder, tell, wait
        self.ledgers: dict[str, Ledger] = {}
        self._known: dict[str, Host | None] = {}  # by address; None for those that may not measure
        self._busy: dict[str, _Busy] = {}
        self._failed: dict[tuple[str, int], int] = {}
        self._reasons: list[str] = []
        self._tasks: list[TaskTime] = []
        self._budgets = budgets(suite, settings)

    def take_up(self, kind: str, path: Path) -> None:
        """Go on with the run of a kind of host."""
        self._ledger(kind).take_up(path)

    def run(self) -> Measured:
        """Measure until no task is left, or nobody to do one; return the runs."""
        reason = "a task could not be done"
        try:
            reason = self._loop()
        except GoneError:
            reason = f"the scheduler at {self.connection.address} does not answer any more"
        except KeyboardInterrupt:
            reason = "interrupted"
        finally:
            status = "interrupted" if reason else "complete"
            ended = {kind: ledger.close(status) for kind, ledger in self.ledgers.items()}
        paths = {kind: path for kind, path in ended.items() if path is not None}
        return Measured(paths, status, reason, self._tasks)

    def _loop(self) -> str:
        """Give out tasks and collect results; return why it ended early, if it did."""
        idle = clock.now()
        while True:
            self._look_at_workers()
            for host in self._free():
                if task := self._next(host):
                    future = self.connection.give(task, host)
                    self._busy[host.address] = _Busy(host, task, future, clock.now())
            if self._busy:
                idle = clock.now()
                self.connection.wait([one.future for one in self._busy.values()])
                for address in [*self._busy]:
                    self._collect(address)
            elif self.ledgers and all(one.is_complete for one in self.ledgers.values()):
                return ""
            elif self._given_up():
                return f"tasks failed on every host: {self._reasons[-1]}"
            elif clock.now() - idle > self.patience:
                return self._nobody()
            else:
                clock.settle(LOOK)

    def _nobody(self) -> str:
        sentences = "; ".join(dict.fromkeys(self._reasons))
        if not any(self._known.values()) and not any(one.done for one in self.ledgers.values()):
            raise ConvbenchError(
                f"the scheduler at {self.connection.address} has no worker that can measure"
                + (
                    f": {sentences}"
                    if sentences
                    else "; start one on each host, as in docs/cluster.md"
                )
            )
        return "no host is left to measure the rest"

    def _look_at_workers(self) -> None:
        """Take in workers that have come, and give the tasks of those that are gone to others."""
        present = self.connection.workers()
        gone = [address for address in self._known if address not in present]
        for address in gone:
            host = self._known.pop(address)
            if address in self._busy and not self._collect(address):
                lost = self._busy.pop(address)
                lost.future.cancel()
                self.tell(f"{host.name if host else address} is gone; "
                          f"{lost.task.case.problem} goes to another host")  # fmt: skip
        if gone:  # a worker that was refused for the sake of one of them is asked again
            self._known = {address: host for address, host in self._known.items() if host}
        for address in present:
            if address not in self._known:
                host = self.connection.ask(address)
                reason = self._refusal(host)
                self._known[address] = None if reason else host
                if not reason:
                    self._ledger(host.kind)
                    self.tell(f"{host.name} measures: {host.title}")
                elif reason not in self._reasons:
                    self._reasons.append(reason)
                    self.tell(reason)

    def _refusal(self, host: Host) -> str:
        """Return why a worker may not measure; empty if it may."""
        if host.trouble and not host.convbench:
            return f"worker {host.address} has no convbench ({host.trouble}); install it there"
        if host.convbench != version():
            return (
                f"worker {host.address} has convbench {host.convbench}, here is {version()}; "
                f"install the same on both"
            )
        if host.trouble:
            return f"worker {host.address} cannot measure: {host.trouble}"
        if (host.resources or {}).get(RESOURCE) != 1:
            return (
                f"worker {host.address} does not offer {RESOURCE}=1; start it with --resources "
                f'"{RESOURCE}=1"'
            )
        most, cores = max(self.settings.threads), (host.environment or {}).get("usable_cores", 1)
        if most > cores:
            return f"worker {host.address} has {cores} cores, {most} threads were asked for"
        for other in self._known.values():
            if other is not None and other.identity == host.identity:
                return (
                    f"worker {host.address} is refused: it is on the same host as "
                    f"{other.address}, and two would disturb each other"
                )
        return ""

    def _free(self) -> list[Host]:
        return [host for at, host in self._known.items() if host and at not in self._busy]

    def _ledger(self, kind: str) -> Ledger:
        if kind not in self.ledgers:
            self.ledgers[kind] = Ledger(self.suite.cases, self.settings)
        return self.ledgers[kind]

    def _next(self, host: Host) -> Task | None:
        """Return the next problem for hosts of this kind: long ones first."""
        given = {one.task.number for one in self._busy.values() if one.host.kind == host.kind}
        done = self._ledger(host.kind).done
        left = [
            n for n in range(len(self.suite.cases))
            if n not in given | done and self._failed.get((host.kind, n), 0) < ATTEMPTS
        ]  # fmt: skip
        if not left:
            return None
        number = max(left, key=lambda n: (self._budgets[n], -n))
        case = self.suite.cases[number]
        settings = replace(self.settings, budget=self._budgets[number])
        needed = seconds_needed([case], settings.algorithms, settings.threads, settings.call_limit)
        return Task(number, case, replace(settings, needed=needed), replace(self.suite, cases=()))

    def _given_up(self) -> bool:
        """Return True if all that is left has failed too often."""
        return any(self._failed.values()) and all(
            n in one.done or self._failed.get((kind, n), 0) >= ATTEMPTS
            for kind, one in self.ledgers.items()
            for n in range(len(self.suite.cases))
        )

    def _collect(self, address: str) -> bool:
        """Take the result of a host, if it is there; return True if it was."""
        busy = self._busy[address]
        if not busy.future.done():
            return False
        if busy.future.status != "finished":
            if busy.future.status == "error":
                self._fail(busy, f"{busy.future.exception()!r}")
                del self._busy[address]
                return True
            return False  # cancelled with its worker, or with the scheduler
        found = self.connection.result(busy.future)
        if found is None:
            return False
        del self._busy[address]
        if "mistake" in found:
            raise ConvbenchError(f"{busy.host.name}: {found['mistake']}")
        if "failure" in found:
            self._fail(busy, found["failure"])
            return True
        self._enter(busy, found["records"], float(found.get("seconds", 0.0)))
        return True

    def _fail(self, busy: _Busy, reason: str) -> None:
        key = busy.host.kind, busy.task.number
        self._failed[key] = self._failed.get(key, 0) + 1
        self._reasons.append(f"{busy.host.name} on {busy.task.case.problem}: {reason}")
        self.tell(self._reasons[-1])

    def _enter(self, busy: _Busy, text: str, process: float) -> None:
        ledger = self._ledger(busy.host.kind)
        if busy.task.number in ledger.done:  # a host that was thought to be dead
            return
        lines = [*enumerate(text.encode().splitlines(), start=1)]
        found: RunRecords = checked(Path(busy.host.name), lines)
        ledger.add(busy.task.number, busy.host, found, self.header, self.folder)
        taken = clock.now() - busy.begun
        self._tasks.append(TaskTime(busy.task.number, busy.host.name, taken, process))
        count = f"{len(ledger.done)} of {len(ledger.cases)}"
        self.tell(f"{count} · {busy.host.name}: {busy.task.case.problem} in {taken:.0f} s")


def budgets(suite: Suite, settings: Settings) -> list[float]:
    """Return the seconds for each problem: its share of all, and no less than it needs.

    A budget that the user gave is kept.
    """
    weights = [1 + case.problem.multiply_adds / EQUAL_SHARE for case in suite.cases]
    found = []
    for case, weight in zip(suite.cases, weights, strict=True):
        share = settings.budget * weight / sum(weights)
        needed = seconds_needed([case], settings.algorithms, settings.threads, settings.call_limit)
        found.append(max(share, needed) if settings.elastic else share)
    return found
