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

from .form import NONE, Form, volume
from .points import Matrices, matrices

#: Roundings that a term meets on its way through one axis. Bᵀ has no rounded coefficients; it takes
#: a product, one or two sums, and the sum of two halves. G takes one more, since its coefficients
#: are rounded. Aᵀ joins the halves first; it takes a sum, a product and two sums. For the gradient
#: of the kernel, A takes what Bᵀ does; Gᵀ takes what Aᵀ does and a rounded coefficient. These are
#: the counts for up to two pairs of points; each further one adds a sum (`_roundings`).
INPUT, WEIGHTS, OUTPUT, GRADIENT = 3, 4, 4, 5
#: Input tiles, of one channel each, transformed together: it bounds the memory of the check.
TILES_AT_ONCE = 1 << 16


def bound(
    problem: Problem, form: Form, x: np.ndarray, w: np.ndarray, bias: float,
    given: tuple[Matrices, Matrices] | None = None,
) -> float:  # fmt: skip
    """Bound |computed − exact| of any output from above; `bias` is the largest |bias|.

    `given` are the matrices of both axes of the form, by default ours.

    Write U = G w Gᵀ and V = Bᵀ x B for one channel's kernel and tile. Write U*, V* for the products
    of the absolute matrices with |w| and |x|. Each transform errs by δU = γ_8·U* and δV = γ_6·V*,
    a little more with a third pair of points, half of it with one axis (`_roundings`). The products
    of a point, summed over C channels in any order, err by this ΔM:

        ``ΔM = Σ [γ_C·|U||V| + |U|·δV + δU·|V|]``

    Here U and V are the computed values, |U| + δU at most. Each of these sums is at most the
    product of two norms over the channels (Cauchy-Schwarz). Of the norms of V the largest of any
    tile is taken. The way out turns this into |Aᵀ| [ΔM + γ_9·Σ|U||V|] |A|. Rounding among the
    subnormals is within 64 of them per transform. Taps that are summed like channels add such
    products: the norms of U are summed over them, and the largest norm of V stands for all.
    """
    dtype, (down, across) = problem.dtype, given or (matrices(*form.down), matrices(*form.across))
    least = 64 * float(np.finfo(dtype).smallest_subnormal)
    kernels = as_correlation(problem, w).reshape(-1, form.taps).astype(np.float64)
    shape = (problem.groups, -1, problem.in_channels // problem.groups, form.sums(problem))
    transformed = _transform(
        np.kron(down.weights, across.weights), kernels, _roundings(WEIGHTS, form), dtype
    )
    u, u_wrong = (
        np.linalg.norm(part.reshape(*shape, form.points), axis=2).sum(axis=2)
        for part in (transformed[0], transformed[1] + least)
    )
    v, v_wrong = np.zeros((2, problem.groups, 1, form.points))
    both = np.kron(down.input, across.input)
    for found in _input_tiles(problem, form, x):
        parts = _transform(both, found, _roundings(INPUT, form), dtype)
        for largest, part in zip((v, v_wrong), (parts[0], parts[1] + least), strict=True):
            norms = np.sqrt(np.einsum("gctp,gctp->gtp", part, part))
            np.maximum(largest, norms.max(axis=1, keepdims=True), out=largest)
    summed = problem.in_channels // problem.groups * form.sums(problem)
    products = gamma(summed + _roundings(OUTPUT, form) + 2, dtype) * u * v
    wrong = products + u * v_wrong + u_wrong * v + problem.taps * least
    out = np.kron(abs(down.output), abs(across.output))
    return float((wrong @ out.T).max()) * (1 + 1e-6) + gamma(1, dtype) * bias + least


def _roundings(usual: int, form: Form) -> int:
    """Return the roundings on the way through both axes, `usual` for one of two pairs of points."""
    pairs = [size // 2 - 1 for size in form.size]
    return sum(usual + max(0, count - 2) for count in pairs if count >= 0)


def _transform(
    both: np.ndarray, tiles: np.ndarray, roundings: int, dtype: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return (largest magnitude of computed transforms, bound on their errors).

    `both` is the Kronecker product of the matrices of both axes; `tiles` are ``(…, samples)``.
    """
    wrong = (np.abs(tiles) @ np.abs(both).T) * gamma(roundings, dtype)
    # This computation rounds, too, in float64.
    slack = 1 + gamma(both.shape[1] + 2, "float64") / gamma(roundings, dtype)
    return np.abs(tiles @ both.T) + slack * wrong, wrong


def weights_bound(problem: Problem, form: Form, x: np.ndarray, g: np.ndarray) -> float:
    """Bound |computed − exact| of any element of the kernel gradient from above.

    The derivation is that of `bound`, with U = A dY Aᵀ and V = Bᵀ x B of one tile each. T tiles of
    all images are summed for a pair of channels. So the norms are over tiles, and the largest of
    any channel is taken. The way out turns this into |Gᵀ| [ΔM + γ_10·Σ|U||V|] |G|. A tap that is
    not filtered meets some of the tiles of the input; the norms are over all of them.
    """
    dtype, (down, across) = problem.dtype, (matrices(*form.down), matrices(*form.across))
    least = 64 * float(np.finfo(dtype).smallest_subnormal)
    roundings = _roundings(INPUT, form)
    u, u_wrong = _largest_norms(
        np.kron(down.output.T, across.output.T), _output_tiles(problem, form, g), roundings, dtype,
        least,
    )  # fmt: skip
    v, v_wrong = _largest_norms(
        np.kron(down.input, across.input), _input_tiles(problem, form, x), roundings, dtype, least
    )
    count = problem.batch * volume(problem.output_size)[0] * math.prod(form.tiles(problem))
    products = gamma(count + _roundings(GRADIENT, form) + 1, dtype) * u * v
    wrong = products + u * v_wrong + u_wrong * v + count * least
    out = np.kron(abs(down.weights.T), abs(across.weights.T))
    return float((wrong @ out.T).max()) * (1 + 1e-6) + least


def _largest_norms(
    both: np.ndarray, tiles: Iterator[np.ndarray], roundings: int, dtype: str, least: float
) -> list[np.ndarray]:
    """Return norms over tiles of transforms and of their bounds, for each group's worst channel.

    Both are ``(groups, points)``.
    """
    squares: list[Any] = [0.0, 0.0]
    for found in tiles:
        size, wrong = _transform(both, found, roundings, dtype)
        for i, part in enumerate((size, wrong + least)):
            squares[i] = squares[i] + np.einsum("gctp,gctp->gcp", part, part)
    return [np.sqrt(total).max(axis=1) for total in squares]


def _input_tiles(problem: Problem, form: Form, x: np.ndarray) -> Iterator[np.ndarray]:
    """Yield tiles of the padded input in float64, ``(groups, C/groups, tiles, samples)``.

    Slices of a volume count as images, and rows as rows of tiles where rows are not filtered.
    """
    _, rows, columns = volume(problem.output_size)
    _, before, left = volume(problem.before, 0)
    if form.down == NONE:
        rows, before = volume(problem.size)[1], 0
    yield from _tiles(problem, form, x, (rows, columns), (before, left), form.size)


def _output_tiles(problem: Problem, form: Form, g: np.ndarray) -> Iterator[np.ndarray]:
    """Yield tiles of the output gradient, as many elements as outputs, in the same layout."""
    _, rows, columns = volume(problem.output_size)
    outputs = form.down[0], form.across[0]
    return _tiles(problem, form, g, (rows, columns), (0, 0), outputs)


def _tiles(
    problem: Problem, form: Form, images: np.ndarray, outputs: tuple[int, int],
    before: tuple[int, int], size: tuple[int, int],
) -> Iterator[np.ndarray]:  # fmt: skip
    """Yield tiles of `size`, one every m samples of an axis, the first `before` the image begins.

    They are as many as make up `outputs`.
    """
    channels, m = images.shape[1], (form.down[0], form.across[0])
    images = images.reshape(len(images), channels, *volume(images.shape[2:]))
    counts = [-(-count // step) for count, step in zip(outputs, m, strict=True)]
    room = [
        (first, max(0, (count - 1) * step + samples - first - length))
        for count, step, samples, first, length in zip(
            counts, m, size, before, images.shape[3:], strict=True
        )
    ]
    rows = max(1, TILES_AT_ONCE // (channels * counts[1]))
    for image, z in np.ndindex(len(images), images.shape[2]):
        padded = np.pad(images[image, :, z].astype(np.float64), [(0, 0), *room])
        windows = sliding_window_view(padded, size, axis=(1, 2))[:, :: m[0], :: m[1]]
        for first in range(0, counts[0], rows):
            some = windows[:, first : min(first + rows, counts[0]), : counts[1]]
            yield some.reshape(problem.groups, -1, some.shape[1] * some.shape[2], math.prod(size))
