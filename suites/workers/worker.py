"""One algorithm in a process of its own, forked by `suites.workers.fork_server` and driven through a socket.

A request is a line of JSON, ``{"do": NAME, …}``, and so is the answer. Between requests the
process sleeps in a read, so whoever is being measured has the machine to itself, and thread
pools of different algorithms never meet.
"""

from __future__ import annotations

import ctypes
import gc
import json
import resource
import signal
import zlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, BinaryIO

import numpy as np
import psutil

from algos import registry
from algos.adapters import performer
from algos.backend import threads
from algos.core.causes import said, whole
from algos.core.errors import ConvbenchError, KernelRefusedError
from algos.registry import load_file
from suites.cases.suite import Case
from suites.machine import clock, cores, counters, memory, noise
from suites.machine.caches import sweeper
from suites.truth.families import trial_of
from suites.truth.judge import judge

#: Products that verifying one cell may cost the oracle.
_ORACLE_PRODUCTS = 4_000_000

#: Seconds of a first call that says how long others take: reading compiled code from the disk
#: took 0.3 of them at the most.
LONG_CALL = 1.0

#: Seconds that calls are repeated for until one is believed: threads that slept are slow at first,
#: and two of them may share a core for some milliseconds.
WAKING = 0.02

#: Seconds that preparing is repeated for: at first, memory is new and threads are asleep.
PREPARING = 0.02


@dataclass(frozen=True)
class Ready:
    """A cell that can be timed: what to call with which arrays, where its result goes."""

    plan: Callable[..., Any]
    arrays: tuple[np.ndarray, ...]
    out: np.ndarray
    first: float = 0.0  # seconds that its first call took, compiling apart; 0 where not known

    def call(self) -> None:
        """Once, as it is timed."""
        self.plan(*self.arrays, self.out)


