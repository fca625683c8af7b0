"""Times of all candidates for many problems, in interleaved blocks of this process.

A run of the harness gives each algorithm processes of its own and verifies it, which costs about a
second a cell. The model of times needs thousands of cells and no verdict, so they are timed here in
one process. A part of the measurement is read by its shortest call, like a pass of a run.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import pandas as pd

from algos import registry
from algos.backend import threads as pools
from algos.choice.decide import ALWAYS
from algos.choice.explain import candidates_of
from algos.choice.machine import versions
from algos.choice.terms import arithmetic
from algos.choice.wisdom import descriptor
from results.verdicts.statistics import time_interval
from suites.cases.suite import Case
from suites.machine import clock
from suites.truth.families import instance_of

#: Parts of a measurement, each read by its shortest call.
PARTS = 5
#: Seconds that an algorithm is called for in each part; once at least.
PART_SECONDS = 0.002
#: Candidates whose arithmetic is this many times that of the leanest are not timed, unless it is
#: the choice of last resort. Nor are those whose first call takes this many times the fastest call.
TOO_MUCH, TOO_SLOW = 25.0, 12.0
#: Multiply-adds up to which the loops of `naive` are timed.
MOST_OF_NAIVE = 2e7
#: Bytes of workspace beyond which a candidate is not timed.
MOST_WORKSPACE = 2 << 30


def timed(
    cases: Sequence[Case], threads: Iterable[int], told: Callable[[str], object] = print
) -> pd.DataFrame:
    """Return the times of every candidate for `cases`, one row per problem, threads, algorithm.

    A problem too small for a second thread is timed with one alone. The columns are those of a
    run's table that `algos.wisdom` and the regret read.
    """
    rows: list[dict[str, Any]] = []
    for count in threads:
        pools.use(count)
        for number, case in enumerate(cases, 1):
            p = case.problem
            if count > 1 and pools.is_small(p.multiply_adds, p.compulsory_bytes):
                continue
            rows += _rows(case, count)
            if number % 50 == 0:
                told(f"{number} of {len(cases)} problems, {count} thread(s)")
    frame = pd.DataFrame(rows)
    facts = versions()
    frame.attrs["environment"] = {"target": facts["cpu"], "numba": facts["numba"]}
    return frame


def _rows(case: Case, threads: int) -> list[dict[str, Any]]:
    problem = case.problem
    same = {
        "problem": descriptor(problem), "name": problem.name, "label": str(problem),
        "operation": problem.operation, "kind": getattr(problem, "kind", "convolution"),
        "weights": case.weights, "pixels": case.pixels, "dtype": problem.dtype,
        "threads": threads, "status": "ok",
    }  # fmt: skip
    return [{**same, "algorithm": name, **found} for name, found in _times(case, threads).items()]


def _times(case: Case, threads: int) -> dict[str, dict[str, Any]]:
    """Return times, samples and the time of preparing, by algorithm."""
    instance = instance_of(case)
    names = candidates_of(case.problem)
    leanest = min(arithmetic(name, case.problem) for name in names)
    calls: dict[str, Callable[[], object]] = {}
    plans: dict[str, Callable[[], object]] = {}
    fastest = float("inf")
    for name in sorted(names, key=lambda name: arithmetic(name, case.problem)):
        algorithm = registry.get_for(case.problem, name)
        too_dear = arithmetic(name, case.problem) > TOO_MUCH * leanest and name != ALWAYS
        too_large = algorithm.workspace_bytes(case.problem, threads) > MOST_WORKSPACE
        too_long = name == "naive" and case.problem.multiply_adds > MOST_OF_NAIVE
        if too_dear or too_large or too_long:
            continue
        make = partial(instance.plan, algorithm, threads)
        try:
            plan, arrays = make()
        except ValueError:  # this kernel does not suit it
            continue
        out = instance.result()
        call = partial(plan, *arrays, out)
        call()  # compiles
        once = clock.per_call(call, 1)
        fastest = min(fastest, once)
        if once <= TOO_SLOW * fastest:
            calls[name], plans[name] = call, make
    samples: dict[str, list[list[float]]] = {name: [] for name in calls}
    order = random.Random(0)
    for _ in range(PARTS):
        for name in order.sample(list(calls), len(calls)):
            samples[name].append([clock.shortest(calls[name], PART_SECONDS)])
    return {
        name: {
            "time_s": (interval := time_interval(dict(enumerate(found)))).middle,
            "time_low_s": interval.low, "time_high_s": interval.high,
            "prepare_s": clock.shortest(plans[name], PART_SECONDS), "samples": tuple(found),
        }
        for name, found in samples.items()
    }  # fmt: skip
