"""What a run leaves behind: one folder a run, one line of JSON a record, and reading it back.

``runs/<id>/records.jsonl`` opens with a ``run`` record (what was asked for, and the machine),
goes on with one ``cell`` record per problem × algorithm × thread count, one ``pass`` record
per problem × thread count and pass, with the samples of all algorithms that took turns, and
closes with an ``end`` record. Cells and passes that belong together share a ``group``, a number.
Every line is on the disk before the next is measured, so whatever ends a run, even a power cut,
costs at most what was in flight.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from algos.errors import ConvbenchError, closest

try:
    import fcntl
except ImportError:  # not offered by this system
    fcntl = None  # type: ignore[assignment]

from .files import disk_error, sync_folder, words

SCHEMA = 2
FILE = "records.jsonl"
STATUSES = ("ok", "unsupported", "failed", "refused", "skipped")

_NUMBER = (int, float)
#: What a cell record must hold for a table to be made of it, and of which type.
_CELL: dict[str, type | tuple[type, ...]] = {
    "suite": str,
    "problem": str,
    "operation": str,
    "algorithm": str,
    "dtype": str,
    "threads": int,
    "weights": str,
    "pixels": str,
    "batch": int,
    "in_channels": int,
    "out_channels": int,
    "groups": int,
    "size": list,
    "kernel": list,
    "stride": list,
    "dilation": list,
    "output_size": list,
    "multiply_adds": _NUMBER,
    "status": str,
    "reason": str,
    "group": int,
}
#: The same of a pass record.
_PASS: dict[str, type | tuple[type, ...]] = {"group": int, "pass": int, "samples_s": dict}


class RunWriter:
    """A run being written: creates its folder, then appends one record a line.

    Parameters
    ----------
    folder : path
        Where runs live; made where missing. The run gets a folder of its own inside, named
        after its id, which appears with its first record already in it or not at all.
    header : dict
        The ``run`` record. ``record``, ``schema`` and ``id`` are filled in here; the id is
        made of ``started`` (ISO 8601) and ``suite``, and numbered where it is taken.

    Attributes
    ----------
    id : str
    path : Path
        The folder of the run.

    Raises
    ------
    ConvbenchError
        Where the folder cannot be made or written, or the disk is full. What was written
        before stays whole: a record that could not be finished is taken back.
    """

    def __init__(self, folder: str | os.PathLike[str], header: dict[str, Any]) -> None:
        self.folder = Path(folder)
        self._descriptor = -1
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(prefix=".new-", dir=self.folder))
            staging.chmod(0o755)
        except OSError as error:
            raise disk_error(self.folder, error) from None
        try:
            self.id, self.path = self._settle(staging, header)
            self._open()
        except OSError as error:
            raise disk_error(self.folder, error) from None
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    @classmethod
    def reopen(cls, path: Path) -> Self:
        """Go on with the run in the folder `path`; half a line at its end is taken back.

        Raises `ConvbenchError` where another process is writing to it.
        """
        self = cls.__new__(cls)
        self.folder, self.id, self.path, self._descriptor = path.parent, path.name, path, -1
        try:
            self._open()
        except OSError as error:
            raise disk_error(path, error) from None
        return self

    def _open(self) -> None:
        """Open the records for this process alone, at the end of the last whole line."""
        self._descriptor = os.open(self.path / FILE, os.O_RDWR | os.O_APPEND)
        if fcntl:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.close()
                raise ConvbenchError(
                    f"run {self.id} is being written by another process; wait for its end"
                ) from None
            except OSError:  # a file system without locks
                pass
        written = (self.path / FILE).read_bytes()
        self._end = written.rfind(b"\n") + 1
        if self._end < len(written):
            os.ftruncate(self._descriptor, self._end)

    def _settle(self, staging: Path, header: dict[str, Any]) -> tuple[str, Path]:
        """Write the header in `staging`, then rename that to the first id that is free."""
        wanted = str(header.get("id") or _new_id(header))
        number = 1
        while True:
            name = wanted if number == 1 else f"{wanted}-{number}"
            number += 1
            path = self.folder / name
            if path.exists():
                continue
            line = _line({"record": "run", "schema": SCHEMA, **header, "id": name})
            with (staging / FILE).open("wb") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            try:
                staging.rename(path)
            except OSError as error:
                if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                    continue  # another run took the name since we looked
                raise
            sync_folder(self.folder)
            return name, path

    def append(self, record: dict[str, Any]) -> None:
        """Write `record` as one line and wait until it is on the disk."""
        if self._descriptor < 0:
            raise ConvbenchError(f"run {self.id} is closed; nothing more can be appended to it")
        line = _line(record)
        left = memoryview(line)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
            self._end += len(line)
            os.fsync(self._descriptor)
        except BaseException as error:  # Ctrl-C too must not leave half a line for the next
            if left:
                with suppress(OSError):  # failing that, a reader ignores a torn last line
                    os.ftruncate(self._descriptor, self._end)
            if isinstance(error, OSError):
                raise disk_error(self.path / FILE, error) from None
            raise

    def close(self) -> None:
        """Close the file; closing twice does no harm."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True)
