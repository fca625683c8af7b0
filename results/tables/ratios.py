"""Ours against the best of other people's: one ratio a problem, and what they come to in all."""

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

from .labels import GROUP, plural, three_digits, time_text

#: From this ratio on, a row counts as a tie; from 1 on we are ahead.
TIE = 0.97

HEADINGS = (
    "input · kernel", "threads", "ours", "time", "GFLOP/s", "% of limit", "best peer", "time",
    "ratio", "95 % interval", "unplanned", "",
)  # fmt: skip


@dataclass(frozen=True)
class Ratio:
    """A problem at a thread count: our fastest algorithm and the fastest peer.

    Attributes
    ----------
    ratio : Interval
        Time of the peer's call over that of ours, kernels prepared: above 1, ours is faster.
    unplanned : float
        The same with the preparation of the kernel in both times, each side its best.
    gflops, roofline : float
        Of ours: effective GFLOP/s, and per cent of the machine's limit where that is known.
    at : object
        Where ours is in the frame, by its index.
    passes : int
        Passes that the ratio rests on.
    """

    label: str
    threads: int
    ours: str
    ours_s: float
    peer: str
    peer_s: float
    ratio: Interval
    unplanned: float
    gflops: float
    roofline: float = math.nan
    at: Any = None
    passes: int = 0

    @property
    def verdict(self) -> str:
        """ "ahead", "tie" or "behind"."""
        if self.ratio.middle >= 1:
            return "ahead"
        return "tie" if self.ratio.middle >= TIE else "behind"


def ratios(frame: pd.DataFrame) -> list[Ratio]:
    """One `Ratio` per problem × thread count that both an algorithm of ours and a peer can do."""
    peers = set(frame.attrs.get("peers") or [])
    found = []
    timed = frame[frame["time_s"].notna()]
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
                len(pass_ratios(*sides)),
            )
        )  # fmt: skip
    return found


def with_ratios(frame: pd.DataFrame, least: int = 1) -> pd.DataFrame:
    """Our fastest rows of `frame`, with ``peer`` and ``ratio``, ``ratio_low``, ``ratio_high``.

    The interval of fewer than `least` passes is NaN.
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
    """The geometric mean of the rows' ratios, and Student's 95 % interval of it over rows."""
    values = [ratio.unplanned if unplanned else ratio.ratio.middle for ratio in found]
    logs = np.log([value for value in values if not math.isnan(value)])
    return Interval(*(float(np.exp(end)) for end in mean_interval(logs)))


def ratio_cells(ratio: Ratio) -> list[str]:
    """The texts of one row, under `HEADINGS`."""
    limit = "" if math.isnan(ratio.roofline) else f"{ratio.roofline:.0f} %"
    return [
        ratio.label, str(ratio.threads), ratio.ours, time_text(ratio.ours_s),
        three_digits(ratio.gflops), limit, ratio.peer, time_text(ratio.peer_s),
        _times(ratio.ratio.middle), f"{ratio.ratio.low:.2f} – {ratio.ratio.high:.2f}",
        _times(ratio.unplanned), "" if ratio.verdict == "ahead" else ratio.verdict,
    ]  # fmt: skip


def ratio_sentences(found: Sequence[Ratio]) -> list[str]:
    """What the ratios come to for each thread count, and every row that falls short."""
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
