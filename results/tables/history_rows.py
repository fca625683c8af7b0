"""A history as rows and sentences, and as Markdown, JSON and a table in the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from results.records.run import RunHeader
from results.verdicts.statistics import Interval

from .history import SLOWER, History, Series
from .labels import listed, percent, plural, shortened

HEADINGS = ("input · kernel", "threads", "algorithm", "change", "95 %", "since", "now", "beside it")
_LONGEST = 160


def rows(history: History) -> list[tuple[str, ...]]:
    """Return a row for every step and trend, under `HEADINGS`; the gravest series first."""
    found: list[tuple[str, ...]] = []
    for one in history.series:
        start = (one.label, str(one.threads), one.algorithm)
        if creep := one.changes.creep:
            since = f"creeping since {name(history.runs[one.runs[0]])}"
            found.append((*start, percent(creep.middle), between(creep), since, one.verdict, ""))
        for step in one.changes.steps:
            since = name(history.runs[one.runs[step.at]])
            cause = shortened(history.cause(one, step.at), _LONGEST)
            change, ends = percent(step.change.middle), between(step.change)
            found.append((*start, change, ends, since, one.verdict, cause))
    return found


def sentences(history: History) -> list[str]:
    """Return the result in sentences: the runs, the verdict on the newest, the counts."""
    runs, series = history.runs, history.series
    first, last = (str(run.started or "")[:10] for run in (runs[0], runs[-1]))
    days = f"on {first}" if first == last else f"from {first} to {last}"
    said = [f"{plural(len(runs), 'run')} of {history.suite} {days}; times are ratios to "
            f"{history.anchor} in the same run, so the speed of the machine cancels."]  # fmt: skip
    if len(runs) == 1:
        return [*said, "One run has no history; a second one makes it one."]
    if not series:
        return [*said, f"No other algorithm was timed beside {history.anchor}."]
    slower = history.slower
    if slower:
        names = listed(sorted({one.algorithm for one in slower}))
        said.append(f"The newest run is slower than before in {len(slower)} of {len(series)} "
                    f"series ({names}).")  # fmt: skip
    else:
        said.append(f"The newest run is not slower than before in any of {len(series)} series.")
    counts = {v: sum(one.verdict == v for one in series) for v in ("steady", "too few runs")}
    said.append(f"{counts['steady']} of {len(series)} series are steady within "
                f"{100 * history.min_effect:g} %.")  # fmt: skip
    if few := counts["too few runs"]:
        said.append(f"In {few} series the runs are too few to say.")
    said += _shifts(history)
    return said


def _shifts(history: History) -> list[str]:
    """Return a warning for each run at which all algorithms of a problem change in one direction.

    Such a change is more likely one of the anchor.
    """
    by_problem: dict[tuple[str, int], list[Series]] = {}
    for one in history.series:
        by_problem.setdefault((one.label, one.threads), []).append(one)
    said: dict[int, int] = {}
    for group in by_problem.values():
        steps = [{one.runs[s.at]: s.change.middle > 1 for s in one.changes.steps} for one in group]
        for at in set().union(*steps) if len(group) > 1 else ():
            if len({step.get(at) for step in steps}) == 1:
                said[at] = said.get(at, 0) + 1
    return [
        f"At {name(history.runs[at])} all algorithms of {plural(count, 'problem')} change in the "
        f"same direction; {history.anchor}, the anchor, may have changed instead."
        for at, count in sorted(said.items())
    ]


def name(run: RunHeader) -> str:
    """Return the id of a run with its commit, as far as they are known."""
    commit = (run.environment or {}).get("git_commit")
    known = run.id or str(run.started or "a run")
    return f"{known} ({commit})" if commit else known


def between(interval: Interval) -> str:
    """Return the interval of a change, like ``+7.1 … +9.5 %``."""
    return f"{percent(interval.low).removesuffix(' %')} … {percent(interval.high)}"


def show(history: History, console: Console) -> None:
    """Print the sentences of a history, and its changes as a table."""
    console.print(Text(history.machine, style="bold"), soft_wrap=True)
    if found := rows(history):
        table = Table(
            box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True,
            show_edge=False, header_style="bold",
        )  # fmt: skip
        shown = [n for n, _ in enumerate(HEADINGS) if console.width >= 120 or n not in (4, 7)]
        for n in shown:
            table.add_column(
                HEADINGS[n], overflow="fold", justify="right" if n in (1, 3) else "left"
            )
        for row in found:
            grave = row[6] in SLOWER
            table.add_row(*(Text(row[n]) for n in shown), style="bold red" if grave else "")
        console.print(table, "")
    for sentence in sentences(history):
        console.print(Text(sentence))


def markdown(found: Sequence[History]) -> str:
    """Return histories as a page in Markdown."""
    lines = [f"# History of {found[0].suite}", ""]
    for history in found:
        lines += [f"## {history.machine}", "", *(f"- {text}" for text in sentences(history)), ""]
        if table := rows(history):
            lines += [_line(HEADINGS), _line(["---"] * len(HEADINGS)), *map(_line, table), ""]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def as_json(found: Sequence[History]) -> str:
    """Return histories as one JSON object.

    ``histories`` has an object per machine, with ``runs`` and ``series``. The ``ratio`` of a series
    has one number per entry of its ``runs``, which are indices from 0. Steps and trends are ratios
    with their 95 % interval.
    """
    content = {"suite": found[0].suite, "histories": [_history(history) for history in found]}
    return json.dumps(content, ensure_ascii=False) + "\n"


def _history(history: History) -> dict[str, Any]:
    return {
        "machine": history.machine,
        "anchor": history.anchor,
        "min_effect": history.min_effect,
        "sentences": sentences(history),
        "runs": [
            {"id": run.id, "started": run.started,
             "git_commit": (run.environment or {}).get("git_commit")}
            for run in history.runs
        ],
        "series": [_series(one) for one in history.series],
    }  # fmt: skip


def _series(one: Series) -> dict[str, Any]:
    creep = one.changes.creep
    return {
        "label": one.label, "problem": one.problem, "threads": one.threads,
        "algorithm": one.algorithm, "verdict": one.verdict, "runs": list(one.runs),
        "ratio": [float(f"{value:.6g}") for value in np.exp(one.logs)],
        "steps": [
            {"run": one.runs[step.at], **_rounded(step.change)} for step in one.changes.steps
        ],
        "creep": _rounded(creep) if creep else None,
    }  # fmt: skip


def _rounded(change: Interval) -> dict[str, float]:
    ends = zip(("change", "low", "high"), change, strict=True)
    return {name: float(f"{value:.6g}") for name, value in ends}