class RunRecords:
    """The records of one run as they were written.

    `header` is the ``run`` record, `cells` the ``cell`` and `passes` the ``pass`` records in
    order, `end` the last record, or None where the run was killed or is still going.
    """

    path: Path
    header: dict[str, Any]
    cells: list[dict[str, Any]]
    passes: list[dict[str, Any]]
    end: dict[str, Any] | None

    @property
    def status(self) -> str:
        """``complete``, ``interrupted``, ``out of budget``, or ``unfinished``: no end yet."""
        return str(self.end.get("status", "complete")) if self.end else "unfinished"


def read_records(path: str | os.PathLike[str]) -> RunRecords:
    """Read the run at `path`, a run's folder or its ``records.jsonl``.

    A last line that is cut off, as a kill in mid-write leaves it, is ignored.

    Raises
    ------
    ConvbenchError
        Naming the file, and the line where one cannot be understood.
    """
    file = Path(path)
    if file.is_dir():
        file = file / FILE
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise ConvbenchError(
            f"{os.fspath(path)}: no run here, there is no {file.name}; "
            f"give the id or folder of a run"
        ) from None
    except OSError as error:
        raise ConvbenchError(f"{file} cannot be read: {words(error)}") from None
    lines = content.split(b"\n")
    lines.pop()  # b"" after a whole last line, the torn line otherwise
    records = [
        _parse(file, number, line) for number, line in enumerate(lines, start=1) if line.strip()
    ]
    if not records:
        raise ConvbenchError(f"{file} holds no record; the run ended before it began, delete it")
    _check_header(file, records[0])
    cells: list[dict[str, Any]] = []
    passes: list[dict[str, Any]] = []
    end = None
    for number, record in enumerate(records[1:], start=2):
        kind = record.get("record")
        if kind == "cell":
            _check_cell(file, number, record)
            cells.append(record)
        elif kind == "pass":
            _check_pass(file, number, record)
            passes.append(record)
        elif kind == "end":
            end = record
        else:
            raise ConvbenchError(
                f"{file}, line {number}: a record of kind {kind!r} was met, "
                f"expected 'cell', 'pass' or 'end'; was the file edited by hand?"
            )
    return RunRecords(file.parent, records[0], cells, passes, end)


def _new_id(header: dict[str, Any]) -> str:
    """``20261120-104212-quick`` from the start of the run and its suite."""
    digits = re.sub(r"\D", "", str(header.get("started", "")))[:14]
    suite = re.sub(r"[^\w.-]+", "-", str(header.get("suite", ""))).strip("-.")[:60]
    return "-".join(part for part in (digits[:8], digits[8:], suite) if part) or "run"


def _line(record: dict[str, Any]) -> bytes:
    text = json.dumps(_plain(record), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\n"


def _plain(value: Any) -> Any:
    """`value` in what JSON can say: NaN becomes null, infinity the text "inf"."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return str(value) if isinstance(value, os.PathLike) else value


def _parse(file: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ConvbenchError(f"{file}, line {number}: not a line of JSON ({error})") from None
    if not isinstance(record, dict):
        raise ConvbenchError(f"{file}, line {number}: expected one JSON object a line")
    return record


def _check_header(file: Path, header: dict[str, Any]) -> None:
    if header.get("record") != "run":
        raise ConvbenchError(
            f"{file}, line 1: expected the record that opens a run, met {header.get('record')!r}"
        )
    schema = header.get("schema")
    if schema != SCHEMA:
        remedy = "update convbench" if isinstance(schema, int) and schema > SCHEMA else "run again"
        raise ConvbenchError(
            f"{file}, line 1: written in format {schema!r}, "
            f"this convbench reads format {SCHEMA}; {remedy}"
        )


def _check_cell(file: Path, number: int, cell: dict[str, Any]) -> None:
    where = f"{file}, line {number}"
    _check_fields(where, cell, _CELL)
    if cell["status"] not in STATUSES:
        clause = closest(cell["status"], list(STATUSES))
        raise ConvbenchError(f"{where}: status {cell['status']!r} is not known; {clause}")


def _check_pass(file: Path, number: int, record: dict[str, Any]) -> None:
    where = f"{file}, line {number}"
    _check_fields(where, record, _PASS)
    for samples in record["samples_s"].values():
        for sample in samples:
            if sample is not None and not (isinstance(sample, _NUMBER) and sample > 0):
                raise ConvbenchError(f"{where}: sample {sample!r} is not a time in seconds")


def _check_fields(
    where: str, record: dict[str, Any], expected: dict[str, type | tuple[type, ...]]
) -> None:
    for key, kind in expected.items():
        if key not in record:
            raise ConvbenchError(f"{where}: the {record['record']} has no {key!r}")
        if not isinstance(record[key], kind):
            raise ConvbenchError(f"{where}: {key} {record[key]!r} is not of the expected type")
