"""Requests and replies between a run, its workers and the fork server: one line of JSON each.

All are frozen dataclasses. A request names the type of its reply: ``Request[Sampled]`` is answered
by a `Sampled`. Any request to a worker may be answered by `Unable` instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from results.records.columns import Outcome
from suites.truth.judge import Judgement

R = TypeVar("R")


@dataclass(frozen=True)
class Unable:
    """Reply to a request that failed: status and reason of the cell; `whole` is an exception."""

    status: str
    reason: str
    whole: str = ""


@dataclass(frozen=True)
class Done:
    """Reply without content."""


@dataclass(frozen=True)
class Reloaded:
    """Seconds to make a cell ready in a fresh process; compiling is part of them."""

    load_s: float
    compile_s: float


@dataclass(frozen=True)
class Weighed:
    """Peak bytes beyond input, kernel and output; None if unknown."""

    peak_extra_bytes: int | None


@dataclass(frozen=True)
class Compiled:
    """Kernels compiled or loaded; seconds that it took, by the clock and on all cores."""

    kernels: int = 0
    seconds: float = 0.0
    cpu: float = 0.0


@dataclass(frozen=True)
class Calibrated:
    """Calls in a sample; seconds of a call, and of emptying the caches ahead of it."""

    loops: int
    once_s: float
    sweep_s: float
    counters: Mapping[str, float]


@dataclass(frozen=True)
class Sampled:
    """Seconds per call, None if something was compiled; counts of interruptions."""

    seconds: float | None
    interruptions: Mapping[str, int]


@dataclass(frozen=True)
class Saved:
    """Reply to `Save`: the error of the disk, or None."""

    disk: str | None = None


@dataclass(frozen=True)
class Forked:
    """Process id of a new worker."""

    pid: int


@dataclass(frozen=True)
class Reaped:
    """Exit code of a worker, as `subprocess` gives it; None while it runs."""

    code: int | None


class Request(Generic[R]):
    """A message to a worker, which answers with an `R`."""


@dataclass(frozen=True, kw_only=True)
class Task(Request[R]):
    """A case and the algorithm that computes it; `case` is in the words of `Case.as_words`."""

    case: Mapping[str, str]
    algorithm: str
    threads: int
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class CellTask(Task[R]):
    """A task for cell number `cell`, which may take `allowance` bytes more; None means no limit."""

    cell: int
    allowance: int | None = None


@dataclass(frozen=True, kw_only=True)
class Load(CellTask[Outcome]):
    """Prepare a cell, call it once and verify it."""


@dataclass(frozen=True, kw_only=True)
class Again(CellTask[Reloaded]):
    """Prepare a cell that another process has verified, and call it once."""


@dataclass(frozen=True, kw_only=True)
class Compile(Task[Compiled]):
    """Compile the kernels of a task; if `spoilt`, the weights hold a NaN."""

    spoilt: bool = False


@dataclass(frozen=True, kw_only=True)
class Weigh(Task[Weighed]):
    """Measure the peak memory of a task."""


@dataclass(frozen=True, kw_only=True)
class Judge(Task[Judgement]):
    """Judge an algorithm within `allowance` more bytes; None means no limit."""

    allowance: int | None = None


@dataclass(frozen=True)
class Calibrate(Request[Calibrated]):
    """Choose the calls of a loaded cell that fill `seconds`."""

    cell: int
    seconds: float
    cold: bool = False


@dataclass(frozen=True)
class Sample(Request[Sampled]):
    """Time `loops` calls of a loaded cell.

    `warm` uncounted calls come first. If `cold`, the caches are emptied ahead of every call.
    """

    cell: int
    loops: int
    warm: int = 0
    cold: bool = False


@dataclass(frozen=True)
class Place(Request[Done]):
    """Keep all threads of the process on the cores `on`."""

    on: Sequence[int]


@dataclass(frozen=True)
class Save(Request[Saved]):
    """Write the output of a loaded cell to `path` as a .npy file."""

    cell: int
    path: str


@dataclass(frozen=True)
class Drop(Request[Done]):
    """Free the memory of all cells."""


@dataclass(frozen=True)
class Discover(Request[Done]):
    """Load algorithms from the file `path`, to test if the process survives it."""

    path: str


@dataclass(frozen=True)
class Fork(Request[Forked]):
    """To the fork server: make a worker that knows the algorithm files `files`.

    Two file descriptors come with it: the worker's socket and its standard error.
    """

    files: Sequence[str]


@dataclass(frozen=True)
class Reap(Request[Reaped]):
    """To the fork server: wait at most `seconds` for the end of worker `pid`."""

    pid: int
    seconds: float


_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        Load, Again, Compile, Weigh, Judge, Calibrate, Sample, Place, Save, Drop, Discover,
        Fork, Forked, Reap, Reaped,
        Outcome, Reloaded, Compiled, Weighed, Judgement, Calibrated, Sampled, Saved, Done, Unable,
    )
}  # fmt: skip


def encode(message: Any) -> bytes:
    """Return the line of a request or reply."""
    return json.dumps({"message": type(message).__name__, **vars(message)}).encode() + b"\n"


def decode(line: bytes) -> Any:
    """Return the request or reply of a line."""
    content = json.loads(line)
    return _KINDS[content.pop("message")](**content)
