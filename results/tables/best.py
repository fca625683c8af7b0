"""The fastest algorithm of each problem, and the Python expression that calls it."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd

from results.records.entrants import Entrant

from .labels import GROUP

#: Columns of `best`, with their pandas types.
COLUMNS = {
    "label": "str", "threads": "int64", "algorithm": "str", "time_s": "float64", "next": "str",
    "lead": "float64", "decided": "bool", "doubt": "str", "problem": "str", "call": "str",
}  # fmt: skip

#: Arguments of a call, by operation.
_OPERANDS = {"forward": "x", "grad_input": "g", "grad_weight": "x, g"}
#: Kinds of pooling whose gradient does not depend on the input.
_LINEAR = ("average", "gaussian")


def best(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per problem and thread count: the winner, and the call that runs it.

    Parameters
    ----------
    frame : DataFrame of `results.read`

    Returns
    -------
    DataFrame
        ``label``, ``problem`` and ``threads`` identify the row. ``algorithm`` is the fastest, and
        ``time_s`` its time per call. ``next`` is the next fastest, empty without one, and ``lead``
        its time over the winner's. ``decided`` is False where the samples do not separate the
        winner from others; ``doubt`` says why. ``call`` is an expression of Python with the
        modules ``convbench`` and ``algos`` and the operands ``x``, ``w``, ``bias`` and ``g`` (the
        gradient of the output); operands of another layout than its own are copied by it.
        Problems without a time are left out.
    """
    rows = []
    for _, group in frame[frame["time_s"].notna()].groupby(list(GROUP), sort=False):
        won = group[group["winner"]]
        if won.empty:
            continue
        first = won.iloc[0]
        others = group[~group["winner"]].sort_values("time_s", kind="stable")
        near = others.iloc[0] if len(others) else None
        rows.append({
            **{name: first[name] for name in COLUMNS if name in frame.columns},
            "next": "" if near is None else near["algorithm"],
            "lead": math.nan if near is None else near["time_s"] / first["time_s"],
            "call": call(first),
        })  # fmt: skip
    types: Any = COLUMNS
    found = pd.DataFrame(rows, columns=list(COLUMNS)).astype(types)
    found.attrs.update(frame.attrs)
    return found


def call(row: Any) -> str:
    """Return the expression that computes the problem of `row` by its algorithm."""
    text, (algorithm, layout) = str(row["problem"]), Entrant.of(str(row["algorithm"]))
    how = f"algorithm={algorithm!r}, threads={row['threads']}"
    given, kind = _OPERANDS[str(row["operation"])], str(row["kind"])
    if kind == "inception":
        plan, parse, kernel = "algos.inception.plan.InceptionPlan", "algos.notation.parse", "w, "
    elif kind == "deblur":
        plan, parse, kernel = "algos.deblurring.plan.DeblurPlan", "algos.notation.parse", "w, "
    elif kind == "convolution":
        plan, parse = "convbench.plan", "convbench.parse_descriptor"
        bare = re.sub(r'_?n"[^"]*"$', "", text)
        kernel = "" if given == "x, g" else "w, bias, " if "_bias" in bare else "w, "
    else:
        plan, parse = "algos.pooling.PoolPlan", "algos.pooling.parse_pool_descriptor"
        given = "g, x" if given == "g" and kind not in _LINEAR else given
        kernel = "gate, " if kind == "gated" else ""
    problem = f"{text!r}"
    if layout is not None:  # the text would come before it
        problem = f"{re.sub('_axb(?=_|$)', '', text)!r}, layout={layout!r}"
    return f"{plan}({parse}({problem}), {kernel}{how})({given})"
