"""Fully connected layers: convolutions whose kernel covers the whole input, as a matrix product.

Without padding such a kernel has a single position. An output channel's taps are a row of the
layer's weight matrix. With x as ``(N, C·ΠW)`` and w as ``(O, C·ΠW)`` the output is x·wᵀ
(Goodfellow, Bengio & Courville, *Deep Learning*, 2016, 9.1 and fig. 9.2). The gradients are g·w and
gᵀ·x. BLAS reads all operands in place; each group is a product of its own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from algos.backend.threads import blas_threads
from algos.core.algorithm import as_correlation, flipped_bytes
from algos.core.problem import Problem

from .adapter import Adapter


def is_fully_connected(problem: Problem) -> bool:
    """Return True if the kernel covers the whole input, at a single position."""
    return (
        problem.kernel == problem.size
        and not any(map(any, problem.padding))
        and problem.is_plain
        and not isinstance(problem.bias, str)
    )


class Dense(Adapter):
    """Fully connected layers as one matrix product (BLAS), for algorithms that would unfold."""

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """Return the weight matrices, ``(groups, O/groups, C/groups · ΠW)``."""
        return as_correlation(problem, w).reshape(problem.groups, -1, problem.taps)

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Bytes of the flipped kernel, and of the groups' product before it is copied."""
        result = math.prod(problem.result_shape) * problem.itemsize
        return result + flipped_bytes(problem)

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        with blas_threads(threads), np.errstate(all="ignore"):  # NaN and infinity are data here
            _by_group(out, problem)[...] = _by_group(x, problem) @ prepared.swapaxes(1, 2)
        if problem.bias:
            out += bias.reshape(-1, *[1] * problem.axes)

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        with blas_threads(threads), np.errstate(all="ignore"):
            _by_group(out, problem)[...] = _by_group(g, problem) @ prepared

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        matrices = out.reshape(problem.groups, -1, problem.taps)
        with blas_threads(threads), np.errstate(all="ignore"):
            np.matmul(_by_group(g, problem).swapaxes(1, 2), _by_group(x, problem), out=matrices)
        if problem.flip:
            out[...] = np.flip(out, tuple(range(2, out.ndim))).copy()


def _by_group(array: np.ndarray, problem: Problem) -> np.ndarray:
    """Return ``(groups, N, elements)``, a view of ``(N, channels, *size)``."""
    return array.reshape(problem.batch, problem.groups, -1).swapaxes(0, 1)
