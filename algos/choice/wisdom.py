"""Wisdom: times measured on this machine, or shipped for its processor.

One entry holds the times of all algorithms that were timed on one problem with one number of
threads. A choice for a use or a class of accuracy follows from it, so one entry serves them all.
An entry is one file, written in one step, so several processes may tune at once. A file that is
damaged, or from another processor or version, is ignored. A warning says so once.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from algos.core.errors import ConvbenchError
from algos.core.spelling import nameless

from .machine import folder, versions, write

if TYPE_CHECKING:
    import pandas as pd

#: Name of the folder of entries, within that for wisdom.
ENTRIES = "times"
#: Columns of a table that `learn` reads.
COLUMNS = (
    "problem", "threads", "algorithm", "status", "time_s", "time_low_s", "time_high_s", "prepare_s",
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """Seconds of a call with their 95 % interval, and seconds to prepare the kernel."""

    time_s: float
    low_s: float
    high_s: float
    prepare_s: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.time_s, self.low_s, self.high_s, self.prepare_s)
        if not all(isinstance(n, int | float) and 0 <= n < math.inf for n in numbers):
            raise ValueError(f"{numbers} are no times")
        if not self.time_s:
            raise ValueError("a call takes some time")

    def of(self, use: str) -> Measured:
        """Return the times of a call for `use`: with "once", preparing is a part of it."""
        more = self.prepare_s if use == "once" else 0.0
        return Measured(self.time_s + more, self.low_s + more, self.high_s + more, self.prepare_s)


@dataclass(frozen=True)
class Entry:
    """Times of algorithms by name, for the problem of this descriptor and `threads` threads."""

    problem: str
    threads: int
    times: Mapping[str, Measured]
    source: str = "measured here"

    def as_json(self) -> dict[str, Any]:
        """Return the entry as it is kept."""
        times = {name: [*asdict(found).values()] for name, found in self.times.items()}
        return {**versions(), "problem": self.problem, "threads": self.threads, "times": times}

    @classmethod
    def from_json(cls, kept: Any, source: str = "measured here") -> Entry:
        """Return the entry that `kept` says; raise ValueError, TypeError or KeyError if none."""
        times = {str(name): Measured(*found) for name, found in kept["times"].items()}
        return cls(str(kept["problem"]), int(kept["threads"]), times, source)


def descriptor(problem: Any) -> str:
    """Return the descriptor of `problem` without its name."""
    return nameless(str(problem))


def lookup(problem: Any, threads: Collection[int], shipped_only: bool = False) -> Entry | None:
    """Return what is known of `problem` with one of these numbers of threads.

    The user's own entries come before shipped ones, and more threads before fewer.
    """
    text = descriptor(problem)
    counts = sorted(threads, reverse=True)
    own = [] if shipped_only else [_read(_file(text, count)) for count in counts]
    return next(filter(None, [*own, *(shipped().get((text, count)) for count in counts)]), None)


def remember(entry: Entry) -> None:
    """Keep `entry`; times of other algorithms on the same problem stay."""
    file = _file(entry.problem, entry.threads)
    before = _read(file)
    times = {**(before.times if before else {}), **entry.times}
    write(file, Entry(entry.problem, entry.threads, times).as_json())


def learn(frame: pd.DataFrame) -> int:
    """Keep the times of a finished run, so that its winners are chosen from now on.

    Parameters
    ----------
    frame : DataFrame
        Table of a run, as `results.read` returns it.

    Returns
    -------
    int
        Number of problems and thread counts that entries were kept for.

    Raises
    ------
    ConvbenchError
        If a column is missing, the run comes from another processor or version of Numba, or the
        folder for wisdom cannot be written.
    """
    missing = [name for name in COLUMNS if name not in getattr(frame, "columns", ())]
    if missing:
        raise ConvbenchError(
            f"the table lacks the column {missing[0]!r}; give the table of a run, as "
            f"convbench.read() returns it"
        )
    about, here = frame.attrs.get("environment") or {}, versions()
    for key, name in (("cpu", "target"), ("numba", "numba")):
        if name in about and about[name] != here[key]:
            raise ConvbenchError(
                f"the run was measured with {name} {about[name]}, but this is {here[key]}; times "
                f"of another processor or version do not hold here: measure again"
            )
    found = entries_of(frame)
    for entry in found:
        remember(entry)
    _forget_orders()
    return len(found)


def entries_of(frame: pd.DataFrame) -> list[Entry]:
    """Return the times of our algorithms in the table of a run, by problem and thread count."""
    timed = frame[(frame["status"] == "ok") & frame["time_s"].notna()]
    if "convert_s" in timed:  # other people's libraries are never chosen
        timed = timed[~timed["algorithm"].isin(frame.attrs.get("peers") or ())]
    # Names with a layout (`results.records.entrants`) were called on arrays of another problem.
    timed = timed[["@" not in str(name) for name in timed["algorithm"]]]
    found: dict[tuple[str, int], dict[str, Measured]] = {}
    for row in timed.to_dict("records"):
        place = nameless(str(row["problem"])), int(row["threads"])
        found.setdefault(place, {})[str(row["algorithm"])] = _measured(row)
    return [Entry(problem, threads, times) for (problem, threads), times in found.items()]


def _measured(row: Mapping[Any, Any]) -> Measured:
    """Return the times of a row; an interval not known is as wide as the time itself."""
    time = float(row["time_s"])
    usual = {"time_low_s": 0.0, "time_high_s": 2 * time, "prepare_s": 0.0}
    given = {name: float(row[name]) for name in usual}
    return Measured(time, *(usual[n] if math.isnan(v) else v for n, v in given.items()))


def entries() -> list[Entry]:
    """Return all entries of the user's that hold here."""
    files = sorted((folder() / ENTRIES).glob("*.json"))
    return [entry for entry in map(_read, files) if entry]


