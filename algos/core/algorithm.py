"""Algorithm: the contract that every way of convolving keeps.

A new algorithm is one file in this package that defines one subclass of `Algorithm`; it is
discovered, listed, verified, timed and plotted without another line anywhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .arrays import read_only
from .family import CONVOLUTION, AlgorithmBase
from .problem import Problem


class Algorithm(AlgorithmBase):
    """One way to compute a `Problem`.

    Every array an algorithm is handed is C-contiguous, aligned, in native byte order and of
    the problem's dtype and shape; `bias` is zeros where the problem has none. Inputs are
    read-only views, `out` holds garbage and every element of it must be written. A problem with
    its channels last reaches only classes that ask for it by `reads_layout`.
    Where `operations` names a gradient, `problem.operation` tells the methods which is meant.
    Instances hold no state: one serves any number of problems and threads at once.
    """

    family = CONVOLUTION

    #: Operations of a `Problem` that the class computes by a method of its own. The others are made
    #: of forward convolutions (see `algos.adapters`); its methods never see them.
    operations: tuple[str, ...] = ("forward",)

    #: True where its `operations` include tiled layers and connection tables. For others these
    #: are made of plain convolutions, and they are never asked about them.
    any_layer: bool = False

    #: Boundaries of a `Problem` that the class reads by itself. The others are made of layers with
    #: zeros (see `algos.adapters.borders`); its methods never see them.
    boundaries: tuple[str, ...] = ("zeros",)

    def reads_boundary(self, problem: Problem) -> bool:
        """Return True if the class reads the boundary of `problem` by itself."""
        return problem.boundary in self.boundaries

    def reads_layout(self, problem: Problem) -> bool:
        """Return True if the class reads and writes the channels-last arrays of `problem` in place.

        Asked of plain layers with zeros beyond the border, in the class's own `operations`. For
        others, and where it is False, arrays are copied (see `algos.adapters.relaid`).
        `algos.core.memory_order.in_memory` gives the C-contiguous view of such an array.
        """
        return False

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        """Return a sentence saying why this algorithm cannot do `problem`, or None if it can.

        With the kernel `w` given, its values may be a reason too: `forward` is never handed a
        kernel that was refused here, not even where a gradient takes the kernel's place.
        """
        return None

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the most bytes needed beyond input, kernel and output; includes the prepared
        kernel."""
        return 0

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        """Return how much of `workspace_bytes` the prepared kernel holds; 0 for `w` itself."""
        return 0

    def work(self, problem: Problem) -> float:
        """Return the amount of work for `problem`, in any unit proportional to time.

        By default the multiply-adds of the definition. The harness predicts from it, and from
        the time another problem took, whether a call would take too long.
        """
        return problem.multiply_adds

    def tap_order(self, problem: Problem) -> np.ndarray | None:
        """Return the taps of a plane as flat indices, in the order in which `forward` adds them.

        None stands for row by row. Outputs along a border with values are added in this order.
        """
        return None

    def part_of(self, whole: Problem) -> Algorithm:
        """Return the algorithm for problems that are parts of `whole`, with `whole`'s bits.

        An algorithm that sums directly, in an order it chooses by the size, keeps that of `whole`.
        """
        return self

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Any:
        """Return what can be computed once from the kernel `w` and used for many inputs."""
        return w

    def forward(
        self,
        problem: Problem,
        x: np.ndarray,
        prepared: Any,
        bias: np.ndarray,
        out: np.ndarray,
        threads: int,
    ) -> None:
        """Write the output for input `x` into `out`.

        Parameters
        ----------
        x : ndarray, shape (N, C, *size)
            Input. It must not be changed.
        prepared : object
            Result of `prepare`. It must not be changed.
        bias : ndarray, shape (O,)
            Bias of each output channel. It must not be changed.
        out : ndarray, shape (N, O, *output_size)
            Result. It holds garbage before the call; every element must be written.
        threads : int
            Largest number of threads.
        """
        raise NotImplementedError

    def grad_input(
        self, problem: Problem, g: np.ndarray, prepared: Any, out: np.ndarray, threads: int
    ) -> None:
        """Write the gradient of the input into `out`, (N, C, *size), for that of the output.

        g : (N, O, *output_size); `prepared` is what `prepare` returned for this problem.
        """
        raise NotImplementedError

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        """Write the gradient of the kernel into `out`, (O, C/groups, *kernel).

        x : (N, C, *size), the input; g : (N, O, *output_size), the gradient of the output.
        """
        raise NotImplementedError

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Return an upper bound on |computed − exact| for each element of `magnitude`.

        `x` and `w` are the problem's operands for every operation; `magnitude` is |x| ⋆ |w| +
        |bias|, exactly, at some positions of the result. The bound here is that of any direct
        method. It sums n products and a bias in any order, with or without FMA. It errs by at most
        γ·magnitude with γ = (n+1)u / (1 − (n+1)u), plus n + 1 roundings that may fall among the
        subnormals. *Source*: Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., eq.
        3.5.
        """
        return gamma(problem.terms + 1, problem.dtype) * magnitude + subnormal_error(problem)


def unit_roundoff(dtype: str) -> float:
    """Return u, half the distance from 1 to the next larger number of `dtype`."""
    return float(np.finfo(dtype).eps) / 2


def gamma(n: int, dtype: str) -> float:
    """Return γ_n = n·u / (1 − n·u), Higham's constant for n roundings in a chain."""
    nu = n * unit_roundoff(dtype)
    return nu / (1 - nu)


def subnormal_error(problem: Problem) -> float:
    """Return the bound of gradual underflow: half the smallest subnormal per product."""
    return (problem.terms + 1) * float(np.finfo(problem.dtype).smallest_subnormal)


def flipped_bytes(problem: Problem) -> int:
    """Return the bytes of the copy that `as_correlation` makes: 0 without `problem.flip`."""
    return math.prod(problem.kernel_shape) * problem.itemsize if problem.flip else 0


def as_correlation(problem: Problem, w: np.ndarray) -> np.ndarray:
    """Return `w` as contiguous kernels for cross-correlation: flipped if the problem flips."""
    w = w.reshape(problem.volume.kernel_shape)
    if problem.flip:
        w = read_only(np.ascontiguousarray(w[..., ::-1, ::-1, ::-1]))
    return w
