"""Command, machine and versions of a run, as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .labels import bytes_text


def about_rows(about: Mapping[Any, Any]) -> list[tuple[str, str]]:
    """Return name and text of what is known of a run; `about` holds the attributes of its table."""
    entries = {
        "run": about.get("id"),
        "started": about.get("started"),
        "command": about.get("command"),
        "seed": about.get("seed"),
        "time allowed": f"{about['budget_s']:g} s" if about.get("budget_s") else None,
        **{name: _text(name, value) for name, value in (about.get("environment") or {}).items()},
    }  # fmt: skip
    return [
        (str(name).removesuffix("_bytes").replace("_", " "), str(value))
        for name, value in entries.items()
        if value not in (None, "")
    ]


def _text(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, dict):
        parts = (f"{key} {_text(f'{name}_bytes', entry)}" for key, entry in value.items() if entry)
        return ", ".join(parts)
    if isinstance(value, list | tuple):
        return ", ".join(str(entry) for entry in value)
    if "bytes" in name and isinstance(value, int | float):
        return bytes_text(value)
    return str(value)
