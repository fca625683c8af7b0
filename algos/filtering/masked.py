"""Convolution of images with missing samples: normalised convolution.

A missing sample is left out of every sum, and the others weigh more in its place. With m = 1 for a
sample and 0 for a missing one, the result is Σk · conv(x·m) / conv(m). Without missing samples it
is the plain convolution. Beyond a border of zeros or of a constant no sample is missing.

This is the definition of `astropy.convolution.convolve` with ``nan_treatment="interpolate"`` and
``normalize_kernel=False``. Its default divides the kernel by its sum. *Source*: Knutsson & Westin,
*Normalized and differential convolution*, CVPR 1993, doi:10.1109/CVPR.1993.341081.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from algos.core.arrays import as_array
from algos.core.errors import ConvbenchError

from .request import Request

#: Rules for NaN in the image.
TREATMENTS = ("propagate", "ignore", "fill")

#: Smallest sum of a kernel that can be normalised, relative to the sum of the absolute values of
#: its taps. The value is that of astropy.
LEAST_SUM = 1e-8

#: Weight of the samples under the kernel, relative to the largest possible. Below it, the samples
#: are counted, because rounding may hide that there are none.
DOUBTFUL = 1e-3

#: ``convolved(request, image, kernel) -> result``
Convolved = Callable[[Request, np.ndarray, np.ndarray], np.ndarray]


def filtered(
    request: Request, image: Any, kernel: Any, mask: Any, nan: str, fill: float,
    convolved: Convolved,
) -> np.ndarray:  # fmt: skip
    """Return the convolution of `image` where `mask` or NaN says which samples are missing."""
    if fill and nan != "fill":
        raise ConvbenchError(f'fill_value {fill:g} goes with nan="fill", not with nan={nan!r}')
    array = as_array("image", np.ma.getdata(image, subok=False))
    missing = _missing(image, array, mask, nan)
    kernel = as_array("kernel", kernel)
    if missing is None or not missing.any():
        return convolved(request, np.asarray(array), kernel)
    if array.dtype.kind not in "fc":
        array = array.astype(np.float64)
    kept = np.where(missing, array.dtype.type(fill), array)
    if nan == "fill":
        return convolved(request, kept, kernel)
    if request.mode == "valid" and any(
        k > i for i, k in zip(array.shape, kernel.shape, strict=False)
    ):
        raise ConvbenchError(
            f"kernel of shape {kernel.shape} is larger than the image {array.shape}; with "
            f'mode="valid" it is then the kernel that is masked: use mode="same" or "full"'
        )
    total = _sum_of(kernel)
    weights = replace(request, cval=1.0 if request.boundary in ("zeros", "constant") else 0.0)
    if weights.cval:
        weights = replace(weights, boundary="constant")
    present = np.logical_not(missing).astype(array.real.dtype)
    above = convolved(request, kept, kernel)
    below = convolved(weights, present, kernel)
    empty = _is_empty(weights, present, kernel, below, convolved)
    with np.errstate(all="ignore"):
        result = above / below * below.dtype.type(total)
    result[empty] = np.nan
    return result


def _missing(image: Any, array: np.ndarray, mask: Any, nan: str) -> np.ndarray | None:
    """Return True for the samples to leave out or to fill; None if the image has all of them."""
    missing = None
    if mask is not None:
        missing = as_array("mask", mask)
        if missing.shape != array.shape:
            raise ConvbenchError(
                f"mask has shape {missing.shape}, the image {array.shape}; give a mask with one "
                f"truth value per sample, True where it is missing"
            )
        if missing.dtype != bool:
            raise ConvbenchError(
                f"mask is {missing.dtype}; expected truth values, True where a sample is missing: "
                f"convert with .astype(bool)"
            )
    if isinstance(image, np.ma.MaskedArray):
        own = np.ma.getmaskarray(image)
        missing = own if missing is None else missing | own
    if nan != "propagate" and array.dtype.kind in "fc":
        found = np.isnan(np.asarray(array))
        missing = found if missing is None else missing | found
    return missing


def _sum_of(kernel: np.ndarray) -> complex:
    """Return the sum of the kernel; raise where it is too small to divide by."""
    total = complex(kernel.sum(dtype=np.complex128))
    if abs(total) <= LEAST_SUM * float(np.abs(kernel).sum()):
        raise ConvbenchError(
            f"the kernel sums to {abs(total):.3g}, and missing samples need a division by the sum "
            f'of the weights; use nan="fill" for this kernel, or fill the image'
        )
    return total if total.imag else total.real


def _is_empty(
    request: Request, present: np.ndarray, kernel: np.ndarray, weights: np.ndarray,
    convolved: Convolved,
) -> np.ndarray:  # fmt: skip
    """Return True where no sample lies under the kernel, even if rounding left it a weight."""
    doubtful = np.abs(weights) <= DOUBTFUL * float(np.abs(kernel).sum())
    if not doubtful.any():
        return doubtful
    count = convolved(request, present, (kernel != 0).astype(present.dtype))
    return doubtful & (np.rint(count) == 0)
