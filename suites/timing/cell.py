"""A cell: one problem × one algorithm × one thread count, with its needs and its result.

The cells of one problem at one thread count are a group. They take turns and are compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from algos import registry
from algos.adapters import performer
from algos.core.bound import not_timed
from algos.core.causes import said
from algos.core.errors import ConvbenchError
from results.records.columns import CellRecord, Outcome
from results.records.run import PassRecord
from suites.cases.entrants import called
from suites.cases.suite import Case
from suites.machine import environment as machine

#: Seconds that a request for a sample takes.
ASKING = 0.0004
#: Seconds of a sample, unless a call takes longer. A short sample is less likely to be disturbed.
#: On a shared host the shortest of 30 samples of 0.2 ms spread by 0.5 % from pass to pass, that of
#: 30 samples of 0.7 ms by 2 %. Several threads wake up one after another, so their samples are
#: longer.
SAMPLE, SAMPLE_OF_SEVERAL = 0.00015, 0.001
#: Warm-up of short calls, in seconds. A call below `SHORT_CALL` finds other processes' data in the
#: caches, so uncounted calls are made for `WARM_UP` seconds, at least once. A longer call fills the
#: caches itself. After a single uncounted call, 1024² pixels took 0.45 ms instead of 0.34. Without
#: one, 56² pixels of 64 channels took 3.1 ms instead of 2.9 (Zen 4). So rivals just below and just
#: above `SHORT_CALL` differ by about 1 % for this reason. A pool of threads that has slept needs
#: `WAKE_UP` seconds.
SHORT_CALL, WARM_UP, WAKE_UP = 0.02, 0.002, 0.01
#: Share of the available memory that a problem's cells may take together.
MEMORY_SHARE = 0.8


@dataclass
class Cell:
    """One problem × one algorithm × one thread count, while it is being measured."""

    case: Case
    algorithm: str  # or another entrant, such as parallel@channels_last
    threads: int
    number: int = 0  # the group's number
    outcome: Outcome = field(default_factory=Outcome)
    samples: dict[int, list[float | None]] = field(default_factory=dict)
    loops: int = 1
    reported: str = ""  # the status in its last record
    once: float = 0.0
    sweep: float = 0.0  # seconds that emptying the caches ahead of a call takes; 0 if they stay
    work: float = 0.0
    runs: str = ""  # the real entrant, if `algorithm` is a name for an audit
    seconds: float = 0.0  # duration of its last pass without compiling and verifying
    planted: float = 0.0  # slow-down made on purpose, as a share of its time
    auto: bool = False  # it is the algorithm that the automatic choice takes
    ruled_out: bool = False  # the default accuracy of the automatic choice does not admit it

    @property
    def entrant(self) -> str:
        """The name of what its process runs: an algorithm, perhaps with a layout."""
        return self.runs or self.algorithm

    @property
    def called(self) -> tuple[Case, str]:
        """The case that its process computes, in the layout of its entrant, and the algorithm."""
        problem, algorithm = called(self.case.problem, self.entrant)
        as_written = problem is self.case.problem
        return self.case if as_written else replace(self.case, problem=problem), algorithm

    @property
    def alive(self) -> bool:
        """True if the cell can be timed."""
        return self.outcome.status == "ok"

    @property
    def warming(self) -> int:
        """Number of uncounted calls ahead of a sample."""
        if self.sweep or self.once >= SHORT_CALL:
            return 0
        seconds = WARM_UP if self.threads == 1 else WAKE_UP
        return max(1, round(seconds / max(self.once, 1e-6)))

    @property
    def sample(self) -> float:
        """Intended seconds of a sample, unless a call takes longer."""
        return SAMPLE if self.threads == 1 else SAMPLE_OF_SEVERAL

    @property
    def sampling(self) -> float:
        """Approximate seconds of a sample with its request and warm-up."""
        calls = self.loops * (1 + self.planted)
        return ASKING + self.warming * self.once + calls * (self.once + self.sweep)

    @property
    def loading(self) -> float:
        """Least seconds to make a verified cell ready again."""
        return (self.outcome.prepare_s or 0.0) + (self.outcome.first_call_s or 0.0)

    def note(self, **measured: Any) -> None:
        """Add values to the outcome."""
        self.outcome = replace(self.outcome, **measured)

    def end(self, status: str, reason: str) -> None:
        """Stop timing this cell, with a status and a reason; drop its samples."""
        self.note(status=status, reason=reason)
        self.samples = {}

    def record(self, suite: str) -> CellRecord:
        """Return the cell's record for the result file; pass records hold its samples."""
        return CellRecord(
            suite=suite, group=self.number, algorithm=self.algorithm, threads=self.threads,
            loops=self.loops, once_s=self.once, auto=self.auto,
            ruled_out=self.ruled_out,
            **vars(self.outcome), **describe(self.case),
        )  # fmt: skip


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
        """Name of the group in a line of text."""
        return self.case.problem.name or describe(self.case)["problem"]

    def samples(self) -> dict[str, dict[int, list[float | None]]]:
        """Return seconds per call by algorithm and pass, one entry per block."""
        return {cell.algorithm: cell.samples for cell in self.cells}

    def pass_record(self, number: int, loads: dict[str, float | None], spent: float) -> PassRecord:
        """Return the record of pass `number`, after `spent` seconds of the budget.

        `loads` are load times in fresh processes.
        """
        taken = {cell.algorithm: cell.samples.get(number) for cell in self.cells}
        samples = {name: samples for name, samples in taken.items() if samples}
        return PassRecord(
            group=self.number, number=number, samples_s=samples, load_s=loads, spent_s=spent
        )


