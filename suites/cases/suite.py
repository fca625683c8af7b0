"""Suites: named sets of problems, read from TOML files without any logic.

A suite file gives a ``title``, the ``question`` it answers and any number of sweeps::

    title = "Blur"
    question = "From which size on does a separable blur pay?"
    baseline = "naive"                    # optional, as are algorithms = […] and seconds
    also = ["mec"]                        # optional: besides the usual algorithms
    problems = ["mb1_ic3ih32_oc8_kh5"]    # optional: single problems, as descriptors

    [[sweep]]
    size = [64, 256, [480, 640]]          # a list is an axis of the sweep; 64 means 64×64,
    kernel = [3, 7, 15]                   # a list inside it is one value per axis
    padding = "same"
    weights = ["random", "gaussian"]
    algorithms = ["separable", "fft"]     # optional: algorithms of this sweep

The keys of a sweep are the fields of `Problem`, and these:

``window``
    Makes it a sweep of pooling. Its keys are then the fields of `PoolProblem` (``kind``, …).
``channels``
    Sets both input and output channels.
``axes``
    1, 2 or 3, by default 2.
``weights``, ``pixels``
    `Case` documents them.
``problems``
    A list of descriptors, which give size, kernel and the other fields they spell.
``algorithms``
    Names the algorithms to be timed here, out of those of the suite or the command line.

In every list of algorithms, ``parallel@channels_last`` stands for `parallel` on the same problem
with its arrays laid out channels last. It is compared with the others as if it were another
algorithm. Only algorithms of ours that read such arrays in place can be named so.

The sweep runs over every combination, the last key fastest. It leaves out those whose kernel is
larger than the padded input. If ``pixels`` is a picture, size and batch may be left out; if
``weights`` is a hand-made kernel, the kernel may be left out.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from algos.core.errors import ConvbenchError, closest
from algos.core.problem import AXES, Problem
from algos.notation import parse
from algos.pooling import PoolProblem

from . import filters, offered, pictures
from .entrants import check_layout

_HERE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Case:
    """One problem and the source of its numbers.

    Parameters
    ----------
    problem : Problem, PoolProblem
    weights : str
        `suites.cases.filters` has the hand-made kernels, such as ``"gaussian"``.
        ``"random"`` and ``"rank1"`` (an outer product per filter) are random.
        A path of a ``.npy`` file is possible, too.
    pixels : `str`
        ``"random"``, ``"photograph"``, ``"mri"``, or the path of a picture or array.
    algorithms : `tuple of str`
        Algorithms that take part, out of those that a run times; ``()`` stands for all.
    """

    problem: Any
    weights: str = "random"
    pixels: str = "random"
    algorithms: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not self.problem.batch:
            raise ConvbenchError(
                f"problem {self.problem}: an empty batch leaves nothing to compute; "
                f"give a batch of at least 1"
            )

    def entrants(self, algorithms: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of `algorithms` that take part."""
        return tuple(name for name in algorithms if name in (self.algorithms or algorithms))

    def as_words(self) -> dict[str, str]:
        """Return the case as a JSON object, for another process."""
        return {"problem": str(self.problem), "weights": self.weights, "pixels": self.pixels}

    @classmethod
    def of_words(cls, words: Mapping[str, str]) -> Case:
        """Return the case that `as_words` described."""
        return cls(parse(words["problem"]), words["weights"], words["pixels"])


@dataclass(frozen=True)
class Suite:
    """A named set of cases and how to time them.

    Parameters
    ----------
    name, title, question : `str`
    cases : `tuple of Case`
        All of them differ.
    algorithms : `tuple of str`
        Names, perhaps with a layout as in ``parallel@channels_last``; ``()`` stands for all
        algorithms but those that must be asked for by name.
    also : `tuple of str`
        Names of further algorithms, such as those that must be asked for by name.
    baseline : `str`
        The algorithm with which the others are compared.
    seconds : `float`
        Default time budget of the whole run.
    """

    name: str
    title: str
    question: str
    cases: tuple[Case, ...]
    algorithms: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    baseline: str = "naive"
    seconds: float = 60.0


def names() -> list[str]:
    """Return the suites that can be named: `quick`, the default, then ours and other packages'."""
    found = sorted({*(path.stem for path in _HERE.glob("*.toml")), *offered.files()})
    return sorted(found, key=lambda name: name != "quick")


def load(name_or_path: str | Path) -> Suite:
    """Load a suite by name, ours or of an installed package, or by the path of a ``.toml`` file.

    Raises
    ------
    ConvbenchError
        If the suite does not exist, or cannot be understood; the text gives file and key.

    Examples
    --------
    >>> quick = load("quick")
    >>> quick.baseline, quick.cases[0].problem.kernel
    ('naive', (3, 3))
    """
    text = str(name_or_path)
    if not text.lower().endswith(".toml") and "/" not in text and "\\" not in text:
        if text not in names():
            raise ConvbenchError(
                f"there is no suite {text!r} among those that come with convbench (one of your own "
                f"is given by its path, ending in .toml); {closest(text, names())}"
            )
        ours = _HERE / f"{text}.toml"
        return _read(ours, ours.name) if ours.is_file() else _of_package(text)
    path = Path(text).expanduser()
    if not path.is_file():
        beside = [p.name for p in path.parent.glob("*.toml") if p.name != "pyproject.toml"]
        near = closest(path.name, beside) if beside else "convbench list suites shows the shipped"
        raise ConvbenchError(f"suite file {text!r} does not exist; {near}")
    return _read(path, text)


