"""The functions users call: `conv`, `plan`, `problem_of`, `names`, `why_not`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from algos import registry
from algos.adapters import performer

from .choice import AUTO, resolve
from .core.algorithm import Algorithm
from .core.arrays import as_array, check_apart, take
from .core.errors import ConvbenchError
from .core.family import check_problem
from .core.layouts import check_layouts
from .core.memory_order import layout_of
from .core.problem import DTYPES, Padding, Problem
from .filtering import convolve, correlate
from .plan import Plan

__all__ = ["conv", "convolve", "correlate", "names", "plan", "problem_of", "why_not"]


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
    boundary: str = "zeros",
    cval: float = 0.0,
    layout: str | None = None,
    algorithm: str | Algorithm = AUTO,
    threads: int | None = None,
    accuracy: str | float = "standard",
    memory: int | None = None,
    deterministic: bool = False,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Convolve a batch of feature maps with a set of kernels.

    Parameters
    ----------
    x : ndarray, shape (N, C, *size)
        Input with 1 to 3 spatial axes. Its dtype is float32 or float64.
    w : ndarray, shape (O, C/groups, *kernel), or with `tile` (*tile, O, C/groups, *kernel)
        Kernels. Their dtype is that of `x`.
    bias : ndarray, shape (O,), (O, *tile) or (O, *output_size), optional
        Bias. One number per output channel, per kernel of a tile, or per output. Default: none.
    stride, padding, dilation, groups, tile, connections, flip, fit, boundary, cval
        Fields of the problem. See `Problem` for meanings and defaults.
    layout : {"channels_first", "channels_last"}, optional
        Order in memory that arrays are read and written in, as in `Problem`. By default channels
        last if `x`, and `out` where it is given, lie so in memory. Other inputs are copied.
    algorithm : str
        Name of the algorithm, one of `names()`. By default "auto", the algorithm that is expected
        to be fastest.
    threads : int, optional
        Largest number of threads. Default: all that Numba may use.
    accuracy, memory, deterministic
        Limits of the automatic choice. See `choose`.
    out : ndarray, shape (N, O, *output_size), optional
        Array for the result, in its layout. Default: a new array.

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
    >>> conv(x, w, padding="same", boundary="wrap").ravel()
    array([ 3., -2., -2., -2.,  3.])
    >>> conv(x, w, padding="same", flip=True).ravel()
    array([ 1.,  2.,  2.,  2., -3.])

    The channels of a pixel may lie side by side. Then those of the result do, too:

    >>> images = np.ones((2, 32, 32, 3))  # N, height, width, C
    >>> y = conv(np.moveaxis(images, -1, 1), np.ones((8, 3, 3, 3)))
    >>> y.shape, np.moveaxis(y, 1, -1).flags.c_contiguous
    ((2, 8, 30, 30), True)

    A kernel for every second position (Goodfellow eq. 9.10):

    >>> conv(x, np.stack([w, -w]), padding="same", tile=2).ravel()
    array([-1.,  2., -2.,  2.,  3.])
    """
    x, w = as_array("input", x), as_array("kernel", w)
    bias = None if bias is None else as_array("bias", bias)
    problem = problem_of(
        x, w, bias_kind(bias, w), stride=stride, padding=padding, dilation=dilation,
        groups=groups, tile=tile, connections=connections, flip=flip, fit=fit,
        boundary=boundary, cval=cval, layout=layout_of(x, out) if layout is None else layout,
    )  # fmt: skip
    w = take(
        "kernel", w.reshape(problem.kernel_shape), problem.kernel_shape, np.dtype(problem.dtype)
    )
    chosen = resolve(
        algorithm, problem, w, x, use="once", accuracy=accuracy, memory=memory, threads=threads,
        deterministic=deterministic,
    )  # fmt: skip
    if isinstance(out, np.ndarray):
        check_apart(out, "kernel", w)
    return Plan(problem, w, bias, algorithm=chosen, threads=threads, copy=False)(x, out=out)


