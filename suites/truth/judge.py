"""Judgement of an algorithm on a case, by every applicable test.

Errors stay within the algorithm's own bound, and results are exact if its arithmetic allows.
A second call gives the same bits. All threads give right results, as one thread does. Inputs stay
unchanged, and any memory layout is accepted. NaN and infinity reach only the outputs that depend
on them. One law holds that needs no oracle.
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
from algos.core.memory_order import CHANNELS_LAST, in_memory, laid_out
from suites.cases.data import seeded
from suites.cases.suite import Case

from .comparison import compare
from .families import instance_of
from .instance import Instance
from .pages import fenced

#: Most products that the oracle sums for one case; for more, it checks a sample of the output.
ORACLE_PRODUCTS = 30_000_000
#: Multiply-adds above which a case is compared with the oracle, without tests of laws and layouts.
LARGE = 100_000_000


@dataclass(frozen=True)
class Judgement:
    """The judgement of one algorithm on one case.

    `status` is "ok", "unsupported", "failed", "unjudged" (out of memory) or "mistrusted". The
    last means that most of the exact output is zero, so that agreement proves little.
    `asked` is True if equality on integers was demanded, `exact` if it was found.
    `threads_agree` is only recorded, since other thread counts may round otherwise. `whole` is
    the full text of an exception.
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
    """An error of the algorithm; the text explains it."""


def judge(algorithm: Any, case: Case, *, threads: int, seed: int = 0) -> Judgement:
    """Judge `algorithm` on `case`; no error of the algorithm is raised.

    From then on, all memory that this process allocates holds garbage until it is written.
    """
    poison_memory()
    try:
        return _judge(algorithm, case, threads, seed)
    except MemoryError:
        return Judgement("unjudged", "out of memory")


def _judge(algorithm: Any, case: Case, threads: int, seed: int) -> Judgement:
    instance = instance_of(case, seed)
    if reason := instance.reason_against(algorithm):
        return Judgement("unsupported", reason)
    # Cases draw layouts, places and laws of their own, so that few of them try most.
    rng = seeded(seed, str(case.as_words()))
    questions = _Questions(algorithm, instance, threads)
    try:
        questions.held_to_the_oracle()
        questions.repeatable()
        questions.right_aside()
        questions.right_with_all_threads()
        if case.problem.multiply_adds < LARGE:
            questions.indifferent_to_layout(rng)
            if algorithm.confines_nonfinite:
                questions.confines_nonfinite(rng)
            questions.keeps_a_property(rng)
    except WrongError as wrong:
        return replace(questions.found, status="failed", reason=str(wrong))
    except KernelRefusedError as error:
        return Judgement("unsupported", str(error))
    except ConvbenchError as error:
        return replace(questions.found, status="failed", reason=f"it refused: {error}")
    except MemoryError:
        raise
    except Exception as error:
        reason = f"it raised {said(error)}"
        return replace(questions.found, status="failed", reason=reason, whole=whole(error))
    return questions.found


