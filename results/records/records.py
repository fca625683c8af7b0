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
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from algos.core.errors import ConvbenchError

try:
    import fcntl
except ImportError:  # not offered by this system
    fcntl = None  # type: ignore[assignment]

from .checks import FILE, SCHEMA, RunRecords, checked
from .files import disk_error, sync_folder, words


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


def read_records(path: str | os.PathLike[str]) -> RunRecords:
    """Read the run at `path`, a run's folder or its ``records.jsonl``.

    A last line that is cut off, as a kill in mid-write leaves it, is ignored.

    Raises
    ------
    ConvbenchError
        Naming the file, and the line and the field where one cannot be understood.
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
