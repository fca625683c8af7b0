"""Data of the report page: the table of a run as plain values, ready for JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from results.figures.looks import look
from results.figures.sweeps import with_coordinates
from results.records.columns import GROUP
from results.tables import roofline
from results.tables.labels import edge, shortened
from results.verdicts.decide import MIN_EFFECT

from .ranking import Costs, costs, ranking
from .scaling import sweeps
from .verdict import verdict
from .winners import winner_maps

#: Numbers of a cell that the page shows, by their short name on the page.
NUMBERS = {
    "time": "time_s", "low": "time_low_s", "high": "time_high_s", "speedup": "speedup",
    "gflops": "gflops", "limit": "roofline_percent", "compile": "compile_s",
    "prepare": "prepare_s", "convert": "convert_s", "first": "first_call_s",
    "load": "load_s", "workspace": "workspace_bytes", "memory": "peak_extra_bytes",
    "wrong": "relative_error", "bound": "error_over_bound", "passes": "passes", "drift": "drift",
}  # fmt: skip
#: Texts of a cell.
TEXTS = ("verdict", "rivals", "ties", "doubt", "accuracy", "status", "reason")
#: Samples that a page holds over all cells. Beyond, each cell keeps an even selection, so that
#: the page stays below 2 MB.
MOST_SAMPLES = 60_000
#: Longest name and reason on the page, in characters.
LONGEST_NAME, LONGEST_REASON = 90, 400


def page_model(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the data of the page for the table of a run; see `results.tables.table.read`."""
    group = group_numbers(frame)
    found = costs(frame, group)
    groups = _groups(frame, group)
    timed = frame["time_s"].notna()
    return {
        "algorithms": [_algorithm(at, name, frame.attrs) for at, name in enumerate(found.names)],
        "groups": groups,
        "cells": _cells(frame, group, found),
        "sweeps": sweeps(frame[timed], group[timed]),
        "maps": winner_maps(frame[timed], group[timed]),
        "roofs": _roofs(frame),
        "presets": _presets(groups),
        "verdicts": _verdicts(frame, group, found, groups),
        "order": _order(found),
        "baseline": str(frame.attrs.get("baseline") or ""),
        "effect": frame.attrs.get("min_effect") or MIN_EFFECT,
        "seed": frame.attrs.get("seed") or 0,
        "id": str(frame.attrs.get("id") or "run"),
    }


def group_numbers(frame: pd.DataFrame) -> np.ndarray:
    """Return the number of the group of each row, in the order of the run."""
    keys = list(frame[list(GROUP)].itertuples(index=False, name=None))
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], dtype=int)


def _order(found: Costs) -> list[int]:
    """Return the algorithms by index, as they are ranked; those without a time come last."""
    ranked = [
        found.names.index(one.algorithm) for one in ranking(found.of(np.arange(len(found.winner))))
    ]
    return [*ranked, *(at for at in range(len(found.names)) if at not in ranked)]


def _algorithm(number: int, name: str, about: dict[Any, Any]) -> dict[str, Any]:
    style = look(name)
    described = (about.get("descriptions") or {}).get(name) or {}
    return {
        "number": number,
        "name": shortened(name, LONGEST_NAME),
        "key": name,
        "peer": name in (about.get("peers") or []),
        "colour": style.colour,
        "marker": style.marker,
        "dashes": list(style.dashes),
        **{field: str(described[field]) for field in ("does", "source", "paper")
           if described.get(field)},
    }  # fmt: skip


def _groups(frame: pd.DataFrame, group: np.ndarray) -> list[dict[str, Any]]:
    first = frame[np.diff(np.maximum.accumulate(group), prepend=-1) > 0]
    first.attrs = {}  # pandas copies them with every row
    placed = with_coordinates(first) if len(first) else first
    return [
        {
            "label": shortened(str(row["label"]), LONGEST_NAME),
            "problem": str(row["problem"])[:2000],
            "threads": int(row["threads"]),
            "dtype": row["dtype"],
            "weights": shortened(str(row["weights"]), LONGEST_NAME),
            "pixels": shortened(str(row["pixels"]), LONGEST_NAME),
            "intensity": _short(row["intensity"]),
            "attainable": _short(row["attainable_s"]),
            "flops": _short(row["flops"]),
            "across": _short(edge(row["input_size"])),
            "up": _short(edge(row["kernel_size"])),
            "tags": _tags(row),
        }
        for row in placed.to_dict("records")
    ]


