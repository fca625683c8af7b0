"""Problem files of oneDNN's benchdnn: descriptors, options, and files within files.

The format is benchdnn's (oneDNN, tests/benchdnn/doc/driver_conv.md): tokens separated by
blanks, ``#`` starts a comment, a backslash at the end of a line continues it. Options
hold from where they stand until changed, through nested files too. Understood are
``--mb`` (another batch size; 0 keeps each problem's), ``--dt`` and ``--cfg``, ``--dir``,
``--match``, ``--reset`` and ``--batch``; where an option lists several values, every
problem is taken with each. What speaks of memory layouts, post-operations and choice of
implementation does not change what a convolution is, and is passed over.

Two departures: ``BWD_WB`` is computed without its bias gradient; and without ``--dir`` benchdnn
adds a bias (``FWD_B``), here a problem is what its line says.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

from algos.descriptor import DescriptorError, parse_descriptor
from algos.errors import ConvbenchError

from .suite import Case

_TOKEN = re.compile(r'(?:"[^"\n]*"|\S)+')
_IGNORED = re.compile(
    r"--(stag|wtag|dtag|strides|skip-impl|global-impl|impl|alg|attr.*|allow-.*|mode.*|fix-.*|"
    r"perf-.*|ctx-.*|cold-cache|canonical|summary|verbose|fast-ref.*|engine|cpu-isa-hints|"
    r"memory-kind|mem-check|buffer-prefix|start|repeats-per-prb|max-ms-per-prb|inplace|"
    r"bia-dt|bia_dt|runtime-.*|execution-mode|num-streams|check-ref-impl|conv)(=.*)?|-v\d*"
)
_OTHER_DRIVERS = re.compile(
    r"--(deconv|ip|matmul|pool|bnorm|lnorm|gnorm|lrn|softmax|eltwise|binary|prelu|reduction|"
    r"reorder|concat|sum|shuffle|resampling|rnn|zeropad|graph|brgemm|sdpa|gated_mlp)"
)
_FORWARD = {"FWD_B": True, "FWD_D": False, "FWD_I": False}
_BACKWARD = {
    "BWD_D": ("grad_input",),
    "BWD_W": ("grad_weight",),
    "BWD_WB": ("grad_weight",),
    "BWD_DW": ("grad_input", "grad_weight"),
}


class Batch(NamedTuple):
    """What a problem file holds.

    Parameters
    ----------
    cases : list of Case
        In the order of the file, each once.
    notes : list of str
        Sentences on what was left out and why.
    """

    cases: list[Case]
    notes: list[str]


def read(path: str | Path, match: str | None = None) -> Batch:
    """Read a benchdnn problem file.

    Parameters
    ----------
    path : str or Path
    match : str, optional
        A regular expression; only problems whose text it is found in are taken.

    Raises
    ------
    ConvbenchError
        Naming file, line and column where it cannot be understood; if a nested file is
        missing or includes itself; if no problem is left.
    """
    reader = _Reader(match=_pattern(match, "--match") if match else None)
    cases = list(dict.fromkeys(reader.file(Path(path).expanduser(), ())))
    notes = [f"{reason} ({count} left out)" for reason, count in reader.left_out.items()]
    if not cases:
        why = "; ".join([*reader.notes, *notes]) or "it holds no descriptor"
        raise ConvbenchError(f"{str(path)!r} leaves no problem to compute: {why}")
    return Batch(cases, [*reader.notes, *notes])


@dataclass
class _Options:
    """What ``--reset`` returns to; each tuple holds alternatives."""

    batches: tuple[int, ...] = (0,)
    dtypes: tuple[str, ...] = ("",)
    directions: tuple[str, ...] = ("",)
    match: re.Pattern[str] | None = None


@dataclass
class _Reader:
    match: re.Pattern[str] | None = None
    options: _Options = field(default_factory=_Options)
    convolution: bool = True
    notes: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def file(self, path: Path, above: tuple[Path, ...]) -> Iterator[Case]:
        """Every case of one file; `above` are the files that led here."""
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
                nested = _find(token.removeprefix("--batch="), path, where)
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
                if direction and direction not in (*_FORWARD, *_BACKWARD):
                    known = ", ".join((*_FORWARD, *_BACKWARD))
                    raise ConvbenchError(f"{where}: {direction!r} is no direction; known: {known}")
        elif name == "--match":
            text = value.strip("\"'")
            self.options.match = _pattern(text, where) if text else None
        elif _OTHER_DRIVERS.fullmatch(token):
            self.convolution = False
        elif _IGNORED.fullmatch(token):
            self.convolution = self.convolution or token == "--conv"
        else:
            note = f"{where}: option {token!r} is not known and was passed over"
            self.notes.append(note)

    def problem(self, token: str, path: Path, line: int, column: int) -> Iterator[Case]:
        if not self.convolution:
            self.left_out["only forward convolutions are computed, not other drivers"] += 1
            return
        if any(m and not m.search(token) for m in (self.match, self.options.match)):
            return
        for batch, dtype, direction in product(
            self.options.batches, self.options.dtypes, self.options.directions
        ):
            if dtype not in ("", "float32", "float64"):
                self.left_out[f"data type {dtype} is not computed, only f32 and f64 are"] += 1
                continue
            fields = {"dtype": dtype} if dtype else {}
            try:
                problem = parse_descriptor(token, **fields)
            except DescriptorError as error:
                at = column + error.column - 1
                raise ConvbenchError(f"{path}, line {line}, column {at}: {error}") from None
            except ConvbenchError as error:
                self.notes.append(f"{path}, line {line}: {error} (left out)")
                return
            bias = _FORWARD.get(direction, problem.bias) and direction not in _BACKWARD
            if direction == "BWD_WB":
                note = "direction BWD_WB is taken as BWD_W, without the bias"
                self.notes += [note] if note not in self.notes else []
            for operation in _BACKWARD.get(direction, (problem.operation,)):
                yield Case(
                    replace(
                        problem, batch=batch or problem.batch, bias=bias, operation=operation
                    )
                )  # fmt: skip


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


def _find(name: str, path: Path, where: str) -> Path:
    """A nested file: beside `path`, else below one of the folders above it, else from here."""
    name = name.strip("\"'")
    for folder in path.resolve().parents:
        for candidate in (folder / name, folder / "conv" / name, folder / "inputs/conv" / name):
            if candidate.is_file():
                return candidate
    if Path(name).is_file():
        return Path(name)
    raise ConvbenchError(
        f"{where}: the file {name!r} is neither beside {path.name} nor in a folder above it"
    )
