"""Cost of scheduling, and workers of a local cluster against one.

Usage::

    python -m suites.scale.workers [--workers 1,2] [--problems 8] [--seconds 4]

Every worker gets the same number of problems, each with the same budget. With perfect weak scaling,
the time stays the same. Workers of one machine share its cores and its memory. So this measures the
cost of scheduling, not the gain of more machines. The cost of a task is the time from its start to
its result, as the client sees it, minus the time of its process on the worker.

The time that hosts would need for a suite is computed from this cost. The longest problem goes
first, and each problem goes to the host that is free first.
"""

from __future__ import annotations

import argparse
import heapq
import io
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from algos.core.errors import ConvbenchError
from algos.core.problem import Problem
from suites.cases.suite import Case, Suite, load
from suites.cluster.command import measure_on_cluster
from suites.cluster.fleet import TaskTime, budgets
from suites.cluster.hosts import VARIABLE
from suites.machine import clock
from suites.timing.schedule import Settings

ALGORITHMS = ("im2col", "parallel")


@dataclass(frozen=True)
class Row:
    """Seconds of a run with a number of workers, and its tasks."""

    workers: int
    seconds: float
    tasks: list[TaskTime]

    @property
    def costs(self) -> list[float]:
        """Seconds of each task that its process did not take."""
        return [one.total - one.process for one in self.tasks]


def measure(workers: int, problems: int, seconds: float, folder: Path) -> Row:
    """Measure `problems` problems for each worker of a new cluster."""
    try:
        from distributed import LocalCluster
    except ImportError:
        raise ConvbenchError('Dask is not installed; pip install "convbench[scale]"') from None
    cases = tuple(
        Case(Problem(size=(32, 32), kernel=3, in_channels=n + 1, out_channels=8))
        for n in range(workers * problems)
    )
    suite = Suite("weak", "Weak scaling", "", cases, ALGORITHMS, baseline=ALGORITHMS[0])
    settings = Settings("weak", ALGORITHMS, baseline=ALGORITHMS[0], budget=seconds * len(cases))
    with LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, resources={"convbench": 1},
        dashboard_address=":0", env={VARIABLE: "process"},
    ) as cluster:  # fmt: skip
        begun = clock.now()
        measured = measure_on_cluster(
            suite, settings, cluster.scheduler_address, folder, Console(file=io.StringIO())
        )
        return Row(workers, clock.now() - begun, measured.tasks)


def makespan(seconds: Sequence[float], cost: float, hosts: int) -> float:
    """Return the time until all tasks are done: the longest first, each to a host that is free."""
    free = [0.0] * hosts
    for one in sorted(seconds, reverse=True):
        heapq.heapreplace(free, free[0] + one + cost)
    return max(free)


def projected(name: str, cost: float, hosts: Sequence[int]) -> dict[int, float]:
    """Return the seconds of a suite on several numbers of equal hosts."""
    suite = load(name)
    settings = Settings(name, suite.algorithms, budget=suite.seconds, elastic=True)
    return {n: makespan(budgets(suite, settings), cost, n) for n in hosts}


def main() -> int:
    """Print a row for each number of workers, and what hosts would give for ``headline``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--problems", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=4.0)
    given = parser.parse_args()
    rows = []
    for workers in map(int, given.workers.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(workers, given.problems, given.seconds, Path(folder)))
    print("workers  tasks  seconds  efficiency  cost of a task: median, largest")
    for row in rows:
        print(
            f"{row.workers:7} {len(row.tasks):6} {row.seconds:8.1f} "
            f"{rows[0].seconds / row.seconds:10.0%}   {statistics.median(row.costs):.3f} s, "
            f"{max(row.costs):.3f} s"
        )
    cost = statistics.median(cost for row in rows for cost in row.costs)
    hosts = (1, 10, 100)
    found = projected("headline", cost, hosts)
    for n in hosts:
        gain = found[1] / found[n]
        print(f"headline on {n} hosts, computed: {found[n]:.0f} s, {gain:.1f} times as fast as one")
    return 0


if __name__ == "__main__":
    sys.exit(main())