def _tags(row: Any) -> list[str]:
    """Return the presets that a problem belongs to."""
    multiplying = row["kind"] in roofline.MULTIPLYING
    one_channel = row["in_channels"] == row["out_channels"] == 1
    belongs = {
        "Layers": multiplying and row["layer"] and not one_channel,
        "Images": multiplying and one_channel and row["spatial"] == 2,
        "Signals": row["spatial"] == 1,
        "Volumes": row["spatial"] == 3,
        "Small kernels": multiplying and edge(row["kernel_size"]) <= 5,
        "Large kernels": multiplying and edge(row["kernel_size"]) > 5,
        "Pooling": not multiplying,
        "Gradients": row["operation"] != "forward",
    }
    return [name for name, found in belongs.items() if found]


def _presets(groups: list[dict[str, Any]]) -> list[str]:
    """Return the tags that select some problems, but not all."""
    counts: dict[str, int] = {}
    for group in groups:
        for tag in group["tags"]:
            counts[tag] = counts.get(tag, 0) + 1
    return [tag for tag, count in counts.items() if count < len(groups)]


def _cells(frame: pd.DataFrame, group: np.ndarray, found: Costs) -> dict[str, list[Any]]:
    """Return one list per value, one entry per cell."""
    place = {name: at for at, name in enumerate(found.names)}
    algorithm = np.array([place[name] for name in frame["algorithm"]], dtype=int)
    texts = {name: frame[name].astype(str).str.slice(0, LONGEST_REASON) for name in TEXTS}
    return {
        "group": group.tolist(),
        "algorithm": algorithm.tolist(),
        "winner": frame["winner"].astype(int).tolist(),
        "decided": frame["decided"].astype(int).tolist(),
        **{name: [_short(value) for value in frame[of]] for name, of in NUMBERS.items()},
        "cost": [_short(value) for value in found.cost[group, algorithm]],
        "error": [_short(value) for value in found.error[group, algorithm]],
        "shared": found.passes[group, algorithm].tolist(),
        **{name: values.tolist() for name, values in texts.items()},
        "samples": _samples(frame["samples"]),
        "blocks": frame["blocks"].tolist(),
    }


def _samples(column: Iterable[Any]) -> list[list[list[float]]]:
    """Return the samples of each cell by pass in seconds, thinned evenly to `MOST_SAMPLES`."""
    cells = [[sorted(one for one in taken if one == one) for taken in cell] for cell in column]
    most = MOST_SAMPLES / max(1, len(cells))
    found = []
    for passes in cells:
        each = max(1, int(most / max(1, len(passes))))
        passes = passes[:: max(1, math.ceil(len(passes) / most))]
        found.append([[_short(one) for one in _even(taken, each)] for taken in passes])
    return found  # type: ignore[return-value]


def _even(ordered: list[float], most: int) -> list[float]:
    """Return at most `most` of the `ordered` samples, the shortest always among them."""
    if len(ordered) <= most:
        return ordered
    return [ordered[at] for at in np.linspace(0, len(ordered) - 1, most).astype(int)]


def _verdicts(
    frame: pd.DataFrame, group: np.ndarray, found: Costs, groups: list[dict[str, Any]]
) -> dict[str, str]:
    """Return the verdict of every preset at every number of threads, and of all together."""
    machine = str((frame.attrs.get("environment") or {}).get("cpu") or "machine")
    said = {}
    for tag in ("", *_presets(groups)):
        for threads in ("", *sorted({one["threads"] for one in groups})):
            chosen = [
                number
                for number, one in enumerate(groups)
                if (not tag or tag in one["tags"]) and threads in ("", one["threads"])
            ]
            some = np.array(chosen, dtype=int)
            said[f"{tag}|{threads}"] = verdict(frame, group, found, some, machine)
    return said


def _roofs(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return peak and bandwidths of the machine for each dtype and number of threads."""
    limits = frame.attrs.get("limits")
    if not limits:
        return []
    asked = frame[["dtype", "threads"]].drop_duplicates()
    return [
        {
            "dtype": dtype,
            "threads": int(threads),
            "peak": _short(roofline.peak(limits, dtype, int(threads)) / 1e9),
            "levels": {
                level: _short(rate / 1e9)
                for level, rate in roofline.bandwidths(limits, int(threads)).items()
            },
        }
        for dtype, threads in asked.itertuples(index=False, name=None)
        if dtype in limits.get("flops", {})
    ]


def _short(value: Any) -> float | int | None:
    """Return `value` with four digits; None if it is not finite."""
    number = float(value)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 1e15 else float(f"{number:.4g}")
