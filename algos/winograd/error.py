"""Error bound of Winograd's filtering through |Aᵀ|, |G|, |Bᵀ| and the operands.

The analysis is that of Barabasz et al. (2020, Theorem 4.3, see `winograd.points`). It is applied to
the actual transforms of the operands instead of norms of the matrices.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from algos.core.algorithm import as_correlation, gamma
from algos.core.problem import Problem

from .points import TAPS, Matrices, matrices

#: Roundings that a term meets on its way through both axes. Bᵀ has no rounded coefficients; it
#: takes a product, one or two sums, and the sum of two halves. G takes one more, since its
#: coefficients are rounded. Aᵀ joins the halves first; it takes a sum, a product, two sums and then
#: the bias. For the gradient of the kernel, A takes what Bᵀ does; Gᵀ takes what Aᵀ does and a
#: rounded coefficient. These are the counts for up to two pairs of points; a third adds a sum to
#: each, on either axis (`_further`).
INPUT, WEIGHTS, OUTPUT, GRADIENT = 2 * 3, 2 * 4, 2 * 4 + 1, 2 * 5
#: Input tiles, of one channel each, transformed together: it bounds the memory of the check.
TILES_AT_ONCE = 1 << 16


def bound(
    problem: Problem, m: int, x: np.ndarray, w: np.ndarray, bias: float,
    given: Matrices | None = None,
) -> float:  # fmt: skip
    """Bound |computed − exact| of any output from above; `bias` is the largest |bias|.

    `given` are the matrices of F(m, r), by default ours.

    Write U = G w Gᵀ and V = Bᵀ x B for one channel's kernel and tile. Write U*, V* for the products
    of the absolute matrices with |w| and |x|. Each transform errs by δU = γ_8·U* and δV = γ_6·V*,
    a little more with a third pair of points (`_further`). The products of a point, summed over C
    channels in any order, err by this ΔM:

        ``ΔM = Σ [γ_C·|U||V| + |U|·δV + δU·|V|]``

    Here U and V are the computed values, |U| + δU at most. Each of these sums is at most the
    product of two norms over the channels (Cauchy-Schwarz). Of the norms of V the largest of any
    tile is taken. The way out turns this into |Aᵀ| [ΔM + γ_9·Σ|U||V|] |A|. Rounding among the
    subnormals is within 64 of them per transform.
    """
    taps = problem.kernel[0]
    dtype, (a, g, b) = problem.dtype, given or matrices(m, taps)
    least = 64 * float(np.finfo(dtype).smallest_subnormal)
    kernels = as_correlation(problem, w).reshape(-1, taps * taps).astype(np.float64)
    shape = (problem.groups, -1, problem.in_channels // problem.groups, (m + taps - 1) ** 2)
    further = _further(m, taps)
    transformed = _transform(g, kernels, WEIGHTS + further, dtype)
    u, u_wrong = (part.reshape(shape) for part in transformed)
    u, u_wrong = (np.linalg.norm(part, axis=2) for part in (u, u_wrong + least))
    v, v_wrong = np.zeros((2, problem.groups, 1, shape[-1]))
    for found in _input_tiles(problem, m, x):
        parts = _transform(b, found, INPUT + further, dtype)
        for largest, part in zip((v, v_wrong), (parts[0], parts[1] + least), strict=True):
            norms = np.sqrt(np.einsum("gctp,gctp->gtp", part, part))
            np.maximum(largest, norms.max(axis=1, keepdims=True), out=largest)
    channels = problem.in_channels // problem.groups
    products = gamma(channels + OUTPUT + further + 1, dtype) * u * v
    wrong = products + u * v_wrong + u_wrong * v + problem.taps * least
    out = np.kron(abs(a), abs(a))
    return float((wrong @ out.T).max()) * (1 + 1e-6) + gamma(1, dtype) * bias + least


def _further(m: int, taps: int) -> int:
    """Return the roundings that points beyond two pairs add on the way through both axes."""
    return 2 * max(0, (m + taps - 1) // 2 - 3)


def _transform(
    matrix: np.ndarray, tiles: np.ndarray, roundings: int, dtype: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return (largest magnitude of the computed M X Mᵀ, bound on its error); tiles (…, taps²)."""
    both = np.kron(matrix, matrix)
    wrong = (np.abs(tiles) @ np.abs(both).T) * gamma(roundings, dtype)
    # This computation rounds, too, in float64.
    slack = 1 + gamma(both.shape[1] + 2, "float64") / gamma(roundings, dtype)
    return np.abs(tiles @ both.T) + slack * wrong, wrong


