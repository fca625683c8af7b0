"""The functions users call: `conv`, `plan`, `convolve`, `correlate`, `names`, `why_not`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from .algorithm import Algorithm, get, registry
from .errors import ConvbenchError, closest
from .plan import Plan
from .problem import DTYPES, Padding, Problem

MODES = ("full", "same", "valid")


def conv(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Any = 1,
    padding: Padding = 0,
    dilation: Any = 1,
    groups: int = 1,
    tile: Any = 1,
    connections: Any = None,
    flip: bool = False,
    fit: str = "floor",
    algorithm: str | Algorithm = "parallel",
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Convolve a batch of feature maps with a set of kernels.

    Parameters
    ----------
    x : ndarray, shape (N, C, *size)
        Input, float32 or float64, 1 to 3 spatial axes.
    w : ndarray, shape (O, C/groups, *kernel), or with `tile` (*tile, O, C/groups, *kernel)
        Kernels, same dtype.
    bias : ndarray, shape (O,), (O, *tile) or (O, *output_size), optional
        Added to every element of an output channel, to those that share a kernel, or to each.
    stride, padding, dilation, groups, tile, connections, flip, fit
        As in `Problem`.
    algorithm : str
        One of `names()`.
    threads : int, optional
        How many threads may run; by default all that Numba may use.
    out : ndarray, shape (N, O, *output_size), optional
        Where to write; C-contiguous.

    Returns
    -------
    ndarray, shape (N, O, *output_size)

    Raises
    ------
    ConvbenchError
        If the arrays do not fit each other or the algorithm cannot do it.

    Examples
    --------
    >>> x = np.arange(5.0).reshape(1, 1, 5)
    >>> w = np.array([[[1.0, 0.0, -1.0]]])
    >>> conv(x, w, padding="same").ravel()
    array([-1., -2., -2., -2.,  3.])
    >>> conv(x, w, padding="same", flip=True).ravel()
    array([ 1.,  2.,  2.,  2., -3.])

    A kernel for every second position (Goodfellow eq. 9.10):

    >>> conv(x, np.stack([w, -w]), padding="same", tile=2).ravel()
    array([-1.,  2., -2.,  2.,  3.])
    """
    x, w = np.asarray(x), np.asarray(w)
    problem = problem_of(
        x, w, bias_kind(bias, w), stride=stride, padding=padding, dilation=dilation,
        groups=groups, tile=tile, connections=connections, flip=flip, fit=fit,
    )  # fmt: skip
    w = w.reshape(problem.kernel_shape)
    return Plan(problem, w, bias, algorithm=algorithm, threads=threads)(x, out=out)


def plan(
    problem: Problem,
    w: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    *,
    algorithm: str | Algorithm = "parallel",
    threads: int | None = None,
) -> Plan:
    """Prepare `algorithm` for `problem` and kernel `w`; the result is called as ``y = f(x)``.

    For the gradients it is ``f(g)`` and, with no kernel given here, ``f(x, g)``; see `Plan`.

    Parameters
    ----------
    problem : Problem
    w : ndarray, shape (O, C/groups, *kernel), unless ``problem.operation`` is "grad_weight"
    bias : ndarray, shape (O,), where ``problem.bias``
    algorithm, threads
        As in `conv`.

    Examples
    --------
    >>> blur = plan(Problem(size=(6,), kernel=2, dtype="float64"), np.full((1, 1, 2), 0.5))
    >>> blur(np.arange(6.0).reshape(1, 1, 6)).ravel()
    array([0.5, 1.5, 2.5, 3.5, 4.5])
    """
    return Plan(problem, w, bias, algorithm=algorithm, threads=threads)


def bias_kind(bias: np.ndarray | None, w: np.ndarray) -> bool | str:
    """What shares a value of `bias`, in the words of `Problem`, by its shape."""
    if bias is None or np.ndim(bias) < 2:
        return bias is not None
    axes = np.ndim(bias) - 1
    by_tile = w.ndim > axes + 2 and np.shape(bias)[1:] == w.shape[:axes]
    return "tile" if by_tile else "location"


