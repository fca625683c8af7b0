"""Direct convolution at the speed of the machine: vector registers, cache blocks, threads.

Every product of the definition is computed, none twice over, so the operation count is
that of `naive`; what differs is how many happen at once. Twelve kernels share the work, each
compiled once for all sizes:

- `parallel.channels`: output channels in the lanes of vector registers. For network layers.
- `parallel.pixels`: neighbouring pixels in the lanes. For layers of a single tap.
- `parallel.shallow`: the same for more taps. For layers of few input channels.
- `parallel.rows`: neighbouring pixels in the lanes. For images, depthwise and small groups.
- `parallel.planes`: the same for kernels of 3×3, whose sums slide down a plane.
- `parallel.sliding`: the same for kernels of 5×5, 7×7 and 9×9.
- `parallel.unshared`: a patch for every position. For layers where few positions share a kernel.
- `parallel.tables`: one connected channel after the other. For tables of connections.
- `parallel.last`, `parallel.last_depthwise`: output channels in the lanes, for arrays that have
  their channels last. They are read and written in place.
- `parallel.last_shallow`: the same for few channels. It copies the rows under an output row.
- `parallel.generic`: plain loops. For kernels that hold inf or NaN, which others would
  multiply by the zeros of the padding.

The gradient of the input is made of convolutions like these. The gradient of the kernel sums over
positions. `parallel.weights` computes it with output channels in the lanes, `parallel.dots` with
positions in the lanes for layers of a single tap. For few channels it too is computed as a
convolution.

The problem alone decides which one runs, by an estimate of the register operations that each needs.
It also decides the order of summation, so the number of threads changes no bit of the result.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np

from algos.adapters import performer
from algos.adapters.dense import Dense, is_fully_connected
from algos.adapters.gradients import Derived, exchanged
from algos.adapters.relaid import channels_first, through, to_first
from algos.backend.threads import share
from algos.core.algorithm import Algorithm, as_correlation, flipped_bytes
from algos.core.memory_order import CHANNELS_LAST
from algos.core.problem import Problem

from . import channels as direct_channels
from . import dots as direct_dots
from . import generic as direct_generic
from . import last as direct_last
from . import last_depthwise as direct_last_depthwise
from . import last_shallow as direct_last_shallow
from . import pixels as direct_pixels
from . import planes as direct_planes
from . import rows as direct_rows
from . import shallow as direct_shallow
from . import sliding as direct_sliding
from . import weights as direct_weights
from .tables import Tables, own_connections
from .unshared import Unshared, few_share


class Path(Protocol):
    """Module that convolves forward in one way."""

    def workspace_bytes(self, problem: Problem, threads: int) -> int: ...

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Any: ...

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None: ...  # fmt: skip


class CostedPath(Path, Protocol):
    """Module that estimates its cost, too."""

    def cost(self, problem: Problem) -> float: ...


class WeightsPath(Protocol):
    """Module that computes the gradient of the kernel in one way."""

    def workspace_bytes(self, problem: Problem, threads: int) -> int: ...

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None: ...


PATHS: dict[str, CostedPath] = {
    "channels": direct_channels, "pixels": direct_pixels, "planes": direct_planes,
    "rows": direct_rows, "shallow": direct_shallow, "sliding": direct_sliding,
}  # fmt: skip
#: Paths for arrays that have their channels last.
LAST_PATHS: dict[str, Path] = {
    "last": direct_last, "last_depthwise": direct_last_depthwise,
    "last_shallow": direct_last_shallow,
}  # fmt: skip
ALL_PATHS: dict[str, Path] = {**PATHS, **LAST_PATHS}
WEIGHTS_PATHS: dict[str, WeightsPath] = {"weights": direct_weights, "dots": direct_dots}


class Prepared(NamedTuple):
    """A kernel made ready: the path it takes, and what that path's `prepare` returned."""

    path: str
    detail: Any


