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

from .records import locate
from .records.locate import runs_folder
from .records.records import RunWriter, read_records

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RunWriter", "find", "latest", "read", "read_records", "runs_folder", "samples"]


def read(path: str | os.PathLike[str]) -> pd.DataFrame:
    """The run at `path` as a tidy table, one row a cell; see `results.tables.table.read`."""
    from .tables.table import read

    return read(path)


def samples(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Return the samples of the run at `path` in long form, one row a sample.

    Parameters
    ----------
    path : path
        A run's folder, or its ``records.jsonl``.

    Returns
    -------
    pandas.DataFrame
        ``label, operation, problem, name, weights, pixels, dtype, threads, kind, algorithm`` tell
        the cells apart. ``pass`` and ``block``, from 0, tell when a sample was taken: samples of
        one problem, thread count, pass and block were taken one after the other.
        ``sample_index`` counts the samples of a cell from 0; ``seconds`` is the time per call.
        Missing samples are left out, and so are those of cells that failed later.

    Raises
    ------
    ConvbenchError
        Where there is no run at `path`, or a line of it cannot be understood.

    Examples
    --------
    >>> frame = samples(latest())  # doctest: +SKIP
    >>> frame.groupby(["label", "algorithm", "pass"])["seconds"].min()  # doctest: +SKIP
    """
    from .tables.table import samples_of_run

    return samples_of_run(read_records(path))


def latest(folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the newest run in `folder`, by default `runs_folder()`."""
    return locate.latest(runs_folder() if folder is None else folder)


def find(text: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the run that `text` means: an id, its beginning, a suite or a path."""
    return locate.find(runs_folder() if folder is None else folder, text)
