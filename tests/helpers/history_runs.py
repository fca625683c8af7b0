"""Invented runs of one suite over time, with planted changes; nothing here was timed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from synthetic import ENVIRONMENT, cell, write_run

from algos.core.problem import Problem

PROBLEMS = (
    Problem(size=(64, 64), kernel=3, padding="same"),
    Problem(size=(256, 256), kernel=7, padding="same"),
)


def write_history(
    folder: Path,
    levels: Mapping[str, Sequence[float]],
    *,
    machine: Sequence[float] | None = None,
    noise: float = 0.004,
    passes: int = 6,
    problems: Sequence[Problem] = PROBLEMS[:1],
    anchor: str = "naive",
    start: int = 1,
    seed: int = 0,
    environments: Sequence[Mapping[str, Any]] | None = None,
    **header: Any,
) -> list[Path]:
    """Write one run per entry of `levels`, on one day after another; return their folders.

    Parameters
    ----------
    levels : mapping
        Time of each algorithm over the anchor's. There is one value per run.
    machine : sequence of float, optional
        Factor on all times of each run. By default 1.
    noise : float
        Relative scatter of a pass. All algorithms share another one, as large.
    environments : sequence of mapping, optional
        Entries of the environment of each run that differ from `synthetic.ENVIRONMENT`.
    """
    rng = np.random.default_rng(seed)
    count = len(next(iter(levels.values())))
    written = []
    for run in range(count):
        speed = 1e-3 * (machine[run] if machine is not None else 1.0)
        cells = []
        for problem in problems:
            shared = np.exp(rng.normal(0, noise, passes))
            for name, ratios in {anchor: [1.0] * count, **levels}.items():
                own = np.exp(rng.normal(0, noise, passes))
                cells.append(cell(name, problem, samples=speed * ratios[run] * shared * own))
        about = {**ENVIRONMENT, **(environments[run] if environments else {})}
        written.append(write_run(
            folder, cells, started=f"2026-10-{start + run:02d}T08:00:00+00:00", environment=about,
            algorithms=[anchor, *levels], baseline=anchor, **header,
        ))  # fmt: skip
    return written