def _of_package(name: str) -> Suite:
    """Load a suite that an installed package offers."""
    path = offered.files()[name]
    return _read(path, f"{path.name} of {path.parent}")


def _read(path: Path, shown: str) -> Suite:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConvbenchError(f"suite file {shown!r} cannot be read: {error}") from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        end = f"line {text.count(chr(10)) + 1}, column {len(text) - text.rfind(chr(10))}"
        what = str(error).replace("end of document", f"{end}, the end of the file")
        raise ConvbenchError(f"suite file {shown!r} is not TOML: {what}") from None
    sweeps = _check(table, _SUITE_KEYS, shown).pop("sweep", [])
    cases = list(_expand({"problems": table.pop("problems", [])}, path.parent, shown))
    for number, sweep in enumerate(sweeps, 1):
        where = f"{shown}, [[sweep]] number {number}"
        cases += _expand(_check(sweep, _SWEEP_KEYS, where), path.parent, where)
    if not cases:
        raise ConvbenchError(
            f"{shown}: the suite holds no problem; give problems = […] or a [[sweep]] "
            f"whose kernels fit its sizes"
        )
    for key in ("algorithms", "also"):
        table[key] = tuple(table.pop(key, ()))
    table = {"title": path.stem, "question": "", **table}
    # Overlapping sweeps are natural; timing the same thing twice is not.
    return Suite(name=path.stem, cases=tuple(dict.fromkeys(cases)), **table)


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _is_list(of: Any) -> Any:
    return lambda value: isinstance(value, list) and all(map(of, value))


