"""Choice of the one algorithm that costs least if used for every problem."""

from __future__ import annotations

from typing import Any

import pandas as pd

from results.verdicts.statistics import geometric_mean

from .compare import lacks_budget
from .labels import GROUP, in_order, lead_text, listed


def one_for_all(here: pd.DataFrame, within: str) -> list[str]:
    """Name the algorithm that costs least if used for every problem, and its cost.

    Algorithms that cannot do every problem are left out. Algorithms that lack times are judged
    on the problems that all have timed, and the sentence names what they lack. An algorithm
    that is already beaten on its own problems is left out, so it does not narrow the set.
    """
    keys = [name for name in GROUP if name != "threads"]
    table: Any = here.pivot_table(index=keys, columns="algorithm", values="time_s", sort=False)
    if table.shape[1] < 2:
        return []
    skipped = here[here["status"] == "skipped"]
    lacks = skipped["algorithm"].value_counts()
    asked = len(here[keys].drop_duplicates())
    cost = table.div(table.min(axis=1), axis=0)
    able = [name for name in table if table[name].notna().sum() + lacks.get(name, 0) >= asked]
    left = [name for name in able if not any(_outdoes(cost, other, name) for other in able)]
    common = cost[left].dropna()
    if not left or common.empty:
        return []
    means = {str(name): geometric_mean(common[name].to_numpy()) for name in left}
    name = min(means, key=lambda name: (means[name], name))
    worst, lacking = (
        float(common[name].max()),
        _lacking(skipped[skipped["algorithm"].isin(able)], asked),
    )
    if worst <= 1.0 and not lacking:
        return []
    on = f", on the {len(common)} of {asked} that all have done" if len(common) < asked else ""
    return [
        f"Were one algorithm to do them all{within}, {name} would cost least{on}: "
        f"{lead_text(means[name])} the time of the fastest in the geometric mean, "
        f"{lead_text(worst)} at worst{lacking}."
    ]


def _outdoes(cost: pd.DataFrame, one: Any, other: Any) -> bool:
    """Return True if `one` has all the problems of `other`, and costs less there."""
    done = cost[cost[other].notna()]
    if one == other or done[one].isna().any():
        return False
    return geometric_mean(done[one].to_numpy()) < geometric_mean(done[other].to_numpy())


def _lacking(skipped: pd.DataFrame, asked: int) -> str:
    """Return clauses like ``; fft lacks 2 of 31 for want of budget``, by cause."""
    late, text = lacks_budget(skipped), ""
    kinds = {"for want of budget": skipped[late], "as too slow for --call-limit": skipped[~late]}
    for why, cells in kinds.items():
        counts = cells["algorithm"].value_counts()
        if parts := [f"{name} lacks {counts[name]} of {asked}" for name in in_order(counts.index)]:
            text += f"; {listed(parts)} {why}"
    return text
