"""The numbers a case is computed on: reproducible, the same in every process.

Every array depends only on the case and the seed. Random input is standard normal, and random
kernels are scaled by 1/√taps. Hand-made kernels are divided by the number of channels that they
sum over. So outputs stay of the order of one for sums of any length.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import Any

import numpy as np

from algos.core.arrays import narrowed
from algos.core.errors import ConvbenchError
from algos.core.family import CONVOLUTION
from algos.core.memory_order import CHANNELS_FIRST
from algos.core.problem import Problem
from algos.filtering.request import same_sides

from . import fills, filters, pictures
from .suite import Case

RANDOM_WEIGHTS = ("random", "rank1", *fills.WEIGHTS)


def arrays(case: Case, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the two operands of a case, and its bias.

    Parameters
    ----------
    case : Case
    seed : int
        Another seed gives other random numbers; pictures and hand-made kernels stay.

    Returns
    -------
    first : ndarray
        `(N, C, *size)`, the input. For grad_input, the output's gradient.
    second : ndarray
        `(O, C/groups, *kernel)`, the kernels. For grad_weight, the output's gradient.
    bias : ndarray or None
        `problem.bias_shape` is its shape. All arrays have the problem's dtype.
        They are C-contiguous and writeable.

    Raises
    ------
    ConvbenchError
        If a picture or kernel cannot be read or does not fit the problem.

    Examples
    --------
    >>> problem = Problem(size=(8, 8), kernel=3, in_channels=2, out_channels=4)
    >>> x, w, bias = arrays(Case(problem))
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


def kernel(case: Case, seed: int = 0) -> np.ndarray | None:
    """Return the kernels of a case as `arrays` does; None if its operands hold none."""
    problem = case.problem
    if problem.family is not CONVOLUTION or problem.operation == "grad_weight":
        return None
    return _kernels(case, _generator(case, seed, "kernel"))


def has_nonfinite(x: np.ndarray) -> bool:
    """Return True if `x` holds a NaN or infinity, which an FFT spreads over the whole output."""
    return not bool(np.isfinite(x).all())


def case_from_files(
    input: str,  # noqa: A002
    kernel: str,
    dtype: str = "float32",
    boundary: str | None = None,
    cval: float = 0.0,
) -> Case:
    """Return the case of ``--input`` and ``--kernel``: one picture or array, one filter.

    The output has the input's size, as `scipy.signal.convolve` gives with ``mode="same"``. With a
    boundary, even kernels are placed as `scipy.ndimage.convolve` does. The kernel is flipped. In
    signal processing, filtering means convolution (`scipy.signal.convolve`,
    `scipy.ndimage.convolve`), and the hand-made kernels are written for it.

    Every plane of a colour picture is filtered with the same kernel, as one image of a batch. A
    kernel file of shape (O, C, *kernel) is a network layer instead. Then the planes are the
    channels of one image, and the kernel is not flipped.

    Parameters
    ----------
    input : `str`
        Path of a picture or a ``.npy`` array, or ``"photograph"`` or ``"mri"``.
    kernel : `str`
        Spec for `filters.make`.
    dtype : `{"float32", "float64"}`
    boundary, cval
        As in `Problem`; by default zeros.

    Raises
    ------
    ConvbenchError
        If one of them cannot be read, or if they do not fit each other.
    """
    planes, size = pictures.size_of(input)
    axes = len(size)
    w = filters.make(kernel, None, axes)
    name = f"{pictures.label(input)}:{pictures.label(kernel)}"
    taps = w.shape[-axes:]
    flipped = w.ndim == axes
    padding = tuple(same_sides(k, 0, flipped, boundary is not None) for k in taps)
    fields: dict[str, Any] = {
        "size": size, "kernel": taps, "dtype": dtype, "padding": padding,
        "boundary": "zeros" if boundary is None else boundary, "cval": cval,
    }  # fmt: skip
    if flipped:
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


def remarks_on_files(case: Case) -> list[str]:
    """Return sentences on the planes of a case of `case_from_files`, and on what was read.

    Empty for a grey picture that was read as it is.
    """
    planes, said = pictures.examine(case.pixels)
    problem, name = case.problem, pictures.label(case.pixels)
    sentences = [f"{name}: {clause}." for clause in said]
    size = "×".join(map(str, problem.size))
    if problem.in_channels > 1:
        images = "1 image" if problem.batch == 1 else f"{problem.batch} images"
        sentences.append(f"{name}: {len(planes)} planes of {size} are the channels of {images}.")
    elif len(planes) > 1:
        sentences.append(
            f"{name}: {len(planes)} planes of {size}, such as colours, are filtered alike, each as "
            f"an image of a batch; a kernel file of shape (O, {len(planes)}, …) makes them "
            f"channels."
        )
    return sentences


def _generator(case: Case, seed: int, part: str) -> np.random.Generator:
    """Return a generator for one array, independent of the other arrays' generators."""
    problem = replace(case.problem, name="", layout=CHANNELS_FIRST)  # the same numbers for both
    return seeded(seed, f"{problem} {case.weights} {case.pixels} {part}")


def seeded(seed: int, text: str) -> np.random.Generator:
    """Return a generator for what `text` names, independent of those for other texts."""
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
    """Return an outer product of random vectors per filter and channel, rounded at the end."""
    pairs = problem.kernel_shape[: -problem.axes]
    w = np.full(pairs + (1,) * problem.axes, 1 / math.sqrt(problem.taps))
    for axis, taps in enumerate(problem.kernel):
        shape = [1] * problem.axes
        shape[axis] = taps
        w = w * rng.standard_normal((*pairs, *shape))
    return w.astype(problem.dtype)
