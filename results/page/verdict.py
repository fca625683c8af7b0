"""Verdict of the page: which algorithm to use, in a sentence or two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from results.tables.labels import in_order, lead_text, listed, plural, time_text
from results.tables.regret import chosen_by_auto, figures, regret

from .ranking import Costs, Standing, ranking


def verdict(
    rows: pd.DataFrame, group: np.ndarray, costs: Costs, chosen: np.ndarray, machine: str
) -> str:
    """Return the verdict for the groups `chosen`, by index.

    Parameters
    ----------
    rows : DataFrame
        Table of the run; see `results.tables.table.read`.
    group : (rows,) array
        Number of the group of each row.
    costs : Costs
        Costs of all groups of the run.
    chosen : (n,) array
        Numbers of the groups that the verdict is about.
    machine : str
        Name of the processor.
    """
    here = costs.of(chosen)
    if not len(here.winner):
        return "Nothing was timed, so nothing can be said."
    if withheld := rows.attrs.get("withheld"):
        return f"Verdicts are withheld: {withheld}."
    mine = rows[np.isin(group, chosen) & rows["time_s"].notna()]
    threads = sorted(set(mine["threads"]))
    start = f"On this {machine}"
    start += f" with {plural(int(threads[0]), 'thread')}" if len(threads) == 1 else ""
    if len(here.winner) == 1:
        return _one_problem(mine, start)
    standings = ranking(here)
    count = len(here.winner)
    first = [one for one in standings if one.rank == 1]
    said = f"{start}, for these {plural(count, 'problem')}, {_choice(first, count)}"
    wins = Counter(here.names[at] for at in here.winner)
    wins.pop(first[0].algorithm, None)
    if wins:
        parts = [f"{name} in {won}" for name, won in wins.most_common(4)]
        rest = len(wins) - len(parts)
        parts += [f"{plural(rest, 'other')} elsewhere"] if rest else []
        said += f" Faster where it wins: {listed(parts)}."
    if open_ := int((~here.decided).sum()):
        said += f" In {open_} of {count} the fastest is not decided."
    return said + _automatic(mine)


def _automatic(rows: pd.DataFrame) -> str:
    """Return a sentence on the automatic choice; empty if unknown."""
    found = regret(rows, chosen_by_auto(rows))
    found = found[found["regret"].notna()]
    if found.empty:
        return ""
    hits = int((found["chosen"] == found["best"]).sum())
    return (
        f' Of the algorithms that its accuracy admits, algorithm="auto" takes the fastest in '
        f"{hits} of {len(found)}, and on average "
        f"{lead_text(1 + figures(found).mean)} its time."
    )


def _choice(first: Sequence[Standing], problems: int) -> str:
    best = first[0]
    cost = f"{lead_text(best.cost.middle)} the time of each problem's fastest"
    wins = f"the fastest in {best.wins} of {problems}"
    if len(first) == 1:
        return f"{best.algorithm} is the best single choice: {wins}, and on average {cost}."
    names = listed(in_order(one.algorithm for one in first))
    return (
        f"{names} are the best single choices and cannot be told apart: "
        f"{best.algorithm} is {wins}, and takes on average {cost}."
    )


def _one_problem(timed: pd.DataFrame, start: str) -> str:
    best = timed[timed["winner"]].iloc[0]
    others = timed[~timed["winner"]].sort_values("time_s", kind="stable")
    said = f"{start}, {best['algorithm']} is the fastest: {time_text(best['time_s'])} a call"
    if not best["decided"]:
        return f"{said}; {best['doubt']}."
    if len(others):
        second = others.iloc[0]
        lead = lead_text(second["time_s"] / best["time_s"])
        said += f", {lead} as fast as {second['algorithm']}, the next"
    return f"{said}."
