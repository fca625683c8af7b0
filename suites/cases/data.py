"""The numbers a case is computed on: reproducible, the same in every process.

Every array depends on the case and the seed alone. Random input is standard normal and
random kernels are scaled by 1/√taps, so outputs stay of the order of one however long the
sums are; hand-made kernels are divided by the number of channels they sum over.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import Any

import numpy as np

from algos.core.arrays import narrowed
from algos.core.errors import ConvbenchError
from algos.core.problem import Problem

from . import fills, filters, pictures
from .suite import Case

RANDOM_WEIGHTS = ("random", "rank1", *fills.WEIGHTS)


def arrays(case: Case, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The two operands of a case, and its bias.

    Parameters
    ----------
    case : Case
    seed : int
        Another seed gives other random numbers; pictures and hand-made kernels stay.

    Returns
    -------
    first : ndarray
        Input (N, C, *size); for grad_input the output's gradient (N, O, *output_size).
    second : ndarray
        Kernels (O, C/groups, *kernel); for grad_weight the output's gradient.
    bias : ndarray, of the problem's ``bias_shape``, or None
        All of the problem's dtype, C-contiguous and writeable.

    Raises
    ------
    ConvbenchError
        If a picture or kernel cannot be read or does not fit the problem.

    Examples
    --------
    >>> case = Case(Problem(size=(8, 8), kernel=3, in_channels=2, out_channels=4))
    >>> x, w, bias = arrays(case)
    >>> x.shape, w.shape, bias
    ((1, 2, 8, 8), (4, 2, 3, 3), None)
    """
    problem = case.problem
    x = _input(case, _generator(case, seed, "input"))
    w = _second(case, _generator(case, seed, "kernel"))
    bias = None
    if problem.bias:
        rng, shape = _generator(case, seed, "bias"), problem.bias_shape
        exact = case.pixels == "integers"
        make = fills.integers if exact else lambda r, p, s: _normal(r, s, p.dtype)
        bias = make(rng, problem, shape)
    return x, w, bias


def has_nonfinite(x: np.ndarray) -> bool:
    """Whether `x` holds a NaN or an infinity (which an FFT spreads over the whole output)."""
    return not bool(np.isfinite(x).all())


def case_from_files(input: str, kernel: str, dtype: str = "float32") -> Case:  # noqa: A002
    """The case of ``--input`` and ``--kernel``: one picture or array, one filter.

    The output has the input's size, as one expects of a filtered picture
    (`scipy.signal.convolve` with ``mode="same"``). The kernel is flipped: "filter with
    this kernel" means convolution in signal processing (`scipy.signal.convolve`,
    `scipy.ndimage.convolve`), and the hand-made kernels are written for it. Every plane
    of a colour picture is filtered alike, as one image of a batch, unless the kernel file
    holds (O, C, *kernel): then the planes are the channels of one image, and it is a
    network layer, which does not flip.

    Parameters
    ----------
    input : str
        Path of a picture or a ``.npy`` array, or ``"photograph"`` or ``"mri"``.
    kernel : str
        A spec as `filters.make` reads it.
    dtype : {"float32", "float64"}

    Raises
    ------
    ConvbenchError
        If one of them cannot be read or they do not fit each other.
    """
    planes, size = pictures.size_of(input)
    axes = len(size)
    w = filters.make(kernel, None, axes)
    name = f"{pictures.label(input)}:{pictures.label(kernel)}"
    taps = w.shape[-axes:]
    # Where scipy centres an even kernel; for an odd one this is "same".
    padding = tuple((k // 2, (k - 1) // 2) for k in taps)
    fields: dict[str, Any] = {"size": size, "kernel": taps, "dtype": dtype, "padding": padding}
    if w.ndim == axes:
        problem = Problem(**fields, batch=planes, flip=True, name=name)
    elif planes % w.shape[1]:
        raise ConvbenchError(
            f"input {input!r} has {planes} channels, kernel {kernel!r} of shape {w.shape} "
            f"sums over {w.shape[1]}; the one must be a multiple of the other"
        )
    else:
        problem = Problem(
            **fields, batch=planes // w.shape[1], in_channels=w.shape[1],
            out_channels=w.shape[0], name=name,
        )  # fmt: skip
    return Case(problem, weights=kernel, pixels=input)


def _generator(case: Case, seed: int, part: str) -> np.random.Generator:
    """A generator of its own for every array, so that none shifts another's numbers."""
    problem = replace(case.problem, name="")
    text = f"{problem} {case.weights} {case.pixels} {part}"
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, dtype="<u4").tolist()])


