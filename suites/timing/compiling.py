"""The cost of compiling: every kernel of every algorithm, compiled once and loaded again.

One compiled kernel serves all sizes, so a few problems reach every kernel. They are the first
problems of verification, some that are worth several threads, and one whose weights hold a NaN.

A family's algorithms take turns in one process per data type. A kernel that several algorithms
share counts for the first of them. Such processes run concurrently on the available cores. A
second process then repeats the calls that compiled, and finds their kernels in the cache.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from algos import registry
from algos.backend.threads import available
from algos.core.family import CONVOLUTION, POOLING, Family
from algos.notation import parse
from suites.cases import generate
from suites.cases.suite import Case
from suites.machine import clock
from suites.truth.families import FAMILY_CASES
from suites.workers.messages import Compile, Compiled, Unable
from suites.workers.process import Worker, WorkerDiedError

from .cell import obstacle

#: Families whose algorithms have kernels of their own.
FAMILIES = (CONVOLUTION, POOLING)

#: Problems of a family, most seconds to compile one, and most bytes to compute one.
COUNT, TIMEOUT, MOST_BYTES = 60, 300.0, 1 << 25

#: Extra seconds of a first call above which it has compiled or loaded a kernel.
MADE = 0.0005

#: Problems worth several threads, unlike those of verification; and one with a bias for each
#: kernel of a tile.
_MORE = (
    "mb1_ic32ih32_oc32_kh3_ph1",
    "g64mb1_ic64ih64_oc64_kh3_ph1",
    "mb1_ic64ih28_oc64_kh1",
    "mb1_ic64ih28_oc64_kh1_bwdw",
    "mb2_ic3ih9_oc4_kh3_ph1_tile2x3_biastile",
)
#: Problem for kernels that are outer products.
_SEPARABLE = "mb1_ic1ih512_oc1_kh5_ph2"

#: Problem for weights that hold a NaN.
_SPOILT = "mb1_ic1ih16_oc1_kh3_ph1"


@dataclass
class Cost:
    """Time to compile and to load the kernels of one algorithm in one data type.

    Times are seconds beyond those of the same calls made again. `compiled_s` is the time in the
    first process, `cpu_s` its processor time on all cores, `loaded_s` the time in the second.
    `failure` says on which problem it failed, and why; it is empty otherwise.
    """

    algorithm: str
    family: str
    dtype: str
    kernels: int = 0
    compiled_s: float = 0.0
    cpu_s: float = 0.0
    loaded_s: float = 0.0
    failure: str = ""


def cases(family: Family, dtype: str) -> list[Case]:
    """Return problems that together call every kernel of the family in `dtype`."""
    made = FAMILY_CASES[family].cases(COUNT, 0, generate.OPERATIONS)
    if family is CONVOLUTION:
        made += [Case(parse(text)) for text in _MORE]
        made.append(Case(parse(_SEPARABLE), "rank1"))
    cast = (replace(case, problem=replace(case.problem, dtype=dtype)) for case in made)
    return list(dict.fromkeys(cast))


class Lane:
    """Algorithms of a family in one data type, which take turns in one process.

    A process that dies is replaced. The first failure of an algorithm is noted in its cost, and the
    rest of its calls are left out.
    """

    def __init__(self, family: Family, dtype: str, names: Sequence[str]) -> None:
        self.family, self.dtype = family, dtype
        self.costs = {name: Cost(name, family.name, dtype) for name in names}
        self._worker: Worker | None = None
        self._stopped = False

    def measure(self) -> list[Cost]:
        """Return the costs of the algorithms, in their order."""
        asked = [
            (cost, call)
            for name, cost in self.costs.items()
            for call in calls(name, self.family, self.dtype)
        ]
        again = []
        try:
            for cost, call in asked:
                answer = self._compile(cost, *call)
                if answer.seconds > MADE:
                    again.append((cost, call))
                cost.kernels += answer.kernels
                cost.compiled_s += answer.seconds
                cost.cpu_s += answer.cpu
            self._close()
            for cost, call in again:
                cost.loaded_s += self._compile(cost, *call).seconds
        finally:
            self._close()
        return [*self.costs.values()]

    def stop(self) -> None:
        """End the process, so that `measure` returns soon in its thread."""
        self._stopped = True
        if worker := self._worker:
            worker.kill()

    def _compile(self, cost: Cost, case: Case, count: int, spoilt: bool) -> Compiled:
        """Return what a call compiles; nothing if its algorithm fails, now or before."""
        if cost.failure:
            return Compiled()
        request = Compile(
            case=case.as_words(), algorithm=cost.algorithm, threads=count, spoilt=spoilt
        )
        try:
            self._worker = self._worker or Worker(available())
            if self._stopped:  # asked last, so that `stop` misses no process
                return Compiled()
            reply = self._worker.ask(TIMEOUT, request)
        except WorkerDiedError as death:
            self._close()
            reply = Unable("failed", str(death))
        if not isinstance(reply, Unable):
            return reply
        if reply.status != "unsupported":
            cost.failure = f"{case.problem}: {reply.reason}"
        return Compiled()

    def _close(self) -> None:
        if self._worker:
            self._worker.close()
            self._worker = None


def calls(name: str, family: Family, dtype: str) -> list[tuple[Case, int, bool]]:
    """Return the cases that the algorithm can do in little memory, with one thread and with all.

    The last item of each is True if the weights hold a NaN.
    """
    counts = sorted({1, available()})
    asked = [(*call, False) for call in itertools.product(cases(family, dtype), counts)]
    if family is CONVOLUTION:
        asked.append((Case(replace(parse(_SPOILT), dtype=dtype)), 1, True))
    return [
        (case, count, spoilt)
        for case, count, spoilt in asked
        if obstacle(case.problem, name, count, MOST_BYTES) is None
    ]


def compile_and_show(
    dtypes: Sequence[str], chosen: Sequence[str] | None, cold: bool, out: Console, notes: Console
) -> int:
    """Compile what is not compiled yet, or everything if `cold`, and show the costs.

    Returns 1 if an algorithm failed, else 0.
    """
    lanes = [Lane(*algorithms) for algorithms in _lanes(dtypes, chosen)]
    said = notes.status("compiling, which takes a minute where nothing is compiled yet")
    with _cache(cold), said, clock.stopwatch() as whole, ThreadPoolExecutor(available()) as pool:
        try:
            costs = list(itertools.chain(*pool.map(Lane.measure, lanes)))
        except BaseException:  # after Ctrl-C nobody waits for their answers
            for lane in lanes:
                lane.stop()
            raise
    costs.sort(key=lambda cost: (cost.family, cost.dtype, cost.algorithm))
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("algorithm")
    table.add_column("of")
    table.add_column("in")
    for heading in ("kernels", "compiled", "CPU", "loaded"):
        table.add_column(heading, justify="right")
    failed = any(cost.failure for cost in costs)
    table.add_column("failed" if failed else "")
    for cost in costs:
        failure = escape(cost.failure)
        table.add_row(cost.algorithm, cost.family, cost.dtype, *_figures([cost]), failure)
    table.add_section()
    table.add_row("everything", "", "", *_figures(costs))
    out.print(table)
    out.print(f"\n{whole.seconds:.1f} s in all, on {available()} cores, compiling and loading.")
    return int(failed)


def _lanes(
    dtypes: Sequence[str], chosen: Sequence[str] | None
) -> Iterator[tuple[Family, str, list[str]]]:
    """Yield the work of each process, the longest first; a family shares its kernels."""
    for family, dtype in itertools.product(FAMILIES, dtypes):
        every = registry.of(family).items()
        names = [n for n, a in every if (n in chosen if chosen else not a.is_peer)]
        if names:
            yield family, dtype, names


def _figures(costs: Sequence[Cost]) -> list[str]:
    compiled, cpu, loaded = (
        f"{sum(getattr(cost, name) for cost in costs):.2f} s"
        for name in ("compiled_s", "cpu_s", "loaded_s")
    )
    return [str(sum(cost.kernels for cost in costs)), compiled, cpu, loaded]


@contextmanager
def _cache(cold: bool) -> Iterator[None]:
    """Give workers made inside this block an empty cache, if `cold`."""
    if not cold:
        yield
        return
    before = os.environ.get("NUMBA_CACHE_DIR")
    with tempfile.TemporaryDirectory(prefix="convbench-") as folder:
        os.environ["NUMBA_CACHE_DIR"] = folder
        try:
            yield
        finally:
            del os.environ["NUMBA_CACHE_DIR"]
            if before is not None:
                os.environ["NUMBA_CACHE_DIR"] = before
