"""A run as a tidy table: one row a cell, with its statistics beside what was measured."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import pandas as pd

from . import roofline
from .labels import GROUP, in_order, problem_labels
from .records import RunRecords, read_records
from .statistics import NOTHING, leads, median_interval, paired_ratio

#: The columns of `read`, in order, with the type of each.
COLUMNS: dict[str, str] = {
    "suite": "str", "label": "str", "problem": "str", "name": "str", "operation": "str",
    "algorithm": "str", "dtype": "str", "threads": "int64", "weights": "str", "pixels": "str",
    "status": "str", "reason": "str", "time_s": "float64", "time_low_s": "float64",
    "time_high_s": "float64", "speedup": "float64", "speedup_low": "float64",
    "speedup_high": "float64", "winner": "bool", "decided": "bool", "rivals": "str",
    "gflops": "float64", "intensity": "float64", "attainable_s": "float64",
    "roofline_percent": "float64", "compile_s": "float64", "prepare_s": "float64",
    "first_call_s": "float64", "workspace_bytes": "float64", "error_over_bound": "float64",
    "batch": "int64", "in_channels": "int64", "out_channels": "int64", "groups": "int64",
    "size": "str", "kernel": "str", "stride": "str", "dilation": "str", "output_size": "str",
    "multiply_adds": "float64", "compulsory_bytes": "float64", "parameters": "float64",
    "blocks": "int64", "loops": "float64", "samples": "object",
}  # fmt: skip

_SHAPES = ("size", "kernel", "stride", "dilation", "output_size")
_OPTIONAL = ("compile_s", "prepare_s", "first_call_s", "workspace_bytes", "error_over_bound",
             "multiply_adds", "compulsory_bytes", "parameters", "loops")  # fmt: skip
_DTYPES: Any = {name: kind for name, kind in COLUMNS.items() if kind != "object"}
#: What only the other cells of a problem can tell, until `_compare` fills it in.
_COMPARED = {
    "label": "", "speedup": math.nan, "speedup_low": math.nan, "speedup_high": math.nan,
    "winner": False, "decided": False, "rivals": "",
    "intensity": math.nan, "attainable_s": math.nan, "roofline_percent": math.nan,
}  # fmt: skip


def read(path: str | os.PathLike[str]) -> pd.DataFrame:
    """The run at `path` as a table with one row a cell.

    Parameters
    ----------
    path : path
        A run's folder, or its ``records.jsonl``.

    Returns
    -------
    pandas.DataFrame
        Columns, in this order:

        - ``suite, label, problem, name, operation, algorithm, dtype, threads, weights, pixels``:
          what was asked for; ``label`` is short and unique within the run;
        - ``status, reason``: ``ok``, ``unsupported``, ``failed``, ``refused`` or ``skipped``,
          and the sentence that explains it; whatever was not measured is NaN;
        - ``time_s, time_low_s, time_high_s``: seconds per call, the median of the samples and
          its distribution-free 95 % interval from order statistics. With fewer than 6 samples
          no such interval exists and the two are the smallest and the largest sample;
        - ``speedup, speedup_low, speedup_high``: time of the run's baseline over that of this
          algorithm, same problem, data, dtype and threads: the median of the ratios formed
          inside each block, and its interval, as above;
        - ``winner``: fastest of its problem × threads by ``time_s``. On that row ``decided``
          says whether its lead over every other algorithm is beyond doubt (the interval of the
          paired ratio lies above 1; with fewer than 6 blocks, 10 % or more in every one), and
          ``rivals`` names, in order of speed, those it may not have beaten;
        - ``gflops``: 2 · multiply_adds / time_s / 10⁹. Effective: it counts the operations of
          the direct algorithm whatever this one does, and may pass the machine's peak;
        - ``intensity``: those operations per compulsory byte; ``attainable_s``: the least time
          that the machine's measured peak and bandwidth allow the problem;
          ``roofline_percent``: 100 · attainable_s / time_s, see `results.roofline`;
        - ``compile_s, prepare_s, first_call_s``: seconds, each apart from ``time_s``;
        - ``workspace_bytes``, ``error_over_bound`` (worst error over its proven bound);
        - ``batch, in_channels, out_channels, groups``, and as text, ``"256x256"``:
          ``size, kernel, stride, dilation, output_size``;
        - ``multiply_adds, compulsory_bytes, parameters``;
        - ``blocks``: how many blocks gave a sample; ``loops``: calls per sample;
        - ``samples``: seconds per call as a tuple, one entry a block, NaN where missing.

        ``attrs`` holds the run record (``id``, ``suite``, ``baseline``, ``environment``, …) and
        ``status`` (``complete``, ``interrupted``, ``out of budget`` or ``unfinished``) and
        ``path``.

    Raises
    ------
    ConvbenchError
        If there is no run at `path` or a line of it cannot be understood.

    Examples
    --------
    >>> frame = read("results/runs/20261120-104212-quick")  # doctest: +SKIP
    >>> frame[frame["winner"]].groupby("algorithm").size()  # doctest: +SKIP
    """
    return tabulate_run(read_records(path))


def tabulate_run(run: RunRecords) -> pd.DataFrame:
    """The table of `read` from records already read."""
    rows = [_row(cell) for cell in run.cells]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame = frame.astype(_DTYPES)
    # A cell measured again (a run taken up anew) replaces the earlier attempt.
    frame = frame.drop_duplicates([*GROUP, "algorithm"], keep="last", ignore_index=True)
    frame["label"] = problem_labels(frame)
    _compare(frame, str(run.header.get("baseline", "naive")))
    roofline.add(frame, run.header.get("limits"))
    frame = frame.astype(_DTYPES)
    frame.attrs.update(run.header)
    frame.attrs.update(status=run.status, path=str(run.path))
    return frame


def _row(cell: dict[str, Any]) -> dict[str, Any]:
    ok = cell["status"] == "ok"
    samples = tuple(math.nan if s is None else float(s) for s in cell["samples_s"]) if ok else ()
    time = median_interval(samples)
    work = cell["multiply_adds"]
    row = {name: cell.get(name) for name in COLUMNS}
    row.update({name: "x".join(str(n) for n in cell[name]) for name in _SHAPES})
    row.update(
        {name: math.nan if cell.get(name) is None else float(cell[name]) for name in _OPTIONAL}
    )
    row.update(
        name=cell.get("name") or "",
        time_s=time.middle,
        time_low_s=time.low,
        time_high_s=time.high,
        gflops=2 * work / time.middle / 1e9 if work else math.nan,
        blocks=sum(not math.isnan(sample) for sample in samples),
        samples=samples,
        **_COMPARED,
    )
    return row


def _compare(frame: pd.DataFrame, baseline: str) -> None:
    """Fill in what comes from comparing algorithms of one problem: speed-ups and winners."""
    speedups = [NOTHING] * len(frame)
    winner, decided, rivals = ([False] * len(frame), [False] * len(frame), [""] * len(frame))
    timed = frame[frame["time_s"].notna()]
    for _, group in timed.groupby(list(GROUP), sort=False):
        ranked = group.sort_values("time_s", kind="stable")
        samples = {at: np.array(ranked.at[at, "samples"]) for at in ranked.index}
        base = ranked.index[ranked["algorithm"] == baseline]
        if len(base):
            for at in ranked.index:
                speedups[at] = paired_ratio(samples[base[0]], samples[at])
        first, *others = ranked.index
        doubtful = [at for at in others if not leads(samples[first], samples[at])]
        winner[first] = True
        decided[first] = not doubtful
        rivals[first] = ", ".join(str(ranked.at[at, "algorithm"]) for at in doubtful)
    frame["speedup"] = [entry.middle for entry in speedups]
    frame["speedup_low"] = [entry.low for entry in speedups]
    frame["speedup_high"] = [entry.high for entry in speedups]
    frame["winner"], frame["decided"], frame["rivals"] = winner, decided, rivals


def folded_reasons(frame: pd.DataFrame) -> list[tuple[str, str, int, str]]:
    """Why cells have no time: (algorithms, status, count, reason), the gravest first.

    A reason opens with ``": "``. Those that differ in their numbers alone are folded into one,
    which then opens with ``", for example: "``; so are those that several algorithms share.
    """
    grave = {"failed": 0, "refused": 1, "skipped": 2, "unsupported": 3}
    rest = frame[frame["status"] != "ok"]
    if rest.empty:
        return []
    key = rest["reason"].str.replace(r"\d+(?:[.,×x]\d+)*", "#", regex=True)
    folded = []
    for (status, _), group in rest.groupby([rest["status"], key], sort=False):
        distinct = group["reason"].unique()
        reason = f": {distinct[0] or 'no reason was recorded'}"
        if len(distinct) > 1:
            reason = f", for example{reason}"
        names = ", ".join(in_order(group["algorithm"]))
        folded.append((names, str(status), len(group), reason))
    return sorted(folded, key=lambda entry: (grave[entry[1]], -entry[2], entry[0]))
