"""PyTorch's pooling on the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np

from algos.backend.threads import library_threads, load
from algos.core.bound import Bound
from algos.pooling.core.algorithm import window_roundings
from algos.pooling.core.problem import PoolProblem

from .library import missing
from .peer import PoolPeer
from .pytorch import channels_last, fetch, tensor_of


class TorchPool(PoolPeer):
    """torch.nn.functional's max_pool, avg_pool, lp_pool and adaptive ones; gradients by autograd.

    Tensors are contiguous. A gradient's call contains the forward pass, which autograd needs: it is
    what its users wait for. Its fractional windows are drawn otherwise than here, and cannot be
    compared. Sums are formed in the data's precision.
    """

    name = "torch"
    libraries = ("torch",)

    def why_not(self, problem: PoolProblem) -> str | None:
        return missing("torch", "PyTorch") or _not_offered(problem)

    def workspace_bytes(self, problem: PoolProblem, threads: int) -> int:
        """Return the bytes of PyTorch's own input, of its result, and of an index per maximum."""
        made, given = math.prod(problem.output_shape), math.prod(problem.input_shape)
        backward = problem.operation == "grad_input"
        own = (given + made * backward + backward * 2 * given) * problem.itemsize
        return made * (problem.itemsize + 8) + own

    def arithmetic(self, problem: PoolProblem) -> tuple[str, float]:
        return problem.dtype, window_roundings(problem) + 4

    def pools(self, threads: int) -> AbstractContextManager[None]:
        load("torch")
        return library_threads("torch", threads)

    def bind(self, problem: PoolProblem, *given: np.ndarray, threads: int) -> Bound:
        torch, pooled = load("torch"), _function(problem)
        if problem.operation == "forward":
            with torch.inference_mode():
                own = self._laid_out(tensor_of(given[0]))
            return Bound(partial(pooled, own), fetch)
        slope = self._laid_out(tensor_of(given[0]))
        if len(given) > 1:
            own = self._laid_out(tensor_of(given[1]))
        else:  # a linear kind: its gradient does not depend on the input
            own = self._laid_out(slope.new_zeros(problem.input_shape))
        own.requires_grad_()

        def call() -> Any:
            with torch.enable_grad():
                (gradient,) = torch.autograd.grad(pooled(own), own, slope)
            return gradient

        return Bound(call, fetch)

    def _laid_out(self, x: Any) -> Any:
        """Return a copy of `x` in PyTorch's memory and the layout of this algorithm."""
        return x.clone()


class TorchPoolChannelsLast(TorchPool):
    """torch.nn.functional's pooling on tensors that have their channels last in memory."""

    name = "torch-channels-last"

    def why_not(self, problem: PoolProblem) -> str | None:
        if problem.axes == 1:
            return "PyTorch's tensors of one spatial axis have no layout with channels last"
        return super().why_not(problem)

    def _laid_out(self, x: Any) -> Any:
        return channels_last(x)


def _not_offered(problem: PoolProblem) -> str | None:
    if problem.kind not in ("max", "average", "l2"):
        return f"PyTorch has no {problem.kind} pooling that is comparable"
    if problem.placement == "adaptive" and problem.kind != "l2":
        return None
    if problem.placement != "regular":
        return f"PyTorch's {problem.kind} pooling has no such {problem.placement} windows"
    if any(before != after for before, after in problem.padding):
        return "PyTorch pads alike on both sides"
    if any(2 * before > window for (before, _), window in zip(problem.padding, problem.window,
                                                              strict=True)):  # fmt: skip
        return "PyTorch pads by at most half the window"
    if problem.kind != "max" and set(problem.dilation) != {1}:
        return f"PyTorch's {problem.kind} pooling has no dilation"
    if problem.kind == "l2" and (any(map(any, problem.padding)) or problem.fit == "ceil"):
        return "PyTorch's norms have no padding, and scale those of ragged windows"
    return None


def _function(problem: PoolProblem) -> Callable[[Any], Any]:
    """Return the function of PyTorch for the problem, with its settings."""
    functional = load("torch").nn.functional
    short = {"max": "max", "average": "avg", "l2": "lp"}[problem.kind]
    if problem.placement == "adaptive":
        adaptive = getattr(functional, f"adaptive_{short}_pool{problem.axes}d")
        return partial(adaptive, output_size=problem.output)
    function = getattr(functional, f"{short}_pool{problem.axes}d")
    how: dict[str, Any] = {
        "kernel_size": problem.window, "stride": problem.stride,
        "ceil_mode": problem.fit == "ceil",
    }  # fmt: skip
    if problem.kind == "l2":
        return partial(function, norm_type=2.0, **how)
    how["padding"] = tuple(before for before, _ in problem.padding)
    if problem.kind == "max":
        return partial(function, dilation=problem.dilation, **how)
    return partial(function, count_include_pad=problem.count_include_pad, **how)
