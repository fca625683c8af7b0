"""One algorithm in its own process, forked by the fork server and driven through a socket.

Requests and replies are those of `suites.workers.messages`. Between requests the process sleeps in
a read. So the measured process has the machine to itself, and the thread pools of different
algorithms never run together.
"""

from __future__ import annotations

import ctypes
import gc
import resource
import signal
import zlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

import numpy as np
import psutil

from algos import registry
from algos.adapters import performer
from algos.backend import threads
from algos.core.bound import Bound
from algos.core.causes import said, whole
from algos.core.errors import ConvbenchError, KernelRefusedError
from algos.registry import load_file
from results.records.columns import Outcome
from suites.cases.suite import Case
from suites.machine import clock, cores, counters, memory, noise
from suites.machine.caches import sweeper
from suites.truth.families import instance_of
from suites.truth.instance import Instance
from suites.truth.judge import Judgement, judge

from .messages import (
    Again,
    Calibrate,
    Calibrated,
    CellTask,
    Compile,
    Compiled,
    Discover,
    Done,
    Drop,
    Judge,
    Load,
    Place,
    Reloaded,
    Sample,
    Sampled,
    Save,
    Saved,
    Task,
    Unable,
    Weigh,
    Weighed,
    decode,
    encode,
)  # fmt: skip

#: Most products that the oracle may compute to verify one cell.
_ORACLE_PRODUCTS = 4_000_000

#: Seconds from which on a first call is a good estimate of later calls. Reading compiled code from
#: the disk took at most 0.3 s of a first call.
LONG_CALL = 1.0

#: Seconds of repeated calls before a time is believed. Threads that slept are slow at first, and
#: two of them may share a core for some milliseconds.
WAKING = 0.02

#: Seconds that a worker sleeps ahead of a sample. The process that asked and the worker before it
#: share its core, and fall asleep in that time. Without it, 40 % of samples were interrupted.
OTHERS_WAIT = 0.0001

#: Seconds of repeated preparation: at first, memory is new and threads are asleep.
PREPARING = 0.02


@dataclass(frozen=True)
class Ready:
    """A cell that can be timed: its computation, and the array for the result."""

    bound: Bound
    out: np.ndarray
    first: float = 0.0  # seconds of its first call without compiling; 0 if unknown


