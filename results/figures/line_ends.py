"""Names of lines, written at their right ends.

Names of lines that end at the right edge stand in a column beside the panel, moved apart. A line
that ends earlier is named where its name covers least: no edge, no other name, few lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .style import Sheet, halo, spread_out

_ASIDE = 13  # points between the end of a line and its name beside the panel
_LINE = 1.12  # height of a line of text over the size of its letters
_STEP = 2.0  # points between the places at which lines are looked at
_NEVER = 1e6  # cost of a place beyond the edge or on another name
_FAR = 2.5  # lines of text between the end of a line and its name in a column, at most
_LEAST = 4.0  # cost per name at which a column beside the ends is still preferred

#: Place of a name's left end, middle height, relative to the end of its line, in points.
_Offset = tuple[float, float]


class _Box(NamedTuple):
    """A rectangle on the figure, in points."""

    left: float
    right: float
    bottom: float
    top: float

    def meets(self, other: _Box) -> bool:
        """Return True if the two overlap by more than rounding."""
        return (
            self.left + 0.1 < other.right and other.left + 0.1 < self.right
            and self.bottom + 0.1 < other.top and other.bottom + 0.1 < self.top
        )  # fmt: skip

    def holds(self, at: np.ndarray) -> np.ndarray:
        """Return which of the points `at`, shape (n, 2), lie inside."""
        x, y = at[:, 0], at[:, 1]
        return (x > self.left) & (x < self.right) & (y > self.bottom) & (y < self.top)


def label_ends(sheet: Sheet) -> None:
    """Write each line's name at its right end, in every panel."""
    size = 8.5 if len(sheet.axes) <= 6 else 7.5
    labels = [(axes, _texts(axes, size)) for axes in sheet.axes]
    sheet.settle()  # for the positions
    for axes, texts in labels:
        if texts:
            _label_panel(sheet.figure, axes, texts, size)


def _texts(axes: Axes, size: float) -> list[Any]:
    found = []
    for line in axes.get_lines():
        if str(line.get_label()).startswith("_"):
            continue
        end = float(np.asarray(line.get_xdata())[-1]), float(np.asarray(line.get_ydata())[-1])
        found.append(
            axes.annotate(
                str(line.get_label()), end, xytext=(_ASIDE, 0), textcoords="offset points",
                va="center", size=size, color=line.get_color(), weight="bold",
                annotation_clip=False, path_effects=halo(), zorder=5,
            )
        )  # fmt: skip
    return found


class _Name(NamedTuple):
    """A name to place: its text, the end of its line and its width, in points."""

    text: Any
    x: float
    y: float
    width: float

    def box(self, offset: _Offset, size: float) -> _Box:
        """Return the box of the name with its left end at `offset` from the end of the line."""
        left, middle = self.x + offset[0], self.y + offset[1]
        return _Box(left, left + self.width, middle - size / 2, middle + size / 2)


def _label_panel(figure: Figure, axes: Axes, texts: Sequence[Any], size: float) -> None:
    points = 72 / figure.dpi
    window = axes.get_window_extent()
    edge = _Box(*(float(side) * points for side in (window.x0, window.x1, window.y0, window.y1)))
    groups: dict[int, list[_Name]] = {}
    for text in texts:
        x, y = axes.transData.transform(text.xy) * points
        width = float(text.get_window_extent().width) * points
        groups.setdefault(round(x), []).append(_Name(text, x, y, width))
    courses = _courses(axes, points)
    taken: list[_Box] = []
    for at in sorted(groups, reverse=True):
        names = groups[at]
        columns = [_column(names, edge, size)]
        columns += [_column(names, edge._replace(top=box.bottom), size) for box in taken]
        costs = [
            _cost_of(names, way, edge, taken, courses, size) + _stretch(way, size)
            for way in columns
        ]
        offsets = column = columns[costs.index(min(costs))]
        if taken:  # beyond the last line's end nothing else is in the way
            apart = _singly(names, edge, taken, courses, size)
            most = _cost_of(names, apart, edge, taken, courses, size) + _LEAST * len(names)
            offsets = column if min(costs) <= most else apart
        for name, offset in zip(names, offsets, strict=True):
            name.text.set_position(offset)
            taken.append(name.box(offset, size))
            if offsets is column:
                stop = (name.x + _ASIDE - 1, name.y + offset[1])
                _leader(figure, (name.x + 4, name.y), stop)
        if edge.right < (widest := max(box.right for box in taken)):
            edge = edge._replace(right=widest)


