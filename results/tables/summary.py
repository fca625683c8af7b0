"""Summary of a run: a row per problem, and its verdicts as sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from results.verdicts.decide import MIN_EFFECT, MIN_PASSES
from results.verdicts.statistics import geometric_mean

from .labels import (
    GROUP,
    STATUS_WORDS,
    VERDICT_SIGNS,
    VERDICTS,
    in_order,
    lead_text,
    listed,
    plural,
    time_text,
    times_text,
)
from .regret import auto_sentences
from .table import folded_reasons
from .throughout import one_for_all


@dataclass(frozen=True)
class Entry:
    """One algorithm of a row: seconds per call and speed-up, or its status."""

    time_s: float
    speedup: float
    status: str
    verdict: str = ""
    interval: tuple[float, float] = (math.nan, math.nan)

    @property
    def ratio(self) -> str:
        """Speed-up over the baseline, marked if undecided or equivalent."""
        return times_text(self.speedup) + VERDICT_SIGNS.get(self.verdict, "")

    @property
    def between(self) -> str:
        """The 95 % interval of the speed-up."""
        low, high = map(times_text, self.interval)
        return "" if "–" in low + high else f"{low[:-1]}–{high}"

    @property
    def text(self) -> str:
        """The time, or a word for the status: cannot, FAILED, too big, skipped."""
        return time_text(self.time_s) if self.status == "ok" else STATUS_WORDS[self.status]


@dataclass(frozen=True)
class Row:
    """One problem at one thread count: every algorithm's entry, and the winner.

    `winner` is empty if nothing was timed. `rivals` are the algorithms it may not have beaten,
    and `doubt` gives the reason. `gflops` is the winner's effective GFLOP/s.
    """

    label: str
    threads: int
    entries: dict[str, Entry] = field(compare=False)
    winner: str = ""
    rivals: tuple[str, ...] = ()
    gflops: float = float("nan")
    doubt: str = ""


def summary(frame: pd.DataFrame) -> list[Row]:
    """Return one `Row` per problem × thread count, in the order of the run."""
    rows = []
    for _, group in frame.groupby(list(GROUP), sort=False):
        entries = {
            str(cell["algorithm"]): Entry(
                float(cell["time_s"]),
                float(cell["speedup"]),
                str(cell["status"]),
                str(cell["verdict"]),
                (float(cell["speedup_low"]), float(cell["speedup_high"])),
            )
            for _, cell in group.iterrows()
        }
        first = group.iloc[0]
        best = group[group["winner"]]
        winner, gflops = "", float("nan")
        rivals: tuple[str, ...] = ()
        doubt = ""
        if len(best):
            winner = str(best["algorithm"].iloc[0])
            rivals = tuple(name for name in str(best["rivals"].iloc[0]).split(", ") if name)
            gflops = float(best["gflops"].iloc[0])
            doubt = str(best["doubt"].iloc[0])
        rows.append(
            Row(str(first["label"]), int(first["threads"]), entries, winner, rivals, gflops, doubt)
        )
    return rows


def verdicts(frame: pd.DataFrame) -> list[str]:
    """Return the results of the run in `frame` as sentences, problems first."""
    timed = frame[frame["time_s"].notna()]
    said = _troubles(frame)
    if withheld := frame.attrs.get("withheld"):
        said.append(f"Verdicts are withheld: {withheld}.")
    for sentence in (frame.attrs.get("disturbance") or {}).get("sentences", []):
        said.append(sentence[0].upper() + sentence[1:])
    if timed.empty:
        return [*said, "Nothing was timed, so nothing can be said."]
    baseline = str(frame.attrs.get("baseline", "naive"))
    counts = sorted(set(timed["threads"]))
    for count in counts:
        here = timed[timed["threads"] == count]
        within = f" with {plural(int(count), 'thread')}" if len(counts) > 1 else ""
        winners = here[here["winner"]]
        if len(winners) == 1:
            said.append(_one_problem(here, within, baseline))
        else:
            said.append(_tally(winners, within))
            said += _direct(here, within)
            said += one_for_all(frame[frame["threads"] == count], within)
    said += _never(frame, timed)
    said += _over_baseline(timed, baseline)
    said += _decided(timed, baseline)
    said += _drifting(timed)
    said += _of_threads(timed)
    said += _of_reductions(timed)
    return said + auto_sentences(frame)


def reasons(frame: pd.DataFrame) -> list[str]:
    """Return the reasons for missing times, like ``separable cannot (12 cells): …``."""
    return [
        f"{algorithm} {STATUS_WORDS[status]} ({plural(count, 'cell')}){reason}"
        for algorithm, status, count, reason in folded_reasons(frame)
    ]


def _troubles(frame: pd.DataFrame) -> list[str]:
    said = []
    failed = frame[frame["status"] == "failed"]
    if len(failed):
        names = listed(in_order(failed["algorithm"]))
        said.append(f"{plural(len(failed), 'cell')} FAILED ({names}); the reasons are below.")
    status = str(frame.attrs.get("status", "complete"))
    how = {"interrupted": "was interrupted", "out of budget": "used up its time"}.get(
        status, "has not reached its end"
    )
    if frame.empty:
        said.append("The run holds no cell: it ended before its first was measured.")
    elif status != "complete":
        said.append(f"The run {how}; what follows is what its {plural(len(frame), 'cell')} say.")
    return said


def _one_problem(here: pd.DataFrame, within: str, baseline: str) -> str:
    ranked = here.sort_values("time_s", kind="stable")
    best = ranked.iloc[0]
    text = f"The fastest{within} is {best['algorithm']}: {time_text(best['time_s'])} a call"
    if best["algorithm"] != baseline and best["speedup"] == best["speedup"]:
        text += f", {times_text(best['speedup'])} as fast as {baseline}"
    if not best["decided"]:
        text += f"; {best['doubt']}"
    elif len(ranked) > 1 and ranked.iloc[1]["algorithm"] != baseline:
        lead = lead_text(ranked.iloc[1]["time_s"] / best["time_s"])
        text += f" and {lead} as fast as {ranked.iloc[1]['algorithm']}, the next"
    return text + "."


def _tally(winners: pd.DataFrame, within: str) -> str:
    wins = winners["algorithm"].value_counts()
    first, *others = wins.items()
    parts = [f"{first[0]} was the fastest in {first[1]}"]
    parts += [f"{name} in {count}" for name, count in others]
    text = f"Of {plural(len(winners), 'problem')}{within}, {listed(parts)}"
    doubts = [_kind_of(str(doubt)) for doubt in winners.loc[~winners["decided"], "doubt"]]
    for kind in dict.fromkeys(sorted(doubts, key=doubts.count, reverse=True)):
        text += f"; in {doubts.count(kind)} of them {kind}"
    return text + "."


def _direct(here: pd.DataFrame, within: str) -> list[str]:
    """Return the tally among algorithms with a direct sum's accuracy, if others won a problem."""
    if not (here["winner"] & (here["accuracy"] == "normwise")).any():
        return []
    wins = here.loc[here["direct_winner"], "algorithm"].value_counts()
    if wins.empty:
        return []
    parts = [f"{name} was the fastest in {count}" for name, count in wins.items()]
    return [
        f"Among algorithms with a direct sum's accuracy{within}, {listed(parts)} of "
        f"{plural(int(wins.sum()), 'problem')}."
    ]


