"""Hand-made kernels: Gaussian, Sobel, Gabor, the two-element edge, and kernels from files.

Every kernel is written for convolution, the operation that flips it (``flip=True``,
Goodfellow eq. 9.5): ``sobel-x`` is positive where the picture gets brighter to the right.
Under cross-correlation the odd ones (Sobel, edge, emboss) change sign.

A spec is a name and its numbers, separated by colons: ``gaussian:15:2.5``. Without a size it has
the problem's kernel size, or else the filter's own.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from algos.core.arrays import narrowed
from algos.core.errors import ConvbenchError, closest

from . import fills
from .onnx_tensors import is_source, read_tensor
from .picture_files import load_array

Size = tuple[int, ...]

#: Names of weights that are not filters.
_WORDS = ("random", "rank1", *fills.WEIGHTS)
#: Most elements of a hand-made kernel, which takes half a gigabyte while it is being made.
MOST_ELEMENTS = 1 << 24


def names() -> list[str]:
    """Return the names that `make` knows, in the order of their documentation."""
    return list(FILTERS)


def spellings() -> list[tuple[str, str, str]]:
    """Return a row per filter: its spec with its numbers, its own size, and a sentence on it."""
    rows = []
    for name, (build, size, extras) in FILTERS.items():
        numbers = list(inspect.signature(build).parameters)[2 : 2 + extras]
        spec = name + "[:SIZE" + "".join(f"[:{n.upper()}" for n in numbers) + "]" * (1 + extras)
        made = build.func if isinstance(build, partial) else build
        rows.append((spec, str(size), (inspect.getdoc(made) or "").split("\n")[0]))
    return rows


def is_path(spec: str) -> bool:
    """Return True if `spec` names a file, by its form or because the file exists."""
    if is_source(spec):
        return True
    if spec in _WORDS or spec.partition(":")[0] in FILTERS:
        return False
    dotted = ":" not in spec and bool(Path(spec).suffix)  # gaussian:15:2.5 is not a file
    return dotted or spec.lower().endswith(".npy") or "/" in spec or Path(spec).is_file()


def make(spec: str, kernel_size: Size | None = None, axes: int | None = None) -> np.ndarray:
    """Return the kernel that `spec` describes.

    Parameters
    ----------
    spec : str
        One of `names()`, or the path of a ``.npy`` or ``.npz`` file. Numbers may follow a name.
        ``"gaussian:15:2.5"`` gives size and sigma in samples, by default size / 6.
        ``"gabor:21:45"`` gives size and angle in degrees.
    kernel_size : `tuple of int, optional`
        The problem's kernel size; a filter that does not exist in it raises an error.
    axes : `int, optional`
        Number of spatial axes, 1 to 3; by default that of `kernel_size` or of the file, or 2.

    Returns
    -------
    ndarray of float64, shape `kernel_size`
        A file may also hold a layer's whole set of kernels, (O, C/groups, *kernel).

    Raises
    ------
    ConvbenchError
        If the spec is not understood, or does not exist in that size or number of axes.
        If the file cannot be read.

    Examples
    --------
    >>> make("sobel-x")
    array([[ 1.,  0., -1.],
           [ 2.,  0., -2.],
           [ 1.,  0., -1.]])
    >>> make("box:2", axes=1)
    array([0.5, 0.5])
    """
    if is_source(spec):
        return _checked(spec, read_tensor(spec), kernel_size, axes)
    if is_path(spec):
        return _load(spec, kernel_size, axes)
    axes = axes or (len(kernel_size) if kernel_size else 2)
    name, *numbers = spec.split(":")
    if name not in FILTERS:
        raise ConvbenchError(
            f"filter {spec!r} is not known; {closest(name, names())}; "
            f"or give the path of a .npy file"
        )
    build, default, extras = FILTERS[name]
    if len(numbers) > 1 + extras:
        raise ConvbenchError(f"filter {spec!r} has too many numbers; {name} takes {1 + extras}")
    size = kernel_size or (default if name != "edge" else 1,) * (axes - 1) + (default,)
    if numbers:
        asked = _size(spec, numbers[0], axes)
        if kernel_size and asked != kernel_size:
            raise ConvbenchError(
                f"filter {spec!r} is {_times(asked)}, the problem's kernel {_times(kernel_size)}; "
                f"leave the filter's size out and it takes the problem's"
            )
        size = asked
    if len(size) != axes:
        raise ConvbenchError(
            f"filter {name!r} has {len(size)} axes, the problem has {axes}; "
            f"choose one that exists in {axes}: gaussian, box, laplacian, sharpen, identity"
        )
    if math.prod(size) > MOST_ELEMENTS:
        raise ConvbenchError(
            f"a kernel of {_times(size)} is too large to be made by hand; "
            f"at most {MOST_ELEMENTS} elements are supported"
        )
    return build(name, size, *(_number(spec, text) for text in numbers[1:]))


def _load(path: str, kernel_size: Size | None, axes: int | None) -> np.ndarray:
    return _checked(path, load_array(path, "kernel file"), kernel_size, axes)


def _checked(
    path: str, kernel: np.ndarray, kernel_size: Size | None, axes: int | None
) -> np.ndarray:
    axes = axes or (len(kernel_size) if kernel_size else kernel.ndim)
    if kernel.ndim not in (axes, axes + 2) or 0 in kernel.shape or axes > 3:
        raise ConvbenchError(
            f"kernel file {path!r} has shape {kernel.shape}; expected {axes} spatial axes, "
            f"none empty, or (O, C/groups) and then those"
        )
    if kernel_size and kernel.shape[-axes:] != tuple(kernel_size):
        raise ConvbenchError(
            f"kernel file {path!r} is {_times(kernel.shape[-axes:])}, "
            f"the problem's kernel {_times(kernel_size)}"
        )
    return narrowed(f"kernel file {path!r}", kernel, np.float64)


def _number(spec: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConvbenchError(f"filter {spec!r}: {text!r} is not a number")
    return value


def _size(spec: str, text: str, axes: int) -> Size:
    """Return the size in ``15``, for every axis, or in ``15x1``, axis by axis."""
    parts = text.split("x")
    if not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise ConvbenchError(
            f"filter {spec!r}: size {text!r} must be a whole number of taps such as 15, "
            f"or one per axis such as 15x7"
        )
    size = tuple(int(part) for part in parts)
    return size * axes if len(size) == 1 else size


def _times(size: Size) -> str:
    return "×".join(map(str, size))


def _demand(
    name: str, size: Size, *, axes: Size = (1, 2, 3), only: Size = (), odd: bool = False
) -> None:
    """Raise `ConvbenchError` for sizes in which a filter does not exist."""
    if len(size) not in axes:
        known = " or ".join(map(str, axes))
        raise ConvbenchError(f"filter {name!r} exists in {known} axes, not in {len(size)}")
    if only and size != only:
        raise ConvbenchError(f"filter {name!r} is {_times(only)}, not {_times(size)}")
    if odd and not all(s % 2 for s in size):
        raise ConvbenchError(
            f"filter {name!r} needs a tap in the middle; size {_times(size)} has none, "
            f"use an odd size"
        )


def _coordinates(size: Size) -> list[np.ndarray]:
    """Return the distances from the kernel's centre in samples, per axis, ready to broadcast."""
    offsets = [np.arange(s) - (s - 1) / 2 for s in size]
    return list(np.meshgrid(*offsets, indexing="ij", sparse=True))


