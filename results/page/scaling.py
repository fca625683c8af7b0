"""Sweeps of a run, and the exponents fitted to them: time grows as size to the power p."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from results.figures.sweeps import (
    AXES,
    LEAST,
    axis_of,
    describe,
    distinguish,
    families,
    told_apart,
    with_coordinates,
)
from results.figures.sweeps import Panel as Sweep
from results.verdicts.statistics import Interval

#: Columns that a sweep needs; fewer are faster to select from.
_COLUMNS = (
    "algorithm", "problem", "name", "operation", "kind", "input_size", "kernel_size", "stride",
    "dilation", "output_size", "in_channels", "out_channels", "groups", "batch", "weights",
    "pixels", "dtype", "threads", "flops", "time_s",
)  # fmt: skip


def sweeps(timed: pd.DataFrame, group: np.ndarray) -> list[dict[str, Any]]:
    """Return the sweeps of `timed` as plain values, the longest first.

    Parameters
    ----------
    timed : DataFrame
        Rows with a time.
    group : (rows,) array
        Number of the group of each row.

    Returns
    -------
    list of dict
        ``axis`` and ``title`` are texts, ``threads`` a number. ``points`` maps the number of a
        group to its size. ``exponents`` maps an algorithm to exponent, low and high end;
        ``work`` is the exponent of the definition's operations.
    """
    if timed.empty:
        return []
    needed = timed[list(_COLUMNS)].assign(group=group)
    needed.attrs = {}  # pandas copies them with every selection
    placed = with_coordinates(needed)
    placed = placed[~placed["layer"]]
    found = []
    for axis in AXES:
        long = [one for one in families(placed, axis) if one[1]["at"].nunique() >= LEAST]
        _, differ = told_apart([fixed for fixed, _ in long])
        found += [_sweep(axis, one, differ) for one in long]
    return sorted(found, key=lambda one: -len(one["points"]))


def _sweep(axis: str, sweep: Sweep, differ: list[str]) -> dict[str, Any]:
    fixed, rows = sweep
    parts = [distinguish(name, fixed[name]) for name in differ if name != "threads"]
    parts = [part for part in parts if part] or [describe("weights", fixed["weights"])]
    words = axis_of(axis, [sweep])
    first = rows.drop_duplicates("problem")
    exponents = {}
    for name, mine in rows.groupby("algorithm", sort=False):
        fit = exponent(mine["at"].to_numpy(), mine["time_s"].to_numpy())
        if not math.isnan(fit.middle):
            exponents[str(name)] = [None if math.isnan(end) else round(end, 3) for end in fit]
    return {
        "axis": words.scale,
        "title": f"{words.grows} · {', '.join(parts)}",
        "threads": int(rows["threads"].iloc[0]),
        "points": {
            str(number): float(at) for number, at in zip(rows["group"], rows["at"], strict=True)
        },
        "exponents": exponents,
        "work": round(exponent(first["at"].to_numpy(), first["flops"].to_numpy()).middle, 3),
    }


def exponent(at: np.ndarray, values: np.ndarray) -> Interval:
    """Return p of ``values ~ at**p`` and its 95 % interval, fitted to the larger half of `at`.

    Small sizes are left out because fixed costs flatten them. The fit is by least squares on
    logarithms and takes `LEAST` points or more. The interval takes one more. With one degree of
    freedom it would be useless.

    Examples
    --------
    >>> [round(end, 3) for end in exponent(np.arange(1.0, 9), np.arange(1.0, 9) ** 2)]
    [2.0, 2.0, 2.0]
    """
    from scipy.stats import linregress, t

    sound = (at > 0) & (values > 0)
    order = np.argsort(at[sound])[-max(LEAST + 1, math.ceil(sound.sum() / 2)) :]
    x, y = np.log(at[sound][order]), np.log(values[sound][order])
    if len(set(x)) < LEAST:
        return Interval(math.nan, math.nan, math.nan)
    fit = linregress(x, y)
    reach = float(t.ppf(0.975, len(x) - 2) * fit.stderr) if len(x) > LEAST else math.nan
    return Interval(float(fit.slope), float(fit.slope) - reach, float(fit.slope) + reach)
