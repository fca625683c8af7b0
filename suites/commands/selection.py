"""Choice of problems, algorithms and thread counts from typed options."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from algos import registry
from algos.backend.threads import available
from algos.core.errors import ConvbenchError, closest
from algos.core.family import Family
from algos.notation import parse
from algos.registry import load_file
from results.records.entrants import Entrant
from suites.cases import batch, data, fills, filters, generate, pictures, suite
from suites.cases.entrants import algorithm_of
from suites.cases.suite import Case, Suite
from suites.models.model import summary
from suites.models.onnx_model import read_onnx
from suites.truth.families import FAMILY_CASES, family_cases
from suites.workers.messages import Discover
from suites.workers.process import Worker, WorkerDiedError

from .command import Options


@dataclass(frozen=True, kw_only=True)
class ListedCases(Options):
    """Options that list problems."""

    problem: tuple[str, ...]
    batch: str | None
    weights: str | None
    dtype: str | None


@dataclass(frozen=True, kw_only=True)
class RunCases(ListedCases):
    """Options that choose the problems of ``convbench run``."""

    suite: str | None
    input: str | None
    kernel: str | None
    boundary: str | None = None
    cval: float = 0.0
    model: str | None = None
    batch_size: int | None = None


@dataclass(frozen=True, kw_only=True)
class VerifyCases(ListedCases):
    """Options that choose the cases of ``convbench verify``."""

    cases: int
    seed: int
    pixels: str | None
    operation: str | None


def run_suite(options: RunCases) -> tuple[Suite, list[str]]:
    """Return the suite for ``convbench run``, shipped or made of the options, and notes."""
    given = [
        word
        for word, value in (
            ("a suite", options.suite),
            ("--problem or --batch", options.problem or options.batch),
            ("--input", options.input),
            ("--model", options.model),
        )
        if value
    ]
    if len(given) > 1:
        raise ConvbenchError(f"{' and '.join(given)} were given; choose one")
    if options.weights and not (options.problem or options.batch):
        raise ConvbenchError(
            "--weights goes with --problem or --batch; suites, --input and --model have kernels of "
            "their own"
        )
    if options.kernel and not options.input:
        raise ConvbenchError(
            "--kernel goes with --input; give the image to filter, such as --input picture.png"
        )
    if (options.boundary or options.cval) and not options.input:
        raise ConvbenchError(
            "--boundary and --cval go with --input; in a descriptor, write the boundary as a word, "
            "such as _reflect"
        )
    if options.batch_size and not options.model:
        raise ConvbenchError(
            "--batch-size goes with --model; in a descriptor, write the batch as mb8"
        )
    if options.model:
        model = read_onnx(options.model, options.batch_size, options.dtype)
        return model.suite(), [summary(model), *model.notes()]
    if options.input:
        if not options.kernel:
            raise ConvbenchError("--input goes with --kernel, for example --kernel gaussian:15")
        picture, kernel = _absolute(options.input, pictures), _absolute(options.kernel, filters)
        how = options.dtype or "float32", options.boundary, options.cval
        case = data.case_from_files(picture, kernel, *how)
        title = f"{Path(options.input).name} filtered with {Path(options.kernel).name}"
        return _own("input", title, (case,)), data.remarks_on_files(case)
    if options.problem or options.batch:
        cases, notes = _listed(options)
        file = batch.split(options.batch)[1] if options.batch else None
        name = file.stem if file else "problem"
        title = f"The problems of {file.name}" if file else "Problems"
        return _own(name, title, cases), notes
    chosen = suite.load(options.suite or "quick")
    return replace(chosen, cases=_with_dtype(chosen.cases, options.dtype)), []


def verify_cases(options: VerifyCases) -> tuple[tuple[Case, ...], list[str]]:
    """Return the listed or generated cases for ``convbench verify``, and notes."""
    if not (options.problem or options.batch):
        if options.weights or options.pixels:
            raise ConvbenchError(
                "--weights and --pixels go with --problem or --batch; generated cases have "
                "values of their own"
            )
        asked = options.operation
        operations = generate.OPERATIONS if asked in (None, "all") else (asked,)
        cases = [
            case
            for family in FAMILY_CASES.values()
            for case in family.cases(options.cases, options.seed, operations)
        ]
        return _with_dtype(tuple(cases), options.dtype), []
    listed, notes = _listed(options)
    if any(case.problem.family.is_pipeline for case in listed):
        raise ConvbenchError(
            "a problem made of several layers cannot be verified as a whole; verify its layers, "
            "which convbench shape lists"
        )
    listed = _with_operation(listed, options.operation)
    pixels = options.pixels
    if pixels and pixels not in ("random", *fills.PIXELS):
        raise ConvbenchError(
            f"--pixels {pixels!r} is not known; {closest(pixels, ['random', *fills.PIXELS])}"
        )
    if pixels:
        return tuple(replace(case, pixels=pixels) for case in listed), notes
    if options.weights:
        return listed, notes
    both = (
        replace(case, weights=w, pixels=x)
        for case in listed
        for w, x in family_cases(case.problem).fills(case.problem.operation)[
            : generate.LISTED_FILLS
        ]
    )
    return tuple(both), notes


def words_for_cases(options: VerifyCases) -> list[str]:
    """Return words of a command line that choose the same cases."""
    words = [word for text in options.problem for word in ("--problem", text)]
    if options.batch:
        words += ["--batch", str(Path(options.batch).expanduser().resolve())]
    if not words:
        words = ["--cases", str(options.cases)]
    if options.weights:
        words += ["--weights", _absolute(options.weights, filters)]
    for name in ("pixels", "operation", "dtype"):
        if value := getattr(options, name):
            words += [f"--{name}", value]
    return words


def _with_operation(cases: tuple[Case, ...], asked: str | None) -> tuple[Case, ...]:
    """Return the cases for one operation, for ``"all"``, or unchanged for None."""
    if asked is None:
        return cases
    changed = [
        replace(case, problem=case.problem.asking(operation))
        for case in cases
        for operation in (case.problem.operations if asked == "all" else (asked,))
    ]
    return tuple(dict.fromkeys(changed))


def _absolute(source: str, kind: ModuleType) -> str:
    """Return the full path of a file, since workers run elsewhere; other words unchanged."""
    return str(Path(source).expanduser().resolve()) if kind.is_path(source) else source


def _own(name: str, title: str, cases: tuple[Case, ...]) -> Suite:
    return Suite(name, title, "Which algorithm is fastest?", cases, seconds=10.0 + 5 * len(cases))


def _listed(options: ListedCases) -> tuple[tuple[Case, ...], list[str]]:
    """Return the cases of --problem and --batch, and notes on problems left out."""
    cases = [Case(parse(text)) for text in options.problem]
    notes = []
    if options.batch:
        found = batch.read(options.batch)
        cases += found.cases
        notes = found.notes
    if options.weights:
        weights = _absolute(options.weights, filters)
        if weights not in data.RANDOM_WEIGHTS:
            for kernel, axes in {(case.problem.kernel, case.problem.axes) for case in cases}:
                filters.make(weights, kernel, axes)
        cases = [replace(case, weights=weights) for case in cases]
    return _with_dtype(tuple(dict.fromkeys(cases)), options.dtype), notes


def _with_dtype(cases: tuple[Case, ...], dtype: str | None) -> tuple[Case, ...]:
    if dtype is None:
        return cases
    changed = (replace(case, problem=replace(case.problem, dtype=dtype)) for case in cases)
    return tuple(dict.fromkeys(changed))


def thread_counts(text: str, here: bool = True) -> tuple[int, ...]:
    """Return ``"1,2"`` as (1, 2); more than this machine offers only if it is not `here`."""
    counts = []
    for word in text.split(","):
        if not (word.strip().isascii() and word.strip().isdigit()) or int(word) < 1:
            raise ConvbenchError(f"--threads {text!r}: expected counts such as 1 or 1,2")
        if here and int(word) > available():
            raise ConvbenchError(
                f"--threads {text}: {word.strip()} threads are too many; this machine offers "
                f"{available()}"
            )
        counts.append(int(word))
    return tuple(dict.fromkeys(counts))


def thread_count(text: str, why: str) -> int:
    """Return the thread count in `text`; several are refused for the reason `why`."""
    count, *others = thread_counts(text)
    if others:
        raise ConvbenchError(f"--threads {text}: {why}; give one")
    return count


def algorithm_files(
    paths: tuple[str, ...], threads: str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Load the files of --algorithm-file; return their full paths and their algorithms."""
    files = tuple(dict.fromkeys(paths))
    for path in files:
        _try_in_a_child(path, max(thread_counts(threads or str(available()))))
    names = tuple(name for path in files for name in load_file(path))
    return tuple(str(Path(path).expanduser().resolve()) for path in files), names