class Session:
    """The state between requests: the cells that can be timed, by number.

    The method for a request has the name of its class, in lower case.
    """

    def __init__(self) -> None:
        self.ready: dict[int, Ready] = {}
        self.threads = 1
        self._own = 0  # bytes that the process has without any cell
        self._allowances = 0
        self._scale: memory.Scale | None = None  # of a process that weighs

    def load(self, request: Load) -> Outcome:
        """Return the cell's outcome; it can be timed if its status is ok."""
        self._make_room(request)
        instance, chosen = _asked(request)
        problem = instance.problem
        if reason := instance.reason_against(chosen):
            return Outcome(status="unsupported", reason=reason)
        with clock.stopwatch() as preparing:
            plan, given = instance.plan(chosen, request.threads)
        out = instance.result()
        sums = _sums(given)
        with clock.stopwatch() as binding:
            bound = plan.bind(*given, out=out)
        with clock.stopwatch() as calling:
            result = bound.call()
        bound.fetch(result, out)
        if sums != _sums(given):
            return Outcome(status="failed", reason="it changed its input, which is not its own")
        checked = instance.finite()
        if checked is not instance:  # timed on the given numbers, verified on finite ones
            plan(checked.first, *given[1:], out)
        positions = checked.positions(_ORACLE_PRODUCTS, 64, 2048, request.seed)
        verdict = checked.check(chosen, out, positions)
        prepare_s = convert_s = None
        if verdict.passed:
            del plan, bound, result  # a prepared kernel may be larger than all else together
            prepare = partial(instance.plan, chosen, request.threads)
            prepare_s = clock.shortest(prepare, PREPARING)
            plan, given = instance.plan(chosen, request.threads)
            bound = plan.bind(*given, out=out)
            convert_s = 0.0  # ours computes where the operands are
            if chosen.is_peer:
                result = bound.call()

                def convert() -> None:
                    plan.bind(*given, out=out)
                    bound.fetch(result, out)

                convert_s = clock.shortest(convert, PREPARING)
            self.ready[request.cell] = Ready(bound, out, calling.working)
        return Outcome(
            status="ok" if verdict.passed else "failed",
            reason=verdict.reason,
            error_over_bound=verdict.error_over_bound,
            relative_error=verdict.relative_error,
            accuracy="direct" if chosen.has_direct_accuracy(problem) else "normwise",
            compile_s=preparing.compiling + binding.compiling + calling.compiling,
            prepare_s=prepare_s,
            convert_s=convert_s,
            first_call_s=calling.working,
            threads_seen=threads.read_back(),  # the first call loads the libraries
        )

    def again(self, request: Again) -> Reloaded:
        """Prepare a cell that another process has verified, and call it once."""
        self._make_room(request)
        instance, chosen = _asked(request)
        out = instance.result()
        with clock.stopwatch() as loading:
            plan, given = instance.plan(chosen, request.threads)
            bound = plan.bind(*given, out=out)
            bound.call()
        self.ready[request.cell] = Ready(bound, out)
        return Reloaded(loading.seconds, loading.compiling)

    def compile(self, request: Compile) -> Compiled:
        """Prepare and call twice; the extra time of the first goes to compiling or loading."""
        threads.use(request.threads)
        instance, chosen = _asked(request)
        if request.spoilt:
            instance.arrays[1].flat[0] = np.nan
        if instance.reason_against(chosen):
            return Compiled()
        out = instance.result()
        took = []
        for _ in range(2):
            with clock.stopwatch() as calling:
                plan, given = instance.plan(chosen, request.threads)
                plan(*given, out)
            took.append(calling)
        first, second = took
        return Compiled(
            first.kernels,
            max(first.seconds - second.seconds, 0.0),
            max(first.cpu - second.cpu, 0.0),
        )

    def weigh(self, request: Weigh) -> Weighed:
        """Return the peak memory; never in a process that times."""
        if self._scale is None:
            self._scale = memory.Scale()
        threads.use(request.threads)
        instance, chosen = _asked(request)
        problem = instance.problem
        out = instance.result()  # touched, so not counted

        def work() -> None:
            plan, given = instance.plan(chosen, request.threads)
            plan(*given, out)

        kind = request.algorithm, problem.operation, problem.dtype, len(problem.size)
        predicted = performer(chosen, problem).workspace_bytes(problem, request.threads)
        return Weighed(self._scale.weigh(work, kind, predicted))

    def judge(self, request: Judge) -> Judgement:
        """Judge an algorithm."""
        if request.allowance is not None:
            _limit(psutil.Process().memory_info().vms + request.allowance)
        case = Case.of_words(request.case)
        chosen = registry.get_for(case.problem, request.algorithm)
        return judge(chosen, case, threads=request.threads, seed=request.seed)

    def discover(self, request: Discover) -> Done:
        """Load algorithms from a file."""
        load_file(request.path)
        return Done()

    def calibrate(self, request: Calibrate) -> Calibrated:
        """Choose the calls that fill a sample, and count the events of one call.

        Warm code is timed. If caches are cold, the time of emptying them counts as well.
        """
        seconds = max(request.seconds, clock.shortest_sample())
        sweep = self._sweep(request.cold)
        emptying = clock.per_call(sweep, 1) if sweep else 0.0
        call, once = self.ready[request.cell].bound.call, self.ready[request.cell].first
        if once < LONG_CALL:
            self._wake(call, 1)
            once = clock.shortest(call, WAKING)
        if once < seconds:
            once = min(once, clock.per_call(call, max(1, round(seconds / max(once, 1e-6)))))
        loops = max(1, min(round(seconds / max(once + emptying, 1e-9)), 1_000_000))
        return Calibrated(loops, once, emptying, counters.of_a_call(call, loops))

    def sample(self, request: Sample) -> Sampled:
        """Time a sample, and count the interruptions during it.

        Other processes have worked since the last sample, so uncounted calls fill the caches
        first. If caches are cold, they are emptied ahead of every call instead.
        """
        call = self.ready[request.cell].bound.call
        clock.settle(OTHERS_WAIT)
        self._wake(call, request.warm)
        sweep, before = self._sweep(request.cold), noise.interruptions()
        seconds = clock.sample(call, request.loops, sweep)
        after = noise.interruptions()
        return Sampled(seconds, {name: after[name] - before[name] for name in after})

    def _wake(self, call: Callable[[], Any], calls: int) -> None:
        """Make `calls` that wake the threads of a pool, each on its own core.

        Otherwise the system may wake two threads on one core and keep them there for longer than
        a sample: calls of 0.1 ms took 10 ms. Afterwards the threads may move freely.
        """
        with cores.apart() if self.threads > 1 and calls else nullcontext():
            for _ in range(calls):
                call()

    def place(self, request: Place) -> Done:
        """Keep all threads of this process on some cores."""
        cores.keep(request.on)
        return Done()

    def save(self, request: Save) -> Saved:
        """Write the output of a cell to a file."""
        ready = self.ready[request.cell]
        ready.bound.fetch(ready.bound.call(), ready.out)
        try:
            np.save(request.path, ready.out)
        except OSError as error:
            return Saved(error.strerror or str(error))
        return Saved()

    def drop(self, request: Drop) -> Done:
        """Free the memory of all cells."""
        self.ready.clear()
        gc.collect()
        memory.release_freed()
        return Done()

    def _make_room(self, request: CellTask[Any]) -> None:
        """Raise the memory limit for one more cell, set its threads, and keep freed memory."""
        memory.keep_freed()
        if not self.ready:
            self._own, self._allowances = psutil.Process().memory_info().vms, 0
        if request.allowance is not None:
            self._allowances += request.allowance
            _limit(self._own + self._allowances)
        threads.use(request.threads)
        self.threads = request.threads

    def _sweep(self, cold: bool) -> Callable[[], None] | None:
        return sweeper(self.threads) if cold else None


def _asked(request: Task[Any]) -> tuple[Instance, Any]:
    """Return the case of a task with its numbers, and its algorithm, its libraries imported."""
    instance = instance_of(Case.of_words(request.case), request.seed)
    chosen = registry.get_for(instance.problem, request.algorithm)
    for library in chosen.libraries:  # imported already, unless importing it starts a thread
        with suppress(ImportError):
            threads.load(library)
    return instance, chosen


def _sums(arrays: Sequence[np.ndarray]) -> list[int]:
    """Return a checksum of each array, of any layout without gaps."""
    return [zlib.crc32(array.ravel(order="K").data) for array in arrays]


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
        request = decode(line)
        action = getattr(session, type(request).__name__.lower())
        reply: Any
        try:
            reply = action(request)
        except KernelRefusedError as error:
            reply = Unable("unsupported", str(error))
        except ConvbenchError as error:
            reply = Unable("failed", str(error))
        except MemoryError:
            reply = Unable("failed", "it asked for more memory than it may have")
        except Exception as error:
            reply = Unable("failed", f"it raised {said(error)}", whole(error))
        answers.write(encode(reply))
        answers.flush()


def end_with_parent() -> None:
    """End this process with its parent, even in an endless loop; only Linux can do this."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))  # 1 is PR_SET_PDEATHSIG
