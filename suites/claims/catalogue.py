"""Catalogue of all claims: the modules of `sources`, found by their place."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from algos.core.errors import ConvbenchError, closest
from results.figures.matplotlib_backend import import_matplotlib

from . import sources
from .claim import CLAIMS, Claim


def claims() -> dict[str, Claim]:
    """Return all claims by name, in the order of their modules and lines."""
    import_matplotlib()
    for module in sorted(info.name for info in iter_modules(sources.__path__)):
        import_module(f"{sources.__name__}.{module}")
    return dict(CLAIMS)


def chosen(names: tuple[str, ...]) -> list[Claim]:
    """Return the claims of `names`, or all if there are none; raise for an unknown name."""
    known = claims()
    for name in names:
        if name not in known:
            raise ConvbenchError(f"there is no claim {name!r}; {closest(name, list(known))}")
    return [known[name] for name in dict.fromkeys(names)] if names else list(known.values())