def weights_bound(problem: Problem, m: int, x: np.ndarray, g: np.ndarray) -> float:
    """Bound |computed − exact| of any element of the kernel gradient from above.

    The derivation is that of `bound`, with U = A dY Aᵀ and V = Bᵀ x B of one tile each. T tiles of
    all images are summed for a pair of channels. So the norms are over tiles, and the largest of
    any channel is taken. The way out turns this into |Gᵀ| [ΔM + γ_10·Σ|U||V|] |G|.
    """
    dtype, (a, weights, b) = problem.dtype, matrices(m)
    least = 64 * float(np.finfo(dtype).smallest_subnormal)
    further = _further(m, TAPS)
    roundings = INPUT + further
    u, u_wrong = _largest_norms(a.T, _output_tiles(problem, m, g), roundings, dtype, least)
    v, v_wrong = _largest_norms(b, _input_tiles(problem, m, x), roundings, dtype, least)
    count = problem.batch * math.prod(-(-outputs // m) for outputs in problem.output_size)
    products = gamma(count + GRADIENT + further + 1, dtype) * u * v
    wrong = products + u * v_wrong + u_wrong * v + count * least
    out = np.kron(abs(weights.T), abs(weights.T))
    return float((wrong @ out.T).max()) * (1 + 1e-6) + least


def _largest_norms(
    matrix: np.ndarray, tiles: Iterator[np.ndarray], roundings: int, dtype: str, least: float
) -> list[np.ndarray]:
    """Return norms over tiles of M X Mᵀ and of its error bound, for each group's worst channel.

    Both are ``(groups, points)``.
    """
    squares: list[Any] = [0.0, 0.0]
    for found in tiles:
        size, wrong = _transform(matrix, found, roundings, dtype)
        for i, part in enumerate((size, wrong + least)):
            squares[i] = squares[i] + np.einsum("gctp,gctp->gcp", part, part)
    return [np.sqrt(total).max(axis=1) for total in squares]


def _input_tiles(problem: Problem, m: int, x: np.ndarray) -> Iterator[np.ndarray]:
    """Yield tiles of the padded input in float64, ``(groups, C/groups, tiles, (m + r − 1)²)``."""
    return _tiles(problem, m, x, problem.before, m + problem.kernel[0] - 1)


def _output_tiles(problem: Problem, m: int, g: np.ndarray) -> Iterator[np.ndarray]:
    """Yield tiles of the output gradient, of m² elements, in the same layout."""
    return _tiles(problem, m, g, (0, 0), m)


def _tiles(
    problem: Problem, m: int, images: np.ndarray, before: tuple[int, ...], size: int
) -> Iterator[np.ndarray]:
    """Yield tiles of `size` × `size`, one every m samples, the first `before` the image begins."""
    channels = images.shape[1]
    counts = [-(-outputs // m) for outputs in problem.output_size]
    room = [
        (first, max(0, (count - 1) * m + size - first - length))
        for count, first, length in zip(counts, before, images.shape[2:], strict=True)
    ]
    rows = max(1, TILES_AT_ONCE // (channels * counts[1]))
    for image in images:
        padded = np.pad(image.astype(np.float64), [(0, 0), *room])
        windows = sliding_window_view(padded, (size, size), axis=(1, 2))[:, ::m, ::m]
        for first in range(0, counts[0], rows):
            some = windows[:, first : min(first + rows, counts[0]), : counts[1]]
            yield some.reshape(problem.groups, -1, some.shape[1] * some.shape[2], size * size)
