"""Contract shared by the algorithms of every family, and the families themselves.

A problem names its `Family`; `algos.registry` knows the algorithms of each. An algorithm of any
family is asked the questions of `AlgorithmBase`, through the object that computes the problem
at hand (`algos.adapters.performer`).
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from .errors import ConvbenchError, shown


@dataclass(frozen=True)
class Family:
    """Problems of one kind; `does` is the verb that error messages use for them.

    `is_pipeline` is True for problems made of others. Their parts are chosen, explained and
    verified apart.
    """

    name: str
    does: str
    is_pipeline: bool = False


CONVOLUTION = Family("convolution", "convolve")
POOLING = Family("pooling", "pool")
MODULES = Family("module", "run whole modules", is_pipeline=True)
DEBLURRING = Family("deblurring", "deblur images", is_pipeline=True)


class AlgorithmBase:
    """Properties that an algorithm of any family states about itself."""

    #: Name that users type. Lower case; unique within its family.
    name: str = ""

    #: False where a NaN or infinity reaches outputs that do not depend on it.
    confines_nonfinite: bool = True

    #: True where integers, small enough, give exactly the right integers. Else the result is exact
    #: once rounded, provided `error_bound` is below ½.
    exact_on_integers: bool = True

    #: True keeps an algorithm out of runs that do not ask for it by name.
    opt_in: bool = False

    #: True where somebody else's library does the work.
    is_peer: bool = False

    #: Modules of other people's that its first call imports, which may take seconds.
    libraries: tuple[str, ...] = ()

    #: False where importing one of them starts a thread: no process may then be forked after it.
    forks: bool = True

    #: Family whose problems it computes.
    family: Family

    def has_direct_accuracy(self, problem: Any) -> bool:
        """Return True if errors are bounded as those of a direct sum of the terms are.

        That is element by element: a small result next to large ones is as accurate as they are.
        Transforms lack it, such as Winograd's and Fourier's, and so do differences of long sums.
        """
        return self.exact_on_integers

    def typical_error(self, problem: Any) -> float:
        """Return the typical error for `problem`, as a multiple of a direct sum's.

        It is the ratio of root-mean-square errors on random operands, rounded up. The automatic
        choice admits algorithms by it.
        """
        return 1.0

    def stand_in(self, problem: Any) -> Any:
        """Return an object that computes `problem` for this algorithm in a way of its own.

        None, the default, leaves the choice to `algos.adapters.performer`.
        """
        return None

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (inspect.getdoc(type(self)) or "").split("\n")[0]


def algorithms_in(module: ModuleType) -> list[Any]:
    """Return an instance of each named algorithm class that `module` itself defines."""
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
