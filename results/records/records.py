"""Writing and reading a run: one folder per run, one line of JSON per record.

``runs/<id>/records.jsonl`` opens with a ``run`` record: the options of the run, and the machine.
A ``cell`` record follows for each problem × algorithm × thread count. A ``pass`` record holds the
samples of all algorithms for one problem, thread count and pass. The last line is an ``end``
record.

Cells and passes of one problem and thread count share a number, their ``group``.
Every line is on the disk before the next is measured. A crash, even a power cut, therefore costs
only the measurement in progress. A run that is known from the start is written at once.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from algos.core.errors import ConvbenchError

try:
    import fcntl
except ImportError:  # not offered by this system
    fcntl = None  # type: ignore[assignment]

from .checks import checked
from .files import disk_error, sync_folder, words
from .record import Record
from .run import FILE, RunHeader, RunRecords


class RunWriter:
    """Writer of a run: creates its folder, then appends one record per line.

    Parameters
    ----------
    folder : path
        Folder of all runs; created if missing. The new run gets a subfolder named after its
        id. The subfolder appears only with `header` and `records` in it.
    header : RunHeader
        The first record. Its id is set here. The id is built from ``started`` (ISO 8601) and
        ``suite``. A number is appended if the id exists.
    records : sequence of Record
        Records that are known from the start. They are written all or none.

    Attributes
    ----------
    id : str
    path : Path
        The folder of the run.

    Raises
    ------
    ConvbenchError
        If the folder cannot be created or written, or the disk is full. Earlier records
        stay whole; an unfinished record is removed.
    """

    def __init__(
        self, folder: str | os.PathLike[str], header: RunHeader, records: Sequence[Record] = ()
    ) -> None:
        self.folder = Path(folder)
        self._descriptor = -1
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(prefix=".new-", dir=self.folder))
            staging.chmod(0o755)
        except OSError as error:
            raise disk_error(self.folder, error) from None
        try:
            self.id, self.path = self._settle(staging, header, records)
            self._open()
        except OSError as error:
            raise disk_error(self.folder, error) from None
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    @classmethod
    def reopen(cls, path: Path) -> Self:
        """Continue the run in the folder `path`; half a line at its end is removed.

        Raises `ConvbenchError` if another process is writing to it.
        """
        self = cls.__new__(cls)
        self.folder, self.id, self.path, self._descriptor = path.parent, path.name, path, -1
        try:
            self._open()
        except OSError as error:
            raise disk_error(path, error) from None
        return self

    def _open(self) -> None:
        """Open and lock the records at the end of the last whole line."""
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

    def _settle(
        self, staging: Path, header: RunHeader, records: Sequence[Record]
    ) -> tuple[str, Path]:
        """Write the first records into `staging`, then rename `staging` to the first free id."""
        lines = b"".join(map(_line, records))
        wanted = header.id or _new_id(header)
        number = 1
        while True:
            name = wanted if number == 1 else f"{wanted}-{number}"
            number += 1
            path = self.folder / name
            if path.exists():
                continue
            with (staging / FILE).open("wb") as file:
                file.write(_line(replace(header, id=name)) + lines)
                file.flush()
                os.fsync(file.fileno())
            try:
                staging.rename(path)
            except OSError as error:
                if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                    continue  # another run took the name after the check
                raise
            sync_folder(self.folder)
            return name, path

    def append(self, record: Record) -> None:
        """Write `record` as one line, and wait until it is on the disk."""
        self.append_all([record])

    def append_all(self, records: Sequence[Record]) -> None:
        """Write `records`, all or none of them, and wait until they are on the disk."""
        if self._descriptor < 0:
            raise ConvbenchError(f"run {self.id} is closed; nothing more can be appended to it")
        line = b"".join(map(_line, records))
        left = memoryview(line)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
            self._end += len(line)
            os.fsync(self._descriptor)
        except BaseException as error:  # Ctrl-C must not leave half a line either
            if left:
                with suppress(OSError):  # if this fails, readers ignore the torn line
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


def write_records(folder: str | os.PathLike[str], run: RunRecords) -> Path:
    """Write `run`, whole or not at all, as a new run in `folder`; return the new run's folder."""
    records: list[Record] = [*run.cells, *run.passes, *([run.end] if run.end else [])]
    with RunWriter(folder, replace(run.header, id=None), records) as writer:
        return writer.path


def read_records(path: str | os.PathLike[str]) -> RunRecords:
    """Read the run at `path`, a run's folder or its ``records.jsonl``.

    An incomplete last line, left by a kill during a write, is ignored.

    Raises
    ------
    ConvbenchError
        If the file cannot be read; the message names file, line and field.
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
    return checked(file, [(at, line) for at, line in enumerate(lines, start=1) if line.strip()])


def _new_id(header: RunHeader) -> str:
    """Return an id like ``20261120-104212-quick`` from start time and suite."""
    digits = re.sub(r"\D", "", header.started or "")[:14]
    suite = re.sub(r"[^\w.-]+", "-", header.suite or "").strip("-.")[:60]
    return "-".join(part for part in (digits[:8], digits[8:], suite) if part) or "run"


def _line(record: Record) -> bytes:
    line = plain(record.as_json())
    text = json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\n"


def plain(value: Any) -> Any:
    """Return `value` in types of JSON: NaN becomes null, infinity the text "inf"."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return str(value) if isinstance(value, os.PathLike) else value