class _Questions:
    """The tests of one algorithm on one instance, and their results so far."""

    def __init__(self, algorithm: Any, instance: Instance, threads: int) -> None:
        self.algorithm, self.instance, self.threads = algorithm, instance, threads
        self.positions = instance.positions(ORACLE_PRODUCTS, 100, ORACLE_PRODUCTS)
        self.exact, magnitude = instance.truth(self.positions)
        bound = instance.bound(algorithm, magnitude.astype(np.float64))
        self.bound = np.broadcast_to(np.asarray(bound, np.float64), self.exact.shape)
        self.found = Judgement("ok", asked=instance.must_equal(algorithm, self.bound))
        self.y = np.empty(0)
        self._behind = False

    def _run(self, first: np.ndarray, threads: int = 1) -> np.ndarray:
        """Return the output for `first`, written over NaN.

        Temporaries hold garbage until they are written; arrays border on protected pages.
        """
        problem = self.instance.problem
        # The value of garbage and the side of the protected pages alternate between calls.
        self._behind = not self._behind
        poison_memory(BYTES[0] if self._behind else BYTES[1])
        fence = partial(fenced, behind=self._behind)
        stored = in_memory(first, problem.layout)
        if stored.flags.carray:
            own = fence(first)
        else:  # the layout is part of the test
            own = first.copy(order="K") if first.flags.writeable else first
        given = self.instance.with_first(own)
        given.arrays = (own, *map(fence, given.arrays[1:]))
        plan, arrays = given.plan(self.algorithm, threads)
        out = fence(self.instance.result())
        with np.errstate(all="ignore"):  # NaN and infinity are data here
            plan(*arrays, out)
        before = (first, *self.instance.arrays[1:])
        if not all(map(_same, given.arrays, before)):
            raise WrongError("it changed an array that it was given")
        return out

    def held_to_the_oracle(self) -> None:
        """Demand that every output is within its bound, or exact if it must be."""
        self.y = self._run(self.instance.first)
        ratio = self._judge(self.y)
        zeros = np.count_nonzero(self.exact == 0) / self.exact.size
        if self.found.asked:
            exactly = self.instance.is_exact(self.algorithm)
            y = self.y if exactly else np.rint(self.y)
            self._demand_equal(y)
        doubtful = self.instance.case.pixels == "integers" and zeros > 0.5
        self.found = replace(
            self.found,
            status="mistrusted" if doubtful else "ok",
            reason=f"{zeros:.0%} of the exact output is zero" if doubtful else "",
            error_over_bound=ratio,
            exact=self.found.asked,
        )
        if self.instance.case.pixels == "random":
            self._bound_must_see_a_lost_term()

    def _judge(self, y: np.ndarray) -> float:
        """Return the largest error over bound; raise `WrongError` if it is above one."""
        verdict = compare(y, self.positions, self.exact, self.bound)
        if not verdict.passed:
            self.found = replace(self.found, error_over_bound=verdict.error_over_bound)
            raise WrongError(verdict.reason)
        return verdict.error_over_bound

    def _at_positions(self, y: np.ndarray) -> np.ndarray:
        return y[tuple(self.positions.T)]

    def _demand_equal(self, y: np.ndarray) -> None:
        here = self._at_positions(y)
        exact = np.rint(self.exact)  # removes the rounding of the oracle's own quotients
        wrong = np.flatnonzero(here != exact)
        if len(wrong):
            place = tuple(int(i) for i in self.positions[wrong[0]])
            raise WrongError(
                f"on integers output {place} must be {float(exact[wrong[0]]):.9g}, "
                f"it is {here[wrong[0]]:.9g}"
            )

    def _bound_must_see_a_lost_term(self) -> None:
        """Demand that the bound is too small to forgive the loss of the largest term.

        This holds for numbers of similar size. Beside a million, a normwise bound rightly
        forgives the loss of a small term.
        """
        lost = self.instance.lost(self.positions)
        if float(lost.max()) > 0 and not bool((lost > self.bound).any()):
            raise WrongError(
                f"its error bound, {float(self.bound.max()):.3g}, would forgive the loss of a term "
                f"that makes up {float(lost.max()):.3g} of an output"
            )

    def repeatable(self) -> None:
        """Demand the same bits from a second call."""
        if not _same(self._run(self.instance.first), self.y):
            raise WrongError("asked twice, it gave different bits")

    def right_aside(self) -> None:
        """Demand that results beside the main one are right as well."""
        if reason := self.instance.aside(self.algorithm, self.positions):
            raise WrongError(reason)

    def right_with_all_threads(self) -> None:
        """Demand a right result with all threads; record if its bits agree with one thread's."""
        if self.threads == 1:
            return
        y = self._run(self.instance.first, self.threads)
        try:
            self._judge(y)
        except WrongError as wrong:
            raise WrongError(f"with {self.threads} threads {wrong}") from None
        self.found = replace(self.found, threads_agree=_same(y, self.y))

    def indifferent_to_layout(self, rng: np.random.Generator) -> None:
        """Demand the same bits for another memory layout of the input."""
        kind = int(rng.integers(len(_LAYOUTS)))
        name, lay = _LAYOUTS[kind]
        if not _same(self._run(lay(self.instance.first)), self.y):
            raise WrongError(f"it gave different bits for {name} input")

    def confines_nonfinite(self, rng: np.random.Generator) -> None:
        """Demand that a NaN or infinity reaches exactly the outputs that depend on it."""
        x = self.instance.first.copy(order="K")
        edge = tuple(int(rng.choice([0, n - 1])) for n in x.shape)
        x[edge] = put = rng.choice(self.instance.nonfinite)
        y, before = self._at_positions(self._run(x)), self._at_positions(self.y)
        may, must = self.instance.reached(edge, self.positions)
        if np.isfinite(y[must]).any() or (np.isnan(put) and not np.isnan(y[must]).all()):
            raise WrongError("it lost a NaN or infinity of its input")
        if not _same(y[~may], before[~may]):
            raise WrongError("a NaN or infinity spread to outputs that do not depend on it")

    def keeps_a_property(self, rng: np.random.Generator) -> None:
        """Demand one law, drawn from those that apply, on numbers of its own."""
        run, laws = self.instance.runner(self.algorithm, self.threads), self.instance.laws()
        for number in rng.permutation(len(laws)):
            holds = laws[number](self.instance.problem, rng, run)
            if holds is False:
                stated = (laws[number].__doc__ or "").strip()
                family = self.instance.problem.family.name
                raise WrongError(f"it breaks a law of {family}: {stated}")
            if holds:
                self.found = replace(self.found, properties=1)
                return


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Return True if two arrays hold the same numbers; NaN counts as equal to NaN."""
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
    ("channels-first", np.ascontiguousarray),
    ("channels-last", partial(laid_out, layout=CHANNELS_LAST)),
)
