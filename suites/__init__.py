"""Benchmark suites and the timing of them.

Our top-level names are common ones: a user may have a `results` or a `report.py` too, earlier on
Python's path. So the packages beside this one are loaded from where they lie, before anything
looks for them by name.
"""

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType

_HERE = Path(__file__).resolve().parents[1]


def load_ours(name: str, known_as: str | None = None) -> ModuleType:
    """Import the module `name` from beside this package, even if another module has that name.

    Parameters
    ----------
    name : str
    known_as : str, optional
        Another name to enter it by, which leaves `name` to a module of the user's.

    Raises
    ------
    ImportError
        If another module has been imported by this name already.
    """
    found = PathFinder.find_spec(name, [str(_HERE)])
    if found is None or found.origin is None or found.loader is None:
        raise ImportError(f"{name} is missing from {_HERE}; install convbench again")
    known_as = known_as or name
    if known := sys.modules.get(known_as):
        place = getattr(known, "__file__", None)
        if place is None or Path(place).resolve() != Path(found.origin).resolve():
            raise ImportError(
                f"convbench has a module {name!r} of its own, but another one, {place}, was "
                f"imported before; import convbench first, or rename the other"
            )
        return known
    module = sys.modules[known_as] = module_from_spec(found)
    try:
        found.loader.exec_module(module)
    except BaseException:
        del sys.modules[known_as]
        raise
    return module


for _name in ("algos", "results"):
    load_ours(_name)