def describe(case: Case) -> dict[str, Any]:
    """Return the fields of a record that describe the case."""
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


def work_of(problem: Any, entrant: str) -> float:
    """Return the amount of work that the entrant of this name has with `problem`."""
    laid, able = _performer(problem, entrant)
    return float(able.work(laid))


def workspace_of(problem: Any, entrant: str, threads: int) -> int:
    """Return the bytes that the entrant of this name needs beyond the arrays of `problem`."""
    laid, able = _performer(problem, entrant)
    return int(able.workspace_bytes(laid, threads))


def _performer(problem: Any, entrant: str) -> tuple[Any, Any]:
    """Return the problem in the layout of the entrant, and the object that computes it."""
    laid, algorithm = called(problem, entrant)
    return laid, performer(registry.get_for(laid, algorithm), laid)


#: Memory held for a problem's arrays and its check, as a multiple of the arrays' size.
ARRAYS = 1.5


def held(problem: Any) -> int:
    """Return the bytes that a cell's process holds with any algorithm: arrays and tables."""
    return int(ARRAYS * problem.compulsory_bytes) + problem.table_bytes


def memory_needed(problem: Any, entrant: str, threads: int) -> int:
    """Return the peak bytes of a cell's process: arrays, workspace and check."""
    return held(problem) + workspace_of(problem, entrant, threads)


def obstacle(problem: Any, entrant: str, threads: int, memory: int) -> tuple[str, str] | None:
    """Return the reason not to try a cell with `memory` bytes, as status and sentence, or None."""
    try:
        laid, algorithm = called(problem, entrant)
        chosen = registry.get_for(laid, algorithm)
        able = performer(chosen, laid)
        if reason := able.why_not(laid) or not_timed(chosen, able):
            return "unsupported", reason
        needed = held(problem)
        if needed <= memory:  # otherwise the workspace may take long to compute
            able.work(laid)
            needed += int(able.workspace_bytes(laid, threads))
    except ConvbenchError as error:  # the algorithm is for another kind of problem
        return "unsupported", str(error)
    except Exception as error:  # an algorithm from outside loses only its own rows
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
    """Return the bytes that the cells of a problem may take together now."""
    return int(machine.available_memory() * MEMORY_SHARE)


def memory_of_machine() -> int:
    """Return the bytes that they might take if nothing else ran."""
    return int(machine.total_memory() * MEMORY_SHARE)