def _outer(factors: list[np.ndarray]) -> np.ndarray:
    product = factors[0]
    for factor in factors[1:]:
        product = product[..., None] * factor
    return product


def _gaussian(name: str, size: Size, sigma: float | None = None) -> np.ndarray:
    """A bell that sums to one; by default the kernel's edge lies three sigma out."""
    if sigma is not None and sigma <= 0:
        raise ConvbenchError(f"filter {name!r}: sigma {sigma:g} must be above 0")
    factors = []
    for taps in size:
        spread = sigma or taps / 6
        profile = np.exp(-0.5 * ((np.arange(taps) - (taps - 1) / 2) / spread) ** 2)
        factors.append(profile / profile.sum())
    return _outer(factors)


def _box(name: str, size: Size) -> np.ndarray:
    """The mean of the samples below it."""
    return np.full(size, 1 / math.prod(size))


def _identity(name: str, size: Size) -> np.ndarray:
    """One in the middle: the picture as it was."""
    _demand(name, size, odd=True)
    kernel = np.zeros(size)
    kernel[tuple(s // 2 for s in size)] = 1
    return kernel


def _laplacian(name: str, size: Size) -> np.ndarray:
    """The second differences along every axis, added: 4 in the middle becomes −2·axes."""
    _demand(name, size, only=(3,) * len(size))
    kernel = np.zeros(size)
    for axis in range(len(size)):
        index: list[int | slice] = [1] * len(size)
        index[axis] = slice(None)
        kernel[tuple(index)] += (1, -2, 1)
    return kernel


def _sharpen(name: str, size: Size, amount: float = 1.0) -> np.ndarray:
    """Unsharp masking: the picture plus `amount` times what a Gaussian takes away."""
    _demand(name, size, odd=True)
    identity = _identity(name, size)
    return identity + amount * (identity - _gaussian(name, size))


def _sobel(name: str, size: Size, *, along: int) -> np.ndarray:
    """A central difference along one axis, smoothed by 1 2 1 along the other."""
    _demand(name, size, axes=(2,), only=(3, 3))
    difference, smooth = np.array([1.0, 0.0, -1.0]), np.array([1.0, 2.0, 1.0])
    return _outer([difference, smooth] if along == 0 else [smooth, difference])


def _emboss(name: str, size: Size) -> np.ndarray:
    """Light from the upper left; sums to one."""
    _demand(name, size, axes=(2,), only=(3, 3))
    return np.array([[2.0, 1.0, 0.0], [1.0, 1.0, -1.0], [0.0, -1.0, -2.0]])


def _edge(name: str, size: Size) -> np.ndarray:
    """Goodfellow fig. 9.6: from each pixel, the value of its left neighbour is subtracted."""
    _demand(name, size, only=(1,) * (len(size) - 1) + (2,))
    return np.array([1.0, -1.0]).reshape(size)


def _gabor(name: str, size: Size, angle: float = 0.0) -> np.ndarray:
    """A wave under a Gaussian bell, three crests across the kernel, summing to zero.

    The wave runs along x at 0 degrees and along y at 90 (Daugman 1985,
    doi:10.1364/JOSAA.2.001160). Only at multiples of 90 degrees is it an outer product.
    """
    _demand(name, size, axes=(2,), odd=True)
    y, x = _coordinates(size)
    turn = math.radians(angle)
    bell = _gaussian(name, size)
    wave = np.cos(2 * math.pi * 3 / min(size) * (x * math.cos(turn) + y * math.sin(turn)))
    kernel = bell * (wave - (bell * wave).sum())
    return kernel / max(np.abs(kernel).sum(), 1e-300)


def _motion(name: str, size: Size) -> np.ndarray:
    """A camera moved along the diagonal: rank as full as it gets."""
    _demand(name, size, axes=(2,))
    if size[0] != size[1]:
        raise ConvbenchError(f"filter {name!r} needs a square size, not {_times(size)}")
    return np.eye(size[0]) / size[0]


# name: (builder, size where none is given, numbers it takes after the size)
FILTERS: dict[str, tuple[Callable[..., np.ndarray], int, int]] = {
    "gaussian": (_gaussian, 7, 1),
    "box": (_box, 3, 0),
    "sobel-x": (partial(_sobel, along=1), 3, 0),
    "sobel-y": (partial(_sobel, along=0), 3, 0),
    "sharpen": (_sharpen, 5, 1),
    "laplacian": (_laplacian, 3, 0),
    "emboss": (_emboss, 3, 0),
    "gabor": (_gabor, 21, 1),
    "edge": (_edge, 2, 0),
    "identity": (_identity, 3, 0),
    "motion": (_motion, 15, 0),
}