def problem_of(x: np.ndarray, w: np.ndarray, bias: bool | str = False, **fields: Any) -> Problem:
    """The problem that convolving `x` of shape (N, C, *size) with `w` poses."""
    try:
        return _posed(x.shape, w.shape, x.dtype, w.dtype, bias, **fields)
    except TypeError:  # a field that cannot be looked up by, such as a list
        return _posed.__wrapped__(x.shape, w.shape, x.dtype, w.dtype, bias, **fields)


@lru_cache(maxsize=1024, typed=True)
def _posed(
    x: tuple[int, ...], w: tuple[int, ...], x_type: np.dtype, w_type: np.dtype, bias: bool | str,
    **fields: Any,
) -> Problem:  # fmt: skip
    """The problem of arrays of shapes `x` and `w`."""
    axes = len(x) - 2
    period = w[: len(w) - len(x)]
    w = w[axes:] if len(period) == axes and 0 not in w else w
    if len(x) != len(w) or not 1 <= axes <= 3:
        raise ConvbenchError(
            f"input has shape {x} and kernel {w}; expected (N, C, *size) and "
            f"(O, C/groups, *kernel) with the same 1, 2 or 3 spatial axes"
        )
    if 0 in x or 0 in w:
        raise ConvbenchError(f"input has shape {x} and kernel {w}: no axis may be empty")
    for what, dtype in (("input", x_type), ("kernel", w_type)):
        if dtype.name not in DTYPES:
            raise ConvbenchError(
                f"{what} is {dtype}; expected float32 or float64, convert with .astype()"
            )
    if x_type.name != w_type.name:
        raise ConvbenchError(
            f"input is {x_type} but kernel is {w_type}; convert one of them with .astype()"
        )
    problem = Problem(
        size=x[2:], kernel=w[2:], batch=x[0], in_channels=x[1], out_channels=w[0],
        dtype=x_type.name, bias=bias, **fields,
    )  # fmt: skip
    if (period or problem.is_tiled) and period != problem.tile:
        raise ConvbenchError(
            f"kernels of shape {period + w} have a period of {period or 1}, tile "
            f"{problem.tile} was asked for; expected {problem.kernel_shape}"
        )
    if problem.kernel_shape[-len(w) :] != w:
        raise ConvbenchError(
            f"kernel has shape {w}; {x[1]} input channels in {problem.groups} group(s) "
            f"need {problem.kernel_shape}"
        )
    return problem


def convolve(
    image: np.ndarray,
    kernel: np.ndarray,
    mode: str = "full",
    method: str = "auto",
    *,
    threads: int | None = None,
) -> np.ndarray:
    """Convolve two arrays of 1 to 3 axes: a drop-in for `scipy.signal.convolve`.

    Parameters
    ----------
    image, kernel : array_like
        Same number of axes. Integers give integers, exactly or not at all; float32 with
        float32 gives float32, everything else float64.
    mode : {"full", "same", "valid"}
        As in SciPy: "same" is centred and as large as `image`; "valid" needs one array to
        be at least as large as the other along every axis.
    method : str
        "auto", or one of our algorithm names; SciPy's "direct" stands for "parallel".

    Returns
    -------
    ndarray

    Examples
    --------
    >>> convolve([1, 2, 3], [0, 1, 0.5])
    array([0. , 1. , 2.5, 4. , 1.5])
    >>> convolve([1, 2, 3], [0, 1, 0.5], mode="same")
    array([1. , 2.5, 4. ])
    """
    return _filter(image, kernel, mode, method, threads, flip=True)