def _or_list(of: Any) -> Any:
    return lambda value: of(value) or (bool(value) and _is_list(of)(value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_is_sizes = _or_list(_is_whole)
_WHOLE = (_or_list(_is_whole), "a whole number, or a list of them")
_SIZES = (_or_list(_is_sizes), "a whole number, or a list; per-axis values are lists inside it")
_TEXT = (_is_text, "text")
_TEXTS = (_or_list(_is_text), "text, or a list of texts")
_LIST = (_is_list(_is_text), "a list of texts")
_FLAG = (_or_list(lambda v: isinstance(v, bool)), "true or false, or a list of them")
_SUITE_KEYS = {
    "title": _TEXT,
    "question": _TEXT,
    "algorithms": _LIST,
    "also": _LIST,
    "baseline": _TEXT,
    "seconds": (lambda v: type(v) in (int, float) and v > 0, "a number of seconds above 0"),
    "problems": _LIST,
    "sweep": (_is_list(lambda v: isinstance(v, dict)), "one or more tables, written [[sweep]]"),
}
_SWEEP_KEYS = {
    **dict.fromkeys(("size", "kernel", "window", "stride", "dilation"), _SIZES),
    "tile": (
        _or_list(lambda v: _is_text(v) or _is_sizes(v)),
        'a whole number, "unshared", or a list of such; per-axis values are lists inside it',
    ),
    **dict.fromkeys(("batch", "in_channels", "out_channels", "groups"), _WHOLE),
    "padding": (
        _or_list(lambda v: _is_whole(v) or _is_text(v) or _is_list(_is_sizes)(v)),
        '"valid", "same", "full" or a whole number, or a list of such',
    ),
    "channels": _WHOLE,
    "axes": _WHOLE,
    "cval": (lambda v: type(v) in (int, float), "a number"),
    **dict.fromkeys(
        ("boundary", "dtype", "fit", "operation", "layout", "kind", "weights", "pixels"), _TEXTS
    ),
    "flip": _FLAG,
    "bias": (
        _or_list(lambda v: isinstance(v, bool) or _is_text(v)),
        'true, false, "channel", "location" or "tile", or a list of them',
    ),
    "name": _TEXT,
    "problems": _LIST,
    "algorithms": _LIST,
}


def _check(table: dict[str, Any], known: dict[str, Any], where: str) -> dict[str, Any]:
    for key, value in table.items():
        if key not in known:
            raise ConvbenchError(f"{where}: key {key!r} is not known; {closest(key, list(known))}")
        fits, wanted = known[key]
        if not fits(value):
            raise ConvbenchError(f"{where}: {key} = {value!r} must be {wanted}")
    return table


def _expand(sweep: dict[str, Any], folder: Path, where: str) -> Iterator[Case]:
    """Yield every case of a sweep, in the order of its keys, the last fastest."""
    spelt = {"size", "kernel", "stride", "dilation", "padding", "groups", "axes", "name"}
    spelt |= {"channels", "in_channels", "out_channels"}
    if "problems" in sweep and spelt & sweep.keys():
        key = next(key for key in sweep if key in spelt)
        raise ConvbenchError(
            f"{where}: {key} cannot stand beside problems; the descriptors spell it themselves"
        )
    entrants = tuple(sweep.get("algorithms", ()))
    for name in entrants:
        try:
            check_layout(name)
        except ConvbenchError as error:
            raise ConvbenchError(f"{where}: {error}") from None
    sweep = {key: value for key, value in sweep.items() if key != "algorithms"}
    choices = [v if isinstance(v, list) else [v] for v in sweep.values()]
    for combination in itertools.product(*choices):
        values = dict(zip(sweep, combination, strict=True))
        try:
            case = _case(dict(values), folder)
        except ConvbenchError as error:
            shown = ", ".join(f"{k} = {v!r}" for k, v in values.items() if k != "problems")
            raise ConvbenchError(f"{where}{f' ({shown})' if shown else ''}: {error}") from None
        if case is not None:
            yield replace(case, algorithms=entrants)


def _resolve(source: str, is_path: Callable[[str], bool], folder: Path) -> str:
    """Return the full path of a file beside the suite, or any other source unchanged."""
    if is_path(source) and not Path(source).expanduser().is_absolute():
        return str((folder / source).resolve())
    return source


def _case(values: dict[str, Any], folder: Path) -> Case | None:
    """Return the case of one combination, or None if its kernel does not fit."""
    weights = _resolve(values.pop("weights", "random"), filters.is_path, folder)
    pixels = _resolve(values.pop("pixels", "random"), pictures.is_path, folder)
    if "problems" in values:
        problem: Any = parse(values.pop("problems"), **values)
    else:
        make = _pool_problem if "window" in values else _problem
        problem = make(values, weights, pixels)
    if problem is None:
        return None
    if weights != "random" and problem.operation == "grad_weight":
        raise ConvbenchError(
            f"weights = {weights!r} give a kernel, grad_weight computes one; "
            f"keep them out of its sweep"
        )
    if weights not in ("random", "rank1"):
        filters.make(weights, problem.kernel, problem.axes)
    if pixels != "random":
        planes, size = pictures.size_of(pixels)
        if (planes, size) != (problem.batch * problem.in_channels, problem.size):
            raise ConvbenchError(
                f"{pixels!r} has shape {(planes, *size)}, planes first; leave size, batch and "
                f"channels out and they are taken from it"
            )
    return Case(problem, weights, pixels)


def _problem(values: dict[str, Any], weights: str, pixels: str) -> Problem | None:
    lists = {k: v for k, v in values.items() if isinstance(v, list) and k != "padding"}
    axes = values.pop("axes", len(next(iter(lists.values()))) if lists else 2)
    if axes not in AXES:
        raise ConvbenchError(f"axes = {axes} is not supported; give 1, 2 or 3")
    if "channels" in values:
        both = {"in_channels", "out_channels"} & values.keys()
        if both:
            raise ConvbenchError(f"channels sets {sorted(both)[0]} as well; give one of them")
        values["in_channels"] = values["out_channels"] = values.pop("channels")
    if pixels != "random":
        planes, size = pictures.size_of(pixels)
        values.setdefault("size", list(size))
        axes = len(size)
        if planes % values.get("in_channels", 1) == 0:
            values.setdefault("batch", planes // values.get("in_channels", 1))
        values.setdefault("name", f"{pictures.label(pixels)}:{pictures.label(weights)}")
    if "kernel" not in values and weights not in ("random", "rank1"):
        values["kernel"] = list(filters.make(weights, None, axes).shape[-axes:])
    for key in ("size", "kernel"):
        if key not in values:
            raise ConvbenchError(f"the sweep gives no {key}")
        if _is_whole(values[key]):
            values[key] = [values[key]] * axes
    return Problem(**values) if _fits(values) else None


def _pool_problem(values: dict[str, Any], weights: str, pixels: str) -> PoolProblem | None:
    """Return the pooling problem of one combination, or None if its window does not fit."""
    lists = [v for k, v in values.items() if isinstance(v, list) and k != "padding"]
    axes = values.pop("axes", len(lists[0]) if lists else 2)
    for key in ("size", "window"):
        if key not in values:
            raise ConvbenchError(f"the sweep gives no {key}")
        if _is_whole(values[key]):
            values[key] = [values[key]] * axes
    probe = PoolProblem(**{**values, "window": 1, "stride": 1})
    sides = probe.padding if values.get("padding") != "same" else ((w, w) for w in probe.size)
    room = (size + sum(side) for size, side in zip(probe.size, sides, strict=True))
    fits = all(window <= most for window, most in zip(values["window"], room, strict=True))
    return PoolProblem(**values) if fits else None


def _fits(values: dict[str, Any]) -> bool:
    """Return True if the kernel fits the padded input; `Problem` checks everything else."""
    if values.get("padding") in ("same", "full"):
        return True
    probe = Problem(**{**values, "kernel": 1, "fit": "floor"})
    kernel = replace(probe, kernel=values["kernel"], padding="full")
    return all(
        extent <= size + sum(padding)
        for extent, size, padding in zip(kernel.extent, probe.size, probe.padding, strict=True)
    )
