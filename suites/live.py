"""A run as one watches it: progress, each problem's winner as it is found, then the whole."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

import results
from algos.algorithm import get
from algos.errors import ConvbenchError
from results.labels import time_text

from . import clock, limits, machine, pictures
from .schedule import Picture, Progress, Run, Settings
from .suite import Case, Suite


def run_and_show(
    suite: Suite, settings: Settings, baseline: str, folder: str | Path, out: Console
) -> int:
    """Measure `suite`, show how it goes, write the records and the report.

    Returns 1 where an algorithm gave wrong results, else 0. Ctrl-C ends with what there is.
    """
    environment = machine.environment()
    problems = "problem" if len(suite.cases) == 1 else "problems"
    out.print(
        f"[bold]{escape(suite.title)}[/]: {len(suite.cases)} {problems}, "
        f"{len(settings.algorithms)} algorithms, threads {', '.join(map(str, settings.threads))}, "
        f"within about {settings.budget:g} s\n"
        f"{escape(environment['cpu'])}, {environment['usable_cores']} cores, "
        f"numba {environment['numba']}, {environment['blas']}. "
        f"The first call of an algorithm compiles it; that is not timed as work."
    )
    header = _header(suite, settings, baseline, environment)
    header["limits"] = limits.known()
    with tempfile.TemporaryDirectory() as scratch, results.RunWriter(folder, header) as writer:
        run = Run(suite.cases, settings, Path(scratch))
        made: list[Path] = []
        try:
            filtered = _measure(run, writer, baseline, out)
            state = "out of budget" if run.out_of_time else "complete"
        except (KeyboardInterrupt, BrokenPipeError):  # Ctrl-C, or nobody reads on
            state = "interrupted"
            for record in run.unfinished():
                writer.append(record)
        writer.append({"record": "end", "finished": clock.utc().isoformat(), "status": state})
        if state != "interrupted":
            made = _pictures(filtered, writer.path)
    try:
        return _conclude(writer.path, made, state, out)
    except (KeyboardInterrupt, BrokenPipeError):
        raise _interrupted(writer.path) from None


def _header(
    suite: Suite, settings: Settings, baseline: str, environment: dict[str, Any]
) -> dict[str, Any]:
    return {
        "suite": suite.name,
        "title": suite.title,
        "question": suite.question,
        "baseline": baseline,
        "algorithms": settings.algorithms,
        "peers": [name for name in settings.algorithms if get(name).is_peer],
        "threads": settings.threads,
        "seed": settings.seed,
        "budget_s": settings.budget,
        "call_limit_s": settings.call_limit,
        "command": shlex.join(["convbench", *sys.argv[1:]]),
        "started": clock.utc().isoformat(),
        "environment": environment,
    }


def _measure(run: Run, writer: results.RunWriter, baseline: str, out: Console) -> list[Picture]:
    """Write every record as it comes; returns the pictures that were filtered."""
    filtered: list[Picture] = []
    columns = (
        BarColumn(), MofNCompleteColumn(), TextColumn("about"), TimeRemainingColumn(),
        TextColumn("left  [dim]{task.description}"),
    )  # fmt: skip
    with Bar(*columns, console=out, transient=True) as bar, closing(iter(run)) as events:
        task = bar.add_task("starting", total=len(run.groups))
        cells: list[dict[str, Any]] = []
        for event in events:
            if isinstance(event, dict):
                writer.append(event)
                cells.append(event)
                continue
            if cells:  # the records of a problem come without a break
                bar.console.print(_winner_line(cells, baseline))
                cells = []
            if isinstance(event, Progress):
                bar.update(task, completed=event.done, description=escape(event.text))
            else:
                filtered.append(event)
        if cells:
            bar.console.print(_winner_line(cells, baseline))
        bar.update(task, completed=len(run.groups))
    return filtered


def _winner_line(cells: list[dict[str, Any]], baseline: str) -> str:
    """One finished problem: its winner, the time, and the distance to the baseline."""
    times = {
        cell["algorithm"]: float(np.median(cell["samples_s"]))
        for cell in cells
        if cell["samples_s"]
    }
    first = cells[0]
    label = first["name"] or first["problem"]
    source = first["weights"]
    source = "" if source == "random" or source in first["name"] else f" {source}"
    threads = f" {first['threads']}t" if first["threads"] > 1 else ""
    start = f"[dim]{escape(label + source + threads)}[/]"
    if not times:
        return f"{start}: nothing could be timed"
    best = min(times, key=lambda name: times[name])
    text = f"{start}: [bold]{best}[/] {time_text(times[best])}"
    if baseline in times and best != baseline:
        text += f", {times[baseline] / times[best]:.3g}× {baseline}"
    wrong = [cell["algorithm"] for cell in cells if cell["status"] == "failed"]
    return text + (f"  [red]failed: {', '.join(wrong)}[/]" if wrong else "")


def _pictures(filtered: list[Picture], folder: Path) -> list[Path]:
    """Turn filtered arrays into PNG files, and into one sheet to show around."""
    sheet: dict[str, np.ndarray] = {}
    made = []
    for case, array in _distinct(filtered):
        source, filter_name = pictures.label(case.pixels), pictures.label(case.weights)
        sheet.setdefault(source, pictures.read(case.pixels))
        sheet[f"{source}:{filter_name}"] = array
        made.append((f"{source}-{filter_name}".replace(":", "-"), array))
    if not made:
        return []
    target = folder / "pictures"
    target.mkdir(exist_ok=True)
    for name, array in made:
        pictures.save(target / f"{name}.png", array)
    pictures.contact_sheet(sheet, target / "sheet.png")
    return [target / "sheet.png", *(target / f"{name}.png" for name, _ in made)]


def _distinct(filtered: list[Picture]) -> Iterator[tuple[Case, np.ndarray]]:
    """One result per case that can be seen, whatever the thread counts."""
    seen = set()
    for picture in filtered:
        if picture.case not in seen and picture.case.problem.axes >= 2:
            seen.add(picture.case)
            yield picture.case, np.load(picture.path)


def _conclude(path: Path, made: list[Path], state: str, out: Console) -> int:
    """Print the table, write the report, say where everything is."""
    from report import build
    from results.terminal import show

    if state == "interrupted" and not any(c["samples_s"] for c in results.read_records(path).cells):
        shutil.rmtree(path, ignore_errors=True)
        raise ConvbenchError("interrupted before anything was timed; nothing was kept")
    frame = results.read(path)
    show(frame, out)
    files = build(path)
    figures = [file for file in files if file.suffix == ".png"]
    out.print(f"\nrun      {path}", soft_wrap=True)
    out.print("tables   table.csv, table.md, report.md")
    out.print(f"figures  {', '.join(str(f.relative_to(path)) for f in figures)}", soft_wrap=True)
    if made:
        sheet, *others = made
        count = f"{len(others)} file{'s' if len(others) > 1 else ''}"
        out.print(f"pictures {sheet.relative_to(path)}, and {count} beside it")
    if state == "interrupted":
        raise _interrupted(path)
    return 1 if (frame["status"] == "failed").any() else 0


def _interrupted(path: Path) -> ConvbenchError:
    usual = path.parent.resolve() == results.runs_folder()
    again = shlex.join(["convbench", "report", path.name if usual else str(path)])
    return ConvbenchError(f"interrupted; what was measured is kept, see it with: {again}")
