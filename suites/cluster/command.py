"""The measurement of a suite by a cluster, from the options of a run to its reports."""

from __future__ import annotations

import json
import shlex
import uuid
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

import results
from algos.core.errors import ConvbenchError
from results.records.differences import clauses
from results.records.run import RunHeader
from suites.cases.entrants import algorithm_of
from suites.cases.suite import Suite
from suites.machine import clock
from suites.timing.progress import conclude
from suites.timing.resume import fingerprint
from suites.timing.schedule import Settings

from .connection import Connection, silence
from .fleet import WAIT, Fleet, Measured
from .hosts import version
from .ledger import siblings

#: Settings that may change when a run is resumed: they say how long it may take.
_FREE = ("budget", "elastic", "needed")


def run_on_cluster(
    suite: Suite,
    settings: Settings,
    address: str,
    folder: str | Path,
    out: Console,
    words: Sequence[str] = (),
    earlier: Path | None = None,
    manner: str = "",
    wait: float = WAIT,
) -> int:
    """Measure `suite` on every host of a scheduler; parameters are those of `run_and_show`.

    Each kind of host gets a run and a report of its own. Returns 1 if an algorithm gave wrong
    results, else 0.
    """
    shown = Console(quiet=True) if manner in ("quiet", "json") else out
    with silence():
        measured = measure_on_cluster(
            suite, settings, address, Path(folder), shown, words, earlier, wait
        )
    if not measured.paths:
        raise ConvbenchError(f"{measured.reason}; nothing was measured")
    codes = [conclude(path, [], "complete", shown, manner) for path in measured.paths.values()]
    _compare([*measured.paths.values()], shown)
    if measured.reason:
        path = next(iter(measured.paths.values()))
        usual = path.parent.resolve() == results.runs_folder()
        name = shlex.quote(path.name if usual else str(path))
        raise ConvbenchError(
            f"{measured.reason}; what was measured is kept; go on with: "
            f"convbench run --resume {name}"
        )
    return max(codes)


def measure_on_cluster(
    suite: Suite, settings: Settings, address: str, folder: Path, out: Console,
    words: Sequence[str] = (), earlier: Path | None = None, wait: float = WAIT,
) -> Measured:  # fmt: skip
    """Measure `suite` and write the records; parameters as in `run_on_cluster`."""
    connection = Connection(address)
    try:
        out.print(
            f"[bold]{escape(suite.title)}[/]: {len(suite.cases)} problems, "
            f"{len(settings.algorithms)} algorithms, by the hosts of {escape(address)}"
        )

        def tell(sentence: str) -> None:
            out.print(escape(sentence), soft_wrap=True)

        header = _header(suite, settings, address, words)
        known = [*siblings(earlier)] if earlier else []
        if earlier:
            before = results.read_records(earlier).header
            _check_same(before, header)
            header = replace(header, cluster={**(before.cluster or {}), "address": address})
        fleet = Fleet(suite, settings, connection, header, folder, tell, wait)
        for kind, path in known:
            fleet.take_up(kind, path)
        return fleet.run()
    finally:
        connection.close()


def _check_same(before: RunHeader, header: RunHeader) -> None:
    """Raise if the run to resume has other problems, settings or code."""
    code, kept = before.cluster or {}, before.settings or {}
    now = json.loads(json.dumps(header.settings))
    found = [*clauses(*({k: v for k, v in s.items() if k not in _FREE} for s in (kept, now)))]
    if before.problems != header.problems:
        found.append("the problems of the suite are others now")
    if code.get("convbench") != version():
        found.append(f"convbench was {code.get('convbench')}, is {version()}")
    if found:
        raise ConvbenchError(
            f"run {before.id} cannot be taken up: {'; '.join(found)}. Runs of different versions "
            f"or settings are never mixed; start a new one"
        )


def _header(suite: Suite, settings: Settings, address: str, words: Sequence[str]) -> RunHeader:
    peers = [name for name in settings.algorithms if algorithm_of(name).is_peer]
    return RunHeader(
        suite=suite.name, title=suite.title, question=suite.question, baseline=settings.baseline,
        algorithms=settings.algorithms, peers=peers, threads=settings.threads, seed=settings.seed,
        min_effect=settings.min_effect, budget_s=settings.budget, settings=asdict(settings),
        problems=fingerprint(suite.cases), words=list(words),
        command=shlex.join(["convbench", *words]), started=clock.utc().isoformat(),
        cluster={"session": uuid.uuid4().hex, "address": address, "convbench": version()},
    )  # fmt: skip


def _compare(paths: list[Path], out: Console) -> None:
    """Draw the ratios of several kinds of host side by side."""
    if len(paths) < 2:
        return
    from results.figures.hosts import draw_ratios

    file = draw_ratios(paths)
    out.print(f"hosts    {file}", soft_wrap=True)
