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
from rich.table import Table

from algos import registry
from algos.backend.threads import available
from algos.core.errors import ConvbenchError
from algos.core.family import CONVOLUTION, POOLING, Family
from algos.notation import parse
from suites.cases import generate
from suites.cases.suite import Case
from suites.machine import clock
from suites.truth.families import FAMILY_CASES
from suites.workers.messages import Compile, Compiled, Unable
from suites.workers.process import Worker

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
    """

    algorithm: str
    family: str
    dtype: str
    kernels: int = 0
    compiled_s: float = 0.0
    cpu_s: float = 0.0
    loaded_s: float = 0.0


def cases(family: Family, dtype: str) -> list[Case]:
    """Return problems that together call every kernel of the family in `dtype`."""
    made = FAMILY_CASES[family].cases(COUNT, 0, generate.OPERATIONS)
    if family is CONVOLUTION:
        made += [Case(parse(text)) for text in _MORE]
        made.append(Case(parse(_SEPARABLE), "rank1"))
    cast = (replace(case, problem=replace(case.problem, dtype=dtype)) for case in made)
    return list(dict.fromkeys(cast))


def measure(family: Family, dtype: str, names: Sequence[str]) -> list[Cost]:
    """Return the costs of the algorithms `names` of `family`, in this order."""
    costs = {name: Cost(name, family.name, dtype) for name in names}
    asked = [(name, call) for name in names for call in calls(name, family, dtype)]
    again = []
    compiler, loader = Worker(available()), Worker(available())
    try:
        for name, call in asked:
            answer = _compile(compiler, name, *call)
            if answer.seconds > MADE:
                again.append((name, call))
            costs[name].kernels += answer.kernels
            costs[name].compiled_s += answer.seconds
            costs[name].cpu_s += answer.cpu
        for name, call in again:
            costs[name].loaded_s += _compile(loader, name, *call).seconds
    finally:
        compiler.close()
        loader.close()
    return [*costs.values()]


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


def _compile(worker: Worker, name: str, case: Case, count: int, spoilt: bool) -> Compiled:
    request = Compile(case=case.as_words(), algorithm=name, threads=count, spoilt=spoilt)
    reply = worker.ask(TIMEOUT, request)
    if isinstance(reply, Unable):
        raise ConvbenchError(f"{name} cannot compute {case.problem}: {reply.reason}")
    return reply


def compile_and_show(
    dtypes: Sequence[str], chosen: Sequence[str] | None, cold: bool, out: Console, notes: Console
) -> int:
    """Compile what is not compiled yet, or everything if `cold`, and show the costs."""
    lanes = list(_lanes(dtypes, chosen))
    said = notes.status("compiling, which takes a minute where nothing is compiled yet")
    with _cache(cold), said, clock.stopwatch() as whole, ThreadPoolExecutor(available()) as pool:
        costs = list(itertools.chain(*pool.map(lambda lane: measure(*lane), lanes)))
    costs.sort(key=lambda cost: (cost.family, cost.dtype, cost.algorithm))
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("algorithm")
    table.add_column("of")
    table.add_column("in")
    for heading in ("kernels", "compiled", "CPU", "loaded"):
        table.add_column(heading, justify="right")
    for cost in costs:
        table.add_row(cost.algorithm, cost.family, cost.dtype, *_figures([cost]))
    table.add_section()
    table.add_row("everything", "", "", *_figures(costs))
    out.print(table)
    out.print(f"\n{whole.seconds:.1f} s in all, on {available()} cores, compiling and loading.")
    return 0


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
