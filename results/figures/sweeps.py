"""Finding the sweeps in a run: which problems differ in one size and agree in all else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from results.tables.labels import edge, plural, shape_text, source_text, spread

#: One panel of a figure: what its cells have in common, and the cells.
Panel = tuple[dict[str, Any], pd.DataFrame]


class Axis(NamedTuple):
    """What a sweep varies: the words for it in a sentence and beside a scale."""

    field: str
    grows: str
    scale: str


AXES = {
    "size": Axis("size", "input", "input size, samples per axis"),
    "kernel": Axis("kernel", "kernel", "kernel size, taps per axis"),
    "channels": Axis("channels", "number of channels", "channels in and out"),
    "batch": Axis("batch", "batch", "inputs in a batch"),
}

#: What pooling calls the second of them.
WINDOW = Axis("kernel", "window", "window size, samples per axis")


def axis_of(name: str, panels: Sequence[Panel]) -> Axis:
    """The words for a sweep, as those of all panels would have it."""
    pools = all(fixed.get("kind", "convolution") != "convolution" for fixed, _ in panels)
    return WINDOW if name == "kernel" and pools else AXES[name]


#: A sweep has at least this many points; a shorter one may go along beside it.
LEAST = 3
#: What tells one panel of a sweep from the next, in the order a title names it.
FIELDS = ("kind", "kernel", "size", "channels", "batch", "stride", "dilation", "padding", "words",
          "weights", "pixels", "dtype", "threads", "operation", "spatial")  # fmt: skip


def with_coordinates(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with what figures sort by: ``channels``, ``padding``, ``words``, ``layer``, ….

    ``size`` and ``kernel`` are the texts of input and kernel; ``channels`` is text, ``"64"`` or
    ``"3→96"``; ``padding`` is deduced from the output size;
    ``words`` are those of the descriptor (``flip``, ``bias``, …); ``layer`` is True where the
    problem has a name to itself.
    """
    frame = frame.assign(size=frame["input_size"], kernel=frame["kernel_size"])
    rows = [row for _, row in frame.iterrows()]
    frame["channels"] = [_channels(row) for row in rows]
    frame["padding"] = [_padding(row) for row in rows]
    either = frame["padding"] == ""  # a kernel of one tap pads nothing whatever was said
    common = frame.loc[~either, "padding"].mode()
    frame.loc[either, "padding"] = common.iloc[0] if len(common) else "same"
    frame["words"] = [_words(str(row["problem"]), str(row["kind"])) for row in rows]
    frame["spatial"] = [len(spread(row["size"])) for row in rows]
    alone = frame.groupby(["name", "operation"])["problem"].transform("nunique") == 1
    frame["layer"] = (frame["name"] != "") & alone
    return frame


def coordinate(row: Any, axis: str) -> float:
    """Where a row stands on `axis`; NaN for channels that differ between input and output."""
    if axis in ("size", "kernel"):
        return edge(row[axis])
    if axis == "batch":
        return float(row["batch"]) or float("nan")  # an empty batch has no place on a log scale
    return float(row["in_channels"]) if row["in_channels"] == row["out_channels"] else float("nan")


def families(frame: pd.DataFrame, axis: str) -> list[Panel]:
    """The sweeps along `axis`, of two points or more: what each holds fixed, and its rows.

    The rows have their place on the axis as ``at``.
    """
    if frame.empty:
        return []
    placed = frame.assign(at=[coordinate(row, axis) for _, row in frame.iterrows()])
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
    """`found` in groups whose places overlap enough to share one scale, in their order."""
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
    """The most points that a sweep among `found` has."""
    return max((rows["at"].nunique() for _, rows in found), default=0)


def split(found: list[Panel], most: int) -> Iterator[tuple[dict[str, Any], list[Panel]]]:
    """Share `found` out over pictures of at most `most` panels, alike panels together.

    Yields what all panels of a picture share beyond what the whole run shares, and them.
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
    """What it says that `field` is `value`, in a title; empty where that goes without saying."""
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
    """As `describe`, where panels differ in `field`: one that computes the output says so."""
    return describe(field, value) or (str(value) if field == "operation" else "")


def told_apart(keys: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """The fields in which `keys` agree, and those in which they differ."""
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
    operations = ("bwdd", "bwdw", "backward")  # which have a field of their own
    parts = [p for p in bare.split("_") if p.isalpha() and p not in operations]
    return " ".join(p for p in parts if p != kind)
