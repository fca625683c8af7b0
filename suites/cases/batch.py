"""Problem files of oneDNN's benchdnn: descriptors, options, and files within files.

The format is benchdnn's (oneDNN, tests/benchdnn/doc). Blanks separate tokens, ``#`` starts a
comment, and a backslash at the end of a line continues it. An option holds until it is changed,
in nested files as well. If it lists several values, every problem is taken with each.

These options are understood: ``--mb`` (another batch size; 0 keeps each problem's), ``--dt``,
``--cfg``, ``--dir``, ``--match``, ``--reset`` and ``--batch``, and for pooling ``--alg``. Options
on memory layouts, post-operations and the choice of implementation are ignored, since they do not
change the convolution.

A file belongs to one driver. This is convolution, unless its path has a prefix (``deconv:FILE``
or ``pool:FILE``) or the file holds ``--deconv`` or ``--pool``. A line that clearly belongs to
another driver is never computed.

There are three departures from benchdnn. The gradient of the bias in ``BWD_WB`` is not computed.
A deconvolution has no bias. Without ``--dir`` no bias is added, while benchdnn adds one
(``FWD_B``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from algos.core.descriptor import DescriptorError
from algos.core.errors import ConvbenchError
from algos.drivers import DRIVERS, belongs_to

from .suite import Case

_TOKEN = re.compile(r'(?:"[^"\n]*"|\S)+')
_IGNORED = re.compile(
    r"--(tag|stag|wtag|dtag|strides|skip-impl|global-impl|impl|alg|attr.*|allow-.*|mode.*|fix-.*|"
    r"perf-.*|ctx-.*|cold-cache|canonical|summary|verbose|fast-ref.*|engine|cpu-isa-hints|"
    r"memory-kind|mem-check|buffer-prefix|start|repeats-per-prb|max-ms-per-prb|inplace|"
    r"bia-dt|bia_dt|runtime-.*|execution-mode|num-streams|check-ref-impl)(=.*)?|-v\d*"
)
_OTHER_DRIVERS = re.compile(
    r"--(ip|matmul|bnorm|lnorm|gnorm|lrn|softmax|eltwise|binary|prelu|reduction|"
    r"reorder|concat|sum|shuffle|resampling|rnn|zeropad|graph|brgemm|sdpa|gated_mlp)"
)
_FORWARD = ("FWD_B", "FWD_D", "FWD_I")
#: Operations of a direction, by driver; those of a deconvolution are of the mirrored convolution.
_DIRECTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "conv": {
        **dict.fromkeys(_FORWARD, ("forward",)),
        "BWD_D": ("grad_input",),
        "BWD_W": ("grad_weight",),
        "BWD_WB": ("grad_weight",),
        "BWD_DW": ("grad_input", "grad_weight"),
    },
    "deconv": {
        **dict.fromkeys(_FORWARD, ("grad_input",)),
        "BWD_D": ("forward",),
        "BWD_W": ("grad_weight",),
        "BWD_WB": ("grad_weight",),
        "BWD_DW": ("forward", "grad_weight"),
    },
    "pool": {**dict.fromkeys(_FORWARD, ("forward",)), "BWD_D": ("grad_input",)},
}
_POOLINGS: dict[str, dict[str, Any]] = {
    "max": {"kind": "max"},
    "avg_p": {"kind": "average"},
    "avg_np": {"kind": "average", "count_include_pad": False},
}
_POOLINGS |= {
    "pooling_max": _POOLINGS["max"],
    "pooling_avg_include_padding": _POOLINGS["avg_p"],
    "pooling_avg_exclude_padding": _POOLINGS["avg_np"],
}
MOST_REASONS = 3
_NAMES = {"conv": "convolution", "deconv": "deconvolution", "pool": "pooling"}


class Batch(NamedTuple):
    """The contents of a problem file.

    Parameters
    ----------
    cases : list of Case
        In the order of the file, each once.
    notes : list of str
        Sentences on what was left out, with reasons.
    """

    cases: list[Case]
    notes: list[str]


def read(path: str | Path, match: str | None = None) -> Batch:
    """Read a benchdnn problem file.

    Parameters
    ----------
    path : `str or Path`
        A driver and a colon may come first, as in ``deconv:FILE``.
    match : `str, optional`
        Regular expression. Problems whose text does not match it are left out.

    Raises
    ------
    ConvbenchError
        If the file cannot be understood, with file, line and column.
        If a nested file is missing or includes itself.
        If no problem is left.
    """
    driver, file = split(path)
    reader = _Reader(match=_pattern(match, "--match") if match else None, driver=driver)
    cases = list(dict.fromkeys(reader.file(file, ())))
    if reader.doubts and not reader.certain:
        raise ConvbenchError(reader.doubts[0])
    notes = [f"{reason} ({count} left out)" for reason, count in reader.left_out.items()]
    if not cases:
        reasons = [*reader.notes, *notes]
        why = "; ".join(reasons[:MOST_REASONS]) or "it holds no descriptor"
        if len(reasons) > MOST_REASONS:
            why += f"; and {len(reasons) - MOST_REASONS} more"
        raise ConvbenchError(f"{str(path)!r} leaves no problem to compute: {why}")
    return Batch(cases, [*reader.notes, *notes])


def split(path: str | Path) -> tuple[str, Path]:
    """Return the driver in front of a path, or ``""``, and the path without it."""
    driver, colon, rest = str(path).partition(":")
    if colon and driver in DRIVERS and not Path(path).exists():
        return driver, Path(rest).expanduser()
    return "", Path(path).expanduser()


@dataclass
class _Options:
    """Options with the defaults that ``--reset`` restores; each tuple holds alternatives."""

    batches: tuple[int, ...] = (0,)
    dtypes: tuple[str, ...] = ("",)
    directions: tuple[str, ...] = ("",)
    algorithms: tuple[str, ...] = ("max",)
    match: re.Pattern[str] | None = None


@dataclass
class _Reader:
    match: re.Pattern[str] | None = None
    options: _Options = field(default_factory=_Options)
    driver: str = ""
    #: `certain` is True once a line fits only its own driver. `doubts` are sentences on lines that
    #: do not fit, in files that name no driver.
    certain: bool = False
    doubts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def file(self, path: Path, above: tuple[Path, ...]) -> Iterator[Case]:
        """Yield every case of one file; `above` are the files that include it."""
        here = path.resolve()
        if here in above:
            chain = " → ".join(p.name for p in (*above, here))
            raise ConvbenchError(f"{str(path)!r} includes itself: {chain}")
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConvbenchError(f"problem file {str(path)!r} cannot be read: {error}") from None
        for token, line, column in _tokens(text):
            where = f"{path}, line {line}, column {column}"
            if token.startswith("--batch="):
                nested = _find(token.removeprefix("--batch="), path, where, self.driver or "conv")
                yield from self.file(nested, (*above, here))
            elif token.startswith("-"):
                self.option(token, where)
            else:
                yield from self.problem(token, path, line, column)

    def option(self, token: str, where: str) -> None:
        name, _, value = token.partition("=")
        values = [v for v in value.strip("\"'").split(",") if v]
        if name == "--reset":
            self.options = _Options()
        elif name == "--mb":
            if not values or not all(v.isascii() and v.isdigit() for v in values):
                raise ConvbenchError(f"{where}: {token!r} must give a batch size, or 0 for none")
            self.options.batches = tuple(int(v) for v in values)
        elif name in ("--dt", "--cfg"):
            self.options.dtypes = tuple(dict.fromkeys(map(_dtype, values))) or ("",)
        elif name == "--dir":
            self.options.directions = tuple(v.upper() for v in values) or ("",)
            for direction in self.options.directions:
                if direction and direction not in _DIRECTIONS["conv"]:
                    known = ", ".join(_DIRECTIONS["conv"])
                    raise ConvbenchError(f"{where}: {direction!r} is no direction; known: {known}")
        elif name == "--alg" and self.driver == "pool":
            self.options.algorithms = tuple(v.lower() for v in values) or ("max",)
            for algorithm in self.options.algorithms:
                if algorithm not in _POOLINGS:
                    known = ", ".join(_POOLINGS)
                    raise ConvbenchError(f"{where}: {algorithm!r} is no pooling; known: {known}")
        elif name == "--match":
            text = value.strip("\"'")
            self.options.match = _pattern(text, where) if text else None
        elif name[2:] in DRIVERS or _OTHER_DRIVERS.fullmatch(token):
            self.driver = name[2:]
        elif not _IGNORED.fullmatch(token):
            self.notes.append(f"{where}: option {token!r} is not known and was passed over")

    def problem(self, token: str, path: Path, line: int, column: int) -> Iterator[Case]:
        """Yield the cases of one descriptor, one for each combination of options."""
        driver = self.driver or "conv"
        if driver not in DRIVERS:
            left = f"only convolution, deconvolution and pooling are computed, not {driver}"
            self.left_out[left] += 1
            return
        if any(m and not m.search(token) for m in (self.match, self.options.match)):
            return
        where = f"{path}, line {line}"
        if not self._is_of(driver, token, path, where):
            return
        taken = self.options
        poolings = taken.algorithms if driver == "pool" else ("",)
        for batch, dtype, direction, pooling in product(
            taken.batches, taken.dtypes, taken.directions, poolings
        ):
            if dtype not in ("", "float32", "float64"):
                self.left_out[f"data type {dtype} is not computed, only f32 and f64 are"] += 1
                continue
            if direction and direction not in _DIRECTIONS[driver]:
                self.left_out[f"{_NAMES[driver]} has no direction {direction}"] += 1
                continue
            fields: dict[str, Any] = {"dtype": dtype} if dtype else {}
            fields |= _POOLINGS[pooling] if pooling else {}
            try:
                problem = DRIVERS[driver](token, **fields)
            except DescriptorError as error:
                at = column + error.column - 1
                if driver == "conv":
                    raise ConvbenchError(f"{where}, column {at}: {error}") from None
                # Files of these drivers that ship hold lines that contradict themselves.
                self._note(f"{where}, column {at}: {error} (left out)")
                return
            except ConvbenchError as error:
                self._note(f"{where}: {error} (left out)")
                if pooling:  # another kind may do with windows of padding alone
                    continue
                return
            changes = {"batch": batch or problem.batch}
            if driver == "conv":
                bias = direction == "FWD_B" or (problem.bias and not direction)
                changes["bias"] = bias
            if direction == "BWD_WB":
                self._note("direction BWD_WB is taken as BWD_W, without the bias")
            if direction == "FWD_B" and driver != "conv":
                self._note("direction FWD_B is taken as FWD_D, without the bias")
            operations = _DIRECTIONS[driver].get(direction, (problem.operation,))
            for operation in operations:
                yield Case(replace(problem, operation=operation, **changes))

    def _is_of(self, driver: str, token: str, path: Path, where: str) -> bool:
        """Return True if a line may be its driver's; else keep the sentence that says so."""
        found = belongs_to(token)
        folder = path.resolve().parent.name
        if found is None and not self.driver and folder in DRIVERS:
            found = folder
        if found in (None, driver):
            self.certain |= found is not None
            return True
        sentence = (
            f"{where}: {token!r} is a {_NAMES[str(found)]}, not a {_NAMES[driver]}; say "
            f"--batch {found}:{path}, or put --{found} before it"
        )
        if not self.driver:
            self.doubts.append(sentence)
        self._note(f"{sentence} (left out)")
        return False

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


