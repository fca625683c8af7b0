"""8- and 16-bit images: `algos.correlate` against OpenCV's `filter2D` and `sepFilter2D`.

Usage::

    python -m suites.measures.integers [--rounds 30] [--threads 1]

OpenCV is called as its users call it: with a float32 kernel, and a `dst` that is reused. Ours
allocates a new result in every call. Kernels hold small random integers or Gaussian weights rounded
to integers. OpenCV also gets the latter as two factors. Results are compared bit by bit where
OpenCV sums in integers or exactly in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import algos
from algos.backend import threads as pools
from algos.core.errors import ConvbenchError
from suites.cases import filters

from .turns import heading, in_turns, milliseconds, parser, table

#: Type of the image, type of the result, and taps per axis.
CASES = tuple(
    (image, result, taps)
    for image, result in (("uint8", "uint8"), ("uint8", "int16"), ("int16", "int16"))
    for taps in (3, 5, 7, 11, 15, 31)
)
#: Largest sum of the sizes of a Gaussian's weights; two factors then fit 8 bits each.
WEIGHT = 256


def operands(image: str, taps: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image and a random kernel, whose sums reach beyond uint8 but not int16."""
    rng = np.random.default_rng(0)
    most = 256 if image == "uint8" else 1000 // taps
    x = rng.integers(0, most, (size, size)).astype(image)
    w = rng.integers(-2, 3, (taps, taps)).astype("int16")
    return x, w


def gaussian(taps: int) -> np.ndarray:
    """Return the whole weights of one axis of a Gaussian."""
    line = filters.make("gaussian", (taps,), 1)
    return np.rint(line / line.sum() * WEIGHT).astype("int16")


def calls(image: str, result: str, taps: int, size: int, threads: int) -> dict[str, Any]:
    """Return the call of each side, on one random and one Gaussian kernel."""
    try:
        import cv2
    except ImportError:
        raise ConvbenchError(
            'OpenCV is not installed; pip install -e ".[peers]" brings it'
        ) from None
    cv2.setNumThreads(threads)
    x, w = operands(image, taps, size)
    line = gaussian(taps)
    depth = {"uint8": cv2.CV_8U, "int16": cv2.CV_16S}[result]
    how: dict[str, Any] = {
        "dtype": result, "overflow": "saturate", "boundary": "mirror", "threads": threads,
    }  # fmt: skip
    kept = np.empty((size, size), result)
    border = cv2.BORDER_REFLECT_101

    def ours(kernel: np.ndarray) -> Callable[[], np.ndarray]:
        return lambda: algos.correlate(x, kernel, "same", **how)

    return {
        "ours": ours(w),
        "filter2D": lambda: cv2.filter2D(
            x, depth, w.astype("float32"), dst=kept, borderType=border
        ),
        "ours, Gaussian": ours(np.outer(line, line).clip(0, 2**15 - 1).astype("int16")),
        "sepFilter2D": lambda: cv2.sepFilter2D(
            x, depth, line.astype("float32"), line.astype("float32"), borderType=border
        ),
    }


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = parser("Time images of small integers against OpenCV.")
    options.set_defaults(rounds=30)
    given = options.parse_args(words)
    pools.use(given.threads)
    print(heading(given.threads), end="\n\n")
    rows = []
    for image, result, taps in CASES[:2] if given.quick else CASES:
        found = calls(image, result, taps, 64 if given.quick else 1024, given.threads)
        same = np.array_equal(found["ours"](), found["filter2D"]())
        times = {name: t.shortest for name, t in in_turns(found, given.rounds).items()}
        rows.append(
            [
                f"{image} to {result}, {taps} × {taps}",
                milliseconds(times["ours"]),
                f"{milliseconds(times['filter2D'])} ({times['filter2D'] / times['ours']:.3g}×)",
                "yes" if same else "no",
                milliseconds(times["ours, Gaussian"]),
                f"{milliseconds(times['sepFilter2D'])} "
                f"({times['sepFilter2D'] / times['ours, Gaussian']:.3g}×)",
            ]
        )
    print(
        table(
            ["image, kernel", "ours", "filter2D", "same bits", "ours, Gaussian", "sepFilter2D"],
            rows,
        )
    )


if __name__ == "__main__":
    main()
