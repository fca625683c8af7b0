"""PyTorch's pooling on the CPU."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from algos.backend.threads import library_threads, load
from algos.pooling.core.algorithm import PoolAlgorithm, window_roundings
from algos.pooling.core.problem import PoolProblem

from .library import missing
from .pytorch import _copy, _tensor


class TorchPool(PoolAlgorithm):
    """torch.nn.functional's max_pool, avg_pool, lp_pool and adaptive ones; gradients by autograd.

    A result is copied to the output once. A gradient's call contains the forward pass, which
    autograd needs: it is what its users wait for. Its fractional windows are drawn otherwise than
    here, and cannot be compared. Sums are formed in the data's precision.
    """

    is_peer = True
    name = "torch"
    libraries = ("torch",)
    opt_in = True

    def why_not(self, problem: PoolProblem) -> str | None:
        return missing("torch", "PyTorch") or _not_offered(problem)

    def workspace_bytes(self, problem: PoolProblem, threads: int) -> int:
        """Return the bytes of the result before its copy and of an index per maximum."""
        made, given = math.prod(problem.output_shape), math.prod(problem.input_shape)
        backward = problem.operation == "grad_input"
        return made * (problem.itemsize + 8) + backward * 2 * given * problem.itemsize

    def arithmetic(self, problem: PoolProblem) -> tuple[str, float]:
        return problem.dtype, window_roundings(problem) + 4

    def forward(
        self, problem: PoolProblem, x: np.ndarray, gate: np.ndarray, out: np.ndarray,
        switches: np.ndarray | None, threads: int,
    ) -> None:  # fmt: skip
        torch = load("torch")
        with torch.inference_mode(), library_threads("torch", threads):
            _copy(_pooled(problem, _tensor(x)), _tensor(out))

    def grad_input(
        self, problem: PoolProblem, grad_out: np.ndarray, x: np.ndarray, gate: np.ndarray,
        out: np.ndarray, threads: int,
    ) -> None:  # fmt: skip
        torch = load("torch")
        with torch.enable_grad(), library_threads("torch", threads):
            given = _tensor(x).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(_pooled(problem, given), given, _tensor(grad_out))
            _copy(gradient, _tensor(out))


def _not_offered(problem: PoolProblem) -> str | None:
    if problem.kind not in ("max", "average", "l2"):
        return f"PyTorch has no {problem.kind} pooling that is comparable"
    if problem.layout == "adaptive" and problem.kind != "l2":
        return None
    if problem.layout != "regular":
        return f"PyTorch's {problem.kind} pooling has no {problem.layout} windows that are the same"
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


def _pooled(problem: PoolProblem, x: Any) -> Any:
    """Return the result as a tensor of PyTorch's own."""
    functional = load("torch").nn.functional
    short = {"max": "max", "average": "avg", "l2": "lp"}[problem.kind]
    if problem.layout == "adaptive":
        return getattr(functional, f"adaptive_{short}_pool{problem.axes}d")(x, problem.output)
    function = getattr(functional, f"{short}_pool{problem.axes}d")
    how: dict[str, Any] = {"ceil_mode": problem.fit == "ceil"}
    if problem.kind == "l2":
        return function(x, 2.0, problem.window, problem.stride, **how)
    how["padding"] = tuple(before for before, _ in problem.padding)
    if problem.kind == "max":
        return function(x, problem.window, problem.stride, dilation=problem.dilation, **how)
    how["count_include_pad"] = problem.count_include_pad
    return function(x, problem.window, problem.stride, **how)