def _tokens(text: str) -> Iterator[tuple[str, int, int]]:
    """(token, line, column) of every token outside comments, both counted from 1."""
    held = ""
    held_at = (0, 0)
    for number, line in enumerate(text.splitlines(), 1):
        body = line.rstrip()
        continued = body.endswith("\\")
        if continued:
            body = body[:-1].rstrip()
        for match in _TOKEN.finditer(body):
            token, at = match[0], (number, match.start() + 1)
            if token.startswith("#"):
                break
            if held:
                token, at, held = held + token, held_at, ""
            # A list of values may go on behind its comma in the next line.
            if continued and match.end() == len(body) and token.endswith(","):
                held, held_at = token, at
            else:
                yield token, *at
    if held:
        yield held, *held_at


def _dtype(text: str) -> str:
    """Our name for benchdnn's data type where every operand has it, or else its own text."""
    parts = {part.removesuffix("_wino") for part in text.split(":")}
    return {"f32": "float32", "f64": "float64"}.get("".join(parts), text)


def _pattern(text: str, where: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ConvbenchError(f"{where}: {text!r} is no regular expression: {error}") from None


def _find(name: str, path: Path, where: str, driver: str) -> Path:
    """Return a nested file: beside `path`, else below a folder above it, else from here."""
    name = name.strip("\"'")
    for folder in path.resolve().parents:
        for beside in ("", driver, f"inputs/{driver}"):
            if (candidate := folder / beside / name).is_file():
                return candidate
    if Path(name).is_file():
        return Path(name)
    raise ConvbenchError(
        f"{where}: the file {name!r} is neither beside {path.name} nor in a folder above it"
    )
