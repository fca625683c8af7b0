"""Large inputs, written part by part, and kernels for the measurements of this folder."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from suites.cases import stores

#: Bytes of a part that is written at once.
PART = 16 << 20


def make_input(path: Path, size: tuple[int, ...], seed: int = 0) -> Any:
    """Write random float32 samples into a new file; return its array."""
    array = stores.open_result(str(path), size, np.dtype("f4"), None, again=False)
    rng = np.random.default_rng(seed)
    rows = max(1, PART // (4 * math.prod(size[1:])))
    for start in range(0, size[0], rows):
        shape = (min(rows, size[0] - start), *size[1:])
        array[start : start + shape[0]] = rng.random(shape, np.float32)
    return array


def square_of(nbytes: int) -> tuple[int, int]:
    """Return the size of an image of about `nbytes` of float32."""
    side = max(1, int(math.sqrt(nbytes / 4)))
    return side, side


def blur(taps: int) -> np.ndarray:
    """Return a separable kernel of float32."""
    row = np.hanning(taps + 2)[1:-1]
    kernel = np.outer(row, row)
    return (kernel / kernel.sum()).astype(np.float32)
