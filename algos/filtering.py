"""Convolution of plain arrays in SciPy's terms: `convolve` and `correlate`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from algos.adapters import performer

from .choice import AUTO, resolve
from .choice.decide import ALWAYS
from .core.algorithm import Algorithm
from .core.arguments import choice
from .core.arrays import as_array, narrowed
from .core.errors import ConvbenchError
from .core.problem import Problem
from .plan import Plan

MODES = ("full", "same", "valid")

#: Largest whole number up to which float64 holds every one exactly.
EXACT = 2**53


def convolve(
    image: np.ndarray,
    kernel: np.ndarray,
    mode: str = "full",
    method: str = "auto",
    *,
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
    >>> convolve(np.full(3, 100, np.uint8), np.ones(3, np.uint8))
    array([100, 200, 300, 200, 100])
    """
    wanted = {"accuracy": accuracy, "memory": memory, "deterministic": deterministic}
    return _filter(image, kernel, mode, method, threads, True, wanted)


def correlate(
    image: np.ndarray,
    kernel: np.ndarray,
    mode: str = "full",
    method: str = "auto",
    *,
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
    wanted = {"accuracy": accuracy, "memory": memory, "deterministic": deterministic}
    return _filter(image, kernel, mode, method, threads, False, wanted)


def _filter(
    image: Any,
    kernel: Any,
    mode: str,
    method: str | Algorithm,
    threads: int | None,
    flip: bool,
    wanted: dict[str, Any],
) -> np.ndarray:
    image, kernel = as_array("image", image), as_array("kernel", kernel)
    choice("mode", mode, MODES)
    for what, array in (("image", image), ("kernel", kernel)):
        if array.dtype.kind not in "biuf":
            raise ConvbenchError(f"{what} is {array.dtype}; arrays of real numbers are supported")
    if image.ndim != kernel.ndim or not 1 <= image.ndim <= 3:
        raise ConvbenchError(
            f"image has {image.ndim} axes and kernel {kernel.ndim}; both need the same 1, 2 or 3"
        )
    if 0 in image.shape or 0 in kernel.shape:
        raise ConvbenchError("neither image nor kernel may have an empty axis")
    swapped = mode == "valid" and any(k > i for i, k in zip(image.shape, kernel.shape, strict=True))
    if swapped:
        image, kernel = kernel, image
    integers = image.dtype.kind != "f" and kernel.dtype.kind != "f"
    largest = _largest_sum(image, kernel) if integers else 0.0
    single = np.result_type(image, kernel) == np.float32
    dtype = np.dtype("float32" if single and not integers else "float64")
    x = narrowed("image", image, dtype)[None, None]
    w = narrowed("kernel", kernel, dtype)[None, None]
    problem = _problem(image.shape, kernel.shape, mode, flip, dtype.name)
    automatic = isinstance(method, str) and method == AUTO
    direct = isinstance(method, str) and method == "direct"
    chosen = resolve(
        ALWAYS if direct else method, problem, w, x, use="once", threads=threads, **wanted
    )
    if integers and not _is_exact(chosen, problem, x, w, largest):
        if automatic:
            chosen = resolve(ALWAYS, problem)
        else:
            raise ConvbenchError(
                f"{chosen.name} may round sums of these integers, which reach up to "
                f'{largest:.3g}; use method "direct", or convert with .astype(float)'
            )
    y = Plan(problem, w, algorithm=chosen, threads=threads, copy=False)(x)[0, 0]
    if swapped and not flip:
        y = y[(slice(None, None, -1),) * y.ndim]
    return np.rint(y).astype(np.int64) if integers else y


@lru_cache(maxsize=1024)
def _problem(
    size: tuple[int, ...], kernel: tuple[int, ...], mode: str, flip: bool, dtype: str
) -> Problem:
    """Return the problem of an image and a kernel of these sizes."""
    padding = {
        "full": tuple((k - 1, k - 1) for k in kernel),
        "same": tuple((k // 2, (k - 1) // 2) for k in kernel),
        "valid": 0,
    }[mode]
    return Problem(size=size, kernel=kernel, padding=padding, flip=flip, dtype=dtype)


def _largest_sum(image: np.ndarray, kernel: np.ndarray) -> float:
    """Return an upper bound on a sum of products; raise if it is not exact in float64."""
    sizes, taps = (np.abs(array.astype(np.float64)) for array in (image, kernel))
    largest = min(float(sizes.max() * taps.sum()), float(taps.max() * sizes.sum()))
    if largest < EXACT:
        return largest
    at = tuple(map(int, np.unravel_index(sizes.argmax(), sizes.shape)))
    raise ConvbenchError(
        f"sums of these integers may reach {largest:.3g}, {largest / EXACT:.3g} times the 2^53 up "
        f"to which they are exact: the largest of the image is {image[at]} at {at}, the kernel's "
        f"sizes sum to {taps.sum():.3g}; scale one down, or accept rounding by .astype(float)"
    )


def _is_exact(
    algorithm: Algorithm, problem: Problem, x: np.ndarray, w: np.ndarray, largest: float
) -> bool:
    """Return True where rounding the result to whole numbers gives the exact sums."""
    able = performer(algorithm, problem)
    if algorithm.exact_on_integers or able.why_not(problem, w):  # the plan has the sentence
        return True
    return float(np.max(able.error_bound(problem, x, w, np.full(1, largest)))) < 0.5
