"""A case of pooling with its numbers, its oracle and its bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from algos.adapters import performer
from algos.core.arrays import narrowed
from algos.core.errors import ConvbenchError, closest
from algos.core.memory_order import CHANNELS_FIRST, laid_out
from algos.pooling import PoolPlan, PoolProblem
from suites.cases import fills, pictures
from suites.cases.data import seeded
from suites.cases.pool_fills import integers, whole_unit
from suites.cases.suite import Case

from . import pool_oracle
from .instance import Instance, Run
from .pool_properties import PROPERTIES

#: Kinds whose result always shows a NaN or +∞ in the window.
_SHOWING = ("max", "maxout", "average", "l2", "lp", "mixed")


class PoolInstance(Instance):
    """A case of pooling; arrays are the problem's operands, and its gate if it has one."""

    nonfinite = (np.nan, np.inf)

    def __init__(self, case: Case, seed: int = 0) -> None:
        problem = case.problem
        if case.weights != "random":
            raise ConvbenchError(f"weights {case.weights!r} are a kernel, pooling has none")
        self.case = case
        plain = replace(problem, name="", layout=CHANNELS_FIRST)  # the same numbers for both
        rng = seeded(seed, f"{plain} {case.pixels}")
        numbers = [_numbers(case, rng, shape) for shape in problem.operands]
        self.arrays = tuple(laid_out(array, problem.layout) for array in numbers)
        if problem.kind == "gated":
            self.arrays += (rng.standard_normal((problem.channels, *problem.window)),)

    @property
    def _gate(self) -> np.ndarray | None:
        return self.arrays[-1] if self.problem.kind == "gated" else None

    @property
    def _input(self) -> np.ndarray:
        """The pooled input; zeros for a gradient that does not depend on it."""
        operands = self.problem.operands
        if operands[-1] == self.problem.input_shape:
            return self.arrays[len(operands) - 1]
        return np.zeros(self.problem.input_shape, self.problem.dtype)

    def plan(self, algorithm: Any, threads: int) -> tuple[Any, tuple[Any, ...]]:
        plan = PoolPlan(self.problem, self._gate, algorithm=algorithm, threads=threads)
        return plan, self.arrays[: len(self.problem.operands)]

    def positions(self, products: int, least: int, most: int, seed: int = 0) -> np.ndarray:
        """Return positions, fewer than for a sum of products: each window takes the oracle long."""
        return super().positions(products // 4, min(least, 16), min(most, 4096), seed)

    def truth(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _truth(self.problem, positions, self.first, self._input, self._gate)

    def bound(self, algorithm: Any, magnitude: np.ndarray) -> np.ndarray:
        able = performer(algorithm, self.problem)
        return np.asarray(able.error_bound(self.problem, self.first, magnitude))

    def is_exact(self, algorithm: Any) -> bool:
        return _is_exact(algorithm, self.problem)

    def must_equal(self, algorithm: Any, bound: np.ndarray) -> bool:
        return (
            self.case.pixels == "integers"
            and whole_unit(self.problem) > 0
            and (self.is_exact(algorithm) or float(bound.max()) < 0.5)
        )

    def lost(self, positions: np.ndarray) -> np.ndarray:
        """Return the error if the largest sample becomes the smallest, or 0 in gradients."""
        forward = self.problem.operation == "forward"
        size = self.first if forward else abs(self.first)
        without = self.first.copy()
        without.reshape(-1)[size.argmax()] = size.min() if forward else 0
        given = self._input if not forward else without
        changed, _ = _truth(self.problem, positions, without, given, self._gate)
        return np.abs(changed - self.truth(positions)[0])

    def reached(self, at: tuple[int, ...], positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        problem = self.problem
        mark = np.zeros_like(self.first)
        mark[at] = 1
        plain = _as_average(problem)
        may = _truth(plain, positions, mark, np.zeros_like(self._input), None)[0] != 0
        if problem.operation == "forward":
            return may, may & (problem.kind in _SHOWING)
        return may, may & (problem.kind == "average")

    def aside(self, algorithm: Any, positions: np.ndarray) -> str | None:
        """Return an error in the switches, if the kind and the algorithm have them."""
        problem = self.problem
        chooses = problem.kind in ("max", "maxout") or problem.mode == "train"
        if problem.operation != "forward" or not chooses or not algorithm.gives_switches:
            return None
        if problem.placement == "pyramid" or problem.kind == "maxout":
            return None
        plan = PoolPlan(problem, algorithm=algorithm, threads=1)
        _, found = plan.with_switches(self.first)
        exact = pool_oracle.forward_at(positions, problem, self.first)[2]
        wrong = np.flatnonzero(found[tuple(positions.T)] != exact)
        if not len(wrong):
            return None
        place = tuple(map(int, positions[wrong[0]]))
        return f"the switch of output {place} is {found[place]} instead of {exact[wrong[0]]}"

    def laws(self) -> Sequence[Callable[..., bool | None]]:
        return PROPERTIES

    def runner(self, algorithm: Any, threads: int) -> Run:
        def run(problem: PoolProblem, *arrays: np.ndarray) -> np.ndarray | None:
            able = performer(algorithm, problem)
            if able.why_not(problem):
                return None
            first, *rest = arrays[: len(problem.operands)]
            gate = self._gate if problem.kind == "gated" else None
            plan = PoolPlan(problem, gate, algorithm=algorithm, threads=threads)
            y = plan(first, *rest)
            if _is_exact(algorithm, problem):
                return y
            magnitude = plan(abs(first), *rest).astype(np.float64)
            bound = able.error_bound(problem, first, magnitude)
            return np.rint(y) if float(np.max(bound)) < 0.5 else None

        return run


def _is_exact(algorithm: Any, problem: PoolProblem) -> bool:
    """Return False also for gradients of averages, which may multiply by one over the count."""
    divides_first = problem.kind == "average" and problem.operation == "grad_input"
    return algorithm.exact_on_integers and not divides_first


def _numbers(case: Case, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    problem = case.problem
    if case.pixels == "integers":
        return integers(rng, problem, shape)
    if case.pixels == "random":
        return rng.standard_normal(shape, dtype=np.dtype(problem.dtype).type)
    if case.pixels in fills.PIXELS:
        return fills.spoilt(case.pixels, rng, shape).astype(problem.dtype)
    if not pictures.is_path(case.pixels) and case.pixels not in ("photograph", "mri"):
        raise ConvbenchError(
            f"pixels {case.pixels!r} are not known; {closest(case.pixels, list(fills.PIXELS))}"
        )
    planes = narrowed(f"input {case.pixels!r}", pictures.read(case.pixels), problem.dtype)
    return np.array(planes.reshape(problem.input_shape))


def _truth(
    problem: PoolProblem,
    positions: np.ndarray,
    first: np.ndarray,
    x: np.ndarray,
    gate: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (exact, magnitude) at `positions`; a pyramid's levels follow one another."""
    if problem.placement != "pyramid":
        if problem.operation == "forward":
            return pool_oracle.forward_at(positions, problem, first, gate)[:2]
        return pool_oracle.grad_input_at(positions, problem, first, x, gate)
    forward = problem.operation == "forward"
    found = [np.zeros(len(positions), pool_oracle.wide(problem.dtype)) for _ in range(2)]
    start = 0
    for part in problem.parts:
        bins = slice(start, start + math.prod(part.output_size))
        if forward:
            mine = np.flatnonzero((positions[:, 2] >= bins.start) & (positions[:, 2] < bins.stop))
            grid = np.unravel_index(positions[mine, 2] - bins.start, part.output_size)
            at = np.column_stack([positions[mine, :2], *grid])
            pair = pool_oracle.forward_at(at, part, first, gate)[:2]
        else:
            mine = np.arange(len(positions))
            grad = first[..., bins].reshape(part.output_shape)
            pair = pool_oracle.grad_input_at(positions, part, grad, x, gate)
        for total, piece in zip(found, pair, strict=True):
            total[mine] += piece
        start = bins.stop
    return found[0], found[1]


def _as_average(problem: PoolProblem) -> PoolProblem:
    """Return averages of the same windows; they are positive if a window holds a mark."""
    if problem.kind == "maxout":
        return problem
    nothing: dict[str, Any] = dict.fromkeys(("p", "sigma", "mode", "mix"))
    seed = problem.seed if problem.placement == "fractional" else None
    return replace(problem, kind="average", count_include_pad=True, seed=seed, **nothing)