def forget() -> int:
    """Delete all of the user's entries; return their number."""
    files = list((folder() / ENTRIES).glob("*.json"))
    for file in files:
        file.unlink(missing_ok=True)
    _forget_orders()
    return len(files)


def export_to(path: str | Path) -> int:
    """Write all entries that hold here to one file; return their number."""
    found = entries()
    write(Path(path), {**versions(), "entries": [entry.as_json() for entry in found]})
    return len(found)


def import_from(path: str | Path) -> int:
    """Keep the entries of an exported file; return their number.

    Raises
    ------
    ConvbenchError
        If the file cannot be read, holds no wisdom, or comes from another processor or version.
    """
    try:
        kept = json.loads(Path(path).read_text(encoding="utf-8"))
        read = [Entry.from_json(one) for one in kept["entries"]]
    except OSError as error:
        raise ConvbenchError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError):
        raise ConvbenchError(
            f"{path} holds no wisdom; `convbench tune --export FILE` writes such a file"
        ) from None
    if found := _foreign(kept):
        raise ConvbenchError(f"{path} was measured with {found}; tune on this machine instead")
    for entry in read:
        remember(entry)
    _forget_orders()
    return len(read)


def _file(text: str, threads: int) -> Path:
    key = sha256(f"{text} {threads}".encode()).hexdigest()[:32]
    return folder() / ENTRIES / f"{key}.json"


def _read(file: Path) -> Entry | None:
    """Return the entry in `file`; None if there is none, or it does not hold here."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            _warn(f"wisdom in {file} cannot be read and is ignored")
        return None
    try:
        kept = json.loads(text)
        entry = Entry.from_json(kept)
    except (ValueError, KeyError, TypeError, AttributeError):
        _warn(f"wisdom in {file} is damaged and is ignored; delete the file")
        return None
    if found := _foreign(kept):
        _warn(
            f"wisdom in {file.parent} was measured with {found}, and is ignored; "
            f"`convbench tune` measures anew"
        )
        return None
    return entry


def _foreign(kept: Mapping[str, Any]) -> str:
    """Return the first fact by which `kept` does not hold here, as text; "" if it holds."""
    for name, here in versions().items():
        if kept.get(name) != here:
            return f"{name} {kept.get(name)}, not {here}"
    return ""


@cache
def _warn(sentence: str) -> None:
    """Warn once a process."""
    warnings.warn(sentence, stacklevel=2)


@cache
def shipped() -> Mapping[tuple[str, int], Entry]:
    """Return the entries that come with convbench for this processor, by problem and threads."""
    file = Path(__file__).with_name("shipped") / f"{versions()['cpu']}.json"
    if not file.exists():
        return {}
    read: Iterable[Any] = json.loads(file.read_text(encoding="utf-8"))["entries"]
    found = [Entry.from_json(one, "shipped") for one in read]
    return {(entry.problem, entry.threads): entry for entry in found}


def _forget_orders() -> None:
    """Let the next choice look at the entries again."""
    for clear in on_change:
        clear()


#: Functions to call when entries have changed.
on_change: list[Any] = []
