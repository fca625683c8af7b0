"""Performance profile: how often each algorithm is nearly the fastest (Dolan & Moré, 2002)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import PercentFormatter

from results.tables.labels import in_order, plural, times_text

from .lines import short
from .looks import look
from .scales import log_ticks
from .style import Sheet, joined, new_sheet

#: Largest factor over the fastest time that is drawn.
MOST = 100.0


def draw_profile(names: Sequence[str], cost: np.ndarray, about: str) -> Sheet:
    """Draw the share of problems that each algorithm solves within a factor of the fastest.

    Parameters
    ----------
    names : sequence of str
        Algorithms, one per column of `cost`.
    cost : (problems, algorithms) array
        Time over that of the problem's fastest algorithm; NaN without a time.
    about : str
        Machine, for the line under the heading.
    """
    place = {name: at for at, name in enumerate(names)}
    shown = [name for name in in_order(names) if np.isfinite(cost[:, place[name]]).any()]
    most = min(MOST, 1.15 * max(float(np.nanmax(cost)), 1.5))
    sheet = new_sheet(
        "profile", "How often is each one nearly the fastest?",
        joined([plural(len(cost), "problem"), about, "high and left is good",
                "left edge: it is the fastest"]),
        panel_height=3.9, legend=shown,
    )  # fmt: skip
    axes = sheet.axes[0]
    for name in shown:
        factors = np.sort(cost[:, place[name]])
        factors = factors[np.isfinite(factors)]
        share = np.arange(1, len(factors) + 1) / len(cost)
        style = look(name)
        across = np.concatenate([[1.0], factors, [max(most, factors[-1])]])
        up = np.concatenate([[(factors <= 1.0).sum() / len(cost)], share, [share[-1]]])
        axes.plot(
            across, up, drawstyle="steps-post", color=style.colour, lw=1.8, label=name,
            ls=(0, style.dashes) if style.dashes else "-", zorder=3,
        )  # fmt: skip
        seen = factors <= most
        axes.plot(
            factors[seen], share[seen], ls="", marker=style.marker, color=style.colour, ms=4.5,
            mec="white", mew=0.5, zorder=4,
        )  # fmt: skip
    axes.set(xscale="log", xlim=(0.98, most), ylim=(0, 1.03))
    log_ticks(axes.xaxis, 1.0, most, lambda at: short(times_text(at)), most=8)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("time over that of the problem's fastest")
    axes.set_ylabel("share of problems")
    return sheet
