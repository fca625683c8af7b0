"""Are the algorithms equivalent? Each against the oracle, on every output of many problems."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import clock
from .process import Worker, WorkerDiedError
from .suite import Case


@dataclass
class Score:
    """How one algorithm did."""

    algorithm: str
    cases: int = 0
    unsupported: int = 0
    worst: float = 0.0
    seconds: float = 0.0
    failures: list[tuple[Case, str]] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether it was judged at all, and never wrong."""
        return self.cases > 0 and not self.failures


def verify(
    algorithm: str,
    cases: Sequence[Case],
    *,
    threads: int,
    seed: int = 0,
    timeout: float = 120.0,
    files: Sequence[str] = (),
    report: Callable[[], None] = lambda: None,
) -> Score:
    """Hold `algorithm` to the oracle on `cases`, in a process of its own.

    A crash or a hang fails the case it happened in, and the next one gets a new process.
    `report` is called after each case.
    """
    score = Score(algorithm)
    worker: Worker | None = None
    begun = clock.now()
    try:
        for case in cases:
            worker = worker or Worker(threads, files)
            try:
                answer = _judge(worker, algorithm, case, threads, seed, timeout)
            except WorkerDiedError as death:
                worker.close()
                worker = None
                answer = {"status": "failed", "reason": str(death)}
            _enter(score, case, answer)
            report()
    finally:
        if worker is not None:
            worker.close()
    score.seconds = clock.now() - begun
    return score


def _judge(
    worker: Worker, algorithm: str, case: Case, threads: int, seed: int, timeout: float
) -> dict[str, Any]:
    described = {"problem": str(case.problem), "weights": case.weights, "pixels": case.pixels}
    return worker.ask(
        timeout, do="load", case=described, algorithm=algorithm, threads_wanted=threads,
        seed=seed, thorough=True,
    )  # fmt: skip


def _enter(score: Score, case: Case, answer: dict[str, Any]) -> None:
    if answer["status"] == "unsupported":
        score.unsupported += 1
        return
    score.cases += 1
    score.worst = max(score.worst, answer.get("error_over_bound", 0.0))
    if answer["status"] != "ok":
        score.failures.append((case, answer["reason"]))


def repro_line(
    algorithm: str, case: Case, threads: int, seed: int, files: Sequence[str] = ()
) -> str:
    """The command that judges this one case alone."""
    words = ["convbench", "verify"]
    for path in files:
        words += ["--algorithm-file", path]
    words += ["--algorithms", algorithm, "--problem", str(case.problem)]
    if case.weights != "random":
        words += ["--weights", case.weights]
    words += ["--threads", str(threads), "--seed", str(seed)]
    return shlex.join(words)
