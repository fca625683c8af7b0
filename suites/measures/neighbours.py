"""Calls on all cores beside busy neighbours and after a rest, with peers beside ours.

Usage::

    python -m suites.measures.neighbours [--rows TEXT] [--calls 25]

Each row has a process of its own. In five rounds, it makes calls with one thread, then with all.
The figures are medians of calls, in ms, and the middle of the rounds. A busy neighbour is a process
that only counts. In brackets is the time over that of one thread beside the same neighbours. In the
last column, eight Python threads make calls at once, each with a plan and arrays of its own. Their
time is divided by that of one Python thread that makes all of them.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from algos.backend import threads
from algos.notation import parse
from algos.registry import get_for
from suites.cases.suite import Case
from suites.machine import clock
from suites.machine.environment import usable_cores
from suites.truth.families import instance_of

from .turns import heading

#: By name: descriptor, weights and algorithms.
CASES = {
    "AlexNet conv1": (
        "mb1_ic3ih227_oc96_kh11_sh4", "random",
        ("parallel", "im2col", "torch-channels-last", "onnxruntime"),
    ),
    "ResNet 3×3, 56²": (
        "mb1_ic64ih56_oc64_kh3_ph1", "random",
        ("parallel", "winograd4", "im2col", "torch-channels-last", "onnxruntime"),
    ),
    "ResNet 3×3, 14²": (
        "mb1_ic256ih14_oc256_kh3_ph1", "random",
        ("parallel", "winograd4", "torch-channels-last", "onnxruntime"),
    ),
    "31×31 on 1024²": ("mb1_ic1ih1024_oc1_kh31_ph15", "random", ("fft-fused",)),
    "31×31 on 256²": ("mb1_ic1ih256_oc1_kh31_ph15", "random", ("fft-fused",)),
    "9×9 on 1024²": ("mb1_ic1ih1024_oc1_kh9_ph4", "gaussian", ("separable",)),
    "9×9 on 384²": ("mb1_ic1ih384_oc1_kh9_ph4", "gaussian", ("separable",)),
    "max 2×2, 8×64×112²": (
        "max_mb8_ic64ih112_kh2_sh2", "random", ("parallel", "torch-channels-last"),
    ),
    "max 2×2, 64×112²": (
        "max_mb1_ic64ih112_kh2_sh2", "random", ("parallel", "torch-channels-last"),
    ),
}  # fmt: skip

#: Columns of the table.
COLUMNS = (
    "", "", "1 thread", "all threads", "1 busy", "2 busy", "after a rest", "8 Python threads",
)  # fmt: skip
#: Python threads that call at once.
CALLERS = 8
#: Rounds of each condition, seconds of rest, and seconds until a neighbour is busy.
ROUNDS, REST, STARTING = 5, 0.3, 0.2


def call_of(case: str, algorithm: str, count: int) -> Callable[[], Any]:
    """Return a call of `algorithm` on `count` threads, into an array that is kept."""
    text, weights, _ = CASES[case]
    instance = instance_of(Case(parse(text), weights), seed=0)
    threads.use(count)
    plan, given = instance.plan(get_for(instance.problem, algorithm), count)
    return plan.bind(*given, out=instance.result()).call


def median(call: Callable[[], Any], count: int, calls: int, rest: float = 0.0) -> float:
    """Return the median seconds of `calls` calls on `count` threads, each after `rest` seconds."""
    threads.use(count)
    call()
    taken = []
    for _ in range(calls):
        if rest:
            clock.settle(rest)
        with clock.stopwatch() as t:
            call()
        taken.append(t.seconds)
    return statistics.median(taken)


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """Keep `count` processes busy inside this block."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        clock.settle(STARTING * bool(busy))
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def crowded(calls: Sequence[Callable[[], Any]], each: int) -> float:
    """Return the time of a thread for each of `calls`, `each` times, over that of one thread."""

    def repeat(call: Callable[[], Any]) -> None:
        for _ in range(each):
            call()

    ratios = []
    with ThreadPoolExecutor(len(calls)) as pool:
        list(pool.map(repeat, calls))
        for _ in range(ROUNDS):
            with clock.stopwatch() as alone:
                for call in calls:
                    repeat(call)
            with clock.stopwatch() as together:
                list(pool.map(repeat, calls))
            ratios.append(together.seconds / alone.seconds)
    return statistics.median(ratios)


def row(case: str, algorithm: str, calls: int) -> str:
    """Return one row of the table, from `calls` calls a round."""
    every = usable_cores()
    one, several = (call_of(case, algorithm, count) for count in (1, every))
    cells = [case, algorithm]
    for count in range(3):
        with neighbours(count):
            rounds = [(median(one, 1, calls), median(several, every, calls)) for _ in range(ROUNDS)]
        alone, together = (statistics.median(side) for side in zip(*rounds, strict=True))
        if not count:
            steady = together
            cells.append(f"{alone * 1e3:.2f}")
        cells.append(f"{together * 1e3:.2f} ({together / alone:.2f})")
    rested = median(several, every, max(calls // 3, 3), REST)
    cells.append(f"{rested * 1e3:.2f} ({rested / steady:.2f} of steady)")
    alike = [several, *(call_of(case, algorithm, every) for _ in range(CALLERS - 1))]
    cells.append(f"{crowded(alike, max(calls // CALLERS, 1)):.2f}")
    return f"| {' | '.join(cells)} |"


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = argparse.ArgumentParser(
        description="Time calls beside busy neighbours and after a rest."
    )
    options.add_argument("--rows", default="", help="time only rows whose names contain this")
    options.add_argument("--calls", type=int, default=25, help="calls of a round (default: 25)")
    options.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = options.parse_args(words)
    if given.one:
        case, algorithm = given.one
        print(row(case, algorithm, given.calls))
        return
    print(heading(usable_cores()), end="\n\n")
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|", flush=True)
    for case, (_, _, algorithms) in CASES.items():
        for algorithm in algorithms:
            if given.rows in f"{case} {algorithm}":
                command = [sys.executable, "-m", "suites.measures.neighbours"]
                asked = ["--calls", str(given.calls), "--one", case, algorithm]
                done = subprocess.run(
                    [*command, *asked], stdout=subprocess.PIPE, text=True, check=True
                )
                print(done.stdout, end="", flush=True)


if __name__ == "__main__":
    main()
