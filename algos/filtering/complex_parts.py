"""Convolution of complex arrays by real ones: one layer whose channels are the parts.

With x = a + ib and w = c + id the product is (ac − bd) + i(ad + bc). This is a layer of two input
and two output channels. Its error bound is that of the real algorithm with twice as many terms.
Gauss's form takes three products instead of four:

    t₁ = (a + b)·c,  t₂ = a·(d − c),  t₃ = b·(c + d);  real part t₁ − t₃, imaginary part t₁ + t₂

This is a layer of three groups. Its errors are small against the modulus of the product, but a
small real or imaginary part may lose accuracy. *Source*: Higham, *Accuracy and Stability of
Numerical Algorithms*, 2nd ed., 23.2.4. If one of the arrays is real, two products are enough.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from algos.adapters import performer
from algos.choice import resolve
from algos.core.algorithm import Algorithm
from algos.core.arrays import narrowed
from algos.core.boundary import complex_value
from algos.core.errors import ConvbenchError, shown
from algos.core.problem import Problem
from algos.plan import Plan

from .request import Request, check_axes, posed


@dataclass(frozen=True)
class Parts:
    """A real layer that computes a complex convolution, with its operands.

    `form` is "image" or "kernel" if only that one is complex, "four" or "three" (Gauss).
    """

    problem: Problem
    x: np.ndarray
    w: np.ndarray
    form: str

    def joined(self, y: np.ndarray) -> np.ndarray:
        """Return the complex result of the layer's output `y`."""
        if self.form == "three":
            first, second, third = y[0]
            return joined(first - third, first + second)
        return joined(*(y[:, 0] if self.form == "image" else y[0]))

    def error_bound(self, algorithm: Algorithm, magnitude: np.ndarray) -> np.ndarray:
        """Return a bound on the errors of real and imaginary part.

        `magnitude` is the correlation of |a| + |b| with |c| + |d|. It bounds the sum of the sizes
        of the terms of every real product, since |a + b| ≤ |a| + |b|, and likewise for the kernels.
        """
        able = performer(algorithm, self.problem)
        bound = np.asarray(able.error_bound(self.problem, self.x, self.w, magnitude))
        if self.form != "three":
            return bound
        # Two products are added. Each operand, and the sum, was rounded once.
        u = float(np.finfo(self.problem.dtype).eps) / 2
        return 2 * (bound + 2.1 * u * magnitude) + 2 * u * (magnitude + bound)


def filtered(request: Request, image: np.ndarray, kernel: np.ndarray, products: int) -> np.ndarray:
    """Return the convolution or correlation of two arrays, one or both of them complex."""
    check_axes(image.shape, kernel.shape)
    if request.exchanges(image.shape, kernel.shape):
        if image.dtype.kind == "c":  # checked as that of the image, although none is read
            complex_value(request.boundary, request.cval, "float64")
            request = replace(request, cval=0.0)
        y = filtered(request, kernel, image, products)
        turned = y[(slice(None, None, -1),) * y.ndim].conj()
        return y if request.flip else turned
    parts = parts_of(request, image, kernel, products)
    chosen = resolve(
        request.algorithm, parts.problem, parts.w, parts.x, use="once", threads=request.threads,
        **dict(request.limits),
    )  # fmt: skip
    run = Plan(parts.problem, parts.w, algorithm=chosen, threads=request.threads, copy=False)
    return parts.joined(run(parts.x))


def check_products(products: Any) -> None:
    """Raise unless complex products are made of 3 or 4 real ones."""
    if not isinstance(products, int) or products not in (3, 4):
        raise ConvbenchError(
            f"products {shown(products)} must be 4, or 3 for Gauss's form of a complex product"
        )


def parts_of(request: Request, image: np.ndarray, kernel: np.ndarray, products: int = 4) -> Parts:
    """Return the real layer that convolves or correlates two arrays."""
    single = np.result_type(image, kernel) == np.complex64
    dtype = np.dtype("float32" if single else "float64")
    value = 0j
    if image.dtype.kind == "c":
        value = complex_value(request.boundary, request.cval, dtype.name)
        request = replace(request, cval=0.0)
    problem = posed(request, image.shape, kernel.shape, dtype.name)
    if value:  # its parts differ, and a layer has one value for all channels
        image = np.pad(image, problem.padding, constant_values=value)
        problem = replace(problem, size=image.shape, padding=0)
    a, b = _real_parts("image", image, dtype)
    c, d = _real_parts("kernel", kernel, dtype)
    if not request.flip and d is not None:  # SciPy correlates with the conjugate
        d = -d
    with np.errstate(all="ignore"):  # NaN and infinity are data here
        return _layer(problem, a, b, c, d, products)


def _layer(problem: Problem, a: Any, b: Any, c: Any, d: Any, products: int) -> Parts:
    if d is None:
        layer = replace(problem, batch=2)
        return Parts(layer, np.stack([a, b])[:, None], c[None, None], "image")
    if b is None:
        layer = replace(problem, out_channels=2)
        return Parts(layer, a[None, None], np.stack([c, d])[:, None], "kernel")
    if products == 3:
        layer = replace(problem, in_channels=3, out_channels=3, groups=3)
        x, w = np.stack([a + b, a, b])[None], np.stack([c, d - c, c + d])[:, None]
        return Parts(layer, x, w, "three")
    layer = replace(problem, in_channels=2, out_channels=2)
    return Parts(layer, np.stack([a, b])[None], np.stack([[c, -d], [d, c]]), "four")


def _real_parts(
    what: str, array: np.ndarray, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the real and the imaginary part; None for that of a real array."""
    if array.dtype.kind != "c":
        return narrowed(what, array, dtype), None
    return narrowed(what, array.real, dtype), narrowed(what, array.imag, dtype)


def joined(real: np.ndarray, imaginary: np.ndarray) -> np.ndarray:
    """Return one complex array of its real and its imaginary part."""
    result = np.empty(real.shape, np.result_type(real, np.complex64))
    result.real, result.imag = real, imaginary
    return result
