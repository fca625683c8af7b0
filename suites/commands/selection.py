"""From words on the command line to problems, algorithms and thread counts."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from algos import registry
from algos.backend.threads import available
from algos.core.errors import ConvbenchError, closest
from algos.core.family import Family
from algos.inception.problem import MODULES
from algos.notation import parse
from algos.registry import get, load_file
from suites.cases import batch, data, fills, filters, generate, pictures, suite
from suites.cases.suite import Case, Suite
from suites.truth.families import FAMILY_CASES, family_cases
from suites.workers.process import Worker, WorkerDiedError


def run_suite(arguments: argparse.Namespace) -> tuple[Suite, list[str]]:
    """The suite that ``convbench run`` was asked for, shipped or made of options; and notes."""
    given = [
        word
        for word, value in (
            ("a suite", arguments.suite),
            ("--problem or --batch", arguments.problem or arguments.batch),
            ("--input", arguments.input),
        )
        if value
    ]
    if len(given) > 1:
        raise ConvbenchError(f"{' and '.join(given)} were given; choose one")
    if arguments.weights and not (arguments.problem or arguments.batch):
        raise ConvbenchError("--weights goes with --problem or --batch; all else has its own")
    if arguments.kernel and not arguments.input:
        raise ConvbenchError("--kernel goes with --input: what should it filter?")
    if arguments.input:
        if not arguments.kernel:
            raise ConvbenchError("--input goes with --kernel, for example --kernel gaussian:15")
        picture, kernel = _absolute(arguments.input, pictures), _absolute(arguments.kernel, filters)
        case = data.case_from_files(picture, kernel, arguments.dtype or "float32")
        title = f"{Path(arguments.input).name} filtered with {Path(arguments.kernel).name}"
        return _own("input", title, (case,)), []
    if arguments.problem or arguments.batch:
        cases, notes = _listed(arguments)
        file = batch.split(arguments.batch)[1] if arguments.batch else None
        name = file.stem if file else "problem"
        title = f"The problems of {file.name}" if file else "Problems"
        return _own(name, title, cases), notes
    chosen = suite.load(arguments.suite or "quick")
    return replace(chosen, cases=_with_dtype(chosen.cases, arguments.dtype)), []


def verify_cases(arguments: argparse.Namespace) -> tuple[tuple[Case, ...], list[str]]:
    """The cases that ``convbench verify`` was given, or made by itself; and notes."""
    if not (arguments.problem or arguments.batch):
        if arguments.weights or arguments.pixels:
            raise ConvbenchError(
                "--weights and --pixels go with --problem or --batch; generated cases have theirs"
            )
        asked = arguments.operation
        operations = generate.OPERATIONS if asked in (None, "all") else (asked,)
        cases = [
            case
            for family in FAMILY_CASES.values()
            for case in family.cases(arguments.cases, arguments.seed, operations)
        ]
        return _with_dtype(tuple(cases), arguments.dtype), []
    listed, notes = _listed(arguments)
    if any(case.problem.family is MODULES for case in listed):
        raise ConvbenchError(
            "a module as a whole is checked step by step when it is run; verify its layers, "
            "which convbench shape lists"
        )
    listed = _with_operation(listed, arguments.operation)
    pixels = arguments.pixels
    if pixels and pixels not in ("random", *fills.PIXELS):
        raise ConvbenchError(
            f"--pixels {pixels!r} is not known; {closest(pixels, ['random', *fills.PIXELS])}"
        )
    if pixels:
        return tuple(replace(case, pixels=pixels) for case in listed), notes
    if arguments.weights:
        return listed, notes
    both = (
        replace(case, weights=w, pixels=x)
        for case in listed
        for w, x in family_cases(case.problem).fills(case.problem.operation)[
            : generate.LISTED_FILLS
        ]
    )
    return tuple(both), notes


def words_for_cases(arguments: argparse.Namespace) -> list[str]:
    """The words of the command line that choose the cases of ``convbench verify``."""
    words = [word for text in arguments.problem for word in ("--problem", text)]
    if arguments.batch:
        words += ["--batch", str(Path(arguments.batch).expanduser().resolve())]
    if not words:
        words = ["--cases", str(arguments.cases)]
    if arguments.weights:
        words += ["--weights", _absolute(arguments.weights, filters)]
    for name in ("pixels", "operation", "dtype"):
        if value := getattr(arguments, name):
            words += [f"--{name}", value]
    return words


def _with_operation(cases: tuple[Case, ...], asked: str | None) -> tuple[Case, ...]:
    """`cases` with the operation asked for, or with every one; as they are where none is."""
    if asked is None:
        return cases
    changed = [
        replace(case, problem=case.problem.asking(operation))
        for case in cases
        for operation in (case.problem.operations if asked == "all" else (asked,))
    ]
    return tuple(dict.fromkeys(changed))


def _absolute(source: str, kind: ModuleType) -> str:
    """A file by its full path, which a worker started elsewhere finds too; other words as is."""
    return str(Path(source).expanduser().resolve()) if kind.is_path(source) else source


def _own(name: str, title: str, cases: tuple[Case, ...]) -> Suite:
    return Suite(name, title, "Which algorithm is fastest?", cases, seconds=10.0 + 5 * len(cases))


def _listed(arguments: argparse.Namespace) -> tuple[tuple[Case, ...], list[str]]:
    """The cases of --problem and --batch, and what was left out of them."""
    cases = [Case(parse(text)) for text in arguments.problem]
    notes = []
    if arguments.batch:
        found = batch.read(arguments.batch)
        cases += found.cases
        notes = found.notes
    if arguments.weights:
        weights = _absolute(arguments.weights, filters)
        if weights not in data.RANDOM_WEIGHTS:
            for kernel, axes in {(case.problem.kernel, case.problem.axes) for case in cases}:
                filters.make(weights, kernel, axes)
        cases = [replace(case, weights=weights) for case in cases]
    return _with_dtype(tuple(dict.fromkeys(cases)), arguments.dtype), notes


def _with_dtype(cases: tuple[Case, ...], dtype: str | None) -> tuple[Case, ...]:
    if dtype is None:
        return cases
    changed = (replace(case, problem=replace(case.problem, dtype=dtype)) for case in cases)
    return tuple(dict.fromkeys(changed))


def thread_counts(text: str) -> tuple[int, ...]:
    """``"1,2"`` as (1, 2)."""
    counts = []
    for word in text.split(","):
        if not (word.strip().isascii() and word.strip().isdigit()) or int(word) < 1:
            raise ConvbenchError(f"--threads {text!r}: expected counts such as 1 or 1,2")
        if int(word) > available():
            raise ConvbenchError(
                f"--threads {text}: {word.strip()} threads were asked for, "
                f"this machine offers {available()}"
            )
        counts.append(int(word))
    return tuple(dict.fromkeys(counts))


def algorithm_files(arguments: argparse.Namespace) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Load the files of --algorithm-file; their full paths, and the algorithms in them."""
    files = tuple(dict.fromkeys(arguments.algorithm_file))
    for path in files:
        _try_in_a_child(path, max(thread_counts(arguments.threads or str(available()))))
    names = tuple(name for path in files for name in load_file(path))
    return tuple(str(Path(path).expanduser().resolve()) for path in files), names


