"""Convolution as multiplication of spectra, tile by tile.

The convolution theorem turns the sum over taps into one product per frequency; what remains
are the transforms, O(log n) per sample whatever the kernel's size. Inputs much larger than
the kernel are cut into overlapping tiles whose wrapped-around border is thrown away
(overlap-save: Stockham, *High-speed convolution and correlation*, 1966). The products of all
input channels are summed in the frequency domain, so a layer needs one forward transform per
input channel and one inverse per output channel. The work is done in `fft_tiles`; here is
decided how large tiles are, and how wrong results may be.

Because every output of a tile passes through sums over the whole tile, and tiles travel in
pairs, a NaN or infinity in the input spreads to its pair of tiles, and the error is relative to
the pair's norm, not to each output element.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft

from . import fft_tiles, simd
from .algorithm import Algorithm, as_correlation, gamma, subnormal_error, unit_roundoff
from .arrays import read_only
from .problem import Problem
from .transform import LENGTHS, passes_cost

#: Bytes of a pair of tiles that stay in a second-level cache, more or less.
NEAR_BYTES = 1 << 20
#: Tile lengths that are tried along an axis, at most.
CHOICES = 8

Index = tuple[Any, ...]


@dataclass(frozen=True)
class Tiling:
    """How a problem is cut: tiles of `tile` input samples, `step` stride-1 outputs apart."""

    tile: tuple[int, int, int]
    step: tuple[int, int, int]
    counts: tuple[int, int, int]

    @property
    def tiles(self) -> int:
        """Tiles per image and channel."""
        return math.prod(self.counts)

    @property
    def samples(self) -> int:
        """Real samples in a tile."""
        return math.prod(self.tile)


def cut_up(v: Problem, tile: tuple[int, ...]) -> Tiling:
    """The tiles of volume `v` that have the lengths `tile`."""
    step = tuple(t - e + 1 for t, e in zip(tile, v.extent, strict=True))
    counts = tuple(
        -(-(reach - e + 1) // s) for reach, e, s in zip(v.reach, v.extent, step, strict=True)
    )
    return Tiling(tile, step, counts)  # type: ignore[arg-type]


@lru_cache(maxsize=256)
def tiling(problem: Problem) -> Tiling:
    """The cheapest tiling, by a count of the passes over its tiles."""
    v, lane = problem.volume, simd.lanes_of(problem.itemsize)
    choices = [
        [1] if axis < 3 - problem.axes else _lengths(v, axis, _unit(problem, axis, lane))
        for axis in range(3)
    ]
    return min(
        (cut_up(v, tile) for tile in itertools.product(*choices)),
        key=lambda cut: _cost(v, cut, lane),
    )


def _unit(problem: Problem, axis: int, lane: int) -> int:
    """What a tile's length must be a multiple of: rows go by lanes, and as many at a time."""
    if axis == 2:
        return lane if problem.axes > 1 else lane * lane
    return lane if axis == 1 else 1


def _lengths(v: Problem, axis: int, unit: int) -> list[int]:
    """A few lengths that transform well: from the kernel's extent on, up to all of the axis."""
    extent, reach = v.extent[axis], v.reach[axis]
    fitting = [n for n in LENGTHS if n % unit == 0 and n >= extent]
    whole = next(n for n in fitting if n >= reach)
    worth = [n for n in fitting if 1.1 * extent < n < whole]
    return [*worth[:CHOICES], whole]


