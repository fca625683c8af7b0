"""Is an algorithm right on a case? Every question that can be asked of it, asked at once.

Within its own error bound, and exact where its arithmetic allows; the same bits when asked
again; right with one thread and with all; inputs as they were; any memory layout; NaN and
infinity kept to where they belong; and one property that needs no oracle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from algos import Algorithm, Problem
from algos.arrays import read_only
from algos.errors import ConvbenchError

from . import oracle
from .check import compare, plan_for, reason_against, truth
from .data import arrays
from .fills import largest_integer
from .properties import laws_of
from .suite import Case

#: Products that the oracle may sum for one case; beyond, it looks at a sample of the output.
ORACLE_PRODUCTS = 30_000_000
#: Multiply-adds above which a case is held to the oracle, but not to laws and layouts too.
LARGE = 100_000_000


@dataclass(frozen=True)
class Judgement:
    """What came out.

    `status` is "ok", "unsupported", "failed", or "mistrusted": most of the exact output is
    zero, so that agreeing with it proves little. `exact` says whether equality was asked for.
    `threads_agree` is only recorded: other thread counts may round otherwise.
    """

    status: str
    reason: str = ""
    error_over_bound: float = 0.0
    exact: bool = False
    properties: int = 0
    threads_agree: bool = True


class WrongError(Exception):
    """The algorithm is wrong; the text says how."""


def judge(algorithm: Algorithm, case: Case, *, threads: int, seed: int = 0) -> Judgement:
    """Ask everything of `algorithm` on `case`; never raises for what the algorithm does."""
    x, w, bias = arrays(case, seed)
    if reason := reason_against(algorithm, case.problem, w):
        return Judgement("unsupported", reason)
    rng = np.random.default_rng(seed)
    bench = _Bench(algorithm, case, x, w, bias, threads)
    try:
        bench.held_to_the_oracle()
        bench.repeatable()
        bench.right_with_all_threads()
        if case.problem.multiply_adds < LARGE:
            bench.indifferent_to_layout(rng)
            if algorithm.confines_nonfinite:
                bench.confines_nonfinite(rng)
            bench.keeps_a_property(rng)
    except WrongError as wrong:
        return replace(bench.found, status="failed", reason=str(wrong))
    except ConvbenchError as error:
        return replace(bench.found, status="failed", reason=f"it refused: {error}")
    return bench.found


class _Bench:
    """One algorithm, one case, and what has been found so far."""

    def __init__(
        self,
        algorithm: Algorithm,
        case: Case,
        x: np.ndarray,
        w: np.ndarray,
        bias: np.ndarray | None,
        threads: int,
    ) -> None:
        self.algorithm, self.case, self.threads = algorithm, case, threads
        self.problem = case.problem
        self.performer = algorithm.performer(case.problem)
        self.x, self.w, self.bias = x, w, bias
        self.integers = case.pixels == "integers" and case.weights.startswith("integer")
        self.factors_are_integers = case.weights == "integer-rank1"
        self.found = Judgement("ok")
        count = max(100, ORACLE_PRODUCTS // case.problem.terms)
        self.positions = oracle.some_positions(case.problem.result_shape, count)
        self.exact, self.bound = self._truth(x, w)
        self.y = np.empty(0)

    def _truth(self, x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The exact result, and the bound on each element's error, at the positions."""
        p = self.problem
        exact, magnitude = (truth(p, self.positions, a, b, c) for a, b, c in (
            (x, w, self.bias),
            (abs(x), abs(w), None if self.bias is None else abs(self.bias)),
        ))  # fmt: skip
        bound = self.performer.error_bound(p, x, w, magnitude.astype(np.float64))
        return exact, np.broadcast_to(np.asarray(bound, np.float64), exact.shape)

    def _run(self, x: np.ndarray, threads: int = 1) -> np.ndarray:
        """The output for `x`, written over NaN, with garbage in whatever memory is reused."""
        w, bias = self.w.copy(), None if self.bias is None else self.bias.copy()
        given = x.copy(order="K") if x.flags.writeable else x
        _litter(self.problem)
        plan, arrays = plan_for(self.problem, given, w, bias, self.algorithm, threads)
        out = np.full(self.problem.result_shape, np.nan, self.problem.dtype)
        plan(*arrays, out)
        if not (
            _same(w, self.w)
            and _same(given, x)
            and (bias is None or self.bias is None or _same(bias, self.bias))
        ):
            raise WrongError("it changed an array that it was given")
        return out

    def held_to_the_oracle(self) -> None:
        """Every output within its bound, or equal where that can be asked."""
        self.y = self._run(self.x)
        ratio = self._judge(self.y)
        zeros = np.count_nonzero(self.exact == 0) / self.exact.size
        must_equal = self.integers and (
            self.algorithm.exact_on_integers
            or self.factors_are_integers
            or float(self.bound.max()) < 0.5
        )
        if must_equal:
            exactly = self.algorithm.exact_on_integers
            y = self.y if exactly else np.rint(self.y)
            self._demand_equal(y)
        status = "mistrusted" if self.integers and zeros > 0.5 else "ok"
        self.found = replace(
            self.found, status=status, error_over_bound=ratio, exact=must_equal,
            reason=f"{zeros:.0%} of the exact output is zero" if status != "ok" else "",
        )  # fmt: skip
        if self.case.pixels == "random":
            self._bound_must_see_a_lost_tap()

    def _judge(self, y: np.ndarray) -> float:
        """The largest error over bound; raises where it is above one."""
        verdict = compare(y, self.positions, self.exact, self.bound)
        if not verdict.passed:
            self.found = replace(self.found, error_over_bound=verdict.error_over_bound)
            raise WrongError(verdict.reason)
        return verdict.error_over_bound

    def _at_positions(self, y: np.ndarray) -> np.ndarray:
        return y[tuple(self.positions.T)]

    def _place(self, number: int) -> tuple[int, ...]:
        return tuple(int(i) for i in self.positions[number])

    def _demand_equal(self, y: np.ndarray) -> None:
        here = self._at_positions(y)
        wrong = np.flatnonzero(here != self.exact)
        if len(wrong):
            raise WrongError(
                f"on integers output {self._place(wrong[0])} must be "
                f"{float(self.exact[wrong[0]]):.9g}, it is {here[wrong[0]]:.9g}"
            )

    def _bound_must_see_a_lost_tap(self) -> None:
        """A bound that forgives the loss of the tap that matters most proves nothing.

        Asked on numbers of like size; beside a million, a normwise bound rightly forgives it.
        """
        flat = np.abs(self.w).reshape(len(self.w), -1)
        lone = np.zeros_like(flat)
        rows = np.arange(len(flat))
        lone[rows, flat.argmax(axis=1)] = flat.max(axis=1)
        lone = lone.reshape(self.w.shape)
        if self.problem.operation == "grad_weight":  # of its many terms, those of one line
            lone[:] = 0
            lone[..., -1] = np.abs(self.w[..., -1])
        lost = truth(self.problem, self.positions, abs(self.x), lone, None)
        if float(lost.max()) > 0 and not bool((lost > self.bound).any()):
            raise WrongError(
                f"its error bound, {float(self.bound.max()):.3g}, would forgive the loss of a tap "
                f"that makes up {float(lost.max()):.3g} of an output"
            )

    def repeatable(self) -> None:
        """The same bits when asked again."""
        if not _same(self._run(self.x), self.y):
            raise WrongError("asked twice, it gave different bits")

    def right_with_all_threads(self) -> None:
        """As right with all threads as with one; whether the bits agree is recorded."""
        if self.threads == 1:
            return
        y = self._run(self.x, self.threads)
        try:
            self._judge(y)
        except WrongError as wrong:
            raise WrongError(f"with {self.threads} threads {wrong}") from None
        self.found = replace(self.found, threads_agree=_same(y, self.y))

    def indifferent_to_layout(self, rng: np.random.Generator) -> None:
        """The same bits whatever the memory layout of the input."""
        kind = int(rng.integers(len(_LAYOUTS)))
        name, lay = _LAYOUTS[kind]
        if not _same(self._run(lay(self.x)), self.y):
            raise WrongError(f"it gave different bits for {name} input")

    def confines_nonfinite(self, rng: np.random.Generator) -> None:
        """A NaN or infinity at an edge reaches the outputs whose kernel covers it, no others."""
        x = self.x.copy()
        edge = [int(rng.choice([0, n - 1])) for n in x.shape]
        x[tuple(edge)] = rng.choice([np.nan, np.inf, -np.inf])
        y, before = self._at_positions(self._run(x)), self._at_positions(self.y)
        mark = np.zeros_like(x)
        mark[tuple(edge)] = 1
        covered, met = (
            truth(self.problem, self.positions, mark, taps.astype(x.dtype), None) != 0
            for taps in (np.ones_like(self.w), self.w != 0)
        )
        if np.isfinite(y[met]).any():
            raise WrongError("it lost a NaN or infinity of its input")
        if not _same(y[~covered], before[~covered]):
            raise WrongError("a NaN or infinity spread to outputs that do not depend on it")

    def keeps_a_property(self, rng: np.random.Generator) -> None:
        """One property drawn from those that apply, on numbers of its own."""

        def run(problem: Problem, x: np.ndarray, w: np.ndarray) -> np.ndarray | None:
            if reason_against(self.algorithm, problem, w):
                return None
            performer = self.algorithm.performer(problem)
            bias = np.zeros(problem.bias_shape, problem.dtype) if problem.bias else None
            plan, arrays = plan_for(problem, x, w, bias, self.algorithm, self.threads)
            y = plan(*arrays)
            if performer.exact_on_integers:
                return y
            bound = performer.error_bound(problem, x, w, _most(problem))
            return np.rint(y) if float(np.max(bound)) < 0.5 else None

        laws = laws_of(self.problem.operation)
        for number in rng.permutation(len(laws)):
            holds = laws[number](self.problem, rng, run)
            if holds is False:
                stated = (laws[number].__doc__ or "").strip()
                raise WrongError(f"it breaks a law of convolution: {stated}")
            if holds:
                self.found = replace(self.found, properties=1)
                return


def _most(problem: Problem) -> np.ndarray:
    """What Σ|x||w| cannot exceed on integers."""
    return np.array([float((problem.terms + 1) * largest_integer(problem) ** 2)])


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays hold the same numbers, NaN counting as equal to NaN."""
    return bool(np.array_equal(a, b, equal_nan=True))


def _litter(problem: Problem) -> None:
    """Fill memory that the allocator will hand out again with NaN."""
    sizes = (64, 1024, int(np.prod(problem.result_shape)), 4 * int(np.prod(problem.input_shape)))
    kept = [np.full(n, np.nan, problem.dtype) for n in sizes for _ in range(3)]
    del kept


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
