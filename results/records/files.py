"""Writing of whole files, and sentences for errors of the disk."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from algos.core.errors import ConvbenchError


def write_whole(path: Path, content: str | bytes) -> Path:
    """Write `content` under a temporary name, then rename it: a reader never sees half a file.

    Missing folders are created; text is written as UTF-8. A full disk or a read-only folder
    raises `ConvbenchError` and leaves the old file at `path` unchanged.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException as error:
        if temporary:
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise disk_error(path, error) from None
        raise
    return path


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut, if the system supports it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def words(error: OSError) -> str:
    """Return the system's message for `error`."""
    return error.strerror or str(error)


def disk_error(path: Path, error: OSError) -> ConvbenchError:
    """Return the error for a failure to write `path`, with a remedy."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ConvbenchError(
            f"the disk is full: {path} could not be written to its end; free some space and "
            f"start again, or choose another folder. What was saved before is whole"
        )
    return ConvbenchError(
        f"{path} cannot be written: {words(error)}; choose a folder that you may write to"
    )
