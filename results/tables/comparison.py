"""A comparison of runs as a value: its rows, what else differs, and the sentences about both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from results.verdicts.changes import Change
from results.verdicts.decide import ERROR_RATE, UNDECIDED
from results.verdicts.statistics import geometric_mean

from .labels import plural
from .matched import KEY, Pair

#: Verdicts on a change, in the order in which they are shown.
ORDER = ("slower", "faster", UNDECIDED, "withheld", "equivalent")
#: Columns of the rows of a comparison, with their types.
COLUMNS: dict[str, Any] = {
    "run": "str", "label": "str", **dict.fromkeys(KEY, "str"), "threads": "int64",
    "before": "float64", "after": "float64", "change": "float64", "low": "float64",
    "high": "float64", "verdict": "str", "doubt": "str", "passes_before": "int64",
    "passes_after": "int64",
}  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison; `names` are those of the runs, the first before the others.

    Attributes
    ----------
    rows : DataFrame
        One row per matched cell and later run. ``before`` and ``after`` are seconds per call, or
        times over the baseline's. Their ratio is ``change``, above 1 for a slow-down. Its 95 %
        interval is ``low`` to ``high``.
    baseline : str
        Algorithm that times are relative to. Empty if times themselves are compared.
    differences : dict
        Other differences of the runs, as clauses. Keys are the later run and the kind.
    notes : list of str
        Remarks on the comparison. They say how far it can be trusted.
    unmatched : list of str
        Sentences on single cells. These have no counterpart, or no time.
    broken : int
        Cells that failed in a later run, and not in the first.
    """

    names: tuple[str, ...]
    rows: pd.DataFrame
    min_effect: float
    baseline: str = ""
    differences: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    unmatched: Sequence[str] = ()
    broken: int = 0

    @property
    def counts(self) -> Counter[str]:
        """Number of cells by verdict."""
        return Counter(self.rows["verdict"])

    def mean(self, run: str) -> float:
        """Return the geometric mean of ``after / before`` over all matched cells in `run`."""
        here = self.rows[self.rows["run"] == run]
        return geometric_mean((here["after"] / here["before"]).to_numpy())

    @property
    def headline(self) -> str:
        """The verdicts counted, as in ``1 slower, 2 faster, 35 equivalent of 38 cells``."""
        parts = [f"{self.counts[name]} {name}" for name in ORDER if self.counts[name]]
        return f"{', '.join(parts)} of {plural(len(self.rows), 'matched cell')}"

    @property
    def doubts(self) -> list[tuple[str, int]]:
        """Reasons for undecided cells, and the number of cells, the most frequent first."""
        doubts = self.rows["doubt"][self.rows["verdict"] == UNDECIDED]
        return Counter(str(doubt) for doubt in doubts if doubt).most_common()

    @property
    def false_alarms(self) -> str:
        """A sentence on the number of verdicts that are expected to be false."""
        claims = sum(self.counts[name] for name in ("slower", "faster", "equivalent"))
        return (
            f"Differences below {100 * self.min_effect:g} % do not count. Of the "
            f"{plural(claims, 'verdict')} other than {UNDECIDED}, at most "
            f"{100 * ERROR_RATE:g} % are expected to be false alarms: {ERROR_RATE * claims:.2g}."
        )


def row_of(run: str, pair: Pair, change: Change) -> dict[str, Any]:
    """Return the row of a matched cell under `COLUMNS`."""
    before, after = pair
    return {
        "run": run, "label": before.row["label"],
        **{name: before.row[name] for name in KEY},
        "before": before.middle, "after": after.middle, "change": change.ratio.middle,
        "low": change.ratio.low, "high": change.ratio.high, "verdict": change.verdict,
        "doubt": change.doubt, "passes_before": len(before.values),
        "passes_after": len(after.values),
    }  # fmt: skip


def as_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the rows as a table: by run, by verdict, and the largest changes first."""
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    size = frame["change"].map(lambda ratio: max(ratio, 1 / ratio))
    ranks = frame["verdict"].map(ORDER.index)
    order = frame.assign(size=-size, rank=ranks, at=frame["run"].map(_first_seen(frame["run"])))
    kept = order.sort_values(["at", "rank", "size"], kind="stable").index
    return frame.loc[kept].reset_index(drop=True)


def _first_seen(values: pd.Series) -> dict[Any, int]:
    return {value: at for at, value in enumerate(dict.fromkeys(values))}