def _try_in_a_child(path: str, threads: int) -> None:
    """Refuse a file that ends the interpreter on import; loading it here finds other mistakes."""
    worker = Worker(threads)
    try:
        worker.ask(60.0, Discover(str(Path(path).expanduser().resolve())))
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
    """Return the algorithms named in `text`, by default those of `default` and `more`.

    An empty `default` stands for every algorithm of `families` that is not opt-in. A name may give
    a layout, such as ``parallel@channels_last``.
    """
    if text is None:
        for name in default + more:
            algorithm_of(name, families)
        usual = default or tuple(
            name for f in families for name, a in registry.of(f).items() if not a.opt_in
        )
        return tuple(dict.fromkeys(usual + more))
    names = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not names:
        known = ", ".join(dict.fromkeys(name for f in families for name in registry.of(f)))
        raise ConvbenchError(f"--algorithms {text!r} names none; known algorithms: {known}")
    for name in names:
        algorithm_of(name, families)
    return names


def without_layouts(names: tuple[str, ...], command: str) -> tuple[str, ...]:
    """Return `names`; raise if one gives a layout, which `command` takes from the problem."""
    for name in names:
        algorithm, layout = Entrant.of(name)
        if layout is not None:
            raise ConvbenchError(
                f"{name!r} gives a layout, which {command} takes from the problem instead; write "
                f"{algorithm}"
            )
    return names


