"""One algorithm in its own process, forked by the fork server and driven through a socket.

A request is a line of JSON, ``{"do": NAME, …}``; the answer is another one. Between requests the
process sleeps in a read. So the measured process has the machine to itself, and the thread pools
of different algorithms never run together.
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
from suites.truth.families import instance_of
from suites.truth.judge import judge

#: Most products that the oracle may compute to verify one cell.
_ORACLE_PRODUCTS = 4_000_000

#: Seconds from which on a first call is a good estimate of later calls. Reading compiled code from
#: the disk took at most 0.3 s of a first call.
LONG_CALL = 1.0

#: Seconds of repeated calls before a time is believed. Threads that slept are slow at first, and
#: two of them may share a core for some milliseconds.
WAKING = 0.02

#: Seconds of repeated preparation: at first, memory is new and threads are asleep.
PREPARING = 0.02


@dataclass(frozen=True)
class Ready:
    """A cell that can be timed: its plan, its arrays, and the array for the result."""

    plan: Callable[..., Any]
    arrays: tuple[np.ndarray, ...]
    out: np.ndarray
    first: float = 0.0  # seconds of its first call without compiling; 0 if unknown

    def call(self) -> None:
        """Call the plan once, exactly as it is timed."""
        self.plan(*self.arrays, self.out)


class Session:
    """The state between requests: the cells that can be timed, by number."""

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
        """Prepare, call once and verify; answer the cell's status and its data except samples.

        The cell may take `allowance` bytes beyond those that the process holds already.
        """
        self._make_room(threads_wanted, allowance)
        instance = instance_of(Case.of_words(case), seed)
        problem, chosen = instance.problem, registry.get_for(instance.problem, algorithm)
        if reason := instance.reason_against(chosen):
            return {"status": "unsupported", "reason": reason}
        with clock.stopwatch() as preparing:
            plan, given = instance.plan(chosen, threads_wanted)
        out = np.full(problem.result_shape, np.nan, problem.dtype)
        sums = [zlib.crc32(array.data) for array in given]
        with clock.stopwatch() as calling:
            plan(*given, out)
        if sums != [zlib.crc32(array.data) for array in given]:
            return {"status": "failed", "reason": "it changed its input, which is not its own"}
        checked = instance.finite()
        if checked is not instance:  # timed on the given numbers, verified on finite ones
            plan(checked.first, *given[1:], out)
        positions = checked.positions(_ORACLE_PRODUCTS, 64, 2048, seed)
        verdict = checked.check(chosen, out, positions)
        answer = {
            "status": "ok" if verdict.passed else "failed",
            "reason": verdict.reason,
            "error_over_bound": verdict.error_over_bound,
            "compile_s": preparing.compiling + calling.compiling,
            "first_call_s": calling.working,
            "threads_seen": threads.read_back(),  # the first call loads the libraries
        }
        if verdict.passed:
            plan, given = instance.plan(chosen, threads_wanted)
            prepare = partial(instance.plan, chosen, threads_wanted)
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
        """Prepare a cell that another process has verified, and call it once."""
        self._make_room(threads_wanted, allowance)
        instance = instance_of(Case.of_words(case), seed)
        chosen = registry.get_for(instance.problem, algorithm)
        out = np.empty(instance.problem.result_shape, instance.problem.dtype)
        with clock.stopwatch() as loading:
            plan, given = instance.plan(chosen, threads_wanted)
            plan(*given, out)
        self.ready[cell] = Ready(plan, given, out)
        return {"load_s": loading.seconds, "compile_s": loading.compiling}

    def compile(
        self, case: dict[str, str], algorithm: str, threads_wanted: int, spoilt: bool = False
    ) -> dict[str, Any]:
        """Prepare and call twice; the extra time of the first goes to compiling or loading.

        If `spoilt`, the kernel holds a NaN.
        """
        threads.use(threads_wanted)
        instance = instance_of(Case.of_words(case))
        chosen = registry.get_for(instance.problem, algorithm)
        if spoilt:
            instance.arrays[1].flat[0] = np.nan
        if instance.reason_against(chosen):
            return {"kernels": 0, "seconds": 0.0, "cpu": 0.0}
        out = np.empty(instance.problem.result_shape, instance.problem.dtype)
        took = []
        for _ in range(2):
            with clock.stopwatch() as calling:
                plan, given = instance.plan(chosen, threads_wanted)
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
        """Answer the peak bytes beyond input, kernel and output; never in a process that times."""
        if self._scale is None:
            self._scale = memory.Scale()
        threads.use(threads_wanted)
        instance = instance_of(Case.of_words(case), seed)
        problem, chosen = instance.problem, registry.get_for(instance.problem, algorithm)
        out = np.full(problem.result_shape, np.nan, problem.dtype)  # touched, so not counted

        def work() -> None:
            plan, given = instance.plan(chosen, threads_wanted)
            plan(*given, out)

        kind = algorithm, problem.operation, problem.dtype, len(problem.size)
        predicted = performer(chosen, problem).workspace_bytes(problem, threads_wanted)
        return {"peak_extra_bytes": self._scale.weigh(work, kind, predicted)}

    def try_file(self, path: str) -> dict[str, Any]:
        """Load algorithms from a file, to test if this process survives it."""
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
        """Judge an algorithm within `allowance` more bytes; answer a `Judgement`."""
        if allowance is not None:
            _limit(psutil.Process().memory_info().vms + allowance)
        told = Case.of_words(case)
        chosen = registry.get_for(told.problem, algorithm)
        return asdict(judge(chosen, told, threads=threads_wanted, seed=seed))

    def calibrate(self, cell: int, seconds: float, cold: bool = False) -> dict[str, Any]:
        """Answer the calls that fill a sample of `seconds`, and the counters of one call.

        Warm code is timed. If caches are `cold`, the time of emptying them counts as well.
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
        """Answer the seconds per call over `loops` calls, and the interruptions during them.

        The seconds are None if something was compiled. Other processes have worked since the
        last sample, so `warm` uncounted calls fill the caches first. If caches are `cold`, they
        are emptied ahead of every call instead.
        """
        call = self.ready[cell].call
        self._wake(call, warm)
        sweep, before = self._sweep(cold), noise.interruptions()
        seconds = clock.sample(call, loops, sweep)
        after = noise.interruptions()
        return {"seconds": seconds, **{name: after[name] - before[name] for name in after}}

    def _wake(self, call: Callable[[], None], calls: int) -> None:
        """Make `calls` that wake the threads of a pool, each on its own core.

        Otherwise the system may wake two threads on one core and keep them there for longer than
        a sample: calls of 0.1 ms took 10 ms. Afterwards the threads may move freely.
        """
        with cores.apart() if self.threads > 1 and calls else nullcontext():
            for _ in range(calls):
                call()

    def place(self, on: Sequence[int]) -> dict[str, Any]:
        """Keep all threads of this process on the cores `on`."""
        cores.keep(on)
        return {}

    def save(self, cell: int, path: str) -> dict[str, Any]:
        """Write the output to `path` as a .npy file; answer the disk's error, if any."""
        self.ready[cell].call()
        try:
            np.save(path, self.ready[cell].out)
        except OSError as error:
            return {"disk": error.strerror or str(error)}
        return {}

    def drop(self) -> dict[str, Any]:
        """Free the memory of all cells."""
        self.ready.clear()
        gc.collect()
        return {}

    def _make_room(self, threads_wanted: int, allowance: int | None) -> None:
        """Raise the memory limit by `allowance` bytes for one more cell, and set its threads."""
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
    """Limit this process to `size` bytes, if the system can."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (size, hard))


def serve(requests: BinaryIO, answers: BinaryIO, files: Sequence[str]) -> None:
    """Answer requests until there are no more; `files` hold algorithms from outside."""
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
    """End this process with its parent, even in an endless loop; only Linux can do this."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))  # 1 is PR_SET_PDEATHSIG
