"""Display of a run: progress, each problem's winner once it is found, then the report."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

import results
from algos.core.errors import ConvbenchError
from algos.registry import load_file
from results.records.merge import joined_noise
from results.records.run import EndRecord, RunHeader
from results.tables.labels import plural, time_text
from results.verdicts.audit import AUDITS, objection
from results.verdicts.statistics import group_times
from suites import load_ours
from suites.cases import pictures
from suites.cases.entrants import algorithm_of
from suites.cases.suite import Case, Suite
from suites.machine import clock, limits, noise
from suites.machine import environment as machine

from . import resume
from .bars import can_move
from .described import described
from .estimate import shortfall
from .schedule import FilteredImage, LeftOut, Progress, Run, Settings, Settled

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Finished:
    """A run that has ended: its folder, its pictures, and its status."""

    path: Path
    pictures: tuple[Path, ...]
    status: str


def run_and_show(
    suite: Suite,
    settings: Settings,
    folder: str | Path,
    out: Console,
    words: Sequence[str] = (),
    earlier: Path | None = None,
    manner: str = "",
) -> int:
    """Measure `suite`, show progress, write the records and the report.

    `words` are the command line; `earlier` is the folder of a run to be resumed. The `manner` of
    printing is ``quiet``, ``verbose``, ``json`` or empty; see ``convbench run --help``.
    Returns 1 if an algorithm gave wrong results, else 0. After Ctrl-C, finished work is kept.
    """
    if manner in ("quiet", "json"):
        out = Console(quiet=True)
    done = measure(suite, settings, folder, out, words, earlier, manner == "verbose")
    try:
        return conclude(done.path, [*done.pictures], done.status, out, manner)
    except (KeyboardInterrupt, BrokenPipeError):
        raise interrupted(done.path) from None


def measure(
    suite: Suite,
    settings: Settings,
    folder: str | Path,
    out: Console,
    words: Sequence[str] = (),
    earlier: Path | None = None,
    verbose: bool = False,
) -> Finished:
    """Measure `suite`, show progress and write the records; parameters as in `run_and_show`.

    Decided problems get a line in a terminal, and elsewhere if `verbose`.
    """
    environment = machine.environment()
    out.print(
        f"[bold]{escape(suite.title)}[/]: {plural(len(suite.cases), 'problem')}, "
        f"{plural(len(settings.algorithms), 'algorithm')}, "
        f"threads {', '.join(map(str, settings.threads))}, "
        f"within about {settings.budget:g} s\n"
        f"{escape(environment['cpu'])}, {environment['usable_cores']} cores, "
        f"numba {environment['numba']}, {environment['blas']}. "
        f"The first call of an algorithm compiles it, which is not timed and comes on top."
        + (" Caches are emptied before every call." if settings.cold_cache else "")
    )
    if lacking := shortfall(settings.budget, settings.needed):
        out.print(f"[yellow]note:[/] {lacking}", soft_wrap=True)
    header = _header(suite, settings, environment, words)
    if settings.strict and (why := objection(Path(folder) / AUDITS, environment)):
        header = replace(header, withheld=why)
        out.print(f"[yellow]Verdicts will be withheld:[/] {escape(why)}.", soft_wrap=True)
    if earlier is None:
        known = limits.known()
        header = replace(header, limits=known)
        if known.get("doubts"):
            out.print(
                "[yellow]note:[/] the machine was busy while its peak and bandwidths were "
                "measured; they serve for this run and are not remembered",
                soft_wrap=True,
            )
    with tempfile.TemporaryDirectory() as scratch, _writer(folder, header, earlier) as writer:
        run = Run(suite.cases, settings, Path(scratch))
        before = results.read_records(earlier) if earlier else None
        if earlier and before:
            more = before.status == "out of budget" and resume.is_extended(before, header)
            if before.status in ("complete", "out of budget") and not more:
                return Finished(earlier, (), before.status)
            resume.take_up(run, before)
        made: list[Path] = []
        watch = noise.Watch()
        try:
            filtered = _measure(run, writer, out, verbose)
            state = "out of budget" if run.out_of_time else "complete"
        except (KeyboardInterrupt, BrokenPipeError):  # Ctrl-C, or nobody reads on
            state = "interrupted"
            for record in run.unfinished():
                writer.append(record)
        heard = joined_noise([before] if before else [], {**watch.found(), **run.bench.noise})
        ended = clock.utc().isoformat()
        writer.append(
            EndRecord(finished=ended, status=state, noise=heard, budget_s=settings.budget)
        )
        for name, report in run.bench.reports.items():
            out.print(f"\n[red]{name}[/] raised, in full:\n{escape(report)}", soft_wrap=True)
        if state != "interrupted":
            made = _pictures(filtered, writer.path)
    _keep_if_timed(writer.path, state)
    return Finished(writer.path, tuple(made), state)


def _keep_if_timed(path: Path, state: str) -> None:
    """Delete an interrupted run that holds no sample, and raise an error that says so."""
    if state == "interrupted" and not results.read_records(path).passes:
        shutil.rmtree(path, ignore_errors=True)
        raise ConvbenchError("interrupted before anything was timed; nothing was kept")


def _writer(folder: str | Path, header: RunHeader, earlier: Path | None) -> results.RunWriter:
    """A new run's, or that of the `earlier` one, provided that it is the same still."""
    if earlier is None:
        return results.RunWriter(folder, header)
    resume.check_same(results.read_records(earlier), header)
    return results.RunWriter.reopen(earlier)


