"""Search for the points of Winograd's minimal filtering that amplify rounding least.

Usage::

    python -m suites.measures.points [--grid 8] [--starts 10] [F(4,3) …]

With kernels and samples of independent normal numbers, U = G w has elements of standard deviation
‖G_p‖ for point p, and V = Bᵀ x of ‖B_p‖. Each of their products is rounded relative to its size,
and reaches output i through Aᵀ. So the variance of an output's error grows like

    ``Σ_p A_ip² ‖G_p‖² ‖B_p‖²``

against r for a direct sum of r taps. The root of the mean ratio is the amplification of one axis;
that of two axes is the product. The points are 0 and pairs ±p of whole multiples of 1/grid, up to
3. Only points whose matrices A and B are exact in float32 are taken. From several starts, one pair
after the other is moved to the best place, until none gains. All forms take two minutes.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from fractions import Fraction
from math import inf, sqrt

import numpy as np

from algos.winograd.points import POINTS, matrices_of, with_pairs

from .turns import table

#: Largest point that the search tries.
LARGEST = 3


def amplification(points: Sequence[Fraction], taps: int) -> float:
    """Return the typical error over a direct sum's along one axis; ∞ if A or B are not exact.

    >>> round(amplification(with_pairs(Fraction(1)), 3), 2)
    1.29
    """
    a, g, b = matrices_of(points, taps)
    if any(np.any(matrix != matrix.astype(np.float32)) for matrix in (a, b)):
        return inf
    each = np.sum(g**2, axis=1) * np.sum(b**2, axis=1)
    return sqrt(float(np.mean(a**2 @ each)) / taps)


def search(outputs: int, taps: int, grid: int, starts: int) -> tuple[float, tuple[Fraction, ...]]:
    """Return the least amplification found for F(`outputs`, `taps`), and the points p of ±p."""
    count = (outputs + taps - 2) // 2
    places = [Fraction(k, grid) for k in range(1, LARGEST * grid + 1)]
    rng = np.random.default_rng(0)

    def judged(chosen: frozenset[int]) -> tuple[float, tuple[int, ...]]:
        order = tuple(sorted(chosen))
        return amplification(with_pairs(*(places[k] for k in order)), taps), order

    def descended(best: tuple[float, tuple[int, ...]]) -> tuple[float, tuple[int, ...]]:
        while True:
            around = (
                judged(frozenset(best[1]) - {old} | {new})
                for old in best[1]
                for new in set(range(len(places))) - set(best[1])
            )
            nearest = min(around)
            if nearest >= best:
                return best
            best = nearest

    drawn = (
        frozenset(rng.choice(len(places), count, replace=False).tolist()) for _ in range(starts)
    )
    least, order = min(descended(judged(one)) for one in drawn)
    return least, tuple(places[k] for k in order)


def main(words: Sequence[str] | None = None) -> None:
    """Print a table of our points beside the best that are found."""
    options = argparse.ArgumentParser(description="Search for points of Winograd's filtering.")
    options.add_argument("forms", nargs="*", metavar="F(m,r)", help="by default all of ours")
    options.add_argument("--grid", type=int, default=8, help="points are multiples of 1/GRID")
    options.add_argument("--starts", type=int, default=10, help="random starts of the search")
    given = options.parse_args(words)
    rows = []
    for outputs, taps in (
        map(_form, given.forms) if given.forms else (k for k in POINTS if POINTS[k])
    ):
        found, points = search(outputs, taps, given.grid, given.starts)
        ours = POINTS.get((outputs, taps), ())
        rows.append([
            f"F({outputs}, {taps})", _text(ours[1::2]),
            f"{amplification(ours, taps):.2f}" if ours else "–", _text(points), f"{found:.2f}",
        ])  # fmt: skip
    print(table(["form", "our points", "amplification", "found", "amplification"], rows))


def _form(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"F\((\d+), ?(\d+)\)", text)
    outputs, taps = map(int, match.groups()) if match else (0, 0)
    if outputs < 1 or taps < 2 or (outputs + taps) % 2 == 0:
        raise SystemExit(
            f"{text!r} is no form of pairs of points; write F(m,r) with m + r odd, such as 'F(4,3)'"
        )
    return outputs, taps


def _text(points: Sequence[Fraction]) -> str:
    return ", ".join(f"±{point}" for point in points)


if __name__ == "__main__":
    main()
