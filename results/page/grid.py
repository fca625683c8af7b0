"""Table of problems and algorithms, for readers with and without JavaScript."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from results.tables.labels import STATUS_WORDS, lead_text, time_text

#: Upper ends of the steps by which a cell is shaded: its cost over the fastest.
STEPS = (1.0, 1.1, 1.5, 3.0, 10.0)
#: Signs beside a ratio.
WINNER, OPEN_WINNER, CLOSE = "★", "☆", "≈"
#: Highest cost of a cell that is marked as not beaten. A run of few passes beats hardly anything.
CLOSE_COST = 3.0


@dataclass(frozen=True)
class GridCell:
    """One cell of the table: its number in the data, text, sign, shade and description."""

    number: int
    text: str
    sign: str
    shade: str
    title: str


@dataclass(frozen=True)
class GridRow:
    """One problem at one number of threads; a cell is None where the suite has none."""

    group: int
    label: str
    threads: int
    cells: list[GridCell | None]


@dataclass(frozen=True)
class Grid:
    """The whole table."""

    algorithms: list[dict[str, Any]]
    rows: list[GridRow]


def grid(model: dict[str, Any], order: Sequence[int]) -> Grid:
    """Return the table for the data of the page, its columns in `order` of the algorithms."""
    names, cells = [model["algorithms"][at] for at in order], model["cells"]
    place = {at: column for column, at in enumerate(order)}
    placed: list[list[GridCell | None]] = [[None] * len(names) for _ in model["groups"]]
    close = _close(model)
    for number, (at, algorithm) in enumerate(zip(cells["group"], cells["algorithm"], strict=True)):
        column = place[algorithm]
        placed[at][column] = _cell(cells, number, names[column], close)
    rows = [
        GridRow(at, group["label"], group["threads"], placed[at])
        for at, group in enumerate(model["groups"])
    ]
    return Grid(names, rows)


def _close(model: dict[str, Any]) -> set[tuple[int, str]]:
    """Return group and algorithm of the cells that a winner has not beaten."""
    cells = model["cells"]
    return {
        (group, name)
        for group, won, *others in zip(
            cells["group"], cells["winner"], cells["rivals"], cells["ties"], strict=True
        )
        if won
        for text in others
        for name in text.split(", ")
    }


def _cell(
    cells: dict[str, list[Any]], number: int, algorithm: dict[str, Any],
    close: set[tuple[int, str]],
) -> GridCell:  # fmt: skip
    status, seconds = cells["status"][number], cells["time"][number]
    if seconds is None or cells["cost"][number] is None:
        words = STATUS_WORDS.get(status, "no time")
        return GridCell(number, words, "", status, cells["reason"][number])
    cost, won = cells["cost"][number], cells["winner"][number]
    sign = ""
    if won:
        sign = WINNER if cells["decided"][number] else OPEN_WINNER
    elif cost <= CLOSE_COST and (cells["group"][number], algorithm["key"]) in close:
        sign = CLOSE
    step = next((at for at, end in enumerate(STEPS) if cost <= end), len(STEPS))
    title = f"{algorithm['name']}: {time_text(seconds)} a call"
    return GridCell(number, lead_text(cost), sign, f"s{step}", title)
