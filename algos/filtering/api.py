"""The functions `convolve` and `correlate`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from algos.core.algorithm import Algorithm
from algos.core.arguments import choice, number
from algos.core.arrays import as_array

from . import complex_parts, masked, real
from .casting import cast, result_type
from .request import Request


def convolve(
    image: np.ndarray,
    kernel: np.ndarray,
    mode: str = "full",
    method: str | Algorithm = "auto",
    *,
    boundary: str | None = None,
    cval: complex = 0.0,
    origin: Any = 0,
    mask: np.ndarray | None = None,
    nan: str = "propagate",
    fill_value: float = 0.0,
    products: int = 4,
    dtype: Any = None,
    overflow: str = "error",
    threads: int | None = None,
    accuracy: str | float = "standard",
    memory: int | None = None,
    deterministic: bool = False,
) -> np.ndarray:
    """Convolve two arrays of 1 to 3 axes: a drop-in for `scipy.signal.convolve`.

    Parameters
    ----------
    image, kernel : array_like
        Arrays with the same number of axes. Integers and truth values give int64. Their sums are
        exact, or an error is raised; SciPy wraps around instead. Two arrays of float32 give
        float32. Other real numbers give float64. Complex numbers give complex64 or complex128 by
        the same rule.
    mode : {"full", "same", "valid"}
        Size of the result, as in SciPy. Mode "same" is centred and as large as `image`. Mode
        "valid" needs one array to be at least as large as the other along every axis.
    method : str
        Name of the algorithm. SciPy's "direct" stands for "parallel". By default "auto", the
        algorithm that is expected to be fastest. If the arrays hold NaN, infinity, or numbers so
        large that sums may overflow, "auto" takes a direct sum. Other algorithms would spread them.
    boundary : {"zeros", "constant", "nearest", "reflect", "mirror", "wrap"}, optional
        Values beyond the border of the image, as in `scipy.ndimage`. With a boundary, mode "same"
        equals `scipy.ndimage.convolve`, which centres even kernels one sample earlier than
        `scipy.signal.convolve`. Mode "full" reads the boundary at every position where the kernel
        overlaps the image. Mode "valid" never reads it.
    cval : float
        Value beyond the border. It belongs to ``boundary="constant"``.
    origin : int or tuple of int
        Shift of the kernel, as in `scipy.ndimage`. It belongs to ``mode="same"``.
    mask : array_like of bool, optional
        Mask of the shape of `image`. True marks a missing sample. A masked array has its own mask.
        The samples that exist weigh more, in place of the missing ones (normalised convolution).
        The result is NaN where all samples under the kernel are missing.
    nan : {"propagate", "ignore", "fill"}
        Rule for NaN in the image. Rule "propagate" leaves NaN in the sums. Rule "ignore" treats NaN
        as missing samples, as astropy does with ``nan_treatment="interpolate"``. Rule "fill" puts
        `fill_value` in place of NaN and of masked samples.
    fill_value : float
        Value of missing samples. It belongs to ``nan="fill"``.
    products : {4, 3}
        Number of real products for a product of two complex numbers. With 3, Gauss's form takes
        fewer operations, but a small real or imaginary part may lose accuracy.
    dtype : dtype, optional
        Type of the result, such as "uint8". An integer type rounds fractions to the nearest
        integer. Default: int64 for integers, otherwise the type of the sums.
    overflow : {"error", "saturate", "wrap"}
        Rule for a result that `dtype` cannot hold. Rule "error" raises, and names the first such
        result. Rule "saturate" takes the nearest number that `dtype` holds. Rule "wrap" takes the
        remainder modulo 2ⁿ.
    threads : int, optional
        Largest number of threads. Default: all that Numba may use.
    accuracy, memory, deterministic
        Limits of the automatic choice. See `algos.choose`.

    Returns
    -------
    ndarray
        Result. Its size follows `mode`, and its type `dtype`.

    Raises
    ------
    ConvbenchError
        If the arrays do not fit each other, sums of integers may not be exact, or a result does
        not fit `dtype`.

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
    >>> ones = np.ones(3, np.uint8)
    >>> convolve(np.full(3, 100, np.uint8), ones, dtype="uint8", overflow="saturate")
    array([100, 200, 255, 200, 100], dtype=uint8)
    >>> convolve([1.0, np.nan, 3.0], np.full(3, 1 / 3), mode="same", nan="ignore").round(6)
    array([0.5, 2. , 1.5])
    """
    limits = {"accuracy": accuracy, "memory": memory, "deterministic": deterministic}
    request = _request(True, mode, method, boundary, cval, origin, threads, limits, dtype, overflow)
    return _filtered(request, image, kernel, mask, nan, fill_value, products)


def correlate(
    image: np.ndarray,
    kernel: np.ndarray,
    mode: str = "full",
    method: str | Algorithm = "auto",
    *,
    boundary: str | None = None,
    cval: complex = 0.0,
    origin: Any = 0,
    mask: np.ndarray | None = None,
    nan: str = "propagate",
    fill_value: float = 0.0,
    products: int = 4,
    dtype: Any = None,
    overflow: str = "error",
    threads: int | None = None,
    accuracy: str | float = "standard",
    memory: int | None = None,
    deterministic: bool = False,
) -> np.ndarray:
    """Cross-correlate two arrays: a drop-in for `scipy.signal.correlate`.

    Parameters are those of `convolve`. A complex kernel is conjugated.

    Examples
    --------
    >>> correlate([1, 2, 3], [0, 1, 0.5])
    array([0.5, 2. , 3.5, 3. , 0. ])
    """
    limits = {"accuracy": accuracy, "memory": memory, "deterministic": deterministic}
    request = _request(
        False, mode, method, boundary, cval, origin, threads, limits, dtype, overflow
    )
    return _filtered(request, image, kernel, mask, nan, fill_value, products)


def _request(
    flip: bool, mode: str, method: str | Algorithm, boundary: str | None, cval: complex,
    origin: Any, threads: int | None, limits: dict[str, Any], dtype: Any, overflow: str,
) -> Request:  # fmt: skip
    """Return the settings of a call; without a boundary the centre is that of `scipy.signal`."""
    given = boundary is not None
    border = "zeros" if boundary is None else boundary
    wanted = result_type(dtype, overflow)
    return Request(
        flip, mode, method, border, cval, given, origin, threads, limits, wanted, overflow
    )


def _filtered(
    request: Request, image: Any, kernel: Any, mask: Any, nan: str, fill_value: float, products: int
) -> np.ndarray:
    """Return the convolution, by way of what the image and the kernel hold."""
    complex_parts.check_products(products)

    def convolved(request: Request, image: Any, kernel: Any) -> np.ndarray:
        image, kernel = as_array("image", image), as_array("kernel", kernel)
        if "c" in (image.dtype.kind, kernel.dtype.kind):
            found = complex_parts.filtered(request, image, kernel, products)
            return cast(found, request.dtype, request.overflow)
        return real.filtered(request, image, kernel)

    is_masked = mask is not None or isinstance(image, np.ma.MaskedArray)
    choice("nan", nan, masked.TREATMENTS)
    fill = number("fill_value", fill_value, -np.inf, np.inf, "a finite number")
    if not is_masked and nan == "propagate" and not fill:
        return convolved(request, image, kernel)
    inner = replace(request, dtype=None)
    found = masked.filtered(inner, image, kernel, mask, nan, fill, convolved)
    return cast(found, request.dtype, request.overflow)