def families_of(cases: Iterable[Case]) -> tuple[Family, ...]:
    """Return the families of the problems, each once."""
    return tuple(dict.fromkeys(case.problem.family for case in cases))


def with_peers(chosen: tuple[str, ...], cases: Iterable[Case]) -> tuple[str, ...]:
    """Return `chosen` followed by the peers for the families of `cases`."""
    peers = tuple(
        name for f in families_of(cases) for name, a in registry.of(f).items() if a.is_peer
    )
    return tuple(dict.fromkeys(chosen + peers))


def admitting(chosen: Suite, names: tuple[str, ...]) -> Suite:
    """Return the suite with `names` added to every case that limits its algorithms."""
    cases = (
        replace(case, algorithms=tuple(dict.fromkeys(case.algorithms + names)))
        if case.algorithms
        else case
        for case in chosen.cases
    )
    return replace(chosen, cases=tuple(cases))


def baseline(asked: str | None, default: str, chosen: tuple[str, ...]) -> str:
    """Return the baseline: the one asked for, the suite's, or the first chosen algorithm."""
    if asked is None:
        return default if default in chosen else chosen[0]
    algorithm_of(asked)  # raises an error with the nearest name if `asked` is unknown
    if asked not in chosen:
        raise ConvbenchError(
            f"--baseline {asked} is not among the algorithms to be timed ({', '.join(chosen)}); "
            f"add it to --algorithms"
        )
    return asked
