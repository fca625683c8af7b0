"""Suites that installed packages offer, through the entry-point group ``convbench.suites``.

Each entry names a package or module; every ``.toml`` file beside it is a suite, under its own name.
A package that cannot be found is passed over: it costs its own suites and nothing else. Where two
have a suite of one name, ours wins, then the first entry by name.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

GROUP = "convbench.suites"


def files() -> dict[str, Path]:
    """Return the file of every suite that is offered, by the suite's name."""
    found: dict[str, Path] = {}
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda e: e.name):
        for folder in _folders(entry.module):
            for path in sorted(folder.glob("*.toml")):
                if path.name != "pyproject.toml":
                    found.setdefault(path.stem, path)
    return found


def broken() -> dict[str, str]:
    """Return a sentence on each entry that offers nothing, by its name."""
    reasons = {}
    for entry in importlib.metadata.entry_points(group=GROUP):
        folders = _folders(entry.module)
        if not folders:
            reasons[entry.name] = f"entry point {entry.name!r}: there is no module {entry.module!r}"
        elif not any(path for folder in folders for path in folder.glob("*.toml")):
            reasons[entry.name] = (
                f"entry point {entry.name!r}: no .toml file lies beside {entry.module!r}"
            )
    return reasons


def _folders(module: str) -> list[Path]:
    """Return the folders of a module, without running it."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return [Path(place) for place in spec.submodule_search_locations]
    return [Path(spec.origin).parent] if spec.origin and Path(spec.origin).is_file() else []
