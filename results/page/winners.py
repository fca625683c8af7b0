"""Winner maps of a run as plain values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from results.figures.sweeps import AXES, distinguish, told_apart, with_coordinates
from results.figures.winner_map import maps


def winner_maps(timed: pd.DataFrame, group: np.ndarray) -> list[dict[str, Any]]:
    """Return the winner maps that a run can fill.

    Parameters
    ----------
    timed : DataFrame
        Rows with a time.
    group : (rows,) array
        Number of the group of each row.

    Returns
    -------
    list of dict
        ``across``, ``up`` and ``title`` are texts, ``threads`` a number. ``places`` maps the
        number of a group to its sizes across and up.
    """
    if timed.empty:
        return []
    first = timed.drop(columns="samples").assign(group=group).drop_duplicates("group")
    first.attrs = {}  # pandas copies them with every selection
    placed = with_coordinates(first)
    found = []
    for _, across, up, panels in maps(placed[~placed["layer"]]):
        _, differ = told_apart([fixed for fixed, _ in panels])
        for fixed, rows in panels:
            words = [distinguish(name, fixed[name]) for name in differ if name != "threads"]
            places = zip(rows["group"], rows["across"], rows["up"], strict=True)
            found.append({
                "across": AXES[across].scale, "up": AXES[up].scale,
                "title": " · ".join([f"{AXES[across].grows} × {AXES[up].grows}",
                                     *filter(None, words)]),
                "threads": int(rows["threads"].iloc[0]),
                "places": {str(number): [float(x), float(y)] for number, x, y in places},
            })  # fmt: skip
    return found
