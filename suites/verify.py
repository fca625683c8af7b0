"""Are the algorithms equivalent? Everything asked of each, on many problems.

Each algorithm is judged in a process of its own: a crash or a hang fails the case it happened
in and no other. A case that fails is shrunk to the smallest problem that still does.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from . import clock
from .process import Worker, WorkerDiedError
from .shrink import shrink
from .suite import Case

#: Seconds that shrinking a failing problem may take.
SHRINKING = 20.0


@dataclass(frozen=True)
class Failure:
    """A case that an algorithm got wrong, and the smallest problem found that it gets wrong."""

    case: Case
    reason: str
    smallest: Case


@dataclass
class Score:
    """How one algorithm did."""

    algorithm: str
    family: str = "convolution"
    cases: int = 0
    unsupported: int = 0
    mistrusted: int = 0
    exact: int = 0
    properties: int = 0
    threads_agree: bool = True
    worst: float = 0.0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    def enter(self, answer: dict[str, Any]) -> None:
        """Count a judgement."""
        if answer["status"] == "unsupported":
            self.unsupported += 1
            return
        self.cases += 1
        self.mistrusted += answer["status"] == "mistrusted"
        self.exact += answer.get("exact", False)
        self.properties += answer.get("properties", 0)
        self.threads_agree &= answer.get("threads_agree", True)
        self.worst = max(self.worst, answer.get("error_over_bound", 0.0))


@dataclass
class Verifier:
    """Judges algorithms; `timeout` seconds a case, data by `seed`, with up to `threads`."""

    threads: int
    seed: int = 0
    timeout: float = 120.0
    files: Sequence[str] = ()

    def __post_init__(self) -> None:
        self._worker: Worker | None = None

    def score(
        self, algorithm: str, cases: Sequence[Case], report: Callable[[], None] = lambda: None
    ) -> Score:
        """Judge `algorithm` on all `cases`; `report` is called after each."""
        score = Score(algorithm, cases[0].problem.family.name)
        begun = clock.now()
        try:
            for case in cases:
                answer = self._judge(algorithm, case, self.timeout)
                score.enter(answer)
                if answer["status"] == "failed":
                    smallest = case if score.failures else self._smallest(algorithm, case)
                    score.failures.append(Failure(case, answer["reason"], smallest))
                report()
        finally:
            self.close()
        score.seconds = clock.now() - begun
        return score

    def killed(self, canary: str, cases: Sequence[Case]) -> bool:
        """Whether any of `cases` shows that `canary` is wrong."""
        return any(self._judge(canary, c, self.timeout)["status"] == "failed" for c in cases)

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _judge(self, algorithm: str, case: Case, timeout: float) -> dict[str, Any]:
        self._worker = self._worker or Worker(self.threads, self.files)
        try:
            return self._worker.ask(
                timeout, do="judge", case=case.as_words(), algorithm=algorithm,
                threads_wanted=self.threads, seed=self.seed,
            )  # fmt: skip
        except WorkerDiedError as death:
            self.close()
            return {"status": "failed", "reason": str(death)}

    def _smallest(self, algorithm: str, case: Case) -> Case:
        """The smallest case found that still fails, within the time for looking."""
        deadline = clock.now() + SHRINKING

        def fails(problem: Any) -> bool:
            left = deadline - clock.now()
            if left <= 0:
                return False
            simpler = replace(case, problem=problem)
            return self._judge(algorithm, simpler, min(left, self.timeout))["status"] == "failed"

        return replace(case, problem=shrink(case.problem, fails))


def repro_line(
    algorithm: str, case: Case, threads: int, seed: int, files: Sequence[str] = ()
) -> str:
    """The command that judges this one case alone."""
    words = ["convbench", "verify"]
    for path in files:
        words += ["--algorithm-file", path]
    words += ["--algorithms", algorithm, "--problem", str(case.problem)]
    words += ["--weights", case.weights, "--pixels", case.pixels]
    words += ["--threads", str(threads), "--seed", str(seed)]
    return shlex.join(words)
