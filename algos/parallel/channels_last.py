"""`parallel` as callers use it who keep their images with the channels last.

PyTorch, OpenVINO and ONNX Runtime are timed on tensors in the layout that suits them best. This is
the same for ours: operands are laid out before the clock starts, and the result stays with its
channels last. A plan, which is given arrays with their channels first, copies them.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from algos.backend.threads import share
from algos.core.algorithm import Algorithm
from algos.core.arrays import new
from algos.core.bound import Bound, write
from algos.core.memory_order import CHANNELS_LAST, laid_out
from algos.core.problem import Problem

from .algorithm import Parallel

_PARALLEL = Parallel()


@lru_cache(maxsize=1024)
def _last(problem: Problem) -> Problem:
    """Return the same problem with its channels last."""
    return replace(problem, layout=CHANNELS_LAST)


class ParallelChannelsLast(Algorithm):
    """Direct convolution of arrays with their channels last, for every problem."""

    name = "parallel-channels-last"
    opt_in = True

    def reads_layout(self, problem: Problem) -> bool:
        return _PARALLEL.reads_layout(problem)

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        if not _PARALLEL.reads_layout(_last(problem)):
            return (
                "no kernel for channels last suits it; they need several positions, and output "
                "channels that fill at least half a vector register"
            )
        return _PARALLEL.why_not(problem, w)

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes that the kernels need, and those of the copies."""
        copied = math.prod(problem.input_shape) + math.prod(problem.output_shape)
        return _PARALLEL.workspace_bytes(_last(problem), threads) + copied * problem.itemsize

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        return _PARALLEL.prepared_bytes(_last(problem), threads)

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Any:
        return _PARALLEL.prepare(_last(problem), w, threads)

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        y = laid_out(out, CHANNELS_LAST)
        _PARALLEL.forward(_last(problem), laid_out(x, CHANNELS_LAST), prepared, bias, y, threads)
        write(y, out)

    def bind(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, *, threads: int
    ) -> Bound:
        """Return the call for operands that have their channels last already."""
        last, x = _last(problem), laid_out(x, CHANNELS_LAST)
        y = new(problem.output_shape, x.dtype, CHANNELS_LAST)

        def call() -> np.ndarray:
            with share(threads) as count:
                _PARALLEL.forward(last, x, prepared, bias, y, count)
            return y

        return Bound(call)
