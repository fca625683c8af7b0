"""Images with missing samples: `algos.convolve(nan="ignore")` against astropy.

Usage::

    python -m suites.measures.masks [--rounds 10] [--threads 1]

astropy is called with ``nan_treatment="interpolate"`` and ``normalize_kernel=False``. The images
hold 5 % NaN. `convolve_fft` transforms the whole padded image.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import algos
from algos.core.errors import ConvbenchError
from suites.cases import filters

from .turns import heading, in_turns, milliseconds, parser, table

CASES = ((512, 9), (512, 31), (1024, 9), (1024, 31))


def calls(size: int, taps: int, threads: int) -> dict[str, Callable[[], Any]]:
    """Return the call of each side."""
    try:
        from astropy.convolution import convolve, convolve_fft
    except ImportError:
        raise ConvbenchError(
            'astropy is not installed; pip install -e ".[peers]" brings it'
        ) from None
    rng = np.random.default_rng(0)
    image = rng.standard_normal((size, size))
    image[rng.random(image.shape) < 0.05] = np.nan
    kernel = filters.make("gaussian", (taps, taps), 2)
    how = {"boundary": "fill", "nan_treatment": "interpolate", "normalize_kernel": False}
    return {
        "ours": lambda: algos.convolve(image, kernel, "same", nan="ignore", threads=threads),
        "convolve": lambda: convolve(image, kernel, **how),
        "convolve_fft": lambda: convolve_fft(image, kernel, allow_huge=True, **how),
    }


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = parser("Time convolution of images with NaN against astropy.")
    options.set_defaults(rounds=10)
    given = options.parse_args(words)
    print(heading(given.threads), end="\n\n")
    rows = []
    for size, taps in ((64, 5),) if given.quick else CASES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # astropy tells of NaN that are left
            found = calls(size, taps, given.threads)
            times = {name: t.shortest for name, t in in_turns(found, given.rounds).items()}
        gains = [
            f"{milliseconds(times[name])} ({times[name] / times['ours']:.3g}×)"
            for name in ("convolve", "convolve_fft")
        ]
        rows.append([f"{size}², {taps} × {taps}", milliseconds(times["ours"]), *gains])
    print(table(["image, kernel", "ours", "astropy convolve", "astropy convolve_fft"], rows))


if __name__ == "__main__":
    main()
