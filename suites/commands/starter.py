"""A file to start a new algorithm from: whole, commented, and right as it stands."""

from __future__ import annotations

import re
from pathlib import Path

from algos.core.errors import ConvbenchError
from algos.registry import convolutions

_TEMPLATE = Path(__file__).with_name("starter.txt")


def render(name: str) -> str:
    """The text of an algorithm file for an algorithm called `name`.

    Raises
    ------
    ConvbenchError
        If `name` is no name for an algorithm, or is taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ConvbenchError(
            f"{name!r} is no name for an algorithm; use lower-case words, such as my-algorithm"
        )
    if name in convolutions():
        raise ConvbenchError(f"there is an algorithm {name!r} already; choose another name")
    words = "".join(word.capitalize() for word in name.split("-"))
    return _TEMPLATE.read_text().replace("@NAME@", name).replace("@CLASS@", words)


def write(name: str, folder: Path) -> Path:
    """Write the file into `folder`, never over another; returns where it is."""
    text = render(name)
    path = folder / f"{name.replace('-', '_')}.py"
    try:
        with path.open("x") as file:
            file.write(text)
    except FileExistsError:
        raise ConvbenchError(f"{path} exists already; it is left as it is") from None
    return path
