"""Gradients of the learned parameters of mixed and gated pooling: the share, and the gate.

Lee, Gallagher & Tu, *Generalizing Pooling Functions in Convolutional Neural Networks* (AISTATS
2016, arXiv:1509.08985), sections 3.1 and 3.2. Let m be the maximum of a window and a its average.
Mixed pooling is y = s·m + (1 − s)·a, with a share s. Gated pooling is y = σ·m + (1 − σ)·a, with σ =
1/(1 + exp(−Σ ω·x)), the openness of the gate.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from algos.core.arrays import take
from algos.core.errors import ConvbenchError

from .algorithms.im2col import _slabs
from .core.problem import PoolProblem
from .kernels.columns import first_maximum, grid_of, opening
from .plan import _resolve_gate


def grad_mix(grad_out: np.ndarray, x: np.ndarray, **options: Any) -> float:
    """Return the gradient of ⟨grad_out, pool(x, "mixed", …)⟩ by its `mix`: Σ g·(m − a).

    Parameters
    ----------
    grad_out : ndarray, shape of the output
    x : ndarray, shape (N, C, *size)
    **options
        The same as for `pool`.

    Examples
    --------
    >>> grad_mix(np.ones((1, 1, 2)), np.array([[[1.0, 3, 5, 5]]]), size=2)
    1.0
    """
    problem = _problem(x, "mixed", options)
    g = take("output gradient", grad_out, problem.output_shape, np.dtype(problem.dtype))
    total, start = 0.0, 0
    for part in problem.parts:
        stop = start + int(np.prod(part.output_size))
        mine = g if len(problem.parts) == 1 else g[..., start:stop]
        start = stop
        for slab, _, lift in _lifts(part, x, np.zeros((1, 1, 1, 1))):
            total += float((mine.reshape(part.planes[0], -1)[slab] * lift).sum())
    return total


def grad_gate(grad_out: np.ndarray, x: np.ndarray, gate: np.ndarray, **options: Any) -> np.ndarray:
    """Return the gradient of ⟨grad_out, pool(x, "gated", gate=gate, …)⟩ by the gate's weights.

    For each tap it is Σ g·σ·(1 − σ)·(m − a)·x over the windows, in float64. Its shape is that of
    the gate: ``(*window)`` for all channels together or ``(C, *window)``.

    Parameters
    ----------
    grad_out, x, **options
        The same as for `grad_mix`.
    gate : ndarray

    Examples
    --------
    >>> grad_gate(np.ones((1, 1, 1)), np.array([[[1.0, 3]]]), np.zeros(2), size=2)
    array([0.25, 0.75])
    """
    problem = _problem(x, "gated", options)
    g = take("output gradient", grad_out, problem.output_shape, np.dtype(problem.dtype))
    weights = _resolve_gate(problem, gate)
    given = g.reshape(problem.planes[0], -1).astype(np.float64)
    result = np.zeros((len(weights), problem.taps))
    for slab, columns, lift in _lifts(problem, x, weights):
        numbers = np.arange(slab.start, slab.stop) % problem.channels % len(weights)
        rows = weights.reshape(len(weights), 1, -1)[numbers]
        share, rest = opening(columns, rows)
        np.add.at(
            result, numbers, np.einsum("bp,bpt->bt", given[slab] * share * rest * lift, columns)
        )
    return result.reshape(np.shape(gate))


def _problem(x: np.ndarray, kind: str, options: dict[str, Any]) -> PoolProblem:
    """Return the pooling problem that `options` describe, of the given kind."""
    from .api import pool_problem_of

    if "kind" in options:
        raise ConvbenchError(f"this is the gradient of {kind} pooling; leave kind out")
    return pool_problem_of(x, kind, **options)


def _lifts(problem: PoolProblem, x: np.ndarray, gate: np.ndarray) -> Any:
    """Yield, for some planes at a time: (slice, windows, maximum less average of each)."""
    grid = grid_of(problem)
    for slab, columns, _, _ in _slabs(problem, np.asarray(x), gate, grid):
        tap = first_maximum(columns, grid.inside)
        best = np.take_along_axis(columns, tap[..., None], -1)[..., 0].astype(np.float64)
        yield (
            slab,
            columns.astype(np.float64),
            best - columns.sum(axis=-1, dtype=float) / grid.count,
        )