def _header(
    suite: Suite, settings: Settings, environment: dict[str, Any], words: Sequence[str]
) -> RunHeader:
    entrants = {name: algorithm_of(name) for name in settings.algorithms}
    peers = [one for one in entrants.values() if one.is_peer]
    libraries = machine.library_versions({name for peer in peers for name in peer.libraries})
    return RunHeader(
        suite=suite.name,
        title=suite.title,
        question=suite.question,
        baseline=settings.baseline,
        algorithms=settings.algorithms,
        peers=[peer.name for peer in peers],
        descriptions={name: described(one) for name, one in entrants.items()},
        own=[name for path in settings.files for name in load_file(path)],
        threads=settings.threads,
        seed=settings.seed,
        min_effect=settings.min_effect,
        budget_s=settings.budget,
        settings=asdict(settings),
        problems=resume.fingerprint(suite.cases),
        words=list(words),
        command=shlex.join(["convbench", *words]),
        started=clock.utc().isoformat(),
        timer=clock.timer(),
        environment={**environment, "libraries": libraries} if libraries else environment,
    )


def _measure(
    run: Run, writer: results.RunWriter, out: Console, verbose: bool = False
) -> list[FilteredImage]:
    """Write every record as soon as it is made; return the filtered pictures.

    Decided problems get a line in a terminal or notebook, and elsewhere if `verbose`.
    """
    filtered: list[FilteredImage] = []
    columns = (BarColumn(), TextColumn("{task.description}"))
    lines = verbose or out.is_terminal or out.is_jupyter
    bars = Bar(*columns, console=out, transient=True, disable=not can_move(out))
    with bars as bar, closing(iter(run)) as events:
        task = bar.add_task("starting", total=run.budget)
        for event in events:
            if isinstance(event, Progress):
                spent = run.budget - max(event.left, 0)
                bar.update(
                    task, total=run.budget, completed=spent, description=progress_line(event)
                )
            elif isinstance(event, FilteredImage):
                filtered.append(event)
            elif isinstance(event, LeftOut):
                bar.console.print(_left_out_line(event), soft_wrap=True)
            elif isinstance(event, Settled):
                if lines:
                    bar.console.print(_winner_line(event, run.settings.baseline))
            else:
                writer.append(event)
    return filtered


def progress_line(event: Progress) -> str:
    """Return ``pass 3 · 12 of 42 comparisons decided · at most 41 s left · 64² fft``.

    Compiling, nearly all of it in the first pass, is not counted against the time left.
    """
    apart = " beside compiling" if event.number == 0 else ""
    return (
        f"pass {event.number + 1} · {event.decided} of {event.decided + event.undecided} "
        f"comparisons decided · at most {max(event.left, 0):.0f} s left{apart}  "
        f"[dim]{escape(event.text)}"
    )


def _left_out_line(event: LeftOut) -> str:
    cells = "1 cell" if event.count == 1 else f"{event.count} cells"
    return (
        f"[yellow]note:[/] {cells} far behind the fastest {'is' if event.count == 1 else 'are'} "
        f"left out now; five passes of everything would take about {event.needed:.0f} s"
    )


