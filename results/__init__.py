"""What a run leaves behind: its records, tables made of them, and figures.

>>> import results
>>> frame = results.read(results.latest())  # doctest: +SKIP

Importing this package is cheap; pandas and matplotlib are loaded where they are first used.
Nothing here times anything, and nothing imports `suites`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from . import locate
from .locate import runs_folder
from .records import RunWriter, read_records

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RunWriter", "find", "latest", "read", "read_records", "runs_folder"]


def read(path: str | os.PathLike[str]) -> pd.DataFrame:
    """The run at `path` as a tidy table, one row a cell; see `results.table.read`."""
    from .table import read

    return read(path)


def latest(folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the newest run in `folder`, by default in ``results/runs``."""
    return locate.latest(runs_folder() if folder is None else folder)


def find(text: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the run that `text` means: an id, its beginning, a suite or a path."""
    return locate.find(runs_folder() if folder is None else folder, text)
