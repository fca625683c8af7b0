"""Progress bars and the consoles that can show them."""

from __future__ import annotations

from importlib.util import find_spec

from rich.console import Console


def can_move(console: Console) -> bool:
    """Return False for a notebook without ipywidgets, where a bar would only warn."""
    return not console.is_jupyter or find_spec("ipywidgets") is not None