def _column(names: Sequence[_Name], edge: _Box, size: float) -> list[_Offset]:
    """Return the offsets of names in a column to the right of their lines' ends."""
    free = spread_out([name.y for name in names], size * _LINE, edge.bottom, edge.top)
    return [(_ASIDE, height - name.y) for name, height in zip(names, free, strict=True)]


def _stretch(offsets: Sequence[_Offset], size: float) -> float:
    """Return the cost of names in a column that stand far above or below their lines' ends."""
    far = max(abs(dy) for _, dy in offsets) / (size * _LINE)
    return _NEVER if far > _FAR else 0.0


def _singly(
    names: Sequence[_Name], edge: _Box, taken: Sequence[_Box], courses: np.ndarray, size: float
) -> list[_Offset]:
    """Return the offsets at which each name covers least, the highest placed first."""
    placed = list(taken)
    found: dict[str, _Offset] = {}
    for name in sorted(names, key=lambda one: -one.y):
        boxes = {offset: name.box(offset, size) for offset in _offsets(name.width, size)}
        best = min(boxes, key=lambda offset: _cost(boxes[offset], edge, placed, courses))
        found[name.text.get_text()] = best
        placed.append(boxes[best])
    return [found[name.text.get_text()] for name in names]


def _offsets(width: float, size: float) -> Iterator[_Offset]:
    """Yield possible places of a name, the best first."""
    yield 0.9 * size, 0.0
    for rows in (1.0, 1.8, 2.6):
        for side in (rows, -rows):
            yield from ((dx, side * size * _LINE) for dx in (0.9 * size, -width / 2, 0.0, -width))


def _cost_of(
    names: Sequence[_Name], offsets: Sequence[_Offset], edge: _Box, taken: Sequence[_Box],
    courses: np.ndarray, size: float,
) -> float:  # fmt: skip
    """Return how much names at `offsets` would cover, each other included."""
    boxes = [name.box(offset, size) for name, offset in zip(names, offsets, strict=True)]
    return sum(
        _cost(box, edge, [*taken, *boxes[:number]], courses) for number, box in enumerate(boxes)
    )


def _cost(box: _Box, edge: _Box, taken: Sequence[_Box], courses: np.ndarray) -> float:
    """Return how much a name in `box` would cover."""
    outside = (
        box.left < edge.left or box.right > edge.right
        or box.bottom < edge.bottom or box.top > edge.top
    )  # fmt: skip
    return _NEVER * (outside + sum(map(box.meets, taken))) + float(box.holds(courses).sum())


def _courses(axes: Axes, points: float) -> np.ndarray:
    """Return places along all lines of a panel, every `_STEP` points, shape (n, 2)."""
    found = [np.empty((0, 2))]
    for line in axes.get_lines():
        if str(line.get_label()).startswith("_"):
            continue
        corners = axes.transData.transform(np.asarray(line.get_xydata())) * points
        along = np.r_[0.0, np.hypot(*np.diff(corners, axis=0).T).cumsum()]
        at = np.arange(0.0, along[-1] + _STEP, _STEP)
        found.append(
            np.c_[np.interp(at, along, corners[:, 0]), np.interp(at, along, corners[:, 1])]
        )
        found.append(np.repeat(corners, 4, axis=0))  # a mark hides more than a line
    return np.concatenate(found)


def _leader(figure: Figure, start: tuple[float, float], stop: tuple[float, float]) -> None:
    """Draw a thin line from the end of a line to its name; positions in points."""
    to_figure = figure.transFigure.inverted()
    scale = figure.dpi / 72
    (x0, y0), (x1, y1) = (to_figure.transform((x * scale, y * scale)) for x, y in (start, stop))
    figure.add_artist(
        Line2D([x0, x1], [y0, y1], color="#bbbbbb", lw=0.8, transform=figure.transFigure)
    )
