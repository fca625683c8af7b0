"""What each command does; `suites.cli` says how it is spelled."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

import results
from algos import registry
from algos.backend.threads import available
from algos.core.arrays import narrowed
from algos.core.errors import ConvbenchError
from algos.core.family import AlgorithmBase
from algos.core.problem import DTYPES
from algos.notation import parse
from results.records.columns import DEFINED
from results.verdicts.audit import AUDITS, BASELINE
from suites import load_ours
from suites.cases import filters, suite
from suites.cases.data import has_nonfinite
from suites.cases.notation import remarks
from suites.cases.pictures import is_path
from suites.cases.pictures import read as read_picture
from suites.cases.suite import Suite
from suites.machine import clock, limits
from suites.machine import environment as machine
from suites.timing import compiling
from suites.timing.cell import describe, gibibytes, held, memory_allowed, memory_needed, obstacle
from suites.timing.estimate import seconds_needed, shortfall
from suites.timing.progress import run_and_show
from suites.timing.schedule import Settings
from suites.truth.families import family_cases
from suites.verification.progress import Campaign, verify_and_show
from suites.verification.verifier import Verifier

from . import selection as choose
from . import starter


class _Console(Console):
    """One that lets a broken pipe be seen by whoever called."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        raise BrokenPipeError


out = _Console(highlight=False)
notes = _Console(highlight=False, stderr=True)


def run(arguments: argparse.Namespace) -> int:
    """Time algorithms; leaves a run folder behind."""
    files, more = choose.algorithm_files(arguments)
    chosen, remarks = choose.run_suite(arguments)
    _remark(remarks)
    threads = choose.thread_counts(arguments.threads)
    among = choose.families_of(chosen.cases)
    algorithms = choose.algorithms(arguments.algorithms, chosen.algorithms, among, more)
    chosen = choose.admitting(chosen, algorithms if arguments.algorithms else more)
    if arguments.peers:
        algorithms = choose.with_peers(algorithms, chosen.cases)
    baseline = choose.baseline(arguments.baseline, chosen.baseline, algorithms)
    needed = seconds_needed(chosen.cases, algorithms, threads, arguments.call_limit)
    budget = arguments.budget or max(chosen.seconds * len(threads), 5.0 * math.ceil(needed / 5))
    settings = Settings(
        suite=chosen.name, algorithms=algorithms, threads=threads, budget=budget,
        call_limit=arguments.call_limit, timeout=arguments.timeout, seed=arguments.seed,
        baseline=baseline, min_effect=arguments.min_effect, files=files,
        strict=arguments.strict, cold_cache=arguments.cold_cache,
        elastic=arguments.budget is None, needed=needed,
    )  # fmt: skip
    _warn_of_nonfinite(chosen)
    if arguments.dry_run:
        return _dry_run(chosen, settings)
    _refuse_the_impossible(chosen, settings)
    folder = arguments.runs or results.runs_folder()
    return run_and_show(
        chosen, settings, folder, out, arguments.words, getattr(arguments, "earlier", None)
    )


def _remark(remarks: list[str]) -> None:
    for sentence in remarks:
        notes.print(f"[yellow]note:[/] {escape(sentence)}", soft_wrap=True)


def _refuse_the_impossible(chosen: Suite, settings: Settings) -> None:
    """Where nothing at all can be tried, say so at once, and leave no run behind."""
    memory, first = memory_allowed(), ""
    for threads in settings.threads:
        for case in chosen.cases:
            for name in case.entrants(settings.algorithms):
                found = obstacle(case.problem, name, threads, memory)
                if found is None or found[0] == "failed":
                    return
                first = first or f"{name} on {case.problem}: {found[1]}"
    raise ConvbenchError(f"nothing of this can be timed here; {first}")


