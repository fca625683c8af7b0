"""Plan: an algorithm made ready for one problem and one kernel, to be called many times.

The idiom is FFTW's and cuDNN's: what depends on the kernel alone is worked out once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import algorithm as registry
from . import threads as pools
from .errors import ConvbenchError
from .problem import Problem


class Plan:
    """A callable ``plan(x, out=None) -> y`` for inputs of one shape.

    Attributes
    ----------
    problem : Problem
    algorithm : Algorithm
    threads : int
        How many threads a call may use.
    """

    def __init__(
        self,
        problem: Problem,
        w: np.ndarray,
        bias: np.ndarray | None = None,
        *,
        algorithm: str | registry.Algorithm = "parallel",
        threads: int | None = None,
    ) -> None:
        chosen = registry.get(algorithm) if isinstance(algorithm, str) else algorithm
        self.problem = problem
        self.algorithm = chosen
        self.threads = pools.check(threads)
        self._dtype = np.dtype(problem.dtype)
        self._input_shape = problem.input_shape
        self._output_shape = problem.output_shape
        w = self._take("kernel", w, problem.kernel_shape)
        if problem.bias != (bias is not None):
            raise ConvbenchError(
                f"the problem says bias={problem.bias}, but "
                f"{'no bias was given' if bias is None else 'a bias was given'}"
            )
        self._bias = np.zeros(problem.out_channels, self._dtype)
        if bias is not None:
            self._bias[:] = self._take("bias", bias, (problem.out_channels,))
        if reason := chosen.why_not(problem, w):
            raise ConvbenchError(f"{chosen.name} cannot do this: {reason}")
        with pools.numba_threads(self.threads):
            self._prepared: Any = chosen.prepare(problem, w, self.threads)

    def __call__(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Convolve `x` of shape ``(N, C, *size)`` into `out` of shape ``(N, O, *output_size)``.

        An `out` that is given must be C-contiguous and share no memory with `x`.
        """
        x = self._take("input", x, self._input_shape)
        if out is None:
            out = np.empty(self._output_shape, self._dtype)
        else:
            self._check_out(out, x)
        with pools.numba_threads(self.threads):
            self.algorithm.forward(self.problem, x, self._prepared, self._bias, out, self.threads)
        return out

    def _take(self, what: str, array: Any, shape: tuple[int, ...]) -> np.ndarray:
        if not isinstance(array, np.ndarray):
            array = np.asarray(array)
        if array.shape != shape:
            raise ConvbenchError(f"{what} has shape {array.shape}, the problem asks for {shape}")
        if array.dtype != self._dtype:
            if array.dtype.newbyteorder("=") != self._dtype:
                raise ConvbenchError(
                    f"{what} is {array.dtype}, the problem is {self._dtype}; "
                    f"convert one of them with .astype()"
                )
            array = array.astype(self._dtype)
        flags = array.flags
        if not (flags.c_contiguous and flags.aligned):
            array = np.require(array, requirements=("C", "A"))
        if array.flags.writeable:  # one type for all inputs, so Numba compiles a kernel once
            array = array.view()
            array.flags.writeable = False
        return array

    def _check_out(self, out: np.ndarray, x: np.ndarray) -> None:
        if out.shape != self._output_shape or out.dtype != self._dtype:
            raise ConvbenchError(
                f"out is {out.dtype}{out.shape}, the problem gives "
                f"{self._dtype}{self._output_shape}"
            )
        flags = out.flags
        if not (flags.c_contiguous and flags.aligned and flags.writeable):
            raise ConvbenchError("out must be C-contiguous, aligned and writeable")
        if np.may_share_memory(out, x):
            raise ConvbenchError("out and the input share memory; give out an array of its own")
