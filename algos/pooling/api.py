"""The functions users call: `pool`, `pool_grad`, `unpool`, `names`, `why_not`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from algos import registry
from algos.adapters import performer
from algos.backend.compiler import kernel
from algos.choice import AUTO, resolve
from algos.core.arguments import per_axis, truth
from algos.core.arrays import as_array, new
from algos.core.errors import ConvbenchError, closest
from algos.core.family import check_problem
from algos.core.layouts import check_axes
from algos.core.memory_order import layout_of
from algos.core.sizes import extent, output_positions, resolve_padding

from .core.algorithm import PoolAlgorithm
from .core.problem import DTYPES, FIELDS, PoolProblem
from .plan import PoolPlan


def pool(
    x: np.ndarray,
    kind: str = "max",
    *,
    size: Any = None,
    stride: Any = None,
    padding: Any = None,
    dilation: Any = None,
    fit: str | None = None,
    output_size: Any = None,
    levels: Any = None,
    ratio: Any = None,
    sequence: str | None = None,
    overlapping: bool | None = None,
    count_include_pad: bool | None = None,
    p: float | None = None,
    sigma: Any = None,
    mix: float | None = None,
    gate: np.ndarray | None = None,
    mode: str | None = None,
    seed: int | None = None,
    layout: str | None = None,
    algorithm: str | PoolAlgorithm = AUTO,
    threads: int | None = None,
    return_switches: bool = False,
    out: np.ndarray | None = None,
) -> Any:
    """Pool a batch of feature maps: reduce each window of each channel to one number.

    Parameters
    ----------
    x : ndarray, shape (N, C, *size)
        Input, float32 or float64, 1 to 3 spatial axes.
    kind : str
        Reduction of a window. One of "max", "average", "l2", "lp", "gaussian", "stochastic",
        "mixed", "gated" or "maxout".
    size, stride, padding, dilation, fit
        Regular windows. `size` is the window in samples, or ``"global"``. The stride defaults to
        `size`. For "maxout", `size` is the number of channels that compete.
    output_size
        Size of the output, for adaptive windows. See `PoolProblem`.
    levels
        Spatial pyramid: the output sizes of adaptive grids, one after the other.
    ratio, sequence, overlapping, seed
        Fractional windows, the same for every channel. Another `seed` gives other windows.
    count_include_pad, p, sigma, mix, mode, seed
        Options of single kinds. See `PoolProblem` for meaning and defaults.
    layout : {"channels_first", "channels_last"}, optional
        Order in memory that arrays are read and written in. By default channels last if `x`, and
        `out` where it is given, lie so in memory. Other inputs are copied.
    gate : ndarray, shape (*window) or (C, *window)
        Weights of the gate, for "gated".
    algorithm : str
        Name of the algorithm. One of `algos.pooling.names()`, or "auto" for the one expected to
        be fastest.
    threads : int, optional
        Most threads that may run. By default all that Numba may use.
    return_switches : bool
        True to return also the place of each maximum or sample. `unpool` takes these places.
    out : ndarray, optional
        Array to write to, in the layout of the result, if `return_switches` is false.

    Returns
    -------
    ndarray, shape (N, C, *output_size)
        Result. For "maxout" its shape is (N, C/size, *size of x). For a pyramid it is
        (N, C, number of bins).
    switches : int64 ndarray of the same shape, with `return_switches`
        Place of each maximum or sample. It is a flat index among the samples of the channel, or for
        "maxout" the number of a channel.

    Raises
    ------
    ConvbenchError
        If the options do not fit the input or each other, or the algorithm cannot do it.

    Notes
    -----
    Maxima propagate NaN. Windows, `fit` and `count_include_pad` follow PyTorch. Two things differ:
    norms take |x|, and a ragged window's norm sums the samples it has, without rescaling.

    Examples
    --------
    >>> x = np.array([[[3.0, 1, 4, 1, 5]]])
    >>> pool(x, "max", size=2)
    array([[[3., 4.]]])

    With ``fit="ceil"``, the last sample has a window. Switches tell where each maximum was:

    >>> pool(x, "max", size=2, fit="ceil", return_switches=True)
    (array([[[3., 4., 5.]]]), array([[[0, 2, 4]]]))

    One average of all samples, and one norm:

    >>> pool(x, "average", output_size=1)
    array([[[2.8]]])
    >>> pool(x, "l2", size=5).round(3)
    array([[[7.211]]])
    """
    if layout is None:
        layout = layout_of(as_array("input", x), out)
    problem = pool_problem_of(
        x, kind, size=size, stride=stride, padding=padding, dilation=dilation, fit=fit,
        output_size=output_size, levels=levels, ratio=ratio, sequence=sequence,
        overlapping=overlapping, count_include_pad=count_include_pad, p=p, sigma=sigma, mix=mix,
        mode=mode, seed=seed, layout=layout,
    )  # fmt: skip
    if not truth("return_switches", return_switches):
        chosen = resolve(algorithm, problem, None, as_array("input", x), threads=threads)
        return PoolPlan(problem, gate, algorithm=chosen, threads=threads)(x, out=out)
    if out is not None:
        raise ConvbenchError("out and return_switches do not go together; leave one of them out")
    return PoolPlan(problem, gate, algorithm=algorithm, threads=threads).with_switches(x)


def pool_grad(
    grad_out: np.ndarray,
    x: np.ndarray,
    kind: str = "max",
    *,
    gate: np.ndarray | None = None,
    layout: str | None = None,
    algorithm: str | PoolAlgorithm = AUTO,
    threads: int | None = None,
    out: np.ndarray | None = None,
    **options: Any,
) -> np.ndarray:
    """Return the gradient of ``pool(x, kind, **options)`` at x, given that at its output.

    Of equal maxima the first in row-major order receives the gradient. Stochastic pooling
    in training gives it to the sample that `pool` chose with the same seed.

    Parameters
    ----------
    grad_out : ndarray, shape of the output of `pool`
    x : ndarray, shape (N, C, *size)
    layout : {"channels_first", "channels_last"}, optional
        Order in memory of the arrays. By default channels last if all that are given lie so.
    **options
        As they were given to `pool`.

    Returns
    -------
    ndarray, shape (N, C, *size)
        Gradient at the input.

    Examples
    --------
    >>> x = np.array([[[3.0, 1, 4, 4]]])
    >>> g = np.array([[[10.0, 20.0]]])
    >>> pool_grad(g, x, "max", size=2)
    array([[[10.,  0., 20.,  0.]]])
    >>> pool_grad(g, x, "average", size=2)
    array([[[ 5.,  5., 10., 10.]]])
    """
    arrays = as_array("output gradient", grad_out), as_array("input", x)
    if layout is None:
        layout = layout_of(arrays[1], arrays[0], out)
    problem = pool_problem_of(x, kind, operation="grad_input", layout=layout, **options)
    chosen = resolve(algorithm, problem, None, *arrays, threads=threads)
    plan = PoolPlan(problem, gate, algorithm=chosen, threads=threads)
    return plan.grad_input(grad_out, x, out)


def pool_problem_of(
    x: np.ndarray, kind: str = "max", *, size: Any = None, output_size: Any = None, **options: Any
) -> PoolProblem:
    """Return the problem that ``pool(x, kind, **options)`` poses."""
    x = as_array("input", x)
    if not 3 <= x.ndim <= 5 or 0 in x.shape[1:]:
        raise ConvbenchError(
            f"input has shape {x.shape}; expected (N, C, *size) with 1, 2 or 3 spatial axes, "
            f"no axis empty but that of the batch; x[None] adds a batch of one"
        )
    unknown = [name for name in options if name not in FIELDS]
    if unknown:
        raise TypeError(
            f"{unknown[0]!r} is no option of a pooling; {closest(unknown[0], list(FIELDS))}"
        )
    steps = {name: options.get(name) for name in ("stride", "dilation")}
    check_axes("x", x.shape, size=size, output_size=output_size, **steps)
    if x.dtype.name not in DTYPES:
        raise ConvbenchError(
            f"input is {x.dtype}; expected float32 or float64, convert with .astype()"
        )
    window = "pieces" if isinstance(kind, str) and kind == "maxout" else "window"
    return PoolProblem(
        size=x.shape[2:], kind=kind, batch=x.shape[0], channels=x.shape[1], dtype=x.dtype.name,
        output=output_size, **{window: size}, **options,
    )  # fmt: skip


def unpool(
    y: np.ndarray,
    switches: np.ndarray,
    *,
    size: Any = None,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    output_size: Any = None,
) -> np.ndarray:
    """Put each maximum back where it came from; zeros elsewhere.

    Zeiler & Fergus, *Visualizing and Understanding Convolutional Networks* (2014). Where
    several outputs share a sample, as overlapping windows do, the last one is kept.

    Parameters
    ----------
    y : ndarray, shape (N, C, *pooled)
    switches : int ndarray of the same shape
        Places of the maxima or samples, as `pool` returned them. A value of -1 places nothing.
    size, stride, padding, dilation
        The windows that were pooled. They give the size to return to, or check it.
    output_size : int or per axis, optional
        Spatial size to return to. Several inputs pool to one size where the stride does not fit.
        By default the smallest, (O − 1)·S + extent − P.

    Returns
    -------
    ndarray, shape (N, C, *output_size)
        The values of `y` at their places, and zeros.

    Raises
    ------
    ConvbenchError
        If pooling `output_size` by those windows does not give the size of `y`, or a switch
        lies outside it.

    Examples
    --------
    >>> y, switches = pool(np.array([[[3.0, 1, 4, 1, 5]]]), "max", size=2, return_switches=True)
    >>> unpool(y, switches, size=2, output_size=5)
    array([[[3., 0., 4., 0., 0.]]])
    """
    y, switches = as_array("values", y), as_array("switches", switches)
    if not 3 <= y.ndim <= 5 or 0 in y.shape[1:] or y.dtype.name not in DTYPES:
        raise ConvbenchError(
            f"values are {y.dtype}{y.shape}; expected float32 or float64, (N, C, *size) with "
            f"1, 2 or 3 spatial axes, no axis empty but that of the batch"
        )
    if switches.shape != y.shape or switches.dtype.kind not in "iu":
        raise ConvbenchError(
            f"switches are {switches.dtype}{switches.shape}; expected whole numbers of the "
            f"values' shape {y.shape}"
        )
    target = _unpooled_size(y.shape[2:], size, stride, padding, dilation, output_size)
    samples = math.prod(target)
    if switches.size and not (int(switches.min()) >= -1 and int(switches.max()) < samples):
        worst = max(int(switches.max()), -int(switches.min()))
        raise ConvbenchError(
            f"a switch of {worst} lies outside the {samples} samples of {target}; give the "
            f"output_size that was pooled"
        )
    result = new((*y.shape[:2], *target), y.dtype.newbyteorder("="))
    result[...] = 0
    planes = y.shape[0] * y.shape[1]
    _place(
        np.ascontiguousarray(y, result.dtype).reshape(planes, math.prod(y.shape[2:])),
        np.ascontiguousarray(switches, np.int64).reshape(planes, math.prod(y.shape[2:])),
        result.reshape(planes, samples),
    )
    return result


def _unpooled_size(
    pooled: tuple[int, ...], size: Any, stride: Any, padding: Any, dilation: Any, output_size: Any
) -> tuple[int, ...]:
    """Return the size to return to, checked against the windows where they are given."""
    axes = len(pooled)
    if size is None:
        if output_size is None:
            raise ConvbenchError("unpool needs size, the window that was pooled, or output_size")
        return per_axis("output_size", output_size, axes)
    window = per_axis("size", size, axes)
    step = window if stride is None else per_axis("stride", stride, axes)
    spans = tuple(map(extent, window, per_axis("dilation", dilation, axes)))
    # The padding of "same" depends on the size; here it has to be told in numbers.
    if isinstance(padding, str) and padding == "same":
        raise ConvbenchError('padding "same" depends on the size asked for; give it in numbers')
    sides = resolve_padding(padding, spans, spans, step)
    least = tuple(
        (o - 1) * s + e - sum(p) for o, s, e, p in zip(pooled, step, spans, sides, strict=True)
    )
    wanted = least if output_size is None else per_axis("output_size", output_size, axes)
    for o, w, e, s, p, smallest in zip(pooled, wanted, spans, step, sides, least, strict=True):
        down, up = (output_positions(w, e, s, p, fit) for fit in ("floor", "ceil"))
        if w < 1 or o not in (down, up):
            raise ConvbenchError(
                f"no pooling maps size {w} to {o} with window {e}, stride {s} and padding {p}: "
                f"it gives {down}; {o} comes from {max(1, smallest - s + 1)} to {smallest + s - 1}"
            )
    return wanted


@kernel
def _place(values: np.ndarray, switches: np.ndarray, into: np.ndarray) -> None:
    """into[b, switches[b, i]] = values[b, i], in order."""
    for b in range(values.shape[0]):
        for i in range(values.shape[1]):
            if switches[b, i] >= 0:
                into[b, switches[b, i]] = values[b, i]


def names(problem: PoolProblem | None = None) -> list[str]:
    """Return the names of all pooling algorithms, or of those that can do `problem`."""
    reasons = {} if problem is None else why_not(problem)
    return [name for name in registry.poolings() if name not in reasons]


def why_not(problem: PoolProblem) -> dict[str, str]:
    """Return the reasons why algorithms cannot do `problem`, by name; able ones are absent."""
    check_problem(problem, PoolProblem)
    asked = problem.with_images
    reasons = {name: performer(a, asked).why_not(asked) for name, a in registry.poolings().items()}
    return {name: reason for name, reason in reasons.items() if reason}
