"""A whole network: its time with one algorithm, with the automatic choice, and at best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from algos.choice import Explanation
from results.records.entrants import as_given
from results.tables.labels import GROUP, bytes_text, lead_text, plural, time_text
from results.tables.network import count_of
from results.tables.regret import Key, key_of

#: Share of the whole time from which the choice for a layer matters.
MATTERS = 0.02


@dataclass(frozen=True)
class Layer:
    """A layer with the seconds and bytes that each algorithm takes; infinite if it cannot.

    `chosen` is the automatic choice, and `best_s` the shortest measured time, NaN if unknown. The
    network has the layer `count` times, and the seconds are those of one.
    """

    label: str
    times: Mapping[str, float]
    workspaces: Mapping[str, int]
    chosen: str
    best_s: float = math.nan
    count: int = 1

    @property
    def chosen_s(self) -> float:
        """Seconds of the automatic choice."""
        return self.times.get(self.chosen, math.nan)


@dataclass(frozen=True)
class Network:
    """Sums over the layers of a network, in seconds and bytes.

    `single` is the one algorithm that can do all layers in the shortest time, empty if none can.
    `best_s` sums the shortest measured times over the `measured` layers that have one, and
    `best_auto_s` the automatic choice over the same layers. Layers are computed one after the
    other, so the memory is that of the greediest.
    """

    layers: tuple[Layer, ...]
    single: str
    single_s: float
    auto_s: float
    single_bytes: int
    auto_bytes: int
    measured: int
    best_s: float
    best_auto_s: float

    def gained(self, layer: Layer) -> float:
        """Return the seconds that the automatic choice saves in a layer over `single`."""
        return layer.count * (layer.times.get(self.single, math.nan) - layer.chosen_s)

    @property
    def deciding(self) -> list[Layer]:
        """Layers in which the choice saves `MATTERS` of the time of `single`, the most first."""
        if not self.single:
            return []
        found = [one for one in self.layers if self.gained(one) >= MATTERS * self.single_s]
        return sorted(found, key=self.gained, reverse=True)


def layer_of(label: str, found: Explanation, best_s: float = math.nan) -> Layer:
    """Return the layer that an explanation is about."""
    able = [one for one in found.candidates if not one.reason and one.time_s is not None]
    return Layer(
        label,
        {one.algorithm: float(one.time_s or math.nan) for one in able},
        {one.algorithm: int(one.workspace_bytes or 0) for one in able},
        found.algorithm,
        best_s,
        count_of(label) or 1,
    )


def sum_up(layers: Sequence[Layer]) -> Network:
    """Return the sums over `layers`."""
    names = sorted(set.intersection(*(set(layer.times) for layer in layers))) if layers else []
    sums = {name: sum(layer.count * layer.times[name] for layer in layers) for name in names}
    single = min(sums, key=lambda name: sums[name], default="")
    known = [layer for layer in layers if not math.isnan(layer.best_s)]
    return Network(
        layers=tuple(layers),
        single=single,
        single_s=sums.get(single, math.nan),
        auto_s=sum(layer.count * layer.chosen_s for layer in layers),
        single_bytes=_greediest(layers, [single] * len(layers)),
        auto_bytes=_greediest(layers, [layer.chosen for layer in layers]),
        measured=sum(layer.count for layer in known),
        best_s=sum(layer.count * layer.best_s for layer in known) if known else math.nan,
        best_auto_s=sum(layer.count * layer.chosen_s for layer in known) if known else math.nan,
    )


def _greediest(layers: Sequence[Layer], names: Sequence[str]) -> int:
    needs = [layer.workspaces.get(name, 0) for layer, name in zip(layers, names, strict=True)]
    return max(needs, default=0)


def best_times(frame: pd.DataFrame) -> dict[Key, float]:
    """Return the shortest time of our algorithms in a run, by problem and thread count.

    Arrays lie as the problem says: the choice that it is compared with cannot change that.
    """
    frame = as_given(frame)
    peers = frame.attrs.get("peers") or ()
    ours = frame[frame["time_s"].notna() & ~frame["algorithm"].isin(peers)]
    rows = ours.sort_values("time_s").drop_duplicates(list(GROUP))
    return {key_of(row): float(row["time_s"]) for _, row in rows.iterrows()}


def sentences(found: Network) -> list[str]:
    """Return the sums of a network as sentences."""
    count = sum(layer.count for layer in found.layers)
    unknown = sum(layer.count * math.isnan(layer.chosen_s) for layer in found.layers)
    if unknown:
        return [
            f"The time of {unknown} of {plural(count, 'layer')} is not known, so nothing can be "
            f"summed up; convbench tune measures them."
        ]
    said = [
        f"{plural(count, 'layer')} with auto: {time_text(found.auto_s)}, at most "
        f"{bytes_text(found.auto_bytes)} of workspace."
    ]
    if found.single:
        said.append(
            f"With one algorithm for all, {found.single} takes the least: "
            f"{time_text(found.single_s)}, {lead_text(found.single_s / found.auto_s)} the time of "
            f"auto, at most {bytes_text(found.single_bytes)} of workspace."
        )
    else:
        said.append("No algorithm can do all of the layers.")
    if found.measured:
        of = "" if found.measured == count else f" of the {found.measured} measured layers"
        said.append(
            f"With the fastest measured algorithm of each layer: {time_text(found.best_s)}{of}; "
            f"auto takes {lead_text(found.best_auto_s / found.best_s)} that time."
        )
    if found.single:
        said.append(_where(found))
    return said


def _where(found: Network) -> str:
    deciding = found.deciding
    if not deciding:
        return f"In no layer does the choice save {MATTERS:.0%} of the time of {found.single}."
    parts = [
        f"{layer.label} ({layer.chosen}, saves {time_text(found.gained(layer))})"
        for layer in deciding
    ]
    return (
        f"The choice matters, saving {MATTERS:.0%} or more of the time of {found.single}, in "
        f"{plural(len(deciding), 'layer')}: {'; '.join(parts)}."
    )