class Parallel(Algorithm):
    """Direct convolution in vector registers, cache blocks and threads."""

    name = "parallel"
    operations = ("forward", "grad_weight")

    def __init__(self, path: str | None = None) -> None:
        """Take `path`, a key of `PATHS`, if it applies. By default take the cheapest path."""
        self.path = path

    def part_of(self, whole: Problem) -> Algorithm:
        """Return the algorithm that takes the path of `whole`: each adds in an order of its own."""
        by_path = whole.layout != CHANNELS_LAST and self.stand_in(whole) is None
        return _taking(choose_path(whole)) if by_path else self

    def stand_in(self, problem: Problem) -> Algorithm | None:
        """Return the adapter for layers that have kernels of their own, else None.

        A fully connected layer is a matrix product. Where few positions share a kernel, each
        kernel is read once. Channels with connections of their own are summed one by one.
        """
        if is_fully_connected(problem) and not self.path:
            return Dense(self)
        if own_connections(problem) and not isinstance(problem.bias, str):
            return Tables(self, performer)
        tiled = problem.is_tiled and problem.connections is None
        if tiled and not isinstance(problem.bias, str) and few_share(problem):
            return Unshared(self)
        return None

    def reads_layout(self, problem: Problem) -> bool:
        """Return True where the kernels for channels last are no slower than copies and others."""
        suits = direct_last.suits(problem) or direct_last_depthwise.suits(problem)
        forward = problem.operation == "forward"
        return forward and suits and not is_fully_connected(problem)

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes of the packed kernel and of each thread's part of the input."""
        if problem.operation == "grad_weight":
            path = choose_weights_path(problem)
            if path in WEIGHTS_PATHS:
                held = WEIGHTS_PATHS[path].workspace_bytes(problem, threads)
                return held + flipped_bytes(problem)
            return Derived(self).workspace_bytes(problem, threads)
        held = self._path_bytes(problem, threads)
        return max(held, self.prepared_bytes(problem, threads) + flipped_bytes(problem))

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        if problem.operation == "grad_weight":
            return 0
        kernel = math.prod(problem.kernel_shape) * problem.itemsize
        return min(kernel, self._path_bytes(problem, threads))

    def _path_bytes(self, problem: Problem, threads: int) -> int:
        """Return the bytes that the path of a forward problem needs."""
        return ALL_PATHS[self._path_of(problem)].workspace_bytes(problem, threads)

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Prepared:
        """Choose a path and put the kernel into the order in which it is read."""
        w = as_correlation(problem, w)
        if not _is_finite(w):
            return Prepared("generic", w)
        path = self._path_of(problem)
        return Prepared(path, ALL_PATHS[path].prepare(problem, w, threads))

    def tap_order(self, problem: Problem) -> np.ndarray | None:
        """Return the order of the path that `problem` takes."""
        return direct_rows.tap_order(problem) if self._path_of(problem) == "rows" else None

    def _path_of(self, problem: Problem) -> str:
        """Return the path that `problem` takes."""
        if self.path is not None and PATHS[self.path].cost(problem) < math.inf:
            return self.path
        return choose_path(problem)

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        if prepared.path == "generic":
            _generic(problem, x, prepared.detail, bias, out, threads)
        else:
            ALL_PATHS[prepared.path].forward(problem, x, prepared.detail, bias, out, threads)

    def grad_weight(
        self, problem: Problem, x: np.ndarray, g: np.ndarray, out: np.ndarray, threads: int
    ) -> None:
        path = choose_weights_path(problem)
        # Where g is not finite, the zeros of the padding must not be multiplied by it.
        if path == "exchanged" or (path == "weights" and not _is_finite(g)):
            Derived(self).grad_weight(problem, x, g, out, threads)
            return
        target = np.empty_like(out) if problem.flip else out
        WEIGHTS_PATHS[path].grad_weight(problem, x, g, target, threads)
        if problem.flip:
            out[...] = np.flip(target, tuple(range(2, out.ndim)))


@lru_cache
def _taking(path: str) -> Parallel:
    """Return the algorithm that takes `path` if it applies."""
    return Parallel(path)


def _generic(
    problem: Problem, x: np.ndarray, w: np.ndarray, bias: np.ndarray, out: np.ndarray, threads: int
) -> None:
    """Convolve with a kernel that holds inf or NaN; arrays with channels last are copied."""
    if problem.layout == CHANNELS_LAST:
        first, x = channels_first(problem), to_first(x, threads)
        through(lambda y: _generic(first, x, w, bias, y, threads), out, threads)
        return
    with share(threads):
        direct_generic.forward(problem, x, w, bias, out)


@lru_cache(maxsize=1024)
def choose_weights_path(problem: Problem) -> str:
    """Return "dots" or "weights", or "exchanged" if the derived convolution is cheaper."""
    if direct_dots.suits(problem):
        return "dots"
    derived = exchanged(problem)
    by_convolution = PATHS[choose_path(derived)].cost(derived)
    return "weights" if direct_weights.cost(problem) < by_convolution else "exchanged"


@lru_cache(maxsize=1024)
def choose_path(problem: Problem) -> str:
    """Return the key of the path that needs the fewest register operations per product."""
    if problem.layout == CHANNELS_LAST:
        if direct_last_depthwise.suits(problem):
            return "last_depthwise"
        return "last_shallow" if direct_last_shallow.suits(problem) else "last"
    return min(PATHS, key=lambda path: PATHS[path].cost(problem))


def _is_finite(w: np.ndarray) -> bool:
    return np.count_nonzero(np.isfinite(w)) == w.size
