"""Results of a run: its records, the tables made from them, and the figures.

Importing this package is cheap; pandas and matplotlib are loaded on first use. The package
times nothing and never imports `suites`.

>>> import results
>>> frame = results.read(results.latest())  # doctest: +SKIP
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from . import plot
from .records import locate
from .records.locate import runs_folder
from .records.records import RunWriter, read_records

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "RunWriter", "best", "find", "latest", "plot", "read", "read_records", "runs_folder", "samples",
]  # fmt: skip


def read(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Return the run at `path` as a table, one row per cell; see `results.tables.table.read`.

    A notebook shows its verdicts and main columns.
    """
    from .tables.notebook import for_notebooks
    from .tables.table import read

    return for_notebooks(read(path))


def best(frame: pd.DataFrame) -> pd.DataFrame:
    """Return each problem's winner, its lead and the call that runs it.

    `frame` is a table of `read`, or some rows of it; see `results.tables.best.best`.
    """
    from .tables.best import best

    return best(frame)


def samples(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Return the samples of the run at `path` in long form, one row per sample.

    Parameters
    ----------
    path : path
        A run's folder, or its ``records.jsonl``.

    Returns
    -------
    pandas.DataFrame
        ``label, operation, problem, name, weights, pixels, dtype, threads, kind, algorithm``
        identify the cell. ``pass`` and ``block`` count from 0. Samples of one problem, thread
        count, pass and block were taken one after the other.
        ``sample_index`` counts the samples of a cell from 0; ``seconds`` is the time per call.
        Missing samples are left out, like the samples of cells that failed later.

    Raises
    ------
    ConvbenchError
        If `path` holds no run, or a line of its records cannot be understood.

    Examples
    --------
    >>> frame = samples(latest())  # doctest: +SKIP
    >>> frame.groupby(["label", "algorithm", "pass"])["seconds"].min()  # doctest: +SKIP
    """
    from .tables.table import samples_of_run

    return samples_of_run(read_records(path))


def latest(folder: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of the newest run in `folder`, by default `runs_folder()`."""
    return locate.latest(runs_folder() if folder is None else folder)


def find(text: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of the run that `text` names: an id, its beginning, a suite or a path."""
    return locate.find(runs_folder() if folder is None else folder, text)
