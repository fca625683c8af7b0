"""The oracle for pooling: each window by its definition, in wider arithmetic.

It imports nothing from `algos`, so that no mistake can be shared. The positions of the windows
are computed here a second time, from the fields of the problem. `pool_oracle_kinds` reduces the
samples of a window.

Results are triples (value, magnitude, place). The magnitude scales a relative rounding error:
|error| <= γ·magnitude. The place is the flat index in the volume of the chosen sample, or -1.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .pool_oracle_kinds import Sight, reduce, slopes

_MASK = (1 << 64) - 1


def wide(dtype: Any) -> Any:
    """Return the data type of the arithmetic that judges `dtype`."""
    return np.float64 if np.dtype(dtype) == np.float32 else np.longdouble


@dataclass(frozen=True)
class Window:
    """One window along one axis: the positions of its taps, inside the input or outside."""

    at: tuple[int, ...]
    size: int
    counted: int

    @property
    def inside(self) -> list[int]:
        """Numbers of the taps that lie on the input."""
        return [t for t, place in enumerate(self.at) if 0 <= place < self.size]


def windows_along(problem: Any, axis: int) -> list[Window]:
    """Return the windows of `problem` along one axis, as its documentation defines them."""
    size = problem.size[axis]
    if problem.output is not None:
        count = problem.output[axis]
        return [
            _run(size, math.floor(i * size / count), math.ceil((i + 1) * size / count))
            for i in range(count)
        ]
    if problem.ratio is not None:
        borders = _fractional_borders(problem, axis)
        return [
            _run(size, a, b + bool(problem.overlapping)) for a, b in itertools.pairwise(borders)
        ]
    window, stride, dilation = (
        getattr(problem, name)[axis] for name in ("window", "stride", "dilation")
    )
    before, after = problem.padding[axis]
    span = (window - 1) * dilation + 1
    found: list[Window] = []
    start = -before
    while start + span <= size + after or (
        problem.fit == "ceil" and _left_over(found, size + after) and start < size
    ):
        at = tuple(start + t * dilation for t in range(window))
        found.append(Window(at, size, sum(place < size + after for place in at)))
        start += stride
    return found


def _run(size: int, start: int, end: int) -> Window:
    return Window(tuple(range(start, end)), size, end - start)


def _left_over(found: list[Window], end: int) -> bool:
    """Return True if samples remain behind the last window, or there is none yet."""
    return not found or found[-1].at[-1] + 1 < end


def _fractional_borders(problem: Any, axis: int) -> list[int]:
    """Return Graham's borders, drawn again; they step by ones and twos from end to end."""
    size = problem.size[axis]
    span = size - 1 if problem.overlapping else size
    count = max(math.floor(size / problem.ratio[axis]), math.ceil(span / 2))
    rng = np.random.default_rng([problem.seed, axis])
    if problem.sequence == "random":
        steps = rng.permutation([2] * (span - count) + [1] * (2 * count - span))
        return [0, *np.cumsum(steps).tolist()]
    u = int(rng.integers(1, 1 << 32))
    ceilings = [-((-span * (i * (1 << 32) + u)) // (count * (1 << 32))) for i in range(count + 1)]
    return [c - ceilings[0] for c in ceilings]


def uniform(seed: int, index: int) -> float:
    """SplitMix64's number for `index`, in [0, 1)."""

    def mix(z: int) -> int:
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & _MASK
        return z ^ (z >> 31)

    z = mix((mix(seed) + (index + 1) * 0x9E3779B97F4A7C15) & _MASK)
    return (z >> 11) / 2.0**53


class _View:
    """The windows of a problem that has a single grid of them."""

    def __init__(self, problem: Any, axes: int) -> None:
        self.problem = problem
        self.along = [windows_along(problem, axis) for axis in range(axes)]
        self.shape = tuple(map(len, self.along))

    def sight(
        self, plane: np.ndarray, number: int, position: tuple[int, ...], gate: np.ndarray | None
    ) -> Sight:
        """Return the window at `position` of a plane; `number` counts planes over the batch."""
        problem, kind = self.problem, wide(plane.dtype)
        chosen = [a[i] for a, i in zip(self.along, position, strict=True)]
        taps = [np.array(w.inside, np.int64) for w in chosen]
        places = [np.array([w.at[t] for t in w.inside], np.int64) for w in chosen]
        values = plane[np.ix_(*places)].astype(kind).reshape(-1)
        flat = np.ravel_multi_index(np.ix_(*places), plane.shape).reshape(-1)
        include = problem.count_include_pad is not False
        weights = np.ones(values.size, kind)
        if problem.kind == "gaussian":
            for a, window in enumerate(chosen):
                sigma = None if problem.sigma is None else problem.sigma[a]
                factor = _gaussian(window, sigma, include, kind)
                factors = np.array([factor[t] for t in window.inside], kind)
                weights = np.outer(weights, factors).reshape(-1) if a else factors
        counts = [w.counted if include else len(w.inside) for w in chosen]
        gates = gate[np.ix_(*taps)].astype(kind).reshape(-1) if gate is not None else weights
        order = int(np.ravel_multi_index(position, self.shape))
        u = uniform(problem.seed or 0, number * math.prod(self.shape) + order)
        return Sight(values, flat, math.prod(counts), weights, gates, u)

    def over(self, sample: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Yield the positions of all windows that hold a sample."""
        holding = [
            [j for j, w in enumerate(a) if i in w.at]
            for a, i in zip(self.along, sample, strict=True)
        ]
        return itertools.product(*holding)

    def most_over(self) -> int:
        """Return the largest number of windows that hold one sample."""
        counts = [Counter(i for w in a for i in w.at if 0 <= i < w.size) for a in self.along]
        return math.prod(max(c.values(), default=0) for c in counts)


def _gaussian(window: Window, sigma: float | None, include: bool, kind: Any) -> dict[int, Any]:
    """Return the weight of each tap inside the input."""
    middle = kind(window.at[0] + window.at[-1]) / 2
    width = kind(sigma) if sigma else kind(window.at[-1] - window.at[0] + 1) / 4
    counted = range(window.counted) if include else window.inside
    exponent = {t: ((window.at[t] - middle) / width) ** 2 / 2 for t in counted}
    least = min(exponent.values())
    raw = {t: np.exp(least - q) for t, q in exponent.items()}
    whole = sum(raw.values())
    return {t: raw[t] / whole for t in window.inside}


def _planes(problem: Any, x: np.ndarray) -> tuple[Any, np.ndarray]:
    """Return maxout as maxima along an axis of channels; other problems unchanged."""
    if problem.kind != "maxout":
        return problem, x.reshape(-1, *x.shape[2:])
    pieces, samples = problem.pieces, math.prod(problem.size)

    class Across:
        kind, output, ratio, seed, count_include_pad = "max", None, None, 0, None
        size, window, stride = (pieces, samples), (pieces, 1), (pieces, 1)
        dilation, padding, fit = (1, 1), ((0, 0), (0, 0)), "floor"

    return Across, x.reshape(-1, pieces, samples)


def _gate(gate: np.ndarray | None, number: int, channels: int, axes: int) -> np.ndarray | None:
    """Return the gate of a plane's channel."""
    if gate is None or gate.ndim == axes:
        return gate
    return np.asarray(gate[number % channels])


def every(shape: Sequence[int]) -> np.ndarray:
    """Return all indices of an array, in order."""
    return np.stack(np.unravel_index(np.arange(math.prod(shape)), tuple(shape)), axis=1)


def forward(
    problem: Any, x: np.ndarray, gate: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return output-shaped (output, magnitude, switches) of a problem with one grid of windows.

    x : (N, C, *size); gate : (*window) or (C, *window). Values in `wide(x.dtype)`.
    """
    shape = problem.output_shape
    value, magnitude, places = forward_at(every(shape), problem, x, gate)
    return value.reshape(shape), magnitude.reshape(shape), places.reshape(shape)


def forward_at(
    positions: np.ndarray, problem: Any, x: np.ndarray, gate: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the results of `forward` at `positions` (P, 2 + axes) of the output only."""
    rule, planes = _planes(problem, x)
    view = _View(rule, planes.ndim - 1)
    # An output of maxout is one of a plane of channels by samples.
    flat = np.ravel_multi_index(tuple(positions.T), problem.output_shape)
    kind = wide(x.dtype)
    value, magnitude = np.empty(len(flat), kind), np.empty(len(flat), kind)
    places = np.empty(len(flat), np.int64)
    for row, index in enumerate(flat):
        number, *position = map(int, np.unravel_index(index, (len(planes), *view.shape)))
        mask = _gate(gate, number, problem.channels, planes.ndim - 1)
        sight = view.sight(planes[number], number, tuple(position), mask)
        value[row], magnitude[row], tap = reduce(rule, sight)
        places[row] = sight.places[tap] if tap >= 0 else -1
    return value, magnitude, places


def grad_input(
    problem: Any, grad_out: np.ndarray, x: np.ndarray, gate: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return input-shaped (gradient, magnitude) of ⟨grad_out, pool(x)⟩."""
    rule, planes = _planes(problem, x)
    view = _View(rule, planes.ndim - 1)
    kind = wide(x.dtype)
    result = np.zeros((len(planes), planes[0].size), kind)
    magnitude = np.zeros_like(result)
    given = grad_out.reshape(len(planes), *view.shape).astype(kind)
    for number, plane in enumerate(planes):
        mask = _gate(gate, number, problem.channels, plane.ndim)
        for position in itertools.product(*map(range, view.shape)):
            sight = view.sight(plane, number, position, mask)
            slope, size = slopes(rule, sight)
            g = given[number][position]
            hit, rough = slope != 0, size != 0  # 0·∞ is nothing here
            result[number, sight.places[hit]] += g * slope[hit]
            magnitude[number, sight.places[rough]] += abs(g) * size[rough]
    return result.reshape(x.shape), magnitude.reshape(x.shape)


def grad_input_at(
    positions: np.ndarray,
    problem: Any,
    grad_out: np.ndarray,
    x: np.ndarray,
    gate: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the results of `grad_input` at `positions` (P, 2 + axes) of the input only."""
    rule, planes = _planes(problem, x)
    view = _View(rule, planes.ndim - 1)
    if len(positions) * view.most_over() >= len(planes) * math.prod(view.shape):
        result, magnitude = grad_input(problem, grad_out, x, gate)
        return result[tuple(positions.T)], magnitude[tuple(positions.T)]
    kind = wide(x.dtype)
    given = grad_out.reshape(len(planes), *view.shape).astype(kind)
    result, magnitude = np.zeros(len(positions), kind), np.zeros(len(positions), kind)
    for row, index in enumerate(np.ravel_multi_index(tuple(positions.T), x.shape)):
        number, *sample = map(int, np.unravel_index(index, planes.shape))
        flat = int(np.ravel_multi_index(tuple(sample), planes.shape[1:]))
        mask = _gate(gate, number, problem.channels, planes.ndim - 1)
        for position in view.over(sample):
            sight = view.sight(planes[number], number, position, mask)
            slope, size = (part[sight.places == flat][0] for part in slopes(rule, sight))
            result[row] += given[number][position] * slope if slope else 0
            magnitude[row] += abs(given[number][position]) * size if size else 0
    return result, magnitude