def _try_in_a_child(path: str, threads: int) -> None:
    """Refuse a file that ends the interpreter which imports it; all else is told by ours."""
    worker = Worker(threads)
    try:
        worker.ask(60.0, do="try_file", path=str(Path(path).expanduser().resolve()))
    except WorkerDiedError as death:
        raise ConvbenchError(f"algorithm file {path!r} cannot be loaded: {death}") from None
    finally:
        worker.close()


def algorithms(
    text: str | None,
    default: tuple[str, ...],
    families: tuple[Family, ...],
    more: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """Those named in `text`; else `default`, or all not opt-in of `families`, and `more`."""
    if text is None:
        for name in default:
            get(name, families)
        usual = default or tuple(
            name for f in families for name, a in registry.of(f).items() if not a.opt_in
        )
        return tuple(dict.fromkeys(usual + more))
    names = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not names:
        known = ", ".join(dict.fromkeys(name for f in families for name in registry.of(f)))
        raise ConvbenchError(f"--algorithms {text!r} names none; known: {known}")
    for name in names:
        get(name, families)
    return names


def families_of(cases: Iterable[Case]) -> tuple[Family, ...]:
    """The families of the problems, each once."""
    return tuple(dict.fromkeys(case.problem.family for case in cases))


def with_peers(chosen: tuple[str, ...], cases: Iterable[Case]) -> tuple[str, ...]:
    """`chosen`, and every other library's algorithm."""
    peers = tuple(
        name for f in families_of(cases) for name, a in registry.of(f).items() if a.is_peer
    )
    return tuple(dict.fromkeys(chosen + peers))


def admitting(chosen: Suite, names: tuple[str, ...]) -> Suite:
    """The suite with `names` taking part everywhere: whoever names an algorithm wants its time."""
    cases = (
        replace(case, algorithms=tuple(dict.fromkeys(case.algorithms + names)))
        if case.algorithms
        else case
        for case in chosen.cases
    )
    return replace(chosen, cases=tuple(cases))


def baseline(asked: str | None, default: str, chosen: tuple[str, ...]) -> str:
    """What speed-ups refer to: the one asked for, the suite's, or the first of those chosen."""
    if asked is None:
        return default if default in chosen else chosen[0]
    get(asked)  # for the nearest name where there is none
    if asked not in chosen:
        raise ConvbenchError(
            f"--baseline {asked} is not among the algorithms to be timed ({', '.join(chosen)}); "
            f"add it to --algorithms"
        )
    return asked