def plan(
    problem: Problem,
    w: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    *,
    algorithm: str | Algorithm = AUTO,
    threads: int | None = None,
    accuracy: str | float = "standard",
    memory: int | None = None,
    deterministic: bool = False,
) -> Plan:
    """Prepare `algorithm` for `problem` and kernel `w`; the result is called as ``y = f(x)``.

    For the gradients it is ``f(g)`` and, with no kernel given here, ``f(x, g)``; see `Plan`.

    Parameters
    ----------
    problem : Problem
    w : ndarray, shape (O, C/groups, *kernel), unless ``problem.operation`` is "grad_weight"
    bias : ndarray, shape (O,), where ``problem.bias``
    algorithm, threads, accuracy, memory, deterministic
        As in `conv`.

    Examples
    --------
    >>> blur = plan(Problem(size=(6,), kernel=2, dtype="float64"), np.full((1, 1, 2), 0.5))
    >>> blur(np.arange(6.0).reshape(1, 1, 6)).ravel()
    array([0.5, 1.5, 2.5, 3.5, 4.5])
    """
    return Plan(
        problem, w, bias, algorithm=algorithm, threads=threads, accuracy=accuracy, memory=memory,
        deterministic=deterministic,
    )  # fmt: skip


def bias_kind(bias: np.ndarray | None, w: np.ndarray) -> bool | str:
    """Return the kind of bias that the shape of `bias` implies, as `Problem.bias` names it."""
    if bias is None or np.ndim(bias) < 2:
        return bias is not None
    axes = np.ndim(bias) - 1
    by_tile = w.ndim > axes + 2 and np.shape(bias)[1:] == w.shape[:axes]
    return "tile" if by_tile else "location"


def problem_of(x: np.ndarray, w: np.ndarray, bias: bool | str = False, **fields: Any) -> Problem:
    """Return the problem that convolving `x` of shape (N, C, *size) with `w` poses."""
    x, w = as_array("input", x), as_array("kernel", w)
    try:
        return _posed(x.shape, w.shape, x.dtype, w.dtype, bias, **fields)
    except TypeError:  # a field that cannot be looked up by, such as a list
        return _posed.__wrapped__(x.shape, w.shape, x.dtype, w.dtype, bias, **fields)


@lru_cache(maxsize=1024, typed=True)
def _posed(
    x: tuple[int, ...], w: tuple[int, ...], x_type: np.dtype, w_type: np.dtype, bias: bool | str,
    **fields: Any,
) -> Problem:  # fmt: skip
    """Return the problem of arrays of shapes `x` and `w`."""
    axes = len(x) - 2
    check_layouts(x, w, **{key: fields[key] for key in ("groups", "tile") if key in fields})
    period = w[: len(w) - len(x)]
    w = w[axes:] if len(period) == axes and 0 not in w else w
    if len(x) != len(w) or not 1 <= axes <= 3:
        raise ConvbenchError(
            f"input has shape {x} and kernel {w}; expected (N, C, *size) and "
            f"(O, C/groups, *kernel) with the same 1, 2 or 3 spatial axes; for plain images "
            f"there are algos.convolve and algos.correlate"
        )
    if 0 in x[1:] or 0 in w:
        raise ConvbenchError(
            f"input has shape {x} and kernel {w}: no axis may be empty but that of the batch"
        )
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


def names(problem: Problem | None = None) -> list[str]:
    """Return the names of all algorithms, or of those that can do `problem`."""
    reasons = {} if problem is None else why_not(problem)
    return [name for name in registry.convolutions() if name not in reasons]


def why_not(problem: Problem, w: np.ndarray | None = None) -> dict[str, str]:
    """Return the reasons why algorithms cannot do `problem`, by name; able ones are absent.

    With the kernel `w` given, reasons that lie in its values are found too, such as a rank
    that rules out separable passes.
    """
    check_problem(problem, Problem)
    if w is not None:
        w = take("kernel", w, problem.kernel_shape, np.dtype(problem.dtype))
    asked = problem.with_images
    reasons = {
        name: performer(a, asked).why_not(asked, w) for name, a in registry.convolutions().items()
    }
    return {name: reason for name, reason in reasons.items() if reason}
