"""Bound: a problem together with its operands, ready to be computed and timed.

A peer holds its operands as its own tensors in its own best layout, and its result stays where the
library puts it. Only `call` is timed. `fetch` brings the result to us, for verification.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np


def write(result: np.ndarray, out: np.ndarray) -> None:
    """Copy `result` into `out`, unless it was computed there."""
    if result is not out:
        out[...] = result


@dataclass(frozen=True)
class Bound:
    """A computation and the way to its result.

    Attributes
    ----------
    call : () -> result
        Computes once from operands made beforehand. The result may be memory of a library.
    fetch : (result, out) -> None
        Writes a result of `call` into our array `out`, every element of it.
    """

    call: Callable[[], Any]
    fetch: Callable[[Any, np.ndarray], None] = write


@runtime_checkable
class Bindable(Protocol):
    """An object that gives a problem's computation as its own users call it: a peer."""

    def bind(self, problem: Any, *given: Any, threads: int) -> Bound:
        """Return the call for operands that are made here."""
        ...


def not_timed(algorithm: Any, able: Any) -> str | None:
    """Return the reason not to time a peer on a problem that `able` computes for it, or None.

    An adapter of ours computes a problem from several calls with copies between them. Users of the
    library do not call it so, and its time would say nothing about the library.
    """
    if not algorithm.is_peer or isinstance(able, Bindable):
        return None
    return (
        f"{algorithm.name} has no such operation of its own; we make it from several calls, "
        f"which is verified but not timed"
    )
