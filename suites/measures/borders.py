"""Cost of a boundary: every mode against zeros, on one image of one channel.

Usage::

    python -m suites.measures.borders [--rounds 100] [--threads 1] [--algorithm auto]

A cell of the table is a relative cost. It is the shortest time with the boundary over the shortest
time with zeros, minus 1. In parentheses is the same for the medians.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

import algos
from algos.core.boundary import BOUNDARIES

from .turns import Times, heading, in_turns, milliseconds, parser, table

SIZES = ((1024, 1024), (2160, 3840))
KERNELS = (3, 5, 7, 15, 31)


def calls(size: tuple[int, int], taps: int, algorithm: str, threads: int) -> Any:
    """Return the planned call for each boundary, and the name of the algorithm."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 1, *size), "float32")
    w = rng.standard_normal((1, 1, taps, taps), "float32")
    out = np.empty_like(x)
    zeros = algos.Problem(size=size, kernel=taps, padding="same")
    chosen = algos.plan(zeros, w, algorithm=algorithm, threads=threads).algorithm
    found: dict[str, Callable[[], Any]] = {}
    for mode in BOUNDARIES:
        cval = 1.5 if mode == "constant" else 0.0
        problem = algos.Problem(size=size, kernel=taps, padding="same", boundary=mode, cval=cval)
        plan = algos.plan(problem, w, algorithm=chosen, threads=threads)
        found[mode] = partial(plan, x, out)
    return found, chosen.name


def row(label: str, name: str, times: dict[str, Times]) -> list[str]:
    """Return the cells of one image and kernel."""
    zeros = times["zeros"]
    cells = [
        f"{times[mode].shortest / zeros.shortest - 1:+.1%} "
        f"({times[mode].median / zeros.median - 1:+.1%})"
        for mode in BOUNDARIES[1:]
    ]
    return [label, name, milliseconds(zeros.shortest), *cells]


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = parser("Time every boundary against zeros.")
    options.add_argument("--algorithm", default="auto")
    given = options.parse_args(words)
    print(heading(given.threads), end="\n\n")
    rows = []
    for size in ((96, 128),) if given.quick else SIZES:
        for taps in KERNELS:
            found, name = calls(size, taps, given.algorithm, given.threads)
            times = in_turns(found, given.rounds)
            rows.append(row(f"{size[1]} × {size[0]}, {taps} × {taps}", name, times))
    print(table(["image, kernel", "algorithm", "zeros", *BOUNDARIES[1:]], rows))


if __name__ == "__main__":
    main()
