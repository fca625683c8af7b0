"""Detection of sweeps in a run: problems that differ in one size only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from results.tables.labels import edge, plural, shape_text, source_text, spread

#: One panel of a figure: the fields that its cells share, and the cells.
Panel = tuple[dict[str, Any], pd.DataFrame]


class Axis(NamedTuple):
    """Size that a sweep varies: its words in a sentence and beside a scale."""

    field: str
    grows: str
    scale: str


AXES = {
    "size": Axis("size", "input", "input size, samples per axis"),
    "kernel": Axis("kernel", "kernel", "kernel size, taps per axis"),
    "channels": Axis("channels", "number of channels", "channels in and out"),
    "batch": Axis("batch", "batch", "inputs in a batch"),
}

#: The axis "kernel" in the words of pooling.
WINDOW = Axis("kernel", "window", "window size, samples per axis")


def axis_of(name: str, panels: Sequence[Panel]) -> Axis:
    """Return the words for axis `name`, suited to all `panels`."""
    pools = all(fixed.get("kind", "convolution") != "convolution" for fixed, _ in panels)
    return WINDOW if name == "kernel" and pools else AXES[name]


#: Fewest points of a sweep. A shorter one may be drawn beside it.
LEAST = 3
#: Fields that distinguish the panels of a sweep, in the order of a title.
FIELDS = ("kind", "kernel", "size", "channels", "batch", "stride", "dilation", "padding", "words",
          "weights", "pixels", "dtype", "threads", "operation", "spatial")  # fmt: skip


def with_coordinates(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` with the columns that figures group by.

    ``size`` and ``kernel`` are the texts of input and kernel. ``channels`` is text, ``"64"`` or
    ``"3→96"``. ``padding`` is deduced from the output size. ``words`` are those of the
    descriptor (``flip``, ``bias``, …). ``layer`` is True if a name belongs to one problem.
    """
    frame = frame.assign(size=frame["input_size"], kernel=frame["kernel_size"])
    rows = frame.to_dict("records")
    frame["channels"] = [_channels(row) for row in rows]
    frame["padding"] = [_padding(row) for row in rows]
    either = frame["padding"] == ""  # a kernel of one tap never pads
    common = frame.loc[~either, "padding"].mode()
    frame.loc[either, "padding"] = common.iloc[0] if len(common) else "same"
    frame["words"] = [_words(str(row["problem"]), str(row["kind"])) for row in rows]
    frame["spatial"] = [len(spread(row["size"])) for row in rows]
    alone = frame.groupby(["name", "operation"])["problem"].transform("nunique") == 1
    frame["layer"] = (frame["name"] != "") & alone
    return frame


def coordinate(row: Any, axis: str) -> float:
    """Return the position of a row on `axis`; NaN if input and output channels differ."""
    if axis in ("size", "kernel"):
        return edge(row[axis])
    if axis == "batch":
        return float(row["batch"]) or float("nan")  # an empty batch has no place on a log scale
    return float(row["in_channels"]) if row["in_channels"] == row["out_channels"] else float("nan")


def families(frame: pd.DataFrame, axis: str) -> list[Panel]:
    """Return the sweeps along `axis` of two points or more: fixed fields, and rows.

    Column ``at`` of the rows is their position on the axis.
    """
    if frame.empty:
        return []
    placed = frame.assign(at=[coordinate(row, axis) for row in frame.to_dict("records")])
    placed = placed[placed["at"].notna()]
    if axis == "channels":  # depthwise layers sweep with as many groups as channels
        depthwise = (placed["groups"] == placed["in_channels"]) & (placed["groups"] > 1)
        placed = placed.assign(groups=placed["groups"].where(~depthwise, -1))
    fixed = [field for field in FIELDS if field != axis]
    extra = ["groups"] if axis == "channels" else []
    found = []
    for key, rows in placed.groupby([*fixed, *extra], sort=False):
        points = rows["at"].nunique()
        if points >= 2 and points == rows["problem"].nunique():
            found.append((dict(zip([*fixed, *extra], key, strict=True)), rows))
    return found


def alike(found: list[Panel], column: str = "at") -> list[list[Panel]]:
    """Group the sweeps that overlap enough to share one scale, in order."""
    groups: list[tuple[set[float], list[Panel]]] = []
    for panel in found:
        places = set(panel[1][column])
        for known, panels in groups:
            if len(known & places) >= 0.3 * len(known | places):
                known |= places
                panels.append(panel)
                break
        else:
            groups.append((places, [panel]))
    return [panels for _, panels in groups]


