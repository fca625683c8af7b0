"""Files written whole or not at all, and a disk that refuses as a sentence."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from algos.core.errors import ConvbenchError


def write_whole(path: Path, content: str | bytes) -> Path:
    """Write `content` under another name, then rename: nobody ever meets half a file.

    Missing folders are made; text is written as UTF-8. A full disk or a folder that may not be
    written raises `ConvbenchError` and leaves what was at `path` before.
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
    """Make a rename inside `folder` outlast a power cut, where the system lets us."""
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
    """What the system says went wrong."""
    return error.strerror or str(error)


def disk_error(path: Path, error: OSError) -> ConvbenchError:
    """A failure to write `path`, as a sentence that says what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ConvbenchError(
            f"the disk is full: {path} could not be written to its end; free some space and "
            f"start again, or choose another folder. What was saved before is whole"
        )
    return ConvbenchError(
        f"{path} cannot be written: {words(error)}; choose a folder that you may write to"
    )