def _kind_of(doubt: str) -> str:
    """Return a row's doubt without names, so that equal doubts can be counted."""
    said = doubt.split("; ")[0]
    if said.startswith("not decided"):
        return f"it is {said}"
    if said.startswith("not compared"):
        return "algorithms were not compared for want of budget"
    if "noise" in said:
        return "the lead is within the noise"
    return "times drift between early and late passes" if "drift" in said else said


def _never(frame: pd.DataFrame, timed: pd.DataFrame) -> list[str]:
    """List algorithms that never won, lack some times, or have none."""
    asked = in_order([*(frame.attrs.get("algorithms") or []), *frame["algorithm"]])
    won = set(timed.loc[timed["winner"], "algorithm"])
    ran = set(timed["algorithm"])
    total = int(timed["winner"].sum())
    said = []
    losers = [name for name in asked if name in ran and name not in won]
    if losers and total > 1:
        said.append(f"Never the fastest: {listed(losers)}.")
    for name in (name for name in asked if name in won):
        mine = timed[timed["algorithm"] == name]
        if len(mine) < total:
            said.append(
                f"In the {len(mine)} of {total} where it has a time, "
                f"{name} was the fastest in {int(mine['winner'].sum())}."
            )
    missing = [name for name in asked if name not in ran]
    if missing:
        said.append(f"Without any time: {listed(missing)}.")
    return said


