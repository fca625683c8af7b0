"""Kernels that are outer products, applied as one 1-D pass per axis.

A kernel w[i, j] = u[i]·v[j] needs F_h + F_w multiply-adds per output instead of F_h·F_w (Goodfellow
et al., *Deep Learning*, 9.8, the paragraph on separable kernels). Gaussians, boxes, Sobel's
operators and binomial kernels are separable; most learned kernels are not.

Detection: if w is an outer product, it is the product of its fibres through its largest element.
That product is compared with w. The kernel counts as separable if no element differs by more than
`TOLERANCE` units in the last place of the largest. It is then replaced by the product, and
`error_bound` includes the difference. For any other kernel, singular values give its rank, and
`why_not` names it. (For volumes this is the rank of each unfolding, as in the higher-order SVD: De
Lathauwer, De Moor & Vandewalle, 2000.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from algos.core.algorithm import Algorithm, as_correlation, gamma, subnormal_error, unit_roundoff
from algos.core.problem import Problem
from algos.simd.copies import STREAMED_BYTES
from algos.simd.registers import lanes_of

from . import sweeps
from .passes import ACROSS, CHUNK, ROWS
from .tiles import TILE, VOLUME_TILE, filter_separably

#: Largest distance of a kernel from an outer product, in units of roundoff of its largest element:
#: room for the rounding of a product computed elsewhere.
TOLERANCE = 16

#: Bytes of rows between the passes that stay in L2 beside the input: half of 1 MiB on Zen 4.
RING_BYTES = 512 * 1024


@dataclass(frozen=True)
class Factors:
    """Taps along d, h and w, each ``(O, C/groups, terms, F)``: w ≈ Σ_t d_t ⊗ h_t ⊗ w_t."""

    along: tuple[np.ndarray, ...]

    def compose(self) -> np.ndarray:
        """Return the kernels that the factors multiply to, (O, C/groups, D, H, W), in float64."""
        d, h, w = (f.astype(np.float64) for f in self.along)
        return np.einsum("octi,octj,octk->ocijk", d, h, w)


class Separable(Algorithm):
    """Rank-one kernels as one 1-D pass per axis, fused tile by tile in the cache."""

    name = "separable"
    exact_on_integers = False  # unless the factors are integers too

    def why_not(self, problem: Problem, w: np.ndarray | None = None) -> str | None:
        """Accept any problem; with `w`, name the rank of the first kernel that is not separable."""
        if w is None:
            return None
        w = w.reshape(problem.volume.kernel_shape)
        bad = _not_rank_one(w, problem.dtype)
        if bad is None:
            return None
        if not np.isfinite(w[bad]).all():
            return f"the kernel of output {bad[0]}, input {bad[1]} holds NaN or infinity"
        ranks = multilinear_rank(w[bad].reshape(problem.kernel), problem.dtype)
        shown = f"rank {ranks[0]}" if len(ranks) == 2 else f"multilinear rank {ranks}"
        return f"the kernel of output {bad[0]}, input {bad[1]} has {shown}, not 1"

    def has_direct_accuracy(self, problem: Problem) -> bool:
        """Return True: a sum of sums is bounded element by element."""
        return True

    def workspace_bytes(self, problem: Problem, threads: int) -> int:
        terms = self._terms(problem)
        factors = terms * _factor_bytes(problem)
        is_swept = sweeps.suits(problem.volume, terms)
        tiles = 0 if is_swept else threads * _tile_bytes(problem, threads, terms)
        return factors + max(tiles, self._factoring_bytes(problem))

    def prepared_bytes(self, problem: Problem, threads: int) -> int:
        return self._terms(problem) * _factor_bytes(problem)

    def _factoring_bytes(self, problem: Problem) -> int:
        """Bytes of kernels, composed factors, their difference, and fibres, in float64."""
        kernels = problem.out_channels * (problem.in_channels // problem.groups)
        return 8 * kernels * (3 * math.prod(problem.kernel) + sum(problem.kernel) + 8)

    def work(self, problem: Problem) -> float:
        """Return the multiply-adds of the passes, borders included."""
        pairs = problem.batch * problem.out_channels * (problem.in_channels // problem.groups)
        return pairs * self._terms(problem) * math.prod(problem.output_size) * sum(problem.kernel)

    def _terms(self, problem: Problem) -> int:
        return 1

    def prepare(self, problem: Problem, w: np.ndarray, threads: int) -> Factors:
        """Return the factors of every kernel."""
        factors = cross_factors(as_correlation(problem, w))
        return Factors(tuple(f[:, :, None].astype(w.dtype) for f in factors))

    def forward(
        self, problem: Problem, x: np.ndarray, prepared: Any, bias: np.ndarray, out: np.ndarray,
        threads: int,
    ) -> None:  # fmt: skip
        v, terms = problem.volume, prepared.along[0].shape[2]
        x, out = x.reshape(v.input_shape), out.reshape(v.output_shape)
        if sweeps.suits(v, terms):
            _, along_h, along_w = prepared.along
            sweeps.filter_planes(v, x, along_h, along_w, bias, out, threads)
        else:
            filter_separably(
                x, *prepared.along, bias, v.stride, v.dilation, v.before, v.groups,
                _tile(v, threads, terms), _streams(v), out, threads=threads,
            )  # fmt: skip

    def error_bound(
        self, problem: Problem, x: np.ndarray, w: np.ndarray, magnitude: np.ndarray
    ) -> np.ndarray | float:
        """Bound the error by γ_m · (|x| ⋆ |w̃|) + |x| ⋆ |w − w̃|.

        Here w̃ is the product of the rounded factors. m counts the longest chain of roundings of an
        element: F taps in each pass, the sum over input channels and terms, and the bias. With one
        term, |w̃| ≤ |w| + |w − w̃| elementwise, so |x| ⋆ |w̃| is bounded by |x| ⋆ (|w| + |w − w̃|).
        With several terms, the sum of their magnitudes replaces |w̃|.
        """
        factors = self.prepare(problem, w, 1)
        composed = factors.compose()
        residual = np.abs(as_correlation(problem, w).astype(np.float64) - composed)
        largest = float(np.abs(x).max(initial=0.0))
        replaced = largest * residual.sum(axis=(1, 2, 3, 4)).max()
        sizes = Factors(tuple(np.abs(f) for f in factors.along)).compose()
        excess = np.maximum(sizes - np.abs(composed), 0).sum(axis=(1, 2, 3, 4)).max()
        terms = factors.along[0].shape[2] * (problem.in_channels // problem.groups)
        m = sum(problem.kernel) + terms + 1
        passes = gamma(m, problem.dtype) * (magnitude + replaced + largest * excess)
        return passes + replaced + sum(problem.kernel) * subnormal_error(problem)


def cross_factors(w: np.ndarray) -> list[np.ndarray]:
    """Return the fibres of each kernel through its largest element.

    Their outer product is w, if w is an outer product at all.

    Parameters
    ----------
    w : (O, C, D, H, W)

    Returns
    -------
    list of three float64 arrays, (O, C, F) each
        Taps along d, h and w. All but the last are scaled to 1 at the pivot. If a kernel holds
        only integers, the scaling keeps every factor integer, so exact data stay exact.
    """
    o, c = w.shape[:2]
    flat = w.reshape(o, c, -1).astype(np.float64)
    pivots = np.abs(flat).argmax(axis=2)
    i, j, k = np.unravel_index(pivots, w.shape[2:])
    outer, inner = np.ogrid[:o, :c]
    w = flat.reshape(w.shape)
    pivot = np.where(w[outer, inner, i, j, k] == 0, 1.0, w[outer, inner, i, j, k])[:, :, None]
    fibres = [w[outer, inner, :, j, k], w[outer, inner, i, :, k], w[outer, inner, i, j, :]]
    at = (i, j)
    whole = bool((w == np.rint(w)).all()) and float(np.abs(w).max(initial=0)) < 2**53
    if not whole:
        return [fibres[0] / pivot, fibres[1] / pivot, fibres[2]]
    for axis, fibre in enumerate(fibres[:2]):
        fibres[axis] = fibre / _divisor(fibre)
        value = np.take_along_axis(fibres[axis], at[axis][:, :, None], 2)
        fibres[2] = fibres[2] / np.where(value == 0, 1, value)
    return fibres


def _divisor(fibre: np.ndarray) -> np.ndarray:
    """Return the divisor that makes integers along the last axis coprime, and a lone one 1."""
    if fibre.shape[2] == 1:
        return np.where(fibre == 0, 1, fibre)
    divisor = np.gcd.reduce(np.abs(fibre).astype(np.int64), axis=2)
    return np.maximum(divisor, 1)[:, :, None].astype(np.float64)


def _not_rank_one(w: np.ndarray, dtype: str) -> tuple[int, int] | None:
    """Return the indices of the first kernel that is not an outer product, or None.

    The first kernel is tested alone before all others.
    """
    limit = TOLERANCE * unit_roundoff(dtype)
    for part in (w[:1, :1], w):
        with np.errstate(invalid="ignore"):  # NaN and infinity are data here
            d, h, k = cross_factors(part)
            product = np.einsum("oci,ocj,ock->ocijk", d, h, k)
            off = np.abs(product - part).max(axis=(2, 3, 4))
        bad = np.argwhere(~(off <= limit * np.abs(part).max(axis=(2, 3, 4))))
        if len(bad):
            return int(bad[0][0]), int(bad[0][1])
    return None


def multilinear_rank(kernel: np.ndarray, dtype: str) -> tuple[int, ...]:
    """Return the numerical rank of the unfolding of `kernel` along each axis."""
    ranks = []
    for axis in range(kernel.ndim):
        unfolding = np.moveaxis(kernel, axis, 0).reshape(kernel.shape[axis], -1)
        values = np.linalg.svd(unfolding.astype(np.float64), compute_uv=False)
        ranks.append(int((values > TOLERANCE * unit_roundoff(dtype) * values[0]).sum()))
    return tuple(ranks)


@lru_cache(maxsize=256)
def _tile(v: Problem, threads: int, terms: int) -> tuple[int, int, int]:
    """Return the output samples of a tile along d, h and w.

    A tile is larger along an axis on which the kernel would make it mostly halo. Rows of the last
    axis are read in place, so their halo costs nothing. If the passes are fused and nothing is
    summed, only a ring of rows is kept. Tiles are then as high as the image, and as wide as the
    ring fits L2. If there are few tiles, they are made less high, so that every thread gets the
    same number.
    """
    depth, height, width = TILE if v.kernel[0] == 1 else VOLUME_TILE
    columns, is_fused = v.output_size[2], v.stride[1:] == v.dilation[1:] == (1, 1)
    if v.kernel[0] == 1 and is_fused and v.in_channels // v.groups * terms == 1:
        widest = RING_BYTES // (v.itemsize * (v.kernel[1] + ROWS)) // width * width
        height, width = v.output_size[1], -(-columns // -(-columns // max(width, widest)))
    planes = v.batch * v.out_channels * -(-v.output_size[0] // depth)
    across = planes * -(-columns // width)
    if across % threads:
        strips = threads * max(1, round(v.output_size[1] / (threads * height)))
        height = -(-v.output_size[1] // strips)
    else:
        height = max(height, 4 * v.kernel[1])
    least = max(depth, 2 * v.kernel[0]), height, width
    d, h, w = map(min, v.output_size, least)
    return (d, h, w)


def _streams(v: Problem) -> bool:
    """Return True if the output is written past the caches."""
    return v.compulsory_bytes > STREAMED_BYTES


def _factor_bytes(problem: Problem) -> int:
    """Return the bytes of the factors of one term."""
    kernels = problem.out_channels * (problem.in_channels // problem.groups)
    return kernels * sum(problem.volume.kernel) * problem.itemsize


def _tile_bytes(problem: Problem, threads: int, terms: int) -> int:
    """Bytes of scratch of one tile: rows and planes between the passes, sums, padded lines."""
    v, lane = problem.volume, lanes_of(problem.itemsize)
    tile = _tile(v, threads, terms)
    planes, rows, samples = (
        (t - 1) * s + e for t, s, e in zip(tile, v.stride, v.extent, strict=True)
    )
    pitch = (-(-tile[2] // (ACROSS * lane)) * ACROSS + 1) * lane
    if v.stride[1:] == v.dilation[1:] == (1, 1):
        rows = v.kernel[1] + ROWS
    kept = rows + (planes * tile[1] if v.kernel[0] > 1 else 0)
    if v.in_channels // v.groups * terms > 1:
        kept += tile[0] * tile[1]
    stage = ROWS * CHUNK if _streams(v) else 0
    return problem.itemsize * (kept * pitch + 2 * (samples + pitch) + stage)
