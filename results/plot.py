"""Figures of a run, as matplotlib figures: for notebooks, and for pages of one's own.

Each function takes the table of `results.read`, or some rows of it, and returns one figure. Where
the problems need several, ``part`` chooses among them, and the figure says how many there are.

>>> import results
>>> results.plot.winner_map(results.read(results.latest()))  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from algos.core.errors import ConvbenchError

from .figures.matplotlib_backend import import_matplotlib

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from .figures.style import Sheet

__all__ = ["profile", "roofline", "scaling", "speedup", "times", "winner_map"]

#: Columns without which a table is not that of a run.
_NEEDED = ("label", "algorithm", "threads", "problem", "time_s", "samples", "winner")


def winner_map(frame: pd.DataFrame, part: int = 1) -> Figure:
    """Return the map of the fastest algorithm over two sizes, such as input and kernel.

    Parameters
    ----------
    frame : DataFrame of `results.read`
    part : int
        Which of the figures, from 1, where there are several.

    Raises
    ------
    ConvbenchError
        If the problems of `frame` do not fill a map.
    """

    def draw(timed: pd.DataFrame) -> list[Sheet]:
        from .figures.draw import winner_sheets

        return winner_sheets(frame, timed[~timed["layer"]])

    return _figure(frame, draw, part, "problems that vary two sizes, such as the suite `sizes`")


def scaling(frame: pd.DataFrame, part: int = 1) -> Figure:
    """Return the time against a size that varies alone. Arguments: see `winner_map`."""
    return _lines(frame, "time", part)


def speedup(frame: pd.DataFrame, part: int = 1) -> Figure:
    """Return the speed-up over the baseline against a size. Arguments: see `winner_map`."""
    return _lines(frame, "speedup", part)


def times(frame: pd.DataFrame, part: int = 1) -> Figure:
    """Return the time of every algorithm, a row per problem. Arguments: see `winner_map`."""

    def draw(timed: pd.DataFrame) -> list[Sheet]:
        from .figures.draw import row_sheets
        from .figures.scales import steady_intervals

        baseline = _baseline(frame)
        single = timed["label"].nunique() == 1
        rows = steady_intervals(timed, baseline)
        return row_sheets(frame, "each" if single else "time", "times", rows, baseline)

    return _figure(frame, draw, part, "timed problems")


def roofline(frame: pd.DataFrame, part: int = 1) -> Figure:
    """Return work per second under the limits of the machine. Arguments: see `winner_map`."""

    def draw(timed: pd.DataFrame) -> list[Sheet]:
        from .figures.draw import roofline_sheets

        return roofline_sheets(frame, timed)

    return _figure(frame, draw, part, "a run that knows its machine's limits (`convbench env`)")


def profile(frame: pd.DataFrame) -> Figure:
    """Return the performance profile: how often each algorithm is nearly the fastest.

    A problem at a thread count is one case. `frame` is a table of `results.read`.
    """

    def draw(timed: pd.DataFrame) -> list[Sheet]:
        import numpy as np

        from .figures.draw import about_line
        from .figures.profile import draw_profile
        from .page.model import group_numbers
        from .page.ranking import costs

        found = costs(timed, group_numbers(timed))
        found = found.of(np.arange(len(found.winner)))
        if not len(found.cost):
            return []
        return [draw_profile(found.names, found.cost, about_line(frame, timed, ""))]

    return _figure(frame, draw, 1, "problems with a winner")


def _lines(frame: pd.DataFrame, value: str, part: int) -> Figure:
    def draw(timed: pd.DataFrame) -> list[Sheet]:
        from .figures.draw import line_sheets, sweeps_along
        from .figures.scales import steady_intervals

        baseline = _baseline(frame)
        swept = steady_intervals(timed, baseline)
        return line_sheets(frame, value, sweeps_along(swept[~swept["layer"]]), baseline)

    return _figure(frame, draw, part, "three problems or more that vary one size alone")


def _baseline(frame: pd.DataFrame) -> str:
    return str(frame.attrs.get("baseline") or "naive")


def _figure(
    frame: pd.DataFrame, draw: Callable[[pd.DataFrame], Sequence[Sheet]], part: int, needs: str
) -> Figure:
    """Return figure number `part` of those that `draw` makes of the timed rows of `frame`."""
    missing = [name for name in _NEEDED if name not in getattr(frame, "columns", ())]
    if missing:
        raise ConvbenchError(
            f"the table has no column {missing[0]!r}; give one of results.read, or rows of it"
        )
    import_matplotlib()
    from .figures.style import GREY, rc_context
    from .figures.sweeps import with_coordinates

    timed = frame[frame["time_s"].notna()]
    if timed.empty:
        raise ConvbenchError("nothing of this table was timed, so there is nothing to draw")
    with rc_context():
        sheets = draw(with_coordinates(timed))
        if not sheets:
            raise ConvbenchError(f"this figure cannot be drawn of this table; it takes {needs}")
        if not (isinstance(part, int) and 1 <= part <= len(sheets)):
            raise ConvbenchError(f"part {part!r} was asked for, expected 1 to {len(sheets)}")
        sheet = sheets[part - 1]
        sheet.settle()
        if len(sheets) > 1:
            note = f"part {part} of {len(sheets)}"
            sheet.figure.text(0.99, 0.997, note, ha="right", va="top", size=8, color=GREY)
    return sheet.figure