def _over_baseline(timed: pd.DataFrame, baseline: str) -> list[str]:
    best = timed.loc[timed["winner"] & timed["speedup"].notna(), "speedup"]
    if len(best) < 2 or (best == 1).all():
        return []
    return [
        f"Against {baseline}, the fastest gains {times_text(geometric_mean(best.to_numpy()))} "
        f"in the geometric mean of {len(best)} problems, "
        f"from {times_text(best.min())} to {times_text(best.max())}."
    ]


def _decided(timed: pd.DataFrame, baseline: str) -> list[str]:
    """Count the verdicts, with their minimum effect and passes."""
    counts = timed.loc[timed["verdict"].isin(VERDICTS), "verdict"].value_counts()
    if not len(counts):
        return []
    parts = [f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts.get(verdict)]
    few, most = int(timed["passes"].min()), int(timed["passes"].max())
    effect = f"{100 * float(timed.attrs.get('min_effect', MIN_EFFECT)):g} %"
    text = (
        f"Verdicts against {baseline}, for differences of {effect} or more, after "
        f"{few if few == most else f'{few} to {most}'} {'pass' if most == 1 else 'passes'}: "
        f"{listed(parts)}"
    )
    if few < MIN_PASSES and counts.get("undecided"):
        text += f"; it takes {MIN_PASSES} passes to decide, give more --budget"
    return [text + "."]


def _drifting(timed: pd.DataFrame) -> list[str]:
    """Count the cells that drift between early and late passes, and name the worst."""
    changes = timed["drift"].map(lambda change: abs(math.log(change)))
    found = timed.assign(change=changes)[changes > 0].sort_values("change", ascending=False)
    if found.empty:
        return []
    parts = [
        f"{row['algorithm']} on {row['label']} {times_text(row['drift'])}"
        for _, row in found.head(3).iterrows()
    ]
    more = ", most of all" if len(found) > len(parts) else ":"
    return [
        f"Late passes took longer or less long than early ones in {len(found)} of "
        f"{plural(len(timed), 'cell')}{more} {listed(parts)}; no lead that such a drift could "
        f"overturn counts as decided."
    ]


def _of_threads(timed: pd.DataFrame) -> list[str]:
    """Compare the most threads with the fewest, per algorithm."""
    fewest, most = int(timed["threads"].min()), int(timed["threads"].max())
    if fewest == most:
        return []
    keys = [name for name in GROUP if name != "threads"]
    wide: Any = timed.pivot(index=[*keys, "algorithm"], columns="threads", values="time_s")
    gains = (wide[fewest] / wide[most]).dropna().groupby(level="algorithm")
    found = {str(name): geometric_mean(values.to_numpy()) for name, values in gains}
    if not found:
        return []
    parts = [f"{name} {found[name]:.2f}×" for name in in_order(found)]
    return [
        f"{plural(most, 'thread')} against {fewest}, in the geometric mean of the same problems: "
        f"{listed(parts)} as fast."
    ]


def _of_reductions(timed: pd.DataFrame) -> list[str]:
    """List the multiply-adds that 1×1 reductions save in each module."""
    modules = timed[timed["saved"] > 0].drop_duplicates("label")
    if modules.empty:
        return []
    parts = [f"{label} {saved:.0%}" for label, saved in zip(modules["label"], modules["saved"],
                                                            strict=True)]  # fmt: skip
    return [f"1×1 reductions save, of the multiply-adds without them: {listed(parts)}."]
