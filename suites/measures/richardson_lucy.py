"""Richardson–Lucy deconvolution: a pipeline of convolutions, timed as a whole.

Usage::

    python -m suites.measures.richardson_lucy [--rounds 5] [--threads 1]

An iteration has three steps. It blurs the estimate, divides the image by the result, and multiplies
the estimate by the adjoint of the blur applied to this ratio. The adjoint is the gradient of the
input, so it fits the blur at the border, too. The table shows the time by algorithm, kernel and
boundary. It also shows the error against the sharp image, over all samples and near the border.

*Sources*: Richardson, JOSA 62, 1972, doi:10.1364/JOSA.62.000055. Lucy, Astronomical Journal 79,
1974, doi:10.1086/111605.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import algos
from suites.cases import filters

from .turns import heading, in_turns, milliseconds, parser, table

ITERATIONS = 10
#: Name and taps of a kernel, boundary, and algorithms.
CASES = (
    ("gaussian:15", "zeros", ("separable", "fft-fused", "parallel", "auto")),
    ("gaussian:15", "reflect", ("separable", "fft-fused", "parallel", "auto")),
    ("motion:15", "zeros", ("fft-fused", "parallel", "auto")),
    ("motion:15", "reflect", ("fft-fused", "parallel", "auto")),
)


def deblurred(
    image: np.ndarray,
    kernel: np.ndarray,
    iterations: int = ITERATIONS,
    *,
    algorithm: str = "auto",
    boundary: str = "zeros",
    threads: int | None = None,
) -> np.ndarray:
    """Return the estimate of the sharp image after some iterations.

    Parameters
    ----------
    image : ndarray, shape (H, W)
        Blurred image. Its numbers are positive.
    kernel : ndarray, shape (h, w)
        Kernel of the blur, which is a convolution. Its sizes are odd, its numbers not negative.
    iterations : int
        Number of iterations.
    algorithm, threads
        Algorithm and number of threads. See `algos.plan`.
    boundary : str
        Values beyond the border of the sharp image. See `algos.Problem`.

    Returns
    -------
    ndarray, shape (H, W)
        Estimate of the sharp image.
    """
    problem = algos.Problem(
        size=image.shape, kernel=kernel.shape, padding=tuple(k // 2 for k in kernel.shape),
        flip=True, dtype=image.dtype.name, boundary=boundary,
    )  # fmt: skip
    w = np.ascontiguousarray(kernel, image.dtype)[None, None]
    blur = algos.plan(problem, w, algorithm=algorithm, threads=threads)
    back = algos.plan(problem.asking("grad_input"), w, algorithm=algorithm, threads=threads)
    seen = image[None, None]
    weight = back(np.ones_like(seen))
    least = np.finfo(image.dtype).tiny
    estimate = np.full_like(seen, image.mean())
    for _ in range(iterations):
        ratio = seen / np.maximum(blur(estimate), least)
        estimate *= back(ratio) / np.maximum(weight, least)
    return np.asarray(estimate[0, 0])


def scene(size: int, boundary: str, kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a sharp image with bright blocks, some at the border, and the image blurred."""
    rng = np.random.default_rng(0)
    sharp = np.full((size, size), 0.1, "float32")
    for top, left in rng.integers(-8, size - 8, (size, 2)):
        sharp[max(top, 0) : top + 16, max(left, 0) : left + 16] += rng.random()
    blurred = algos.convolve(sharp, kernel.astype("float32"), "same", boundary=boundary)
    return sharp, blurred


def errors(sharp: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """Return the root mean square error, of all samples and within 16 samples of the border."""
    inside = np.zeros(sharp.shape, bool)
    inside[16:-16, 16:-16] = True
    square = (found - sharp).astype(np.float64) ** 2
    return float(np.sqrt(square.mean())), float(np.sqrt(square[~inside].mean()))


def calls(
    sharp: np.ndarray, blurred: np.ndarray, kernel: np.ndarray, boundary: str,
    algorithms: Sequence[str], threads: int,
) -> dict[str, Callable[[], Any]]:  # fmt: skip
    """Return the call of each algorithm."""

    def call(name: str) -> Callable[[], Any]:
        how: dict[str, Any] = {"algorithm": name, "boundary": boundary, "threads": threads}
        return lambda: deblurred(blurred, kernel, **how)

    return {name: call(name) for name in algorithms}


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = parser(f"Time {ITERATIONS} iterations of Richardson-Lucy deconvolution.")
    options.set_defaults(rounds=5)
    given = options.parse_args(words)
    print(heading(given.threads), end="\n\n")
    rows = []
    for name, boundary, algorithms in CASES[1:2] if given.quick else CASES:
        kernel = filters.make(name)
        # The scene goes on beyond the border, also where the deconvolution assumes zeros there.
        sharp, blurred = scene(96 if given.quick else 1024, "reflect", kernel)
        found = calls(sharp, blurred, kernel, boundary, algorithms, given.threads)
        whole, border = errors(sharp, found["auto"]())
        before, _ = errors(sharp, blurred)
        for algorithm, times in in_turns(found, given.rounds).items():
            rows.append(
                [
                    f"{name}, {boundary}", algorithm, milliseconds(times.shortest),
                    f"{before:.3g}", f"{whole:.3g}", f"{border:.3g}",
                ]
            )  # fmt: skip
    heads = "kernel, boundary", "algorithm", "time", "error before", "after", "after, at the border"
    print(table(heads, rows))


if __name__ == "__main__":
    main()
