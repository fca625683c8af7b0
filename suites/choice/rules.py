"""Rules of choice that the automatic choice is compared with."""

from __future__ import annotations

import math

import numpy as np

from algos.core.problem import Problem
from algos.registry import convolutions
from suites.cases import data
from suites.cases.suite import Case

#: Products per output up to which the rule of taps takes a direct sum, and those from which it
#: takes the FFT.
FEW_TAPS, MANY_TAPS = 121, 400


def by_taps(case: Case, seed: int = 0) -> str:
    """Return the choice by the number of taps and separability, made without any measurement.

    It is for one image and one kernel, as in `algos.convolve`. For layers and gradients it takes
    `parallel`.
    """
    p = case.problem
    if not is_filter(p) or p.taps <= FEW_TAPS:
        return "parallel"
    if convolutions()["separable"].why_not(p, data.kernel(case, seed)) is None:
        return "separable"
    return "fft" if p.taps > MANY_TAPS else "parallel"


def by_scipy(case: Case) -> str:
    """Return the choice of `scipy.signal.choose_conv_method`; empty where it has none.

    SciPy chooses between its direct sum and its FFT for one channel and stride 1. The names
    returned are of our algorithms of the same kind, `parallel` and `fft`.
    """
    from scipy.signal import choose_conv_method

    p = case.problem
    mode = scipy_mode(p) if is_filter(p) else ""
    if not mode:
        return ""
    # The rule reads shapes and types alone, so no memory is filled.
    x, w = (np.broadcast_to(np.zeros((), p.dtype), shape) for shape in (p.size, p.kernel))
    return {"direct": "parallel", "fft": "fft"}[choose_conv_method(x, w, mode)]


def is_filter(p: Problem) -> bool:
    """Return True if `p` filters images of one channel with one kernel, densely."""
    steps = math.prod(p.stride) * math.prod(p.dilation)
    one_channel = p.in_channels == p.out_channels == 1
    return p.operation == "forward" and one_channel and steps == 1 and not p.is_tiled


def scipy_mode(p: Problem) -> str:
    """Return SciPy's mode with the padding of `p`; empty if it has none."""
    if p.padding == tuple((k - 1, k - 1) for k in p.kernel):
        return "full"
    centred = (
        tuple((k // 2, (k - 1) // 2) for k in p.kernel),
        tuple(((k - 1) // 2, k // 2) for k in p.kernel),
    )
    if p.padding in centred:
        return "same"
    fits = all(k <= n for k, n in zip(p.kernel, p.size, strict=True))
    return "valid" if fits and not any(map(sum, p.padding)) else ""
