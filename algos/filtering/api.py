"""The functions `convolve` and `correlate`."""

from __future__ import annotations

from typing import Any

import numpy as np

from algos.core.algorithm import Algorithm

from .real import filtered
from .request import Request


def convolve(
    image: np.ndarray,
    kernel: np.ndarray,
    mode: str = "full",
    method: str | Algorithm = "auto",
    *,
    boundary: str | None = None,
    cval: float = 0.0,
    origin: Any = 0,
    threads: int | None = None,
    accuracy: str | float = "standard",
    memory: int | None = None,
    deterministic: bool = False,
) -> np.ndarray:
    """Convolve two arrays of 1 to 3 axes: a drop-in for `scipy.signal.convolve`.

    Parameters
    ----------
    image, kernel : array_like
        Same number of axes. Integers and truth values give int64, exactly or not at all,
        where SciPy wraps around in the narrower of their types. float32 with float32 gives
        float32, everything else float64.
    mode : {"full", "same", "valid"}
        The same as SciPy's: "same" is centred and as large as `image`; "valid" needs one array to
        be at least as large as the other along every axis.
    method : str
        "auto" for the algorithm expected to be fastest, or one of our algorithm names; SciPy's
        "direct" stands for "parallel". "auto" takes a direct sum if the arrays hold NaN, infinity,
        or numbers so large that sums may overflow. Other algorithms would spread them.
    boundary : {"zeros", "constant", "nearest", "reflect", "mirror", "wrap"}, optional
        Values beyond the border of the image, as in `scipy.ndimage`. With a boundary, "same" is
        `scipy.ndimage.convolve`, which centres even kernels one sample earlier than
        `scipy.signal.convolve`; "full" reads the boundary at every position that the kernel
        overlaps the image, and "valid" never reads it.
    cval : float
        Value beyond the border with ``boundary="constant"``.
    origin : int or tuple of int
        Shift of the kernel with ``mode="same"``, as in `scipy.ndimage`.
    accuracy, memory, deterministic
        Limits of the automatic choice, as in `algos.choose`.

    Returns
    -------
    ndarray

    Raises
    ------
    ConvbenchError
        If the arrays do not fit each other, or sums of integers may not be exact.

    Examples
    --------
    >>> convolve([1, 2, 3], [0, 1, 0.5])
    array([0. , 1. , 2.5, 4. , 1.5])
    >>> convolve([1, 2, 3], [0, 1, 0.5], mode="same")
    array([1. , 2.5, 4. ])
    >>> convolve([1, 2, 3], [0, 1, 0.5], mode="same", boundary="nearest")
    array([1.5, 2.5, 4. ])
    >>> convolve(np.full(3, 100, np.uint8), np.ones(3, np.uint8))
    array([100, 200, 300, 200, 100])
    """
    limits = {"accuracy": accuracy, "memory": memory, "deterministic": deterministic}
    request = Request(True, mode, method, boundary, cval, origin, threads, limits)
    return filtered(request, image, kernel)


def correlate(
    image: np.ndarray,
    kernel: np.ndarray,
    mode: str = "full",
    method: str | Algorithm = "auto",
    *,
    boundary: str | None = None,
    cval: float = 0.0,
    origin: Any = 0,
    threads: int | None = None,
    accuracy: str | float = "standard",
    memory: int | None = None,
    deterministic: bool = False,
) -> np.ndarray:
    """Cross-correlate two arrays: a drop-in for `scipy.signal.correlate` on real data.

    Parameters are those of `convolve`.

    Examples
    --------
    >>> correlate([1, 2, 3], [0, 1, 0.5])
    array([0.5, 2. , 3.5, 3. , 0. ])
    """
    limits = {"accuracy": accuracy, "memory": memory, "deterministic": deterministic}
    request = Request(False, mode, method, boundary, cval, origin, threads, limits)
    return filtered(request, image, kernel)
