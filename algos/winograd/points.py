"""Matrices of Winograd's minimal filtering F(m, r), from the points they are built on.

To compute m outputs of a filter of r taps, two polynomials are multiplied. They are evaluated at m
+ r − 2 points and at infinity, multiplied point by point, and interpolated (Toom-Cook). The
transpose of this is a filter, y = Aᵀ[(G w) ⊙ (Bᵀ x)]. In two dimensions it is Y = Aᵀ[(G W Gᵀ) ⊙ (Bᵀ
X B)]A, with m + r − 1 products instead of m·r along each axis. Sources: Winograd, *Arithmetic
Complexity of Computations*, 1980; Lavin & Gray, *Fast Algorithms for Convolutional Neural
Networks*, CVPR 2016, doi:10.1109/CVPR.2016.435.

In exact arithmetic any distinct points are right. The amplification of rounding depends entirely on
their choice. Source: Barabasz, Anderson, Soodhalter & Gregg, *Error analysis and improving the
accuracy of Winograd convolution for deep neural networks*, ACM TOMS 46(4), 2020,
doi:10.1145/3412380.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache
from math import prod
from typing import NamedTuple

import numpy as np

#: Taps r along an axis of most kernels.
TAPS = 3


def with_pairs(*sizes: Fraction) -> tuple[Fraction, ...]:
    """Return 0 and the pairs ±p."""
    return (Fraction(0), *(sign * size for size in sizes for sign in (1, -1)))


#: Points at which polynomials are evaluated, besides infinity, by (m, r). Zero comes first, then
#: pairs ±p, which share computations. All are dyadic, so A and B hold no rounded number. `python -m
#: suites.measures.points` searches for the most accurate. Those of F(4, 3), F(4, 5) and F(6, 3)
#: were chosen among the best by simulation; docs/kernels.md compares them with others.
POINTS: dict[tuple[int, int], tuple[Fraction, ...]] = {
    (1, 1): (),
    (3, 2): with_pairs(Fraction(1)),
    (5, 2): with_pairs(Fraction(5, 8), Fraction(3, 2)),
    (7, 2): with_pairs(Fraction(1, 2), Fraction(1), Fraction(2)),
    (2, 3): with_pairs(Fraction(1)),
    (4, 3): with_pairs(Fraction(5, 8), Fraction(13, 8)),
    (4, 5): with_pairs(Fraction(1, 2), Fraction(1), Fraction(2)),
    (6, 3): with_pairs(Fraction(1, 2), Fraction(1), Fraction(9, 4)),
    (2, 5): with_pairs(Fraction(5, 8), Fraction(3, 2)),
    (2, 7): with_pairs(Fraction(1, 2), Fraction(1), Fraction(2)),
    (2, 9): with_pairs(Fraction(3, 8), Fraction(7, 8), Fraction(5, 4), Fraction(19, 8)),
    (4, 7): with_pairs(Fraction(3, 8), Fraction(7, 8), Fraction(5, 4), Fraction(19, 8)),
    (4, 9): with_pairs(
        Fraction(3, 8), Fraction(3, 4), Fraction(1), Fraction(3, 2), Fraction(11, 4)
    ),
    (6, 5): with_pairs(Fraction(3, 8), Fraction(3, 4), Fraction(5, 4), Fraction(19, 8)),
}


class Matrices(NamedTuple):
    """Aᵀ (m, n), G (n, r) and Bᵀ (n, n) for n = m + r − 1, in the order of the points."""

    output: np.ndarray
    weights: np.ndarray
    input: np.ndarray


@cache
def matrices(outputs: int, taps: int = TAPS) -> Matrices:
    """Return the matrices of F(`outputs`, `taps`).

    Examples
    --------
    Two outputs of a kernel with three taps, from four products:

    >>> a, g, b = matrices(2)
    >>> x, w = np.array([1.0, 2, 3, 4]), np.array([1.0, 10, 100])
    >>> a @ ((g @ w) * (b @ x))
    array([321., 432.])
    """
    return matrices_of(POINTS[outputs, taps], taps)


def matrices_of(points: Sequence[Fraction], taps: int = TAPS) -> Matrices:
    """Return the matrices of F(m, `taps`) from its m + `taps` − 2 finite points."""
    outputs = len(points) - taps + 2
    others = [[q for q in points if q != p] for p in points]
    scale = [
        prod((p - q for q in rest), start=Fraction(1))
        for p, rest in zip(points, others, strict=True)
    ]
    infinite = [Fraction(int(k == taps - 1)) for k in range(taps)]
    a = [[*(p**j for p in points), Fraction(int(j == outputs - 1))] for j in range(outputs)]
    g = [[p**j / s for j in range(taps)] for p, s in zip(points, scale, strict=True)]
    b = [[*_polynomial(rest), Fraction(0)] for rest in others]
    return Matrices(*map(_rounded, (a, [*g, infinite], [*b, _polynomial(points)])))


def _rounded(rows: list[list[Fraction]]) -> np.ndarray:
    return np.array([[float(value) for value in row] for row in rows])


def _polynomial(roots: Iterable[Fraction]) -> list[Fraction]:
    """Return the coefficients of ∏(t − root), that of 1 first."""
    found, zero = [Fraction(1)], Fraction(0)
    for root in roots:
        found = [a - root * b for a, b in zip([zero, *found], [*found, zero], strict=True)]
    return found