def _warn_of_nonfinite(chosen: Suite) -> None:
    # A file says nothing of its number of axes, so it is read as the problem reads it.
    kernels = {
        (case.weights, case.problem.kernel, case.problem.axes, case.problem.dtype)
        for case in chosen.cases
        if filters.is_path(case.weights)
    }
    for path, kernel, axes, dtype in sorted(kernels):
        values = narrowed(f"kernel file {path!r}", filters.make(path, kernel, axes), dtype)
        if has_nonfinite(values):
            raise ConvbenchError(
                f"kernel file {path!r} holds NaN or infinite values, so every output would be "
                f"one, and nothing could be checked; give finite numbers"
            )
    images = {(case.pixels, case.problem.dtype) for case in chosen.cases if is_path(case.pixels)}
    for path, dtype in sorted(images):
        if has_nonfinite(narrowed(f"input {path!r}", read_picture(path), dtype)):
            notes.print(
                f"[yellow]warning:[/] {escape(path)} holds NaN or infinite values; it is timed as "
                f"it is, and fft will spread them over whole tiles of the output",
                soft_wrap=True,
            )


def _dry_run(chosen: Suite, settings: Settings) -> int:
    count = f"{len(chosen.cases)} problem{'s' if len(chosen.cases) > 1 else ''}"
    table = Table(title=f"{escape(chosen.title)}: {count}")
    for heading in ("problem", "weights", "multiply-adds", "memory", "not by"):
        right = heading in ("multiply-adds", "memory")
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    memory, threads = memory_allowed(), max(settings.threads)
    for case in chosen.cases:
        able = [
            name
            for name in case.entrants(settings.algorithms)
            if obstacle(case.problem, name, threads, memory) is None
        ]
        needs = [memory_needed(case.problem, name, threads) for name in able]
        most = max(needs, default=held(case.problem))
        shown = f"{most / 2**20:.1f} MiB" if most < 2**40 else gibibytes(most)
        label = f"{case.problem.name}  " if case.problem.name else ""
        table.add_row(
            escape(label + describe(case)["problem"]), escape(case.weights),
            f"{case.problem.multiply_adds:.3g}", shown,
            ", ".join(n for n in settings.algorithms if n not in able),
        )  # fmt: skip
    out.print(table)
    out.print(
        f"{count} × {len(settings.algorithms)} algorithms × threads "
        f"{', '.join(map(str, settings.threads))}, within {settings.budget:g} s; five passes of "
        f"the contenders need about {settings.needed:.0f} s. Nothing was timed."
    )
    if lacking := shortfall(settings.budget, settings.needed):
        notes.print(f"[yellow]note:[/] {lacking}", soft_wrap=True)
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """Judge algorithms, and the judge by canaries; exit code 1 when one fails.

    It is 3 where none is wrong, but time or memory ran out for some case.
    """
    files, found = choose.algorithm_files(arguments)
    cases, remarks = choose.verify_cases(arguments)
    _remark(remarks)
    among = choose.families_of(cases)
    wanted = (
        set(choose.algorithms(arguments.algorithms, found, among))
        if (arguments.algorithms or found)
        else None
    )
    rounds = []
    for family in among:
        names = [
            name
            for name, algorithm in registry.of(family).items()
            if (name in wanted if wanted else arguments.peers or not algorithm.is_peer)
        ]
        rounds.append(Campaign(family, names, [c for c in cases if c.problem.family is family]))
    threads = max(choose.thread_counts(arguments.threads or str(available())))
    listed = choose.words_for_cases(arguments)
    verifier = Verifier(threads, arguments.seed, arguments.timeout, files, listed)
    everything = not (arguments.problem or arguments.batch or arguments.algorithms or found)
    return verify_and_show(verifier, rounds, everything, out, notes)


def report(arguments: argparse.Namespace) -> int:
    """Draw the figures and write the tables of a run."""
    main = load_ours("report", "convbench_report").main
    words = [arguments.run] if arguments.run else []
    words += ["--strict"] if arguments.strict else []
    return main(words + (["--runs", arguments.runs] if arguments.runs else []), out)


def audit(arguments: argparse.Namespace) -> int:
    """Decide pairs whose truth is known; exit code 1 where verdicts are not to be trusted."""
    from suites.timing import audit as auditing

    auditing.check_budget(arguments.budget)
    settings = Settings(
        suite="audit", algorithms=(), baseline=BASELINE, min_effect=arguments.min_effect,
        budget=arguments.budget, seed=arguments.seed,
    )  # fmt: skip
    return auditing.run_and_show(settings, _audits(arguments), out)


def _audits(arguments: argparse.Namespace) -> Path:
    return Path(arguments.runs or results.runs_folder()) / AUDITS