def correlate(
    image: np.ndarray,
    kernel: np.ndarray,
    mode: str = "full",
    method: str = "auto",
    *,
    threads: int | None = None,
) -> np.ndarray:
    """Cross-correlate two arrays: a drop-in for `scipy.signal.correlate` on real data.

    Parameters are those of `convolve`.

    Examples
    --------
    >>> correlate([1, 2, 3], [0, 1, 0.5])
    array([0.5, 2. , 3.5, 3. , 0. ])
    """
    return _filter(image, kernel, mode, method, threads, flip=False)


def _filter(
    image: Any, kernel: Any, mode: str, method: str, threads: int | None, flip: bool
) -> np.ndarray:
    image, kernel = np.asarray(image), np.asarray(kernel)
    if mode not in MODES:
        raise ConvbenchError(f"mode {mode!r} is not known; {closest(mode, list(MODES))}")
    if image.ndim != kernel.ndim or not 1 <= image.ndim <= 3:
        raise ConvbenchError(
            f"image has {image.ndim} axes and kernel {kernel.ndim}; both need the same 1, 2 or 3"
        )
    swapped = mode == "valid" and any(k > i for i, k in zip(image.shape, kernel.shape, strict=True))
    if swapped:
        image, kernel = kernel, image
    given = np.result_type(image, kernel)
    if given.kind not in "biuf":
        raise ConvbenchError(f"arrays of {given} are not supported; real numbers are")
    dtype = np.dtype("float32") if given == np.float32 else np.dtype("float64")
    x = image.astype(dtype, copy=False)[None, None]
    w = kernel.astype(dtype, copy=False)[None, None]
    if 0 in x.shape or 0 in w.shape:
        raise ConvbenchError("neither image nor kernel may have an empty axis")
    padding = {
        "full": tuple((k - 1, k - 1) for k in kernel.shape),
        "same": tuple((k // 2, (k - 1) // 2) for k in kernel.shape),
        "valid": 0,
    }[mode]
    problem = problem_of(x, w, padding=padding, flip=flip)
    chosen = _choose(problem, w) if method == "auto" else {"direct": "parallel"}.get(method, method)
    y = Plan(problem, w, algorithm=chosen, threads=threads)(x)[0, 0]
    if swapped and not flip:
        y = y[(slice(None, None, -1),) * y.ndim]
    return y if given.kind == "f" else _to_integers(y, image, kernel, given)


def _choose(problem: Problem, w: np.ndarray) -> str:
    """A rule of thumb: few taps go direct, many to separable passes, else to the FFT.

    The suites measure where the true borders lie on a machine; this only avoids the worst.
    """
    if problem.taps <= 121:
        return "parallel"
    if get("separable").why_not(problem, w) is None:
        return "separable"
    return "fft" if problem.taps > 400 else "parallel"


def _to_integers(
    y: np.ndarray, image: np.ndarray, kernel: np.ndarray, dtype: np.dtype
) -> np.ndarray:
    largest = float(np.abs(image.astype(float)).max() * np.abs(kernel.astype(float)).sum())
    if largest >= 2**53:
        raise ConvbenchError(
            f"sums of these integers may reach {largest:.3g}, beyond the 2^53 that float64 holds "
            f"exactly; convert to float64 to accept rounding"
        )
    return np.rint(y).astype(dtype)


def names(problem: Problem | None = None) -> list[str]:
    """Names of all algorithms, or of those that can do `problem`."""
    return [
        name
        for name, algorithm in registry().items()
        if problem is None or algorithm.performer(problem).why_not(problem) is None
    ]


def why_not(problem: Problem, w: np.ndarray | None = None) -> dict[str, str]:
    """Why some algorithms cannot do `problem`: a sentence by name; the able ones are absent.

    With the kernel `w` given, reasons that lie in its values are found too, such as a rank
    that rules out separable passes.
    """
    reasons = {name: a.performer(problem).why_not(problem, w) for name, a in registry().items()}
    return {name: reason for name, reason in reasons.items() if reason}
