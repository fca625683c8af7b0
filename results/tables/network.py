"""Sums over the layers of a network: each layer's time, as often as the network has it.

Layers carry their count at the end of their names, as ``conv1 ×3``. A run is that of a network if
all of its problems have a count.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from results.records.entrants import Entrant

from .labels import GROUP, in_order, plural, time_text
from .regret import chosen_by_auto, key_of

_COUNT = re.compile(r"^(.*) ×(\d+)$", re.DOTALL)

#: Parts of a network that are summed up by themselves, and all of it.
PARTS = ("convolution", "pooling", "all layers")
AUTO, FASTEST = "auto", "the fastest of ours for each layer"


def counted(name: str, count: int) -> str:
    """Return the name of a layer that a network has `count` times.

    >>> counted("conv1", 3), count_of("conv1 ×3"), count_of("conv1")
    ('conv1 ×3', 3, None)
    """
    return f"{name} ×{count}"


def count_of(name: str) -> int | None:
    """Return the count at the end of a layer's name; None without one."""
    match = _COUNT.match(name)
    return int(match[2]) if match else None


@dataclass(frozen=True)
class Way:
    """One way to compute the network: its seconds per part, NaN where a layer has no time.

    `lacking` counts the layers without a time, out of all in the network. The `kind` is empty,
    ``single`` for one algorithm of ours, or ``peer``.
    """

    name: str
    seconds: Mapping[str, float]
    lacking: int = 0
    kind: str = ""


@dataclass(frozen=True)
class Whole:
    """A network at one thread count: the number of its layers by part, and all ways."""

    threads: int
    layers: Mapping[str, int]
    ways: tuple[Way, ...]


def whole_network(frame: pd.DataFrame) -> list[Whole]:
    """Return the sums of a run, one for each thread count; empty if it is not of a network.

    Parameters
    ----------
    frame : DataFrame of `results.read`

    Returns
    -------
    list of Whole
        The first way is the automatic choice. Next comes the one algorithm of ours that does all
        layers in the shortest time, if there is one. The fastest of ours for each layer, ours in
        other layouts and the peers follow. The first three take arrays as the problem has them.
        A sum is NaN where a layer has no time. Only algorithms that the run timed count.
    """
    if frame.empty or any(count_of(str(name)) is None for name in frame["name"].unique()):
        return []
    return [_whole(int(n), frame[frame["threads"] == n]) for n in sorted(set(frame["threads"]))]


def _whole(threads: int, frame: pd.DataFrame) -> Whole:
    peers = set(frame.attrs.get("peers") or ())
    chosen = chosen_by_auto(frame)
    layers: list[tuple[int, str, dict[str, float], str]] = []
    for _, group in frame.groupby(list(GROUP), sort=False):
        first = group.iloc[0]
        part = "convolution" if first["kind"] == "convolution" else "pooling"
        times = {
            str(name): float(time)
            for name, time in zip(group["algorithm"], group["time_s"], strict=True)
            if not math.isnan(time)
        }
        count = count_of(str(first["name"])) or 1
        layers.append((count, part, times, chosen.get(key_of(first), "")))
    names = in_order(frame["algorithm"])
    relaid = [name for name in names if Entrant.of(name).layout is not None]
    ours = [name for name in names if name not in peers and name not in relaid]
    single = [_way(name, layers, [name] * len(layers), "single") for name in ours]
    best = [
        min((n for n in times if n in ours), key=lambda n: times[n], default="")
        for _, _, times, _ in layers
    ]
    able = [way for way in single if not way.lacking]
    ways = [_way(AUTO, layers, [auto for *_, auto in layers])]
    if able:
        ways.append(min(able, key=lambda way: way.seconds["all layers"]))
    ways.append(_way(FASTEST, layers, best))
    ways += [_way(name, layers, [name] * len(layers)) for name in relaid]
    ways += [_way(name, layers, [name] * len(layers), "peer") for name in names if name in peers]
    numbers = {
        part: sum(count for count, own, *_ in layers if part in (own, "all layers"))
        for part in PARTS
    }
    return Whole(threads, numbers, tuple(ways))


def _way(
    name: str,
    layers: Sequence[tuple[int, str, Mapping[str, float], str]],
    taken: Sequence[str],
    kind: str = "",
) -> Way:
    """Return the sums over `layers`, each computed by the algorithm `taken` for it."""
    seconds = dict.fromkeys(PARTS, 0.0)
    lacking = 0
    for (count, part, times, _), algorithm in zip(layers, taken, strict=True):
        time = times.get(algorithm, math.nan)
        lacking += count * math.isnan(time)
        for each in (part, "all layers"):
            seconds[each] += count * time
    return Way(name, seconds, lacking, kind)


def title(whole: Whole) -> str:
    """Return the heading of the table of a network."""
    return f"The whole network, {plural(whole.threads, 'thread')}: the sum over its layers"


def headings(whole: Whole) -> list[str]:
    """Return the headings of `rows`: the parts that the network has, with their layers."""
    return ["computed by", *(f"{part} ({whole.layers[part]})" for part in _parts(whole))]


def rows(whole: Whole) -> list[list[str]]:
    """Return a row per way that has a time: its name, and its time for each part."""
    return [
        [
            f"{way.name}, the best single algorithm" if way.kind == "single" else way.name,
            *(time_text(way.seconds[part]) for part in _parts(whole)),
        ]
        for way in whole.ways
        if any(not math.isnan(way.seconds[part]) for part in _parts(whole))
    ]  # fmt: skip


def sums_sentence(whole: Whole) -> str:
    """Return the sums of `rows` as a sentence; a part is named where it has the only sum."""
    parts = _parts(whole)
    found = []
    for name, *times in rows(whole):
        known = [(part, time) for part, time in zip(parts, times, strict=True) if time != "–"]
        alone = "" if known[-1][0] == parts[-1] else f", {known[-1][0]} alone"
        found.append(f"{known[-1][1]} with {name}{alone}")
    sums = "; ".join(found) or "no way has a time for every layer"
    return f"The whole network, {plural(whole.threads, 'thread')}: {sums}."


def _parts(whole: Whole) -> list[str]:
    """Return the parts to show: a network of one kind of layer has one."""
    kinds = [part for part in PARTS[:2] if whole.layers[part]]
    return [*kinds, PARTS[2]] if len(kinds) > 1 else kinds


def sentences(whole: Whole) -> list[str]:
    """Return sentences on the ways that lack a sum, and on the best single algorithm."""
    said = []
    if not any(way.kind == "single" for way in whole.ways):
        said.append("No single algorithm of the run has a time for every layer.")
    lacking = [f"{way.name} {way.lacking}" for way in whole.ways if way.lacking]
    if lacking:
        said.append(
            f"Layers that have no time, of {plural(whole.layers[PARTS[2]], 'layer')}: "
            f"{', '.join(lacking)}; a dash stands for a sum that would lack them."
        )
    if whole.ways[0].lacking:
        said.append("Where auto has no time, it takes an algorithm that has none in this run.")
    return said
