"""Verification: every algorithm is judged on many problems.

Each algorithm is judged in its own process, so a crash or a hang fails only the case in which it
happened. A case that fails is judged again in a fresh process, and shrunk to the smallest problem
that fails there.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from suites.cases.suite import Case
from suites.machine import clock
from suites.timing.cell import memory_allowed, obstacle
from suites.truth.judge import Judgement
from suites.workers.messages import Judge, Unable
from suites.workers.process import ExhaustedError, Worker, WorkerDiedError

from .shrink import shrink

#: Seconds that shrinking a failing problem may take.
SHRINKING = 20.0

#: Most failures of an algorithm that are shown, and therefore judged again alone.
SHOWN = 3

#: Bytes of input, kernel and output above which the memory needed is predicted before a try.
LARGE = 1 << 26


@dataclass(frozen=True)
class Failure:
    """A case that an algorithm got wrong, and the smallest one found.

    `number` counts from one. `alone` is False if the case passes in a fresh process.
    `whole` is the full text of an exception.
    """

    case: Case
    reason: str
    smallest: Case
    number: int = 1
    alone: bool = True
    whole: str = ""


@dataclass
class Score:
    """The result of one algorithm.

    `asked` counts cases in which equality on integers was demanded, `exact` those in which it
    was found. `unjudged` holds cases for which time or memory ran out, with the reason.
    """

    algorithm: str
    family: str = "convolution"
    cases: int = 0
    unsupported: int = 0
    mistrusted: int = 0
    asked: int = 0
    exact: int = 0
    properties: int = 0
    threads_agree: bool = True
    worst: float = 0.0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    unjudged: list[tuple[Case, str]] = field(default_factory=list)

    def enter(self, case: Case, answer: Judgement) -> None:
        """Count a judgement."""
        if answer.status == "unsupported":
            self.unsupported += 1
            return
        if answer.status == "unjudged":
            self.unjudged.append((case, answer.reason))
            return
        self.cases += 1
        self.mistrusted += answer.status == "mistrusted"
        self.asked += answer.asked
        self.exact += answer.exact
        self.properties += answer.properties
        self.threads_agree &= answer.threads_agree
        self.worst = max(self.worst, answer.error_over_bound)


@dataclass
class Verifier:
    """Judgement of algorithms: `timeout` seconds a case, data by `seed`, up to `threads`.

    `listed` are the words of the command line that choose the cases.
    """

    threads: int
    seed: int = 0
    timeout: float = 120.0
    files: Sequence[str] = ()
    listed: Sequence[str] = ()

    def __post_init__(self) -> None:
        self._worker: Worker | None = None

    def score(
        self, algorithm: str, cases: Sequence[Case], report: Callable[[], None] = lambda: None
    ) -> Score:
        """Judge `algorithm` on all `cases`; `report` is called after each."""
        score = Score(algorithm, cases[0].problem.family.name)
        begun = clock.now()
        try:
            for number, case in enumerate(cases, 1):
                answer = self._judge(algorithm, case, self.timeout)
                score.enter(case, answer)
                if answer.status == "failed":
                    earlier = len(score.failures)
                    score.failures.append(self._failure(algorithm, case, number, answer, earlier))
                report()
        finally:
            self.close()
        score.seconds = clock.now() - begun
        return score

    def killed(self, canary: str, cases: Sequence[Case]) -> bool:
        """Return True if any of `cases` shows that `canary` is wrong."""
        return any(self._judge(canary, c, self.timeout).status == "failed" for c in cases)

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _judge(self, algorithm: str, case: Case, timeout: float) -> Judgement:
        """Return the answer of the process in use; start one if there is none."""
        memory = memory_allowed()
        if case.problem.compulsory_bytes > LARGE:
            found = obstacle(case.problem, algorithm, self.threads, memory)
            if found and found[0] == "refused":
                return Judgement("unjudged", f"out of memory: {found[1]}")
        request = Judge(
            case=case.as_words(), algorithm=algorithm, threads=self.threads, seed=self.seed,
            allowance=memory,
        )  # fmt: skip
        self._worker = self._worker or Worker(self.threads, self.files)
        try:
            reply = self._worker.ask(timeout, request)
        except WorkerDiedError as death:
            self.close()
            if isinstance(death, ExhaustedError):
                return Judgement("unjudged", str(death))
            return Judgement("failed", str(death))
        if isinstance(reply, Unable):
            return Judgement(reply.status, reply.reason, whole=reply.whole)
        return reply

    def _failure(
        self, algorithm: str, case: Case, number: int, answer: Judgement, earlier: int
    ) -> Failure:
        """Return the failure of case `number`; the first one is shrunk if it fails alone."""
        found = Failure(case, answer.reason, case, number, whole=answer.whole)
        if earlier >= SHOWN:
            return found
        if not self._fails_alone(algorithm, case, self.timeout):
            return replace(found, alone=False)
        return found if earlier else replace(found, smallest=self._smallest(algorithm, case))

    def _fails(self, algorithm: str, case: Case, timeout: float) -> bool:
        return self._judge(algorithm, case, timeout).status == "failed"

    def _fails_alone(self, algorithm: str, case: Case, timeout: float) -> bool:
        """Return True if the case fails in a process that has judged nothing before."""
        with self._aside():
            return self._fails(algorithm, case, timeout)

    def _smallest(self, algorithm: str, case: Case) -> Case:
        """Return the smallest case found that fails alone."""
        with self._aside():
            smallest = self._shrunk(case, lambda c, left: self._fails(algorithm, c, left))
        if smallest == case or self._fails_alone(algorithm, smallest, self.timeout):
            return smallest
        # The algorithm keeps state: each attempt needs a process of its own, which is slower.
        return self._shrunk(case, lambda c, left: self._fails_alone(algorithm, c, left))

    def _shrunk(self, case: Case, fails: Callable[[Case, float], bool]) -> Case:
        """Return the smallest case found within `SHRINKING` seconds that still fails."""
        deadline = clock.now() + SHRINKING

        def still_fails(problem: Any) -> bool:
            left = min(deadline - clock.now(), self.timeout)
            return left > 0 and fails(replace(case, problem=problem), left)

        return replace(case, problem=shrink(case.problem, still_fails))

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Judge in another process inside this block; the one in use stays as it is."""
        kept, self._worker = self._worker, None
        try:
            yield
        finally:
            self.close()
            self._worker = kept


def repro_line(
    algorithm: str, case: Case, threads: int, seed: int, files: Sequence[str] = ()
) -> str:
    """Return the command that judges this one case alone."""
    words = ["--problem", str(case.problem), "--weights", case.weights, "--pixels", case.pixels]
    return _line(algorithm, words, threads, seed, files)


def sequence_line(algorithm: str, verifier: Verifier) -> str:
    """Return the command that judges all cases again, one after another in one process."""
    return _line(algorithm, verifier.listed, verifier.threads, verifier.seed, verifier.files)


def _line(
    algorithm: str, about: Sequence[str], threads: int, seed: int, files: Sequence[str]
) -> str:
    words = ["convbench", "verify"]
    for path in files:
        words += ["--algorithm-file", path]
    words += ["--algorithms", algorithm, *about, "--threads", str(threads), "--seed", str(seed)]
    return shlex.join(words)
