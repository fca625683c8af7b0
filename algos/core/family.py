"""What convolution and pooling have in common, so that the rest of the house treats them alike.

A problem knows its `Family`: the registry of algorithms that do such problems. An algorithm, of
whichever family, is asked the same few things, through whoever answers for the problem at hand
(`AlgorithmBase.performer`).
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterable
from functools import cache
from types import ModuleType
from typing import Any

from .errors import ConvbenchError, closest, shown


class AlgorithmBase:
    """What an algorithm of any family says about itself, and is asked."""

    #: What users type. Lower case; unique within its family.
    name: str = ""

    #: False where a NaN or infinity reaches outputs that do not depend on it.
    confines_nonfinite: bool = True

    #: Whether integers, small enough, give exactly the right integers. Else the result is exact
    #: once rounded, wherever `error_bound` is below ½.
    exact_on_integers: bool = True

    #: True keeps an algorithm out of runs that do not ask for it by name.
    opt_in: bool = False

    #: Modules of other people's that its first call imports, which may take seconds. Importing
    #: one must start no thread: processes are forked after it.
    libraries: tuple[str, ...] = ()

    #: Whose problems it does.
    family: Family

    def performer(self, problem: Any) -> Any:
        """Who answers for `problem`: has why_not, workspace_bytes, work and error_bound."""
        return self

    @property
    def is_peer(self) -> bool:
        """Whether somebody else's library does the work."""
        return ".peers." in type(self).__module__

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (inspect.getdoc(type(self)) or "").split("\n")[0]


class Family:
    """Problems of one kind, and the algorithms that do them; `does` is the verb for it."""

    def __init__(self, name: str, does: str) -> None:
        self.name, self.does = name, does

    def registry(self) -> dict[str, Any]:
        """Every algorithm by name, in alphabetical order."""
        return _registries().setdefault(self, {})

    def get(self, name: Any) -> Any:
        """The algorithm called `name`, or `name` itself where it is one of this family.

        Raises
        ------
        ConvbenchError
            With the nearest known name, or with the type that is no name.
        """
        if isinstance(name, str):
            return self.registry().get(name) or get(name, (self,))
        if isinstance(name, AlgorithmBase):
            if name.family is self:
                return name
            raise ConvbenchError(f"{name.name} can {name.family.does}, it cannot {self.does}")
        raise ConvbenchError(
            f"algorithm {shown(name)} must be a name, such as {next(iter(self.registry()))!r}, or "
            f"an algorithm"
        )


CONVOLUTION = Family("convolution", "convolve")
POOLING = Family("pooling", "pool")


def families() -> tuple[Family, ...]:
    """All of them, convolution first."""
    from algos.inception.problem import MODULES

    return (CONVOLUTION, POOLING, MODULES)


def get(name: str, among: Iterable[Family] | None = None) -> Any:
    """The first algorithm called `name` in the families `among` which to look.

    Raises
    ------
    ConvbenchError
        With what the algorithm does instead, or with the nearest known name.
    """
    asked = tuple(among) if among is not None else families()
    for family in asked:
        if name in family.registry():
            return family.registry()[name]
    for other in families():
        if name in other.registry():
            verbs = " or ".join(family.does for family in asked)
            raise ConvbenchError(f"{name} can {other.does}, it cannot {verbs}")
    known = list(dict.fromkeys(name for family in asked for name in family.registry()))
    what = "algorithm" if CONVOLUTION in asked else f"{asked[0].name} algorithm"
    raise ConvbenchError(f"there is no {what} {shown(name)}; {closest(name, known)}")


@cache
def _registries() -> dict[Family, dict[str, Any]]:
    """Every algorithm there is, found once: those of all modules of this package, and plug-ins."""
    from algos.plugins import from_entry_points

    package = importlib.import_module(__package__)
    modules = pkgutil.walk_packages(package.__path__, f"{__package__}.")
    ours = [a for info in modules for a in algorithms_in(importlib.import_module(info.name))]
    found: dict[Family, dict[str, Any]] = {}
    for algorithm in sorted([*ours, *from_entry_points()], key=lambda algorithm: algorithm.name):
        known = found.setdefault(algorithm.family, {})
        if algorithm.name in known:
            raise ConvbenchError(f"two algorithms are called {algorithm.name!r}; rename one")
        known[algorithm.name] = algorithm
    return found


def algorithms_in(module: ModuleType) -> list[Any]:
    """An instance of each named algorithm class that `module` itself defines."""
    return [
        member()
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, AlgorithmBase)
        and member.name
        and member.__module__ == module.__name__
    ]


def check_problem(problem: Any, kind: type) -> None:
    """Raise unless `problem` is of the class `kind`."""
    if not isinstance(problem, kind):
        raise ConvbenchError(
            f"problem {shown(problem)} must be of type {kind.__name__}; "
            f"parse_descriptor makes one of a text"
        )


def parse(text: str, **defaults: Any) -> Any:
    """Return the problem that a descriptor describes, of whichever family its first word is.

    One of benchdnn's drivers before a colon, ``deconv:`` or ``pool:``, says how to read it.

    Examples
    --------
    >>> parse("mb1_ic3ih8_oc4_kh3").family.name, parse("max_mb1_ic3ih8_kh2").family.name
    ('convolution', 'pooling')
    >>> parse("deconv:mb1_ic3ih8_oc4_kh3").operation
    'grad_input'
    """
    from algos.drivers import DRIVERS
    from algos.inception.problem import parse_inception
    from algos.pooling.core.descriptor import parse_pool_descriptor
    from algos.pooling.core.problem import KINDS

    from .descriptor import parse_descriptor

    driver, colon, rest = text.partition(":")
    if colon and driver in DRIVERS:
        return DRIVERS[driver](rest, **defaults)
    word = re.match(r"_*([a-z0-9]*)", text)
    if word and word[1] == "inception":
        return parse_inception(text, **defaults)
    if word and word[1] in KINDS:
        return parse_pool_descriptor(text, **defaults)
    return parse_descriptor(text, **defaults)