def compile_kernels(arguments: argparse.Namespace) -> int:
    """Compile every kernel ahead, and say how many there are and what they took."""
    algorithms = None
    if arguments.algorithms:
        algorithms = choose.algorithms(arguments.algorithms, (), compiling.FAMILIES)
    types = (arguments.dtype,) if arguments.dtype else DTYPES
    return compiling.compile_and_show(types, algorithms, arguments.cold, out, notes)


def show_list(arguments: argparse.Namespace) -> int:
    """Show what there is."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    if arguments.what == "suites":
        for heading in ("suite", "problems", "question"):
            table.add_column(heading, no_wrap=heading == "suite")
        for name in suite.names():
            loaded = suite.load(name)
            table.add_row(name, str(len(loaded.cases)), escape(loaded.question))
    elif arguments.what == "filters":
        for heading in ("filter", "size", "what it is"):
            table.add_column(heading)
        for row in filters.spellings():
            table.add_row(*map(escape, row))
    elif arguments.what == "algorithms":
        table.add_column("algorithm", no_wrap=True)
        table.add_column("what it is")
        table.add_column("of", no_wrap=True)
        for family in registry.FAMILIES:
            for name, algorithm in registry.of(family).items():
                asked = " [dim](only when asked for by name)[/]" if algorithm.opt_in else ""
                there = "" if _installed(algorithm) else " [yellow](not installed)[/]"
                table.add_row(name, escape(algorithm.summary) + asked + there, family.name)
    elif arguments.what == "columns":
        for heading in ("column", "type", "unit", "meaning"):
            table.add_column(heading, no_wrap=heading == "column")
        for column in DEFINED:
            table.add_row(column.name, column.dtype, column.unit, escape(column.meaning))
    else:
        if not arguments.suite:
            raise ConvbenchError("whose problems? Say, for example, convbench list problems vgg16")
        for case in suite.load(arguments.suite).cases:
            out.print(escape(str(case.problem)), soft_wrap=True)
        return 0
    out.print(table)
    return 0


def _installed(algorithm: AlgorithmBase) -> bool:
    """Return True if the libraries that `algorithm` calls can be imported; import none."""
    return all(find_spec(name.partition(".")[0]) for name in algorithm.libraries)


def show_shape(arguments: argparse.Namespace) -> int:
    """Show the sizes of a problem and how they come about."""
    for line in _explained(arguments.descriptor):
        out.print(escape(line), soft_wrap=True)
    return 0


def _explained(descriptor: str) -> list[str]:
    problem = parse(descriptor)
    return family_cases(problem).explain(problem) + remarks(descriptor, problem)


def new_algorithm(arguments: argparse.Namespace) -> int:
    """Write a starting file into the present folder."""
    path = starter.write(arguments.name, Path.cwd())
    out.print(f"Wrote {path.name}: a whole algorithm to change into yours. Does it verify?")
    out.print(f"  convbench verify --algorithm-file {path.name}")
    return 0


def show_environment(arguments: argparse.Namespace) -> int:
    """Show what figures depend on."""
    environment = machine.environment()
    measured = limits.known(arguments.fresh)
    timer = clock.timer()
    if arguments.json:
        print(json.dumps({**environment, "timer": timer, "limits": measured}, indent=2))
        return 0
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in environment.items():
        shown = value
        if key == "caches":
            shown = ", ".join(f"{name} {size >> 10} KiB" for name, size in value.items())
        elif key == "memory_bytes":
            key, shown = "memory", f"{value / 2**30:.1f} GiB"
        elif key == "fastmath":
            shown = ", ".join(value)
        table.add_row(key.replace("_", " "), "not known" if shown is None else escape(str(shown)))
    table.add_row("timer", ", ".join(f"{name[:-2]} {s * 1e9:.0f} ns" for name, s in timer.items()))
    for key, shown in limits.lines(measured):
        table.add_row(key, shown)
    out.print(table)
    return 0


def show_version() -> int:
    """Print the version."""
    print(f"convbench {version('convbench')}")
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": run,
    "verify": verify,
    "report": report,
    "compile": compile_kernels,
    "audit": audit,
    "list": show_list,
    "shape": show_shape,
    "new-algorithm": new_algorithm,
    "env": show_environment,
}
