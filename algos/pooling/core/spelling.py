"""Descriptor text of a pooling problem, written; `descriptor` beside this module reads it."""

from __future__ import annotations

from typing import Any

from algos.core.memory_order import CHANNELS_LAST
from algos.core.spelling import LAST_WORD

OPTIONS = ("output", "levels", "ratio", "sequence", "overlapping", "seed", "count_include_pad",
            "p", "sigma", "mode", "mix", "pieces")  # fmt: skip


WORDS: dict[str, tuple[str, Any]] = {
    "f32": ("dtype", "float32"), "f64": ("dtype", "float64"), "ceil": ("fit", "ceil"),
    "exact": ("fit", "exact"), "backward": ("operation", "grad_input"),
    LAST_WORD: ("layout", CHANNELS_LAST),
}  # fmt: skip


def format_pool_descriptor(problem: Any, defaults: dict[str, Any]) -> str:
    """Return the shortest descriptor that parses back to `problem`."""
    names = problem.axis_names
    columns: dict[str, tuple[int, ...]] = {"i": problem.size}
    if problem.placement == "regular":
        columns |= {"k": problem.window, "s": problem.stride}
        columns["d"] = tuple(d - 1 for d in problem.dilation)
        columns["p"], columns["r"] = zip(*problem.padding, strict=True)
    same = all(len(set(column)) == 1 for column in columns.values())
    spelled = names[:1] if same and len(names) > 1 else names
    text = {
        letter: "".join(f"{letter}{axis}{n}" for axis, n in zip(spelled, column, strict=False))
        for letter, column in columns.items()
    }
    parts = [problem.kind, f"mb{problem.batch}", f"ic{problem.channels}{text['i']}"]
    if problem.placement == "regular":
        parts += [text["k"], text["s"]]
        parts += [text["p"]] if any(columns["p"]) else []
        parts += [text["r"]] if columns["p"] != columns["r"] else []
        parts += [text["d"]] if any(columns["d"]) else []
    for name in OPTIONS:
        value = getattr(problem, name)
        if value is not None and value != defaults.get(name):
            parts.append(f"{name}={_spell(value)}")
    for word, (name, value) in WORDS.items():
        if getattr(problem, name) == value and word != "f32":
            parts.append(word)
    if problem.name:
        parts.append('n"{}"'.format(problem.name.replace('"', "'")))
    return "_".join(parts)


def _spell(value: Any) -> str:
    if isinstance(value, tuple):
        if value and isinstance(value[0], tuple):
            return ",".join("x".join(map(_spell, level)) for level in value)
        return ",".join(map(_spell, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
