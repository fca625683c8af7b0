"""Comparison of our fastest algorithm with the fastest peer: ratios, and their mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from results.verdicts.statistics import (
    Interval,
    mean_interval,
    pass_ratios,
    ratio_interval,
    recentred,
)

from .labels import GROUP, error_text, plural, three_digits, time_text

#: Least ratio that counts as a tie; from 1 on ours is ahead.
TIE = 0.97

#: Columns that a comparison reads.
COMPARED = (
    *GROUP, "algorithm", "label", "time_s", "prepare_s", "samples", "gflops", "roofline_percent",
    "relative_error",
)  # fmt: skip

HEADINGS = (
    "input · kernel", "threads", "ours", "time", "error", "GFLOP/s", "% of limit", "best peer",
    "time", "error", "ratio", "95 % interval", "with preparation", "",
)  # fmt: skip


@dataclass(frozen=True)
class Ratio:
    """A problem at a thread count: our fastest algorithm and the fastest peer."""

    label: str
    threads: int
    ours: str
    ours_s: float
    peer: str
    peer_s: float
    #: Time of the peer's call over ours, kernels prepared. Above 1, ours is faster.
    ratio: Interval
    #: The same ratio with kernel preparation in both times, by the best of each side.
    unplanned: float
    #: Effective GFLOP/s of ours.
    gflops: float
    #: Per cent of the machine's limit that ours reaches; NaN if unknown.
    roofline: float = math.nan
    #: Index of our row in the frame.
    at: Any = None
    #: Number of passes behind the ratio.
    passes: int = 0
    #: Largest error of ours, and of the peer, over the largest exact result; NaN if unknown.
    error: float = math.nan
    peer_error: float = math.nan

    @property
    def verdict(self) -> str:
        """Standing of ours: "ahead", "tie" or "behind"."""
        if self.ratio.middle >= 1:
            return "ahead"
        return "tie" if self.ratio.middle >= TIE else "behind"


def ratios(frame: pd.DataFrame) -> list[Ratio]:
    """Return a `Ratio` per problem × thread count timed for both ours and a peer."""
    peers = set(frame.attrs.get("peers") or [])
    found = []
    timed = frame.loc[frame["time_s"].notna(), [c for c in COMPARED if c in frame]]
    timed.attrs = {}  # pandas would copy them in every step
    for _, group in timed.groupby(list(GROUP), sort=False):
        ranked = group.sort_values("time_s", kind="stable")
        theirs = ranked["algorithm"].isin(peers)
        if not theirs.any() or theirs.all():
            continue
        ours, peer = ranked[~theirs].iloc[0], ranked[theirs].iloc[0]
        sides = [dict(enumerate(one["samples"])) for one in (peer, ours)]
        lead = ratio_interval(*sides)
        whole = (ranked["time_s"] + ranked["prepare_s"]).where(ranked["prepare_s"].notna())
        found.append(
            Ratio(
                str(ours["label"]), int(ours["threads"]), str(ours["algorithm"]),
                float(ours["time_s"]), str(peer["algorithm"]), float(peer["time_s"]),
                recentred(lead, float(peer["time_s"] / ours["time_s"])),
                float(whole[theirs].min() / whole[~theirs].min()), float(ours["gflops"]),
                float(ours.get("roofline_percent", math.nan)), ours.name,
                len(pass_ratios(*sides)), float(ours["relative_error"]),
                float(peer["relative_error"]),
            )
        )  # fmt: skip
    return found


def direct_ratios(frame: pd.DataFrame) -> list[Ratio]:
    """Return the `ratios` among algorithms with a direct sum's accuracy.

    Empty if no algorithm of the run has another accuracy, or if it is unknown.
    """
    if not (frame["accuracy"] == "normwise").any():
        return []
    return ratios(frame[frame["accuracy"] == "direct"])


def with_ratios(frame: pd.DataFrame, least: int = 1) -> pd.DataFrame:
    """Return our fastest rows of `frame`, compared with the fastest peer.

    Adds the columns ``peer``, ``ratio``, ``ratio_low`` and ``ratio_high``. The interval is NaN
    with fewer than `least` passes.
    """
    found = ratios(frame)
    columns: dict[str, Any] = {
        "peer": [one.peer for one in found],
        "ratio": [one.ratio.middle for one in found],
        **{f"ratio_{end}": [getattr(one.ratio, end) if one.passes >= least else math.nan
                            for one in found]
           for end in ("low", "high")},
    }  # fmt: skip
    return frame.loc[[one.at for one in found]].assign(**columns)


def mean_ratio(found: Sequence[Ratio], unplanned: bool = False) -> Interval:
    """Return the geometric mean of the rows' ratios, and its Student 95 % interval."""
    values = [ratio.unplanned if unplanned else ratio.ratio.middle for ratio in found]
    logs = np.log([value for value in values if not math.isnan(value)])
    return Interval(*(float(np.exp(end)) for end in mean_interval(logs)))


def ratio_cells(ratio: Ratio) -> list[str]:
    """Return the cells of one row, under `HEADINGS`."""
    limit = "" if math.isnan(ratio.roofline) else f"{ratio.roofline:.0f} %"
    return [
        ratio.label, str(ratio.threads), ratio.ours, time_text(ratio.ours_s),
        error_text(ratio.error), three_digits(ratio.gflops), limit, ratio.peer,
        time_text(ratio.peer_s), error_text(ratio.peer_error),
        _times(ratio.ratio.middle), f"{ratio.ratio.low:.2f} – {ratio.ratio.high:.2f}",
        _times(ratio.unplanned), "" if ratio.verdict == "ahead" else ratio.verdict,
    ]  # fmt: skip


def ratio_sentences(found: Sequence[Ratio]) -> list[str]:
    """Return sentences: the mean ratio per thread count, and each row that is behind."""
    said = []
    for count in sorted({ratio.threads for ratio in found}):
        here = [ratio for ratio in found if ratio.threads == count]
        held = sum(ratio.verdict != "behind" for ratio in here)
        ties = sum(ratio.verdict == "tie" for ratio in here)
        said.append(
            f"With {plural(count, 'thread')}, at least as fast as the best peer in {held} of "
            f"{plural(len(here), 'row')}, {plural(ties, 'tie')} among them ({TIE} and above); "
            f"geometric mean {_mean(here)} planned, {_mean(here, unplanned=True)} with the "
            f"kernel's preparation."
        )
    said += [
        f"Short: {ratio.label}, {plural(ratio.threads, 'thread')}: {ratio.ours} at "
        f"{three_digits(ratio.gflops)} GFLOP/s{_limit(ratio)} takes {time_text(ratio.ours_s)}, "
        f"{ratio.peer} {time_text(ratio.peer_s)}: {_times(ratio.ratio.middle)}."
        for ratio in found
        if ratio.verdict == "behind"
    ]
    return said


def _mean(found: Sequence[Ratio], unplanned: bool = False) -> str:
    mean = mean_ratio(found, unplanned)
    between = f" ({mean.low:.2f} – {mean.high:.2f})" if len(found) > 1 else ""
    return f"{_times(mean.middle)}{between}"


def _limit(ratio: Ratio) -> str:
    return "" if math.isnan(ratio.roofline) else f" ({ratio.roofline:.0f} % of its limit)"


def _times(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}×"
