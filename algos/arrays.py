"""What arrays look like on their way into compiled kernels."""

from __future__ import annotations

import numpy as np


def read_only(array: np.ndarray) -> np.ndarray:
    """A view that cannot be written: one type for all inputs, so Numba compiles a kernel once."""
    view = array.view()
    view.flags.writeable = False
    return view
