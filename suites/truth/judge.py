"""Is an algorithm right on a case? Every question that can be asked of it, asked at once.

Within its own error bound, and exact where its arithmetic allows; the same bits when asked
again; right with one thread and with all; inputs as they were; any memory layout; NaN and
infinity kept to where they belong; and one property that needs no oracle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from algos.backend.poison import BYTES, poison_memory
from algos.core.arrays import read_only
from algos.core.causes import said, whole
from algos.core.errors import ConvbenchError, KernelRefusedError
from suites.cases.suite import Case

from .comparison import compare
from .families import trial_of
from .instance import Instance
from .pages import fenced

#: Products that the oracle may sum for one case; beyond, it looks at a sample of the output.
ORACLE_PRODUCTS = 30_000_000
#: Multiply-adds above which a case is held to the oracle, but not to laws and layouts too.
LARGE = 100_000_000


@dataclass(frozen=True)
class Judgement:
    """What came out.

    `status` is "ok", "unsupported", "failed", "unjudged" for want of memory, or "mistrusted":
    most of the exact output is zero, so that agreeing with it proves little. `asked` says
    whether equality on integers was asked for, `exact` whether it was found.
    `threads_agree` is only recorded: other thread counts may round otherwise. `whole` is
    everything that was said of an exception.
    """

    status: str
    reason: str = ""
    error_over_bound: float = 0.0
    asked: bool = False
    exact: bool = False
    properties: int = 0
    threads_agree: bool = True
    whole: str = ""


class WrongError(Exception):
    """The algorithm is wrong; the text says how."""


def judge(algorithm: Any, case: Case, *, threads: int, seed: int = 0) -> Judgement:
    """Ask everything of `algorithm` on `case`; never raises for what the algorithm does.

    From then on, whatever this process allocates holds garbage until it is written.
    """
    poison_memory()
    try:
        return _judge(algorithm, case, threads, seed)
    except MemoryError:
        return Judgement("unjudged", "out of memory")


def _judge(algorithm: Any, case: Case, threads: int, seed: int) -> Judgement:
    trial = trial_of(case, seed)
    if reason := trial.reason_against(algorithm):
        return Judgement("unsupported", reason)
    rng = np.random.default_rng(seed)
    bench = _Questions(algorithm, trial, threads)
    try:
        bench.held_to_the_oracle()
        bench.repeatable()
        bench.right_aside()
        bench.right_with_all_threads()
        if case.problem.multiply_adds < LARGE:
            bench.indifferent_to_layout(rng)
            if algorithm.confines_nonfinite:
                bench.confines_nonfinite(rng)
            bench.keeps_a_property(rng)
    except WrongError as wrong:
        return replace(bench.found, status="failed", reason=str(wrong))
    except KernelRefusedError as error:
        return Judgement("unsupported", str(error))
    except ConvbenchError as error:
        return replace(bench.found, status="failed", reason=f"it refused: {error}")
    except MemoryError:
        raise
    except Exception as error:
        reason = f"it raised {said(error)}"
        return replace(bench.found, status="failed", reason=reason, whole=whole(error))
    return bench.found


class _Questions:
    """One algorithm, one trial, and what has been found so far."""

    def __init__(self, algorithm: Any, trial: Instance, threads: int) -> None:
        self.algorithm, self.trial, self.threads = algorithm, trial, threads
        self.positions = trial.positions(ORACLE_PRODUCTS, 100, ORACLE_PRODUCTS)
        self.exact, magnitude = trial.truth(self.positions)
        bound = trial.bound(algorithm, magnitude.astype(np.float64))
        self.bound = np.broadcast_to(np.asarray(bound, np.float64), self.exact.shape)
        self.found = Judgement("ok", asked=trial.must_equal(algorithm, self.bound))
        self.y = np.empty(0)
        self._behind = False

    def _run(self, first: np.ndarray, threads: int = 1) -> np.ndarray:
        """Return the output for `first`, written over NaN.

        Temporaries hold garbage until they are written; arrays border on protected pages.
        """
        problem = self.trial.problem
        # Every other time, garbage is something else, and protected pages are on the other side.
        self._behind = not self._behind
        poison_memory(BYTES[0] if self._behind else BYTES[1])
        fence = partial(fenced, behind=self._behind)
        if first.flags.carray:
            own = fence(first)
        else:  # a layout to be kept
            own = first.copy(order="K") if first.flags.writeable else first
        given = self.trial.with_first(own)
        given.arrays = (own, *map(fence, given.arrays[1:]))
        plan, arrays = given.plan(self.algorithm, threads)
        out = fence(np.full(problem.result_shape, np.nan, problem.dtype))
        plan(*arrays, out)
        before = (first, *self.trial.arrays[1:])
        if not all(map(_same, given.arrays, before)):
            raise WrongError("it changed an array that it was given")
        return out

    def held_to_the_oracle(self) -> None:
        """Every output within its bound, or equal where that can be asked."""
        self.y = self._run(self.trial.first)
        ratio = self._judge(self.y)
        zeros = np.count_nonzero(self.exact == 0) / self.exact.size
        if self.found.asked:
            exactly = self.trial.is_exact(self.algorithm)
            y = self.y if exactly else np.rint(self.y)
            self._demand_equal(y)
        doubtful = self.trial.case.pixels == "integers" and zeros > 0.5
        self.found = replace(
            self.found,
            status="mistrusted" if doubtful else "ok",
            reason=f"{zeros:.0%} of the exact output is zero" if doubtful else "",
            error_over_bound=ratio,
            exact=self.found.asked,
        )
        if self.trial.case.pixels == "random":
            self._bound_must_see_a_lost_term()

    def _judge(self, y: np.ndarray) -> float:
        """The largest error over bound; raises where it is above one."""
        verdict = compare(y, self.positions, self.exact, self.bound)
        if not verdict.passed:
            self.found = replace(self.found, error_over_bound=verdict.error_over_bound)
            raise WrongError(verdict.reason)
        return verdict.error_over_bound

    def _at_positions(self, y: np.ndarray) -> np.ndarray:
        return y[tuple(self.positions.T)]

    def _demand_equal(self, y: np.ndarray) -> None:
        here = self._at_positions(y)
        exact = np.rint(self.exact)  # whole, but for what the oracle's own quotients lost
        wrong = np.flatnonzero(here != exact)
        if len(wrong):
            place = tuple(int(i) for i in self.positions[wrong[0]])
            raise WrongError(
                f"on integers output {place} must be {float(exact[wrong[0]]):.9g}, "
                f"it is {here[wrong[0]]:.9g}"
            )

    def _bound_must_see_a_lost_term(self) -> None:
        """A bound that forgives the loss of the term that matters most proves nothing.

        Asked on numbers of like size; beside a million, a normwise bound rightly forgives it.
        """
        lost = self.trial.lost(self.positions)
        if float(lost.max()) > 0 and not bool((lost > self.bound).any()):
            raise WrongError(
                f"its error bound, {float(self.bound.max()):.3g}, would forgive the loss of a term "
                f"that makes up {float(lost.max()):.3g} of an output"
            )

    def repeatable(self) -> None:
        """The same bits when asked again."""
        if not _same(self._run(self.trial.first), self.y):
            raise WrongError("asked twice, it gave different bits")

    def right_aside(self) -> None:
        """Whatever else it gives is right as well."""
        if reason := self.trial.aside(self.algorithm, self.positions):
            raise WrongError(reason)

    def right_with_all_threads(self) -> None:
        """As right with all threads as with one; whether the bits agree is recorded."""
        if self.threads == 1:
            return
        y = self._run(self.trial.first, self.threads)
        try:
            self._judge(y)
        except WrongError as wrong:
            raise WrongError(f"with {self.threads} threads {wrong}") from None
        self.found = replace(self.found, threads_agree=_same(y, self.y))

    def indifferent_to_layout(self, rng: np.random.Generator) -> None:
        """The same bits whatever the memory layout of the input."""
        kind = int(rng.integers(len(_LAYOUTS)))
        name, lay = _LAYOUTS[kind]
        if not _same(self._run(lay(self.trial.first)), self.y):
            raise WrongError(f"it gave different bits for {name} input")

    def confines_nonfinite(self, rng: np.random.Generator) -> None:
        """A NaN or infinity at an edge reaches the outputs that depend on it, no others."""
        x = self.trial.first.copy()
        edge = tuple(int(rng.choice([0, n - 1])) for n in x.shape)
        x[edge] = rng.choice(self.trial.nonfinite)
        y, before = self._at_positions(self._run(x)), self._at_positions(self.y)
        may, must = self.trial.reached(edge, self.positions)
        if np.isfinite(y[must]).any():
            raise WrongError("it lost a NaN or infinity of its input")
        if not _same(y[~may], before[~may]):
            raise WrongError("a NaN or infinity spread to outputs that do not depend on it")

    def keeps_a_property(self, rng: np.random.Generator) -> None:
        """One property drawn from those that apply, on numbers of its own."""
        run, laws = self.trial.runner(self.algorithm, self.threads), self.trial.laws()
        for number in rng.permutation(len(laws)):
            holds = laws[number](self.trial.problem, rng, run)
            if holds is False:
                stated = (laws[number].__doc__ or "").strip()
                raise WrongError(f"it breaks a law of {self.trial.problem.family.name}: {stated}")
            if holds:
                self.found = replace(self.found, properties=1)
                return


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays hold the same numbers, NaN counting as equal to NaN."""
    return bool(np.array_equal(a, b, equal_nan=True))


def _unaligned(x: np.ndarray) -> np.ndarray:
    raw = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:]
    return raw.view(x.dtype).reshape(x.shape)


_LAYOUTS = (
    ("non-contiguous", lambda x: np.repeat(x, 2, axis=-1)[..., ::2]),
    ("negatively strided", lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1]),
    ("read-only", read_only),
    ("byte-swapped", lambda x: x.astype(x.dtype.newbyteorder())),
    ("Fortran-ordered", np.asfortranarray),
    ("unaligned", _unaligned),
)
