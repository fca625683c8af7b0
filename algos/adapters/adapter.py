"""Base class of the adapters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.algorithm import Algorithm
from ..core.problem import Problem


class Adapter(Algorithm):
    """Object that computes a problem by way of others, for `algorithm` and under its name.

    Methods that an adapter does not define are those of the algorithm.
    """

    def __init__(self, algorithm: Algorithm) -> None:
        self.algorithm = algorithm
        for name in _FORWARDED:
            setattr(self, name, getattr(algorithm, name))

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        """Return the reason why the algorithm itself cannot do it, or None."""
        return self.algorithm.why_not(problem, w)


#: Class attributes of an algorithm, which hold for its adapters too.
_FORWARDED = tuple(
    name
    for base in reversed(Algorithm.__mro__)
    for name in vars(base).get("__annotations__", {})
    if name != "family"
)


class Resolving(Adapter):
    """Adapter whose parts may need adapters of their own, found by `resolve`."""

    def __init__(self, algorithm: Algorithm, resolve: Callable[[Any, Any], Any]) -> None:
        super().__init__(algorithm)
        self._resolve = resolve

    def performer(self, problem: Any) -> Any:
        """Return the object that computes `problem`, a part of this one, for the algorithm."""
        return self._resolve(self.algorithm, problem)
