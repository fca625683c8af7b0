"""Recipes of docs/recipes.md: functions of SciPy written with ours, and what they gain.

Usage::

    python -m suites.measures.recipes [--rounds 20] [--threads 1]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy import ndimage, signal

import algos

from .turns import heading, in_turns, milliseconds, parser, table


def oaconvolve(a: np.ndarray, b: np.ndarray, mode: str = "full", **how: Any) -> np.ndarray:
    """Convolve an array with a smaller one, by the fastest algorithm."""
    return algos.convolve(a, b, mode, **how)


def fftconvolve(a: np.ndarray, b: np.ndarray, mode: str = "full", **how: Any) -> np.ndarray:
    """Convolve two arrays by products of spectra, tile by tile."""
    return algos.convolve(a, b, mode, method="fft-fused", **how)


def gaussian_filter(
    image: np.ndarray, sigma: float, mode: str = "reflect", truncate: float = 4.0, **how: Any
) -> np.ndarray:
    """Smooth an image by a Gaussian of standard deviation `sigma`, in samples."""
    radius = int(truncate * sigma + 0.5)
    line = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    line /= line.sum()
    kernel = line
    for _ in range(image.ndim - 1):  # an outer product, which "separable" takes apart again
        kernel = np.multiply.outer(kernel, line)
    kernel = kernel.astype(image.dtype)
    return algos.correlate(image, kernel, "same", boundary=mode, **how)


def uniform_filter(image: np.ndarray, size: int, mode: str = "reflect", **how: Any) -> np.ndarray:
    """Replace each sample by the mean of the `size` samples around it along every axis."""
    kernel = np.full((size,) * image.ndim, 1 / size**image.ndim, image.dtype)
    return algos.correlate(image, kernel, "same", boundary=mode, **how)


def calls(quick: bool, threads: int) -> dict[str, tuple[Callable[..., Any], Callable[..., Any]]]:
    """Return pairs of calls, ours and SciPy's, by the text of the call."""
    rng = np.random.default_rng(0)
    n, side, cube = (4000, 64, 16) if quick else (1_000_000, 1024, 128)
    record, taps = rng.standard_normal(n), rng.standard_normal(101 if quick else 1001)
    image = rng.standard_normal((side, side), "float32")
    kernel = rng.standard_normal((31, 31), "float32")
    block = rng.standard_normal((cube, cube, cube), "float32")
    own: dict[str, Any] = {"threads": threads}
    return {
        f"oaconvolve({n}, {len(taps)})": (
            partial(oaconvolve, record, taps, **own), partial(signal.oaconvolve, record, taps)
        ),
        f'fftconvolve({side}², 31², "same")': (
            partial(fftconvolve, image, kernel, "same", **own),
            partial(signal.fftconvolve, image, kernel, "same"),
        ),
        f"gaussian_filter({side}², 5)": (
            partial(gaussian_filter, image, 5.0, **own),
            partial(ndimage.gaussian_filter, image, 5.0),
        ),
        f"gaussian_filter({cube}³, 1)": (
            partial(gaussian_filter, block, 1.0, **own),
            partial(ndimage.gaussian_filter, block, 1.0),
        ),
        f"uniform_filter({side}², 15)": (
            partial(uniform_filter, image, 15, **own), partial(ndimage.uniform_filter, image, 15)
        ),
    }  # fmt: skip


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = parser("Time the recipes against SciPy's functions.")
    options.set_defaults(rounds=20)
    given = options.parse_args(words)
    print(heading(given.threads), end="\n\n")
    rows = []
    for text, (ours, theirs) in calls(given.quick, given.threads).items():
        times = in_turns({"ours": ours, "SciPy": theirs}, given.rounds)
        one, other = times["ours"].shortest, times["SciPy"].shortest
        rows.append([text, milliseconds(one), milliseconds(other), f"{other / one:.3g}×"])
    print(table(["call", "ours", "SciPy", "gain"], rows))


if __name__ == "__main__":
    main()