class Session:
    """The state between requests: the cells that are ready to be timed, by their numbers."""

    def __init__(self) -> None:
        self.ready: dict[int, Ready] = {}
        self.threads = 1
        self._own = 0  # bytes that the process has without any cell
        self._allowances = 0
        self._scale: memory.Scale | None = None  # of a process that weighs

    def load(
        self,
        cell: int,
        case: dict[str, str],
        algorithm: str,
        threads_wanted: int,
        seed: int,
        allowance: int | None = None,
    ) -> dict[str, Any]:
        """Prepare, call once, verify. Answers the cell's status and everything but samples.

        It may take `allowance` bytes beyond what the process has already.
        """
        self._make_room(threads_wanted, allowance)
        trial = trial_of(Case.of_words(case), seed)
        problem, chosen = trial.problem, registry.get_for(trial.problem, algorithm)
        if reason := trial.reason_against(chosen):
            return {"status": "unsupported", "reason": reason}
        with clock.stopwatch() as preparing:
            plan, given = trial.plan(chosen, threads_wanted)
        out = np.full(problem.result_shape, np.nan, problem.dtype)
        sums = [zlib.crc32(array.data) for array in given]
        with clock.stopwatch() as calling:
            plan(*given, out)
        if sums != [zlib.crc32(array.data) for array in given]:
            return {"status": "failed", "reason": "it changed its input, which is not its own"}
        checked = trial.finite()
        if checked is not trial:  # timed as it is, but judged on numbers that can be judged
            plan(checked.first, *given[1:], out)
        positions = checked.positions(_ORACLE_PRODUCTS, 64, 2048, seed)
        verdict = checked.check(chosen, out, positions)
        answer = {
            "status": "ok" if verdict.passed else "failed",
            "reason": verdict.reason,
            "error_over_bound": verdict.error_over_bound,
            "compile_s": preparing.compiling + calling.compiling,
            "first_call_s": calling.working,
            "threads_seen": threads.read_back(),  # libraries are loaded by the first call
        }
        if verdict.passed:
            plan, given = trial.plan(chosen, threads_wanted)
            prepare = partial(trial.plan, chosen, threads_wanted)
            answer["prepare_s"] = clock.shortest(prepare, PREPARING)
            self.ready[cell] = Ready(plan, given, out, calling.working)
        return answer

    def again(
        self,
        cell: int,
        case: dict[str, str],
        algorithm: str,
        threads_wanted: int,
        seed: int,
        allowance: int | None = None,
    ) -> dict[str, Any]:
        """Prepare and call once what another process has verified."""
        self._make_room(threads_wanted, allowance)
        trial = trial_of(Case.of_words(case), seed)
        chosen = registry.get_for(trial.problem, algorithm)
        out = np.empty(trial.problem.result_shape, trial.problem.dtype)
        with clock.stopwatch() as loading:
            plan, given = trial.plan(chosen, threads_wanted)
            plan(*given, out)
        self.ready[cell] = Ready(plan, given, out)
        return {"load_s": loading.seconds, "compile_s": loading.compiling}

    def compile(
        self, case: dict[str, str], algorithm: str, threads_wanted: int, spoilt: bool = False
    ) -> dict[str, Any]:
        """Prepare and call, twice; what the first takes more is compiling kernels, or loading.

        The kernel holds a NaN where it is to be `spoilt`.
        """
        threads.use(threads_wanted)
        trial = trial_of(Case.of_words(case))
        chosen = registry.get_for(trial.problem, algorithm)
        if spoilt:
            trial.arrays[1].flat[0] = np.nan
        if trial.reason_against(chosen):
            return {"kernels": 0, "seconds": 0.0, "cpu": 0.0}
        out = np.empty(trial.problem.result_shape, trial.problem.dtype)
        took = []
        for _ in range(2):
            with clock.stopwatch() as calling:
                plan, given = trial.plan(chosen, threads_wanted)
                plan(*given, out)
            took.append(calling)
        first, second = took
        return {
            "kernels": first.kernels,
            "seconds": max(first.seconds - second.seconds, 0.0),
            "cpu": max(first.cpu - second.cpu, 0.0),
        }

    def weigh(
        self, case: dict[str, str], algorithm: str, threads_wanted: int, seed: int
    ) -> dict[str, Any]:
        """Bytes held at the most beyond input, kernel and output; not for one that times."""
        if self._scale is None:
            self._scale = memory.Scale()
        threads.use(threads_wanted)
        trial = trial_of(Case.of_words(case), seed)
        problem, chosen = trial.problem, registry.get_for(trial.problem, algorithm)
        out = np.full(problem.result_shape, np.nan, problem.dtype)  # touched, so not counted

        def work() -> None:
            plan, given = trial.plan(chosen, threads_wanted)
            plan(*given, out)

        kind = algorithm, problem.operation, problem.dtype, len(problem.size)
        predicted = performer(chosen, problem).workspace_bytes(problem, threads_wanted)
        return {"peak_extra_bytes": self._scale.weigh(work, kind, predicted)}

    def try_file(self, path: str) -> dict[str, Any]:
        """Load algorithms from a file, to see whether this process lives on."""
        load_file(path)
        return {}

    def judge(
        self,
        case: dict[str, str],
        algorithm: str,
        threads_wanted: int,
        seed: int,
        allowance: int | None = None,
    ) -> dict[str, Any]:
        """Ask everything of an algorithm, within `allowance` bytes more; answers a `Judgement`."""
        if allowance is not None:
            _limit(psutil.Process().memory_info().vms + allowance)
        told = Case.of_words(case)
        chosen = registry.get_for(told.problem, algorithm)
        return asdict(judge(chosen, told, threads=threads_wanted, seed=seed))

    def calibrate(self, cell: int, seconds: float, cold: bool = False) -> dict[str, Any]:
        """How many calls fill a sample of `seconds`, judged on warm code; what one of them counts.

        Where caches are `cold`, emptying them is part of what fills it.
        """
        seconds = max(seconds, clock.shortest_sample())
        sweep = self._sweep(cold)
        emptying = clock.per_call(sweep, 1) if sweep else 0.0
        call, once = self.ready[cell].call, self.ready[cell].first
        if once < LONG_CALL:
            self._wake(call, 1)
            once = clock.shortest(call, WAKING)
        if once < seconds:
            once = min(once, clock.per_call(call, max(1, round(seconds / max(once, 1e-6)))))
        loops = max(1, min(round(seconds / max(once + emptying, 1e-9)), 1_000_000))
        counted = counters.of_a_call(call, loops)
        return {"loops": loops, "once_s": once, "sweep_s": emptying, "counters": counted}

    def sample(self, cell: int, loops: int, warm: int = 0, cold: bool = False) -> dict[str, Any]:
        """Seconds per call, over `loops` calls; None where something was compiled meanwhile.

        Others have worked since the last sample: it follows `warm` calls that are not counted
        and fill the caches, ahead of every call of a `cold` one they are emptied. And how often
        the system took the core away, and moved the work to another.
        """
        call = self.ready[cell].call
        self._wake(call, warm)
        sweep, before = self._sweep(cold), noise.interruptions()
        seconds = clock.sample(call, loops, sweep)
        after = noise.interruptions()
        return {"seconds": seconds, **{name: after[name] - before[name] for name in after}}

    def _wake(self, call: Callable[[], None], calls: int) -> None:
        """Make `calls`, to which the threads of a pool wake up on cores of their own.

        Left to itself, the system may wake two on one core and keep them there for longer than
        samples take: calls of 0.1 ms took 10. Afterwards it is left to itself.
        """
        with cores.apart() if self.threads > 1 and calls else nullcontext():
            for _ in range(calls):
                call()

    def place(self, on: Sequence[int]) -> dict[str, Any]:
        """Keep all threads of this process on the cores `on`."""
        cores.keep(on)
        return {}

    def save(self, cell: int, path: str) -> dict[str, Any]:
        """Write the output to `path` as a .npy file; what the disk says against it, if so."""
        self.ready[cell].call()
        try:
            np.save(path, self.ready[cell].out)
        except OSError as error:
            return {"disk": error.strerror or str(error)}
        return {}

    def drop(self) -> dict[str, Any]:
        """Give back the memory of all cells."""
        self.ready.clear()
        gc.collect()
        return {}

    def _make_room(self, threads_wanted: int, allowance: int | None) -> None:
        """For one more cell, which may take `allowance` bytes besides what others may."""
        if not self.ready:
            self._own, self._allowances = psutil.Process().memory_info().vms, 0
        if allowance is not None:
            self._allowances += allowance
            _limit(self._own + self._allowances)
        threads.use(threads_wanted)
        self.threads = threads_wanted

    def _sweep(self, cold: bool) -> Callable[[], None] | None:
        return sweeper(self.threads) if cold else None


def _limit(size: int) -> None:
    """Let this process be no larger than `size` bytes, where the system can see to it."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (size, hard))


def serve(requests: BinaryIO, answers: BinaryIO, files: Sequence[str]) -> None:
    """Answer requests until there are no more; `files` are algorithms from outside."""
    for path in files:
        load_file(path)
    session = Session()
    gc.disable()
    for line in requests:
        request = json.loads(line)
        action = getattr(session, request.pop("do"))
        try:
            answer = action(**request)
        except KernelRefusedError as error:
            answer = {"status": "unsupported", "reason": str(error)}
        except ConvbenchError as error:
            answer = {"status": "failed", "reason": str(error)}
        except MemoryError:
            answer = {"status": "failed", "reason": "it asked for more memory than it may have"}
        except Exception as error:
            answer = {
                "status": "failed", "reason": f"it raised {said(error)}", "whole": whole(error),
            }  # fmt: skip
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def end_with_parent() -> None:
    """Where Linux offers it, die with the parent even in the middle of an endless loop."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))  # 1 is PR_SET_PDEATHSIG
