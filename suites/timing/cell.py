"""A cell: one problem × one algorithm × one thread count, what it needs, what became of it.

Cells that take turns and are compared with each other, those of one problem at one thread
count, are a group.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from algos import registry
from algos.adapters import performer
from algos.core.causes import said
from algos.core.errors import ConvbenchError
from suites.cases.suite import Case
from suites.machine import environment as machine

#: Seconds that asking a process for a sample takes.
ASKING = 0.0003
#: Seconds that idle thread pools are given to stop spinning before another process starts.
SETTLE = 0.01
#: Seconds of a sample, where a call takes no longer. The shorter, the likelier that nothing
#: disturbs it: on a shared host the shortest of 30 samples of 0.2 ms spread by 0.5 % from pass to
#: pass, that of 30 samples of 0.7 ms by 2 %. Several threads take turns at waking up, and are
#: sampled for longer.
SAMPLE, SAMPLE_OF_SEVERAL = 0.00015, 0.001
#: Calls of fewer seconds find in the caches what others left there, and are made ahead of a sample
#: of them for so many seconds, once at least; what takes longer has filled the caches itself for
#: most of its time. After a single call ahead, 1024² pixels took 0.45 ms instead of 0.34. A pool of
#: threads that has slept takes longer.
SHORT_CALL, WARM_UP, WAKE_UP = 0.005, 0.002, 0.01
#: Of the memory at hand, how much a problem's cells may take together.
MEMORY_SHARE = 0.8


@dataclass
class Cell:
    """One problem × one algorithm × one thread count, while it is being measured."""

    case: Case
    algorithm: str
    threads: int
    number: int = 0  # of its group
    result: dict[str, Any] = field(default_factory=lambda: {"status": "ok", "reason": ""})
    samples: dict[int, list[float | None]] = field(default_factory=dict)
    loops: int = 1
    reported: str = ""  # the status in its last record
    once: float = 0.0
    sweep: float = 0.0  # seconds that emptying the caches takes ahead of a call, where asked for
    work: float = 0.0
    workspace_bytes: int | None = None
    runs: str = ""  # what `algorithm` stands for, where that is a name for an audit
    seconds: float = 0.0  # that its last pass took, compiling and verifying apart
    planted: float = 0.0  # slow-down made on purpose, as a part of its time

    @property
    def implementation(self) -> str:
        """The algorithm that its process runs."""
        return self.runs or self.algorithm

    @property
    def alive(self) -> bool:
        """Whether it can be timed."""
        return self.result["status"] == "ok"

    @property
    def warming(self) -> int:
        """Calls ahead of a sample that are not counted."""
        if self.sweep or self.once >= SHORT_CALL:
            return 0
        seconds = WARM_UP if self.threads == 1 else WAKE_UP
        return max(1, round(seconds / max(self.once, 1e-6)))

    @property
    def sample(self) -> float:
        """Seconds that a sample is to take, where a call takes no longer."""
        return SAMPLE if self.threads == 1 else SAMPLE_OF_SEVERAL

    @property
    def sampling(self) -> float:
        """Seconds that a sample takes, about, with all that belongs to it."""
        calls = self.loops * (1 + self.planted)
        settling = SETTLE if self.threads > 1 else 0.0
        return ASKING + self.warming * self.once + calls * (self.once + self.sweep) + settling

    @property
    def loading(self) -> float:
        """Seconds that making it ready again will take at the least, once it is verified."""
        return sum(self.result.get(name) or 0.0 for name in ("prepare_s", "first_call_s"))

    def end(self, status: str, reason: str) -> None:
        """It will not be timed (any more); samples taken so far are worth nothing."""
        self.result = {**self.result, "status": status, "reason": reason}
        self.samples = {}

    def record(self, suite: str) -> dict[str, Any]:
        """The line of the result file; its samples are on others, those of the passes."""
        return {
            "record": "cell",
            "suite": suite,
            "group": self.number,
            **describe(self.case),
            "algorithm": self.algorithm,
            "threads": self.threads,
            "workspace_bytes": self.workspace_bytes,
            "peak_extra_bytes": None,
            "compile_s": None,
            "prepare_s": None,
            "first_call_s": None,
            "error_over_bound": None,
            "threads_seen": {},
            "counters": {},
            **self.result,
            "loops": self.loops,
            "once_s": self.once,
        }


@dataclass
class Group:
    """The cells of one problem at one thread count."""

    number: int
    case: Case
    threads: int
    cells: list[Cell]
    blocks: int = 1

    @property
    def alive(self) -> list[Cell]:
        """The cells that can be timed."""
        return [cell for cell in self.cells if cell.alive]

    @property
    def label(self) -> str:
        """What to call it in a line of text."""
        return self.case.problem.name or describe(self.case)["problem"]

    def samples(self) -> dict[str, dict[int, list[float | None]]]:
        """Seconds per call by algorithm and pass, one entry a block."""
        return {cell.algorithm: cell.samples for cell in self.cells}

    def pass_record(self, number: int, loads: dict[str, float | None]) -> dict[str, Any]:
        """The line of the result file for pass `number`; `loads` are of fresh processes."""
        taken = {cell.algorithm: cell.samples.get(number) for cell in self.cells}
        return {
            "record": "pass",
            "group": self.number,
            "pass": number,
            "load_s": loads,
            "samples_s": {name: samples for name, samples in taken.items() if samples},
        }


def describe(case: Case) -> dict[str, Any]:
    """The fields of a record that say what was computed."""
    p = case.problem
    return {
        "problem": str(replace(p, name="")),
        "name": p.name,
        "operation": p.operation,
        "dtype": p.dtype,
        "weights": case.weights,
        "pixels": case.pixels,
        "batch": p.batch,
        "size": p.size,
        "output_size": p.output_size,
        **p.geometry,
        "multiply_adds": p.multiply_adds,
        "compulsory_bytes": p.compulsory_bytes,
    }


def performer_of(problem: Any, algorithm: str) -> Any:
    """Who answers for `problem` where the algorithm called so is to do it."""
    return performer(registry.get_for(problem, algorithm), problem)


#: Share of a problem's arrays that is held, its check included.
ARRAYS = 1.5


def held(problem: Any) -> int:
    """Bytes that a cell's process holds whichever algorithm it runs: arrays and tables."""
    return int(ARRAYS * problem.compulsory_bytes) + problem.table_bytes