def _cost(v: Problem, cut: Tiling, lane: int) -> float:
    """Relative time of one call: passes over the tiles, products, a little for every tile."""
    kernels = v.out_channels * (v.in_channels // v.groups)
    pairs = -(-v.batch * cut.tiles // 2)
    passes = 1.5 + passes_cost(cut.tile[2] // lane) + sum(map(passes_cost, cut.tile[:2]))
    bytes_of_pair = 2 * cut.samples * v.itemsize
    passes *= 1 + 0.3 * max(0.0, math.log2(bytes_of_pair / NEAR_BYTES))
    per_transform = cut.samples * (1 + passes) + 1_000
    return pairs * ((v.in_channels + v.out_channels) * per_transform + kernels * cut.samples)


class FFT(Algorithm):
    """Products of spectra, overlap-save tiles two at a time, channels summed per frequency."""

    name = "fft"
    confines_nonfinite = False
    exact_on_integers = False
    operations = ("forward", "grad_weight")

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        if problem.operation == "grad_weight":
            from . import fft_weights

            return fft_weights.workspace_bytes(problem)
        return fft_tiles.workspace(problem, tiling(problem).tile, threads)

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        return fft_tiles.spectra_bytes(problem, tiling(problem).tile, threads)

    def work(self, problem: Problem) -> float:
        """The cost by which the tiling was chosen."""
        if problem.operation == "grad_weight":
            from . import fft_weights

            return fft_weights.work(problem)
        return _cost(problem.volume, tiling(problem), simd.lanes_of(problem.itemsize))

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> np.ndarray:
        """Spectra of the kernels, as `fft_tiles` wants them."""
        w = read_only(as_correlation(problem, w))
        return fft_tiles.prepare(problem, tiling(problem).tile, w, threads)

    def forward(self, problem, x, prepared, bias, out, threads) -> None:
        fft_tiles.forward(
            problem, tiling(problem).tile, read_only(x), prepared, read_only(bias), out, threads
        )

    def grad_weight(self, problem, x, g, out, threads) -> None:
        from . import fft_weights

        fft_weights.grad_weight(problem, x, g, out, threads)

    def error_bound(self, problem, x, w, magnitude):
        """Normwise, see `spectral_error`: the same bound for every element of the output."""
        if problem.operation == "grad_weight":
            from . import fft_weights

            return fft_weights.error_bound(problem, x, w, magnitude)
        v, cut = problem.volume, tiling(problem)
        norms = tile_norms(v, cut, x.reshape(v.input_shape))
        both = np.zeros((-(-len(norms) // 2) * 2, norms.shape[1]))
        both[: len(norms)] = norms
        pairs = np.hypot(both[::2], both[1::2])
        return spectral_error(problem, cut.tile, pairs, w, magnitude)


def spectral_error(
    problem: Problem,
    tile: tuple[int, int, int],
    norms: np.ndarray,
    w: np.ndarray,
    magnitude: np.ndarray,
    *,
    arithmetic: str | None = None,
    additions: int = 1,
) -> np.ndarray:
    """Bound on |computed − exact| of a convolution through transforms of the size of `tile`.

    One transform of T samples errs by ε = log2(T)·η in the 2-norm, η = u + γ_4·√2 with
    twiddle factors accurate to u (Higham, *Accuracy and Stability*, 2nd ed., Theorem
    24.2, stated for radix 2; radices 3, 5 are charged log2 of theirs). Write x, w for a
    tile and kernel of one channel and sum over the channels:

    - rounding in both forward transforms and in the products reaches an output element,
      by Cauchy-Schwarz and Parseval, as at most (2ε + √2·γ_{C+3})·‖x‖₂·‖w‖₂;
    - the inverse transform adds ε times the norm of its whole result, at most
      ‖x‖₂·max|ŵ|.

    ``ε²`` terms are covered by evaluating with 1 + 3ε. The tile of largest norm counts.

    Parameters
    ----------
    norms : (tiles, C)
        2-norm of the samples of every tile.
    w : (O, C/groups, *kernel)
    magnitude : |x| ⋆ |w| + |bias| at some positions of the output
    arithmetic : dtype name, optional
        What the transforms compute in, where that is not the problem's dtype.
    additions : int
        Roundings in the problem's dtype after the transform back: the bias, and for some
        the sum over channels or tiles.
    """
    v = problem.volume
    arithmetic = arithmetic or problem.dtype
    length = math.prod(tile)
    epsilon = math.log2(max(length, 2)) * (
        unit_roundoff(arithmetic) + math.sqrt(2) * gamma(4, arithmetic)
    )
    products = math.sqrt(2) * gamma(problem.in_channels // problem.groups + 3, arithmetic)
    kernels = as_correlation(problem, w).astype(np.float64)
    flat = np.linalg.norm(kernels.reshape(*kernels.shape[:2], -1), axis=2)
    if set(v.dilation) == {1} and all(k <= t for k, t in zip(v.kernel, tile, strict=True)):
        spectra = scipy.fft.rfftn(kernels, s=tile, axes=(2, 3, 4))
        peaks = np.abs(spectra).max(axis=(2, 3, 4))
    else:  # a zero-stuffed kernel's spectrum is the kernel's, repeated; a cut one's is unknown
        peaks = np.abs(kernels).sum(axis=(2, 3, 4))
    weight = (2 * epsilon + products) * flat + epsilon * peaks
    per_group = norms.reshape(len(norms), v.groups, -1)
    weight = weight.reshape(v.groups, v.out_channels // v.groups, -1)
    worst = float(np.einsum("mgc,goc->mgo", per_group, weight).max())
    adding = 2 * gamma(additions + 1, problem.dtype) * magnitude
    return (1 + 3 * epsilon) * worst + adding + length * subnormal_error(problem)


def places(cut: Tiling) -> Iterator[tuple[int, ...]]:
    """Every tile by its number along each axis."""
    return itertools.product(*(range(n) for n in cut.counts))


def window(v: Problem, cut: Tiling, place: tuple[int, ...]) -> tuple[Index, Index]:
    """Where the input samples of the tile at `place` lie, and where in the tile they go."""
    sources, targets = [], []
    for a, index in enumerate(place):
        origin = index * cut.step[a] - v.padding[a][0]
        first, last = max(origin, 0), min(origin + cut.tile[a], v.size[a])
        last = max(first, last)
        sources.append(slice(first, last))
        targets.append(slice(first - origin, last - origin))
    return (..., *sources), (..., *targets)


def tile_norms(v: Problem, cut: Tiling, x: np.ndarray) -> np.ndarray:
    """2-norm of every tile, ``(tiles · N, C)``."""
    norms = []
    for place in places(cut):
        sources, _ = window(v, cut, place)
        part = x[sources].astype(np.float64)
        norms.append(np.sqrt(np.einsum("ncdhw,ncdhw->nc", part, part)))
    return np.concatenate(norms)
