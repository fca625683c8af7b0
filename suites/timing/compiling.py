"""What compiling costs: every kernel of every algorithm, compiled once and loaded again.

One compiled kernel serves all sizes, so a few problems reach every one: those that verification
begins with, some that are worth several threads, and one whose weights hold a NaN. A family's
algorithms take turns in a process for one data type, and kernels that several of them share count
for the first; such processes go side by side on the cores there are. Another one then repeats what
took longer the first time, and finds its kernels in the cache.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from rich.table import Table

from algos import registry
from algos.backend.threads import available
from algos.core.family import CONVOLUTION, POOLING, Family
from algos.notation import parse
from suites.cases import generate
from suites.cases.suite import Case
from suites.machine import clock
from suites.truth.families import FAMILY_CASES
from suites.workers.process import Worker

from .cell import obstacle

#: Those whose algorithms have kernels of their own.
FAMILIES = (CONVOLUTION, POOLING)

#: Problems of a family, the seconds that one may take to compile, and the bytes to compute.
COUNT, TIMEOUT, MOST_BYTES = 60, 300.0, 1 << 25

#: Seconds that a first call takes more than the next where it compiles or loads a kernel.
MADE = 0.0005

#: Problems that are worth several threads, which those are too small for; and one with a bias for
#: each kernel of a tile.
_MORE = (
    "mb1_ic32ih32_oc32_kh3_ph1",
    "g64mb1_ic64ih64_oc64_kh3_ph1",
    "mb1_ic64ih28_oc64_kh1",
    "mb1_ic64ih28_oc64_kh1_bwdw",
    "mb2_ic3ih9_oc4_kh3_ph1_tile2x3_biastile",
)
#: One for kernels that are outer products.
_SEPARABLE = "mb1_ic1ih512_oc1_kh5_ph2"

#: For weights that hold a NaN.
_SPOILT = "mb1_ic1ih16_oc1_kh3_ph1"


@dataclass
class Cost:
    """What the kernels of one algorithm took in one data type.

    Seconds beyond those of the same calls made again: `compiled_s` in the first process, of them
    `cpu_s` of all cores, and `loaded_s` in the second.
    """

    algorithm: str
    family: str
    dtype: str
    kernels: int = 0
    compiled_s: float = 0.0
    cpu_s: float = 0.0
    loaded_s: float = 0.0


def cases(family: Family, dtype: str) -> list[Case]:
    """Problems that between them call every kernel of the family in `dtype`."""
    made = FAMILY_CASES[family].cases(COUNT, 0, generate.OPERATIONS)
    if family is CONVOLUTION:
        made += [Case(parse(text)) for text in _MORE]
        made.append(Case(parse(_SEPARABLE), "rank1"))
    cast = (replace(case, problem=replace(case.problem, dtype=dtype)) for case in made)
    return list(dict.fromkeys(cast))


def measure(family: Family, dtype: str, names: Sequence[str]) -> list[Cost]:
    """The costs of the algorithms `names` of `family`, in this order."""
    costs = {name: Cost(name, family.name, dtype) for name in names}
    asked = [(name, call) for name in names for call in calls(name, family, dtype)]
    again = []
    compiler, loader = Worker(available()), Worker(available())
    try:
        for name, call in asked:
            answer = _compile(compiler, name, *call)
            if answer["seconds"] > MADE:
                again.append((name, call))
            costs[name].kernels += answer["kernels"]
            costs[name].compiled_s += answer["seconds"]
            costs[name].cpu_s += answer["cpu"]
        for name, call in again:
            costs[name].loaded_s += _compile(loader, name, *call)["seconds"]
    finally:
        compiler.close()
        loader.close()
    return [*costs.values()]


def calls(name: str, family: Family, dtype: str) -> list[tuple[Case, int, bool]]:
    """The cases that the algorithm can do in little memory, each with one thread and with all.

    Last comes whether the weights are to hold a NaN.
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


def _compile(worker: Worker, name: str, case: Case, count: int, spoilt: bool) -> dict[str, Any]:
    return worker.ask(
        TIMEOUT, do="compile", case=case.as_words(), algorithm=name, threads_wanted=count,
        spoilt=spoilt,
    )  # fmt: skip


def compile_and_show(
    dtypes: Sequence[str], chosen: Sequence[str] | None, cold: bool, out: Console, notes: Console
) -> int:
    """Compile what is not compiled yet, or where `cold` everything, and show what it took."""
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
    """What goes side by side: what takes longest, ahead; kernels are shared within a family."""
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
    """Have workers made meanwhile begin with an empty cache, where it is to be `cold`."""
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
