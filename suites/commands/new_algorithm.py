"""Command ``new-algorithm``: write a file to start an algorithm from.

The file is complete, commented and correct as it stands.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

from algos.core.errors import ConvbenchError
from algos.registry import convolutions

from .command import Command
from .command import Options as BaseOptions
from .consoles import out

_TEMPLATE = Path(__file__).with_name("starter.txt")

EXAMPLES = """example:
  convbench new-algorithm my-algorithm
  convbench verify --algorithm-file my_algorithm.py
"""


@dataclass(frozen=True, kw_only=True)
class Options(BaseOptions):
    """Options of ``convbench new-algorithm``."""

    name: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convbench new-algorithm`` to `parser`."""
    parser.add_argument("name", metavar="NAME", help="lower-case words, such as my-algorithm")


def execute(options: Options) -> int:
    """Write the file into the current folder, and print the command to try next."""
    path = write(options.name, Path.cwd())
    out.print(f"Wrote {path.name}: a whole algorithm to change into yours. Does it verify?")
    out.print(f"  convbench verify --algorithm-file {path.name}")
    return 0


def render(name: str) -> str:
    """Return the text of an algorithm file for an algorithm called `name`.

    Raises
    ------
    ConvbenchError
        If `name` cannot name an algorithm, or is taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ConvbenchError(
            f"{name!r} cannot name an algorithm; use lower-case words, such as my-algorithm"
        )
    if name in convolutions():
        raise ConvbenchError(f"there is an algorithm {name!r} already; choose another name")
    words = "".join(word.capitalize() for word in name.split("-"))
    return _TEMPLATE.read_text().replace("@NAME@", name).replace("@CLASS@", words)


def write(name: str, folder: Path) -> Path:
    """Write the file into `folder` and return its path; never replace another file."""
    text = render(name)
    path = folder / f"{name.replace('-', '_')}.py"
    try:
        with path.open("x") as file:
            file.write(text)
    except FileExistsError:
        raise ConvbenchError(
            f"{path} exists already and was not changed; choose another name or folder"
        ) from None
    return path


COMMAND = Command("new-algorithm", Options, add_arguments, execute, EXAMPLES)