def longest(found: list[Panel]) -> int:
    """Return the number of points of the longest sweep in `found`."""
    return max((rows["at"].nunique() for _, rows in found), default=0)


def split(found: list[Panel], most: int) -> Iterator[tuple[dict[str, Any], list[Panel]]]:
    """Split `found` into figures of at most `most` panels, similar panels together.

    Yield for each figure the fields that only its panels share, and the panels.
    """
    shared: dict[str, Any] = {}
    groups = [(shared, found)]
    for field in ("operation", "dtype", "spatial", "threads", "pixels", "weights", "channels"):
        if all(len(panels) <= most for _, panels in groups):
            break
        finer = []
        for same, panels in groups:
            values = list(dict.fromkeys(fixed.get(field) for fixed, _ in panels))
            if len(panels) <= most or len(values) == 1:
                finer.append((same, panels))
                continue
            for value in values:
                chosen = [panel for panel in panels if panel[0].get(field) == value]
                finer.append(({**same, field: value}, chosen))
        groups = finer
    for same, panels in groups:
        for start in range(0, len(panels), most):
            part = {"part": start // most + 1} if len(panels) > most else {}
            yield {**same, **part}, panels[start : start + most]


def describe(field: str, value: Any) -> str:
    """Return the words of a title for `value` of `field`; empty for a default."""
    match field:
        case "kind":
            return "" if value == "convolution" else str(value)
        case "kernel":
            return f"kernel {shape_text(value)}"
        case "size":
            return f"input {shape_text(value)}"
        case "channels":
            return "" if value == "1" else f"{value} channels"
        case "batch" | "stride" | "dilation":
            numbers = set(spread(str(value)))
            number = min(numbers) if len(numbers) == 1 else value
            return "" if number == 1 else f"{field} {number}"
        case "padding":
            return "" if value == "same" else f"{value} padding"
        case "weights":
            return {"random": "random kernel", "rank1": "rank-1 kernel"}.get(
                value, f"{source_text(value)} kernel"
            )
        case "pixels":
            return "" if value == "random" else source_text(value)
        case "threads":
            return plural(int(value), "thread")
        case "operation":
            return "" if value == "forward" else str(value)
        case "spatial":
            return "" if value == 2 else f"{value}-D"
        case "groups":
            return "depthwise" if value == -1 else "" if value == 1 else f"{value} groups"
        case "part":
            return f"part {value}"
    return str(value)


def distinguish(field: str, value: Any) -> str:
    """Return `describe`, but name the forward operation too, for panels that differ."""
    return describe(field, value) or (str(value) if field == "operation" else "")


def told_apart(keys: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the fields in which `keys` agree, and those in which they differ."""
    fields = list(dict.fromkeys(field for key in keys for field in key))
    same = [field for field in fields if len({key.get(field) for key in keys}) == 1]
    return same, [field for field in fields if field not in same]


def _channels(row: Any) -> str:
    given, made, groups = row["in_channels"], row["out_channels"], row["groups"]
    text = str(given) if given == made else f"{given}→{made}"
    return text if groups == 1 else f"{text}, {groups} groups"


def _padding(row: Any) -> str:
    kinds = set()
    for size, out, kernel, stride, dilation in zip(
        *(spread(row[name]) for name in ("size", "output_size", "kernel", "stride", "dilation")),
        strict=False,  # the bins of a spatial pyramid have no axes
    ):
        extent = (kernel - 1) * dilation + 1
        total = (out - 1) * stride + extent - size
        if extent == 1 and total <= 0:
            continue
        if out == -(-size // stride):
            kinds.add("same")
        elif total <= 0:
            kinds.add("valid")
        else:
            kinds.add("full" if total == 2 * (extent - 1) else f"{total / 2:g}")
    kinds -= {"same"} if len(kinds) > 1 else set()
    return "/".join(sorted(kinds))


def _words(descriptor: str, kind: str) -> str:
    bare = re.sub(r'_?n"[^"]*"$', "", descriptor)
    operations = ("bwdd", "bwdw", "backward")  # the column `operation` holds these
    parts = [p for p in bare.split("_") if p.isalpha() and p not in operations]
    return " ".join(p for p in parts if p != kind)
