"""Convolution of two real arrays: exact for integers, and by any algorithm."""

from __future__ import annotations

from typing import Any

import numpy as np

from algos.adapters import performer
from algos.choice import AUTO, resolve
from algos.choice.decide import ALWAYS
from algos.core.algorithm import Algorithm
from algos.core.arrays import as_array, narrowed
from algos.core.errors import ConvbenchError
from algos.core.problem import Problem
from algos.plan import Plan

from . import small_integers
from .casting import cast
from .request import Request, check_axes, check_real, posed

#: Limit of exact integers: float64 holds every integer up to this one.
EXACT = 2**53


def filtered(request: Request, image: Any, kernel: Any) -> np.ndarray:
    """Return the convolution or correlation of two real arrays, as `request.dtype`."""
    image, kernel = as_array("image", image), as_array("kernel", kernel)
    check_real("numbers", image=image.dtype, kernel=kernel.dtype)
    check_axes(image.shape, kernel.shape)
    swapped = request.exchanges(image.shape, kernel.shape)
    if swapped:
        image, kernel = kernel, image
    whole = not isinstance(request.cval, float) or request.cval.is_integer()
    integers = image.dtype.kind != "f" and kernel.dtype.kind != "f" and whole
    single = np.result_type(image, kernel) == np.float32
    dtype = np.dtype("float32" if single and not integers else "float64")
    problem = posed(request, image.shape, kernel.shape, dtype.name)
    wanted = np.dtype("int64") if request.dtype is None else request.dtype
    direct = request.asks(AUTO, "direct")
    small = integers and direct and not swapped and wanted.name in small_integers.RESULTS
    if small and small_integers.suits(image, kernel, problem):
        return small_integers.filtered(
            problem, image, kernel, wanted, request.overflow, request.threads
        )
    names = ("kernel", "image") if swapped else ("image", "kernel")
    largest = _largest_sum(image, kernel, names, problem) if integers else 0.0
    x = narrowed("image", image, dtype)[None, None]
    w = narrowed("kernel", kernel, dtype)[None, None]
    chosen = resolve(
        request.algorithm, problem, w, x, use="once", threads=request.threads,
        **dict(request.limits),
    )  # fmt: skip
    if integers and not _is_exact(chosen, problem, x, w, largest):
        if request.asks(AUTO):
            chosen = resolve(ALWAYS, problem)
        else:
            raise ConvbenchError(
                f"{chosen.name} may round sums of these integers, which reach up to "
                f'{largest:.3g}; use method "direct", or convert with .astype(float)'
            )
    y = Plan(problem, w, algorithm=chosen, threads=request.threads, copy=False)(x)[0, 0]
    if swapped and not request.flip:
        y = y[(slice(None, None, -1),) * y.ndim]
    y = np.rint(y).astype(np.int64) if integers else y
    return cast(y, request.dtype, request.overflow)


def _largest_sum(
    image: np.ndarray, kernel: np.ndarray, names: tuple[str, str], problem: Problem
) -> float:
    """Return an upper bound on a sum of products; raise if it is not exact in float64.

    The error calls the arrays by the user's `names`.
    """
    sizes, taps = (np.abs(array.astype(np.float64)) for array in (image, kernel))
    largest = float(max(sizes.max(), abs(problem.cval)) * taps.sum())
    if problem.boundary == "zeros":  # no sample is read by two taps
        largest = min(largest, float(taps.max() * sizes.sum()))
    if largest < EXACT:
        return largest
    at = tuple(map(int, np.unravel_index(sizes.argmax(), sizes.shape)))
    raise ConvbenchError(
        f"sums of these integers may reach {largest:.3g}, {largest / EXACT:.3g} times the 2^53 up "
        f"to which they are exact: the largest of the {names[0]} is {image[at]} at {at}, and the "
        f"absolute values of the {names[1]} sum to {taps.sum():.3g}; scale one down, or accept "
        f"rounding by .astype(float)"
    )


def _is_exact(
    algorithm: Algorithm, problem: Problem, x: np.ndarray, w: np.ndarray, largest: float
) -> bool:
    """Return True where rounding the result to whole numbers gives the exact sums."""
    able = performer(algorithm, problem)
    if algorithm.exact_on_integers or able.why_not(problem, w):  # the plan has the sentence
        return True
    return float(np.max(able.error_bound(problem, x, w, np.full(1, largest)))) < 0.5