def _normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.dtype(dtype).type)


def _input(case: Case, rng: np.random.Generator) -> np.ndarray:
    problem = case.problem
    if case.pixels == "random":
        return _normal(rng, problem.operands[0], problem.dtype)
    if case.pixels in fills.PIXELS:
        return fills.pixels(case.pixels, rng, problem)
    if problem.operation == "grad_input":
        raise ConvbenchError(
            f"pixels {case.pixels!r} are an input, grad_input starts from the gradient of an "
            f'output; use pixels "random"'
        )
    planes = pictures.read(case.pixels)
    wanted = problem.batch * problem.in_channels
    if planes.shape != (wanted, *problem.size):
        raise ConvbenchError(
            f"{case.pixels!r} has shape {planes.shape}, planes first; problem {problem} reads "
            f"{(wanted, *problem.size)}; leave size and batch out and they are taken "
            f"from the picture"
        )
    planes = narrowed(f"input {case.pixels!r}", planes, problem.dtype)
    return np.array(planes.reshape(problem.input_shape))


def _second(case: Case, rng: np.random.Generator) -> np.ndarray:
    problem = case.problem
    if problem.operation != "grad_weight":
        return _kernels(case, rng)
    if case.weights == "integers":
        return fills.integers(rng, problem, problem.output_shape)
    if case.weights != "random":
        raise ConvbenchError(
            f"weights {case.weights!r} are a kernel, grad_weight computes one from an input and "
            f'the gradient of an output; use weights "random"'
        )
    g = _normal(rng, problem.output_shape, problem.dtype)
    g *= 1 / math.sqrt(problem.terms)
    return g


def _kernels(case: Case, rng: np.random.Generator) -> np.ndarray:
    problem = case.problem
    if case.weights == "random":
        w = _normal(rng, problem.kernel_shape, problem.dtype)
        w *= 1 / math.sqrt(problem.taps)
        return w
    if case.weights == "rank1":
        return _outer_products(problem, rng)
    if case.weights in fills.WEIGHTS:
        return fills.weights(case.weights, rng, problem)
    kernel = filters.make(case.weights, problem.kernel, problem.axes)
    kernel = narrowed(f"kernel {case.weights!r}", kernel, problem.dtype).astype(np.float64)
    if kernel.ndim == problem.axes:
        # One kernel for every pair of channels; the sum over them stays of order one.
        kernel = np.broadcast_to(
            kernel / (problem.in_channels // problem.groups), problem.kernel_shape
        )
    elif kernel.shape != problem.kernel_shape:
        raise ConvbenchError(
            f"kernel file {case.weights!r} has shape {kernel.shape}, problem {problem} "
            f"needs {problem.kernel_shape}"
        )
    return np.array(kernel, dtype=problem.dtype, order="C")


def _outer_products(problem: Problem, rng: np.random.Generator) -> np.ndarray:
    """Per filter and channel the outer product of random vectors, rounded only at the end."""
    pairs = problem.kernel_shape[: -problem.axes]
    w = np.full(pairs + (1,) * problem.axes, 1 / math.sqrt(problem.taps))
    for axis, taps in enumerate(problem.kernel):
        shape = [1] * problem.axes
        shape[axis] = taps
        w = w * rng.standard_normal((*pairs, *shape))
    return w.astype(problem.dtype)
