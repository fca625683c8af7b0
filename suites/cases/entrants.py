"""Entrants of a run by name: the algorithm, and the problem that its process computes.

An entrant such as ``parallel@channels_last`` computes a problem on arrays of another layout. It is
compared with the others on the problem as written. Peers need no such names, because each makes
its own tensors in the layout that suits it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from algos import registry
from algos.adapters import performer
from algos.adapters.relaid import Relaid, copied_bytes
from algos.core.errors import ConvbenchError, closest, shown
from algos.core.family import Family
from algos.core.memory_order import LAYOUTS
from algos.pooling.core.algorithm import Relaid as RelaidPooling
from results.records.entrants import SIGN, Entrant


def check_layout(name: str) -> None:
    """Raise if the entrant of this name gives a layout that does not exist."""
    layout = Entrant.of(name).layout
    if layout is not None and layout not in LAYOUTS:
        raise ConvbenchError(
            f"there is no layout {shown(layout)}, as in {shown(name)}; "
            f"{closest(layout, [*LAYOUTS])}"
        )


def algorithm_of(name: str, among: Iterable[Family] = registry.FAMILIES) -> Any:
    """Return the algorithm that the entrant of this name calls.

    Raises
    ------
    ConvbenchError
        If the algorithm or the layout does not exist, or if a peer is given a layout.
    """
    entrant = Entrant.of(name)
    algorithm = registry.get(entrant.algorithm, among)
    check_layout(name)
    if algorithm.is_peer and entrant.layout is not None:
        raise ConvbenchError(
            f"{name!r} gives a layout to another library, which makes its own tensors in the "
            f"layout that suits it; write {algorithm.name}"
        )
    return algorithm


def called(problem: Any, name: str) -> tuple[Any, str]:
    """Return the problem that the entrant's process computes, and the name of its algorithm.

    Raises
    ------
    ConvbenchError
        If the algorithm cannot read and write arrays of that layout in place, or if the layout
        makes no difference. Its time would then be that of copies, or of the algorithm itself.
    """
    entrant = Entrant.of(name)
    if entrant.layout is None:
        return problem, name
    algorithm_of(name, (problem.family,))
    if not hasattr(problem, "layout"):
        raise ConvbenchError(
            f"a {problem.family.name} problem has no layout; time {entrant.algorithm} without "
            f"{SIGN}{entrant.layout}"
        )
    laid = replace(problem, layout=entrant.layout)
    if laid == problem:
        raise ConvbenchError(
            f"the problem is {entrant.layout} as it is written; {entrant.algorithm} times it"
        )
    if not copied_bytes(laid):
        raise ConvbenchError(
            f"arrays of one channel or one pixel are the same in every layout; "
            f"{entrant.algorithm} times them"
        )
    able = performer(registry.get_for(problem, entrant.algorithm), laid)
    if isinstance(able, Relaid | RelaidPooling):
        raise ConvbenchError(
            f"{entrant.algorithm} does not read {entrant.layout} arrays of this problem in place; "
            f"the time would be that of copies"
        )
    return laid, entrant.algorithm
