"""PoolPlan: an algorithm made ready for one pooling problem, to be called many times."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from algos import registry
from algos.adapters import performer
from algos.backend import threads as pools
from algos.choice import AUTO, resolve
from algos.choice.decide import ALWAYS
from algos.core.arrays import (
    as_array,
    check_addressable,
    check_apart,
    check_out,
    new,
    read_only,
    take,
)
from algos.core.bound import Bindable, Bound
from algos.core.errors import ConvbenchError
from algos.core.family import check_problem
from algos.core.memory_order import laid_out

from .core.algorithm import PoolAlgorithm
from .core.problem import PoolProblem

_NO_GATE = np.zeros((1, 1, 1, 1))


class PoolPlan:
    """Pools arrays of one shape: ``plan(x)`` or, backward, ``plan(grad_out, x)``.

    Parameters
    ----------
    problem : PoolProblem
        The pooling that every call computes.
    gate : (*window) or (C, *window), for kind "gated"
        Weights ω of the gate 1/(1 + exp(−Σ ω·x)). There is one set for all channels or for each.
    algorithm, threads
        The same as for `pool`.
    """

    def __init__(
        self,
        problem: PoolProblem,
        gate: np.ndarray | None = None,
        *,
        algorithm: str | PoolAlgorithm = AUTO,
        threads: int | None = None,
    ) -> None:
        check_problem(problem, PoolProblem)
        check_addressable(problem)
        chosen = resolve(algorithm, problem, threads=threads)
        self._is_chosen = isinstance(algorithm, str) and algorithm == AUTO
        self.problem = problem
        self.algorithm = chosen
        self.threads = pools.check(threads)
        if not chosen.is_peer and pools.is_small(problem.multiply_adds, problem.compulsory_bytes):
            self.threads = 1
        self._gate = _resolve_gate(problem, gate)
        self._dtype = np.dtype(problem.dtype)
        asked = problem.with_images
        if reason := performer(chosen, asked).why_not(asked):
            raise ConvbenchError(f"{chosen.name} cannot do this: {reason}")

    def __repr__(self) -> str:
        problem, name = str(self.problem), self.algorithm.name
        return f"{type(self).__name__}({problem!r}, algorithm={name!r}, threads={self.threads})"

    def __call__(self, *arrays: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Compute the result, into `out` where it is given, by name or as the last array.

        Parameters
        ----------
        *arrays : ndarray
            forward: x ``(N, C, *size)``; grad_input: the gradient of the output and, unless
            the kind is linear, x. These are the problem's `operands`.
        out : ndarray, optional
            Of the problem's `result_shape` and layout, sharing no memory with the others.
        """
        wanted = len(self.problem.operands)
        if len(arrays) == wanted + 1 and out is None:
            *arrays, out = arrays  # type: ignore[assignment]
        if len(arrays) != wanted:
            raise ConvbenchError(
                f"a plan for {self.problem.operation} of {self.problem.kind} pooling is called "
                f"with {wanted} array{'s' if wanted > 1 else ''}, {len(arrays)} were given"
            )
        if self.problem.operation == "grad_input":
            return self.grad_input(arrays[0], arrays[1] if wanted > 1 else None, out)
        return self._forward(arrays[0], out, None)

    def bind(self, *arrays: np.ndarray, out: np.ndarray) -> Bound:
        """Return this computation as it is timed, for operands and an array that are kept.

        See `algos.plan.Plan.bind`.
        """
        problem = self.problem
        able = performer(self.algorithm, problem.with_images)
        if not isinstance(able, Bindable) or not problem.batch:
            return Bound(partial(self, *arrays, out))
        pairs = zip(arrays, problem.operands, strict=True)
        given = [
            take("operand", array, shape, self._dtype, problem.layout) for array, shape in pairs
        ]
        return able.bind(problem, *given, threads=self.threads)

    def with_switches(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pool `x`; also the int64 flat index, within its plane, of each sample chosen.

        For "maxout" it is the number of the channel chosen; where stochastic pooling met no
        positive sample it is -1.
        """
        kind = self.problem.kind
        if kind not in ("max", "maxout", "stochastic") or self.problem.mode == "test":
            raise ConvbenchError(
                f"{kind} pooling chooses no sample, so it has no switches; "
                f'kinds "max", "maxout" and "stochastic" with mode="train" do'
            )
        if not (self.algorithm.gives_switches or self._is_chosen):
            able = [name for name, a in registry.poolings().items() if a.gives_switches]
            raise ConvbenchError(
                f"{self.algorithm.name} finds values, not where they lie; for switches use "
                f"{' or '.join(able)}"
            )
        switches = new(self.problem.output_shape, np.dtype(np.int64), self.problem.layout)
        return self._forward(x, None, switches), switches

    def _forward(
        self, x: np.ndarray, out: np.ndarray | None, switches: np.ndarray | None
    ) -> np.ndarray:
        problem = self.problem
        x = take("input", x, problem.input_shape, self._dtype, problem.layout)
        out = self._out(out, problem.output_shape, ("input", x))
        if not problem.batch:
            return out
        algorithm = self.algorithm
        if switches is not None and not algorithm.gives_switches:
            algorithm = registry.poolings()[ALWAYS]
        gate, layout = self._gate, problem.layout
        with pools.share(self.threads) as threads:
            if problem.placement != "pyramid":
                performer(algorithm, problem).forward(problem, x, gate, out, switches, threads)
            else:
                start = 0
                for part in problem.parts:
                    bins = slice(start, start + math.prod(part.output_size))
                    start = bins.stop
                    piece = new(part.output_shape, self._dtype, layout)
                    where = None
                    if switches is not None:
                        where = new(part.output_shape, switches.dtype, layout)
                    run = performer(algorithm, part).forward
                    run(part, x, gate, piece, where, threads)
                    out[..., bins] = piece.reshape(*piece.shape[:2], -1)
                    if switches is not None and where is not None:
                        switches[..., bins] = where.reshape(*where.shape[:2], -1)
        if switches is not None and problem.kind == "maxout":
            first = np.arange(problem.output_shape[1]) * problem.pieces
            switches //= math.prod(problem.size)
            switches += first.reshape(1, -1, *[1] * problem.axes)
        return out

    def grad_input(
        self, grad_out: np.ndarray, x: np.ndarray | None = None, out: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the gradient at the input, ``(N, C, *size)``, of ⟨grad_out, pool(x)⟩.

        Parameters
        ----------
        grad_out : (N, C, *output_size)
        x : (N, C, *size)
            Array that was pooled. It may be left out for the linear kinds, "average" and
            "gaussian".
        out : (N, C, *size), optional
        """
        problem = self.problem
        dtype, layout = self._dtype, problem.layout
        grad_out = take("output gradient", grad_out, problem.output_shape, dtype, layout)
        if x is None and not problem.is_linear:
            raise ConvbenchError(
                f"the gradient of {problem.kind} pooling depends on what was pooled; give x too"
            )
        x = np.zeros(problem.input_shape, dtype) if x is None else x
        x = take("input", x, problem.input_shape, dtype, layout)
        out = self._out(out, problem.input_shape, ("output gradient", grad_out), ("input", x))
        if not problem.batch:
            return out
        gate = self._gate
        with pools.share(self.threads) as threads:
            if problem.placement != "pyramid":
                run = performer(self.algorithm, problem).grad_input
                run(problem, grad_out, x, gate, out, threads)
                return out
            out[...] = 0
            piece, start = np.empty_like(out), 0
            for part in problem.parts:
                bins = slice(start, start + math.prod(part.output_size))
                start = bins.stop
                grad = laid_out(grad_out[..., bins].reshape(part.output_shape), layout)
                run = performer(self.algorithm, part).grad_input
                run(part, read_only(grad), x, gate, piece, threads)
                out += piece
        return out

    def _out(
        self, out: np.ndarray | None, shape: tuple[int, ...], *inputs: tuple[str, np.ndarray]
    ) -> np.ndarray:
        """Return `out`, checked, or a new array."""
        if out is None:
            return new(shape, self._dtype, self.problem.layout)
        check_out(out, shape, self._dtype, self.problem.layout)
        for role, array in inputs:
            check_apart(out, role, array)
        return out


def _resolve_gate(problem: PoolProblem, gate: np.ndarray | None) -> np.ndarray:
    """Return the gate as float64 volumes, ``(1 or C, d, h, w)``."""
    if problem.kind != "gated":
        if gate is not None:
            raise ConvbenchError(f"{problem.kind} pooling has no gate; leave it out")
        return read_only(_NO_GATE)
    expected = f"{problem.window} or {(problem.channels, *problem.window)}"
    if gate is None:
        raise ConvbenchError(f"gated pooling needs gate, its weights, of shape {expected}")
    given = as_array("gate", gate)
    if given.dtype.kind not in "iuf":
        raise ConvbenchError(f"gate is {given.dtype}; expected real numbers")
    weights = given.astype(np.float64)  # a copy: a plan sees no later change of the gate
    if weights.shape not in (problem.window, (problem.channels, *problem.window)):
        raise ConvbenchError(f"gate has shape {weights.shape}; expected {expected}")
    lead = (1,) * (3 - problem.axes)
    count = 1 if weights.ndim == problem.axes else problem.channels
    return read_only(weights.reshape(count, *lead, *problem.window))