def memory_needed(problem: Any, algorithm: str, threads: int) -> int:
    """Bytes that a cell's process will hold at its largest: arrays, workspace, its check."""
    workspace = performer_of(problem, algorithm).workspace_bytes(problem, threads)
    return held(problem) + workspace


def obstacle(problem: Any, algorithm: str, threads: int, memory: int) -> tuple[str, str] | None:
    """What keeps a cell from being tried with `memory` bytes: its status and the sentence."""
    try:
        able = performer_of(problem, algorithm)
        if reason := able.why_not(problem):
            return "unsupported", reason
        needed = held(problem)
        if needed <= memory:  # else how it would be cut may take long to find out
            able.work(problem)
            needed = memory_needed(problem, algorithm, threads)
    except ConvbenchError as error:  # it is for problems of another kind
        return "unsupported", str(error)
    except Exception as error:  # of an algorithm that is not ours: it costs its own rows alone
        return "failed", f"asked about the problem, it raised {said(error)}"
    if needed > memory:
        return (
            "refused",
            f"it needs about {gibibytes(needed)}, {gibibytes(memory)} may be used",
        )
    return None


def gibibytes(count: int) -> str:
    """Return `count` bytes as text, with two decimals or, where they are many, few digits."""
    value = count / 2**30
    return f"{value:.2f} GiB" if value < 1e6 else f"{value:.3g} GiB"


def memory_allowed() -> int:
    """Bytes that the cells of a problem may take together, as things stand."""
    return int(machine.available_memory() * MEMORY_SHARE)
