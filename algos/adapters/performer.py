"""Choice of the object that computes a problem: the algorithm itself, or an adapter around it."""

from __future__ import annotations

from typing import Any

from ..core.family import CONVOLUTION
from ..core.memory_order import CHANNELS_FIRST
from .biases import Biased
from .borders import Bordered
from .gradients import Derived
from .parts import Parts
from .relaid import relaid


def performer(algorithm: Any, problem: Any) -> Any:
    """Return the object that computes `problem` for `algorithm`.

    It answers `why_not`, `workspace_bytes`, `work` and `error_bound` for the problem, and has
    the method named by `problem.operation`.
    """
    if algorithm.family is not CONVOLUTION:
        return algorithm.stand_in(problem) or algorithm
    if problem.layout != CHANNELS_FIRST and not _reads_layout(algorithm, problem):
        return relaid(algorithm, problem, performer)
    if problem.boundary != "zeros" and not _reads_boundary(algorithm, problem):
        adapter = Biased if isinstance(problem.bias, str) else Bordered
        return adapter(algorithm, performer)
    if stand_in := algorithm.stand_in(problem):
        return stand_in
    if isinstance(problem.bias, str):
        return Biased(algorithm, performer)
    own = problem.operation in algorithm.operations
    if not (problem.is_plain or (own and algorithm.any_layer)):
        return Parts(algorithm, performer)
    return algorithm if own else Derived(algorithm)


def _reads_layout(algorithm: Any, problem: Any) -> bool:
    """Return True if the algorithm's own methods take the arrays of `problem` in its layout."""
    own = problem.operation in algorithm.operations and not isinstance(problem.bias, str)
    alone = own and problem.is_plain and problem.boundary == "zeros"
    return alone and bool(algorithm.reads_layout(problem))


def _reads_boundary(algorithm: Any, problem: Any) -> bool:
    """Return True if the algorithm's own methods compute the problem with its boundary."""
    own = problem.operation in algorithm.operations and not isinstance(problem.bias, str)
    plain = problem.is_plain or algorithm.any_layer
    return own and plain and algorithm.reads_boundary(problem)
