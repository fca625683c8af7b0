"""Algorithms from outside this package, in the registry like our own.

A file is named by the user, and what is wrong with it is the user's to hear. An entry point of
the group ``convbench.algorithms`` comes with an installed package. If it cannot be loaded, a
placeholder algorithm of its name gives the reason; nothing else is affected.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from . import functions
from .core.algorithm import Algorithm
from .core.causes import said
from .core.errors import ConvbenchError
from .core.family import algorithms_in
from .core.problem import Problem

GROUP = "convbench.algorithms"


def from_file(path: str | os.PathLike[str]) -> tuple[list[Any], bool]:
    """Return the algorithms that a Python file defines, and True if it was run just now.

    Raises
    ------
    ConvbenchError
        If the file cannot be read or run, or defines no algorithm.
    """
    file = Path(path).expanduser().resolve()
    new = file not in _loaded
    if new:
        _loaded[file] = _load(file, os.fspath(path))
    return _loaded[file], new


def forget(path: str | os.PathLike[str]) -> None:
    """Let the next `from_file` run the file again."""
    _loaded.pop(Path(path).expanduser().resolve(), None)


_loaded: dict[Path, list[Any]] = {}


def _load(file: Path, shown: str) -> list[Any]:
    known = len(functions.registered)
    module = _run(file, shown)
    made = {one.name: one for one in functions.registered[known:]}
    for one in made.values():
        one.file = os.fspath(file)
    try:
        found = [*algorithms_in(module), *made.values()]
    except Exception as error:
        raise ConvbenchError(
            f"algorithm file {shown!r}: making an instance raised {said(error)}; "
            f"a class of algorithms is made without arguments"
        ) from None
    if not found:
        raise ConvbenchError(
            f"algorithm file {shown!r} defines no algorithm; it needs a subclass of "
            f"algos.Algorithm with a name, or a call of algos.register; see CONTRIBUTING.md"
        )
    return found


def _run(file: Path, shown: str) -> ModuleType:
    """Return the module in `file`, under a name of its own so that it shadows no other."""
    if not file.is_file():
        raise ConvbenchError(f"algorithm file {shown!r} does not exist")
    name = f"convbench_file_{file.stem}_{zlib.crc32(str(file).encode()):08x}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConvbenchError(f"algorithm file {shown!r} is no Python file; its name ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and pickles look for it
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ConvbenchError(f"algorithm file {shown!r} cannot be run: {said(error)}") from None
    return module


class _Broken(Algorithm):
    """Stands in for an entry point that could not be loaded."""

    opt_in = True

    def __init__(self, name: str, reason: str) -> None:
        self.name, self._reason = name, reason

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        return self._reason


def from_entry_points() -> list[Algorithm]:
    """Return the algorithms of installed packages; an entry names a module or one class."""
    found: list[Algorithm] = []
    for entry in importlib.metadata.entry_points(group=GROUP):
        try:
            offered = entry.load()
            made: list[Algorithm] = (
                algorithms_in(offered) if isinstance(offered, ModuleType) else [offered()]
            )
        except (Exception, SystemExit) as error:
            made = [_Broken(entry.name, f"entry point {entry.value!r} failed: {said(error)}")]
        found += made or [_Broken(entry.name, f"{entry.value!r} defines no algorithm")]
    return found
