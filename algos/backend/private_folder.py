"""Folders that nobody else may write to, for files that are run when they are read.

Numba's cached kernels are pickles, so a file planted among them would be executed. The check is
that of OpenSSH's StrictModes: the folder is the user's own, and no other user can replace it by
renaming one of the folders above it.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path


def make_private(folder: Path, parents: bool = True) -> str | None:
    """Create `folder` for this user alone; return the reason where it cannot be trusted.

    Parameters
    ----------
    folder : Path
        Folders above it that are missing are created as private as it is.
    parents : bool
        Check every folder above it too. Unnecessary next to our own source files: a user who can
        replace the folder there can replace the sources.
    """
    if not folder.is_absolute():
        return f"{folder} is not an absolute path"
    try:
        for place in reversed((folder, *folder.parents)):
            with suppress(FileExistsError):
                if not place.is_symlink() and not place.exists():
                    place.mkdir(mode=0o700)
        if not hasattr(os, "geteuid"):  # the system has no owners of this kind
            return None
        above = {*folder.parents, *folder.resolve().parents} if parents else set()
        reasons = (_doubt_about_parent(place) for place in sorted(above))
        return next(filter(None, reasons), None) or _doubt_about(folder)
    except OSError as error:
        return f"{error.filename or folder}: {error.strerror or error}"


def _doubt_about(folder: Path) -> str | None:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return f"{folder} is a link or a file"
    if status.st_uid != os.geteuid():
        return f"{folder} belongs to another user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{folder} could be written by other users"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder} may not be written"
    if stat.S_IMODE(status.st_mode) != 0o700:
        folder.chmod(0o700)
    return None


def _doubt_about_parent(place: Path) -> str | None:
    """Return why another user might exchange what lies in `place`."""
    status = place.lstat()
    if status.st_uid not in (0, os.geteuid()):
        return f"{place} belongs to another user"
    shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    # In a sticky folder such as /tmp, only its owner may rename an entry. The mode of a link
    # says nothing; the folder that it leads to is checked as well.
    if shared and not stat.S_ISLNK(status.st_mode) and not status.st_mode & stat.S_ISVTX:
        return f"{place} could be written by other users"
    return None