def _winner_line(event: Settled, baseline: str) -> str:
    """Return a line on a decided problem: its winner, and the distance to the baseline."""
    group, samples = event.group, event.group.samples()
    source = group.case.weights
    source = "" if source == "random" or source in group.label else f" {source}"
    threads = f" {group.threads}t" if group.threads > 1 else ""
    start = f"[dim]{escape(group.label + source + threads)}[/]"
    times = {name: found.middle for name, found in group_times(samples).items()}
    best = times[event.winner]
    text = f"{start}: [bold]{event.winner}[/] {time_text(best)}"
    if baseline in times and event.winner != baseline:
        text += f", {times[baseline] / best:.3g}× {baseline}"
    text += f" [dim]after {len(samples[event.winner])} passes[/]"
    wrong = [cell.algorithm for cell in group.cells if cell.outcome.status == "failed"]
    return text + (f"  [red]failed: {', '.join(wrong)}[/]" if wrong else "")


def _pictures(filtered: list[FilteredImage], folder: Path) -> list[Path]:
    """Turn filtered arrays into PNG files and one contact sheet; return their paths."""
    sheet: dict[str, np.ndarray] = {}
    made: dict[str, np.ndarray] = {}
    for case, array in _distinct(filtered):
        source = pictures.label(case.pixels)
        label = first = f"{source}:{pictures.label(case.weights)}"
        number = 1
        while (name := label.replace(":", "-")) in made:  # another boundary, size or type
            number += 1
            label = f"{first}-{number}"
        sheet.setdefault(source, pictures.read(case.pixels))
        sheet[label] = made[name] = array
    if not made:
        return []
    target = folder / "pictures"
    target.mkdir(exist_ok=True)
    for name, array in made.items():
        pictures.save(target / f"{name}.png", array)
    pictures.contact_sheet(sheet, target / "sheet.png")
    return [target / "sheet.png", *(target / f"{name}.png" for name in made)]


def _distinct(filtered: list[FilteredImage]) -> Iterator[tuple[Case, np.ndarray]]:
    """Yield one result per visible case, for all thread counts together."""
    seen = set()
    for picture in filtered:
        if picture.case not in seen and picture.case.problem.axes >= 2:
            seen.add(picture.case)
            yield picture.case, np.load(picture.path)


def conclude(path: Path, made: list[Path], state: str, out: Console, manner: str = "") -> int:
    """Print the table, write the report, and print the paths of all files.

    Returns 1 if an algorithm gave wrong results, else 0. For the `state` "interrupted", raises the
    error that tells how to go on.
    """
    from results.tables.terminal import show

    build = load_ours("report", "convbench_report").build

    frame = results.read(path)
    show(frame, out)
    files = build(path)
    if manner:
        _print_result(frame, path, manner)
    figures = [file for file in files if file.suffix == ".png"]
    out.print(f"\nrun      {path}", soft_wrap=True)
    out.print("page     report.html, report.md")
    out.print("tables   table.csv, table.md")
    out.print(f"figures  {', '.join(str(f.relative_to(path)) for f in figures)}", soft_wrap=True)
    if made:
        sheet, *others = made
        count = f"{len(others)} file{'s' if len(others) > 1 else ''}"
        out.print(f"pictures {sheet.relative_to(path)}, and {count} beside it")
    if state == "interrupted":
        raise interrupted(path)
    return 1 if (frame["status"] == "failed").any() else 0


def _print_result(frame: pd.DataFrame, path: Path, manner: str) -> None:
    """Print what a quiet run prints: the path of the page, or all of the table as JSON."""
    from results.tables.plain import run_as_json

    if manner == "quiet":
        print(path / "report.html")
    if manner == "json":
        print(run_as_json(frame))


def interrupted(path: Path, command: str = "run") -> ConvbenchError:
    """Return the error that tells how to go on with an interrupted run of `command`."""
    usual = path.parent.resolve() == results.runs_folder()
    name = shlex.quote(path.name if usual else str(path))
    return ConvbenchError(
        f"interrupted; what was measured is kept; go on with: convbench {command} --resume {name}, "
        f"or see it with: convbench report {name}"
    )
