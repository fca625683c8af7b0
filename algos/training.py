"""The functions that train a layer: gradients of input, kernel and bias, and the transpose."""

from __future__ import annotations

from typing import Any

import numpy as np

from .choice import AUTO, resolve
from .core.algorithm import Algorithm
from .core.arguments import choice, per_axis, whole_number
from .core.arrays import as_array, check_apart, take
from .core.errors import ConvbenchError, shown
from .core.layouts import check_axes, check_gradient_layouts
from .core.memory_order import laid_out, layout_of
from .core.problem import BIASES, DTYPES, Padding, Problem
from .core.sizes import Sides, extent, resolve_padding
from .plan import Plan


def grad_input(
    g: np.ndarray,
    w: np.ndarray,
    *,
    size: Any,
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
    """Return the gradient of a loss with respect to a layer's input (Goodfellow eq. 9.13).

    Parameters
    ----------
    g : ndarray, shape (N, O, *output_size)
        Gradient with respect to the layer's output. Its dtype is float32 or float64.
    w : ndarray, shape (O, C/groups, *kernel), or with `tile` (*tile, O, C/groups, *kernel)
        Kernels of the layer. Their dtype is that of `g`.
    size : int or tuple of int
        Spatial size of the layer's input. Several sizes may give the same output size.
    stride, padding, dilation, groups, tile, connections, flip, fit, boundary, cval
        Fields of the layer. See `Problem` for meanings and defaults.
    layout : {"channels_first", "channels_last"}, optional
        Order in memory that arrays are read and written in, as in `Problem`. By default channels
        last if `g`, and `out` where it is given, lie so in memory. Other inputs are copied.
    algorithm, threads, accuracy, memory, deterministic
        Algorithm, threads and limits of the automatic choice. See `conv`.
    out : ndarray, shape (N, C, *size), optional
        C-contiguous array for the result. Default: a new array.

    Returns
    -------
    ndarray, shape (N, C, *size)
        Gradient of the loss with respect to the layer's input.

    Raises
    ------
    ConvbenchError
        If a layer like this does not give an output of the size of `g`.

    Examples
    --------
    >>> g, w = np.ones((1, 1, 3)), np.array([[[1.0, 2.0, 4.0]]])
    >>> grad_input(g, w, size=5).ravel()
    array([1., 3., 7., 6., 4.])
    """
    g, w = as_array("output gradient", g), as_array("kernel", w)
    one = _one_kernel("output gradient", g, w)
    groups = whole_number("groups", groups)
    size = per_axis("size", size, g.ndim - 2)
    problem = Problem(
        size=size, kernel=one.shape[2:], batch=g.shape[0], in_channels=one.shape[1] * groups,
        out_channels=one.shape[0], stride=stride, padding=padding, dilation=dilation,
        groups=groups, tile=tile, connections=connections, flip=flip, fit=fit,
        boundary=boundary, cval=cval, dtype=g.dtype.name, operation="grad_input",
        layout=layout_of(g, out) if layout is None else layout,
    )  # fmt: skip
    _check_gradient(problem, g)
    w = take(
        "kernel", w if problem.is_tiled else one, problem.kernel_shape, np.dtype(problem.dtype)
    )
    if isinstance(out, np.ndarray):
        check_apart(out, "kernel", w)
    chosen = resolve(
        algorithm, problem, w, g, use="once", accuracy=accuracy, memory=memory, threads=threads,
        deterministic=deterministic,
    )  # fmt: skip
    return Plan(problem, w, algorithm=chosen, threads=threads, copy=out is not None)(g, out=out)


def grad_weight(
    x: np.ndarray,
    g: np.ndarray,
    *,
    kernel: Any,
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
    """Return the gradient of a loss with respect to a layer's kernels (Goodfellow eq. 9.11).

    Parameters
    ----------
    x : ndarray, shape (N, C, *size)
        Input of the layer. Its dtype is float32 or float64.
    g : ndarray, shape (N, O, *output_size)
        Gradient with respect to the layer's output. Its dtype is that of `x`.
    kernel : int or tuple of int
        Spatial size of the kernels. Several sizes may give the same output size.
    stride, padding, dilation, groups, tile, connections, flip, fit, boundary, cval
        Fields of the layer. See `Problem` for meanings and defaults.
    layout : {"channels_first", "channels_last"}, optional
        Order in memory that arrays are read in, as in `Problem`. By default channels last if `x`
        and `g` lie so in memory. Arrays in another order are copied.
    algorithm, threads, accuracy, memory, deterministic
        Algorithm, threads and limits of the automatic choice. See `conv`.
    out : ndarray of the result's shape, optional
        C-contiguous array for the result. Default: a new array.

    Returns
    -------
    ndarray, shape (O, C/groups, *kernel), or with `tile` (*tile, O, C/groups, *kernel)
        Gradient, summed over the images. Absent connections have gradient zero.

    Raises
    ------
    ConvbenchError
        If a layer like this does not give an output of the size of `g`.

    Examples
    --------
    >>> x, g = np.arange(5.0).reshape(1, 1, 5), np.array([[[1.0, 0.0, 2.0]]])
    >>> grad_weight(x, g, kernel=3).ravel()
    array([ 4.,  7., 10.])
    """
    x, g = as_array("input", x), as_array("output gradient", g)
    _check_arrays("input", x, "output gradient", g)
    check_axes("x", x.shape, kernel=kernel)
    problem = Problem(
        size=x.shape[2:], kernel=per_axis("kernel", kernel, x.ndim - 2), batch=x.shape[0],
        in_channels=x.shape[1], out_channels=g.shape[1], stride=stride, padding=padding,
        dilation=dilation, groups=groups, tile=tile, connections=connections, flip=flip, fit=fit,
        boundary=boundary, cval=cval, dtype=x.dtype.name, operation="grad_weight",
        layout=layout_of(x, g) if layout is None else layout,
    )  # fmt: skip
    _check_gradient(problem, g)
    chosen = resolve(
        algorithm, problem, None, x, g, use="once", accuracy=accuracy, memory=memory,
        threads=threads, deterministic=deterministic,
    )  # fmt: skip
    return Plan(problem, algorithm=chosen, threads=threads)(x, g, out=out)


def conv_transpose(
    g: np.ndarray,
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
    boundary: str = "zeros",
    layout: str | None = None,
    output_size: Any = None,
    output_padding: Any = 0,
    algorithm: str | Algorithm = AUTO,
    threads: int | None = None,
    accuracy: str | float = "standard",
    memory: int | None = None,
    deterministic: bool = False,
) -> np.ndarray:
    """Compute the transposed convolution: from a layer's output back to the size of its input.

    It equals `grad_input` plus a bias, with the arguments of PyTorch's `conv_transpose2d`. If the
    stride of the convolution does not fit, several sizes of the result belong to one `g`
    (Goodfellow 9.5). The smallest is the default. `output_padding` adds samples to it, and
    `output_size` gives the size itself.

    Parameters
    ----------
    g : ndarray, shape (N, C_in, *size)
        Input of the transposed convolution. Its dtype is float32 or float64.
    w : ndarray, shape (C_in, C_out/groups, *kernel), or with `tile` (*tile, C_in, …)
        Kernels. Their dtype is that of `g`.
    bias : ndarray, shape (C_out,), optional
        Bias of each output channel. Default: none.
    stride, padding, dilation, groups, tile, connections, flip
        Fields of the convolution to transpose. See `Problem`. Here `padding` crops the result.
    boundary : str
        Boundary of the convolution to transpose. See `Problem`. Results beyond the border are
        added to the samples that the boundary puts there, instead of being cropped. With
        "constant" they are cropped.
    layout
        As in `grad_input`.
    output_size : int or tuple of int, optional
        Spatial size of the result. Default: the smallest size plus `output_padding`.
    output_padding : int or tuple of int
        Number of samples added behind the smallest size. It must be less than the stride or less
        than the dilation.
    algorithm, threads, accuracy, memory, deterministic
        Algorithm, threads and limits of the automatic choice. See `conv`.

    Returns
    -------
    ndarray, shape (N, C_out, *output_size)
        Result, of the dtype of `g`.

    Raises
    ------
    ConvbenchError
        If no convolution of these settings leads from `output_size` to the size of `g`.

    Examples
    --------
    >>> g, w = np.ones((1, 1, 2)), np.array([[[1.0, 2.0, 4.0]]])
    >>> conv_transpose(g, w, stride=2).ravel()
    array([1., 2., 5., 2., 4.])
    >>> conv_transpose(g, w, stride=2, output_size=6).ravel()
    array([1., 2., 5., 2., 4., 0.])
    """
    g, w = as_array("input", g), as_array("kernel", w)
    one = _one_kernel("input", g, w)
    axes = g.ndim - 2
    stride, dilation = per_axis("stride", stride, axes), per_axis("dilation", dilation, axes)
    more = per_axis("output_padding", output_padding, axes, least=0)
    behind = (0,) * axes
    if output_size is None:
        output_size, padding, behind = _transposed_size(g, one, stride, padding, dilation, more)
    elif any(more):
        raise ConvbenchError("output_size and output_padding say the same thing; give one of them")
    result = grad_input(
        g, w, size=output_size, stride=stride, padding=padding, dilation=dilation, groups=groups,
        tile=tile, connections=connections, flip=flip, boundary=boundary, layout=layout,
        algorithm=algorithm, threads=threads, accuracy=accuracy, memory=memory,
        deterministic=deterministic,
    )  # fmt: skip
    if any(behind):  # samples that no tap reaches
        padded = np.pad(result, ((0, 0), (0, 0), *((0, count) for count in behind)))
        result = laid_out(padded, layout_of(result))
    if bias is not None:
        bias = as_array("bias", bias)
        if bias.shape != result.shape[1:2] or bias.dtype != result.dtype:
            raise ConvbenchError(
                f"bias is {bias.dtype}{bias.shape}, expected {result.dtype}{result.shape[1:2]}"
            )
        result += bias.reshape(-1, *[1] * axes)
    return result


def grad_bias(g: np.ndarray, kind: str = "channel", *, tile: Any = None) -> np.ndarray:
    """Return the gradient of a loss with respect to a layer's biases (Goodfellow 9.5, end).

    Sums run in float64 and are rounded once.

    Parameters
    ----------
    g : ndarray, shape (N, O, *output_size)
        Gradient with respect to the layer's output. Its dtype is float32 or float64.
    kind : {"channel", "location", "tile"}
        Set of outputs that share a bias. Kind "channel": all locations of an output channel. Kind
        "location": none, since every location has its own. Kind "tile": the locations that are
        equal modulo `tile`.
    tile : int or tuple of int
        Period t per axis, for kind "tile".

    Returns
    -------
    ndarray, shape (O,), (O, *output_size) or (O, *tile)
        Gradient of the loss with respect to the biases.

    Examples
    --------
    >>> g = np.arange(6.0).reshape(1, 1, 6)
    >>> grad_bias(g), grad_bias(g, "tile", tile=2)
    (array([15.]), array([[6., 9.]]))
    """
    g = as_array("output gradient", g)
    if not 3 <= g.ndim <= 5 or g.dtype.name not in DTYPES:
        raise ConvbenchError(
            f"output gradient is {g.dtype}{g.shape}; expected (N, O, *output_size) of float32 "
            f"or float64 with 1, 2 or 3 spatial axes"
        )
    choice("kind", kind, BIASES)
    if (tile is None) == (kind == "tile"):
        raise ConvbenchError('tile goes with kind="tile", and with that alone')
    axes = tuple(range(2, g.ndim))
    if kind == "channel":
        return g.sum(axis=(0, *axes), dtype=np.float64).astype(g.dtype)
    by_location = g.sum(axis=0, dtype=np.float64)
    if kind == "location":
        return by_location.astype(g.dtype)
    for axis, period in enumerate(per_axis("tile", tile, len(axes)), 1):
        size = by_location.shape[axis]
        phases = [
            np.take(by_location, range(start, size, period), axis).sum(axis)
            for start in range(period)
        ]
        by_location = np.stack(phases, axis)
    return by_location.astype(g.dtype)


def _one_kernel(what: str, g: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return the first kernel of a tile, or `w` itself; raise if `g` does not match it."""
    check_gradient_layouts(g.shape, w.shape, what)
    tiled = g.ndim >= 3 and w.ndim == 2 * g.ndim - 2 and 0 not in w.shape
    one = w[(0,) * (g.ndim - 2)] if tiled else w
    _check_arrays(what, g, "kernel", one)
    return one


def _check_arrays(one: str, a: np.ndarray, other: str, b: np.ndarray) -> None:
    batches = 1 if other == "kernel" else 2  # that have a batch axis in front, which may be empty
    empty = 0 in a.shape[1:] or 0 in b.shape[batches - 1 :]
    if a.ndim != b.ndim or not 3 <= a.ndim <= 5 or empty:
        raise ConvbenchError(
            f"{one} has shape {a.shape} and {other} {b.shape}; both need the same 1, 2 or 3 "
            f"spatial axes, and no axis may be empty but that of the batch"
        )
    if a.dtype.name not in DTYPES or a.dtype.name != b.dtype.name:
        raise ConvbenchError(
            f"{one} is {a.dtype} and {other} {b.dtype}; expected both float32 or both float64, "
            f"convert with .astype()"
        )


def _check_gradient(problem: Problem, g: np.ndarray) -> None:
    """Raise where `g` is not shaped like the output of the layer."""
    if g.shape == problem.output_shape:
        return
    if g.shape[2:] == problem.output_size or problem.operation == "grad_weight":
        raise ConvbenchError(
            f"{problem.operation}: the gradient has shape {g.shape}, the layer's output "
            f"{problem.output_shape}"
        )
    possible = [
        _sizes(problem, axis, outputs) for axis, outputs in enumerate(g.shape[2:])
    ]  # fmt: skip
    raise ConvbenchError(
        f"no layer like this leads from size {problem.size} to {g.shape[2:]}, it gives "
        f"{problem.output_size}; the sizes that do are {' × '.join(possible)}"
    )


def _sizes(problem: Problem, axis: int, outputs: int) -> str:
    """Return the input sizes of one axis that give `outputs` positions, as text."""
    least = (outputs - 1) * problem.stride[axis] + problem.extent[axis]
    least -= sum(problem.padding[axis])
    most = least + problem.stride[axis] - 1 if problem.fit == "floor" else least
    if problem.fit == "ceil":
        least -= problem.stride[axis] - 1
    least = max(least, 1)
    return f"{least}" if least == most else f"{least} … {most}"


def _transposed_size(
    g: np.ndarray, w: np.ndarray, stride: tuple[int, ...], padding: Padding,
    dilation: tuple[int, ...], more: tuple[int, ...],
) -> tuple[tuple[int, ...], Sides, tuple[int, ...]]:  # fmt: skip
    """Return size, padding and samples to append, for a size of (W − 1)·S − P + extent + `more`.

    `more` is PyTorch's output_padding. From a stride on, a layer of that size would have more
    outputs than `g`: then padding behind is left out, and what still lacks is appended.
    """
    if isinstance(padding, str) and padding == "same":
        raise ConvbenchError(
            'padding "same" depends on the size of the result; give output_size, or numbers'
        )
    extents = tuple(map(extent, w.shape[2:], dilation))
    sides = resolve_padding(padding, g.shape[2:], extents, stride)
    if any(m >= max(s, d) for m, s, d in zip(more, stride, dilation, strict=True)):
        raise ConvbenchError(
            f"output_padding {shown(more)} must be less than the stride {stride} or the dilation "
            f"{dilation} along every axis; for another size give output_size"
        )
    least = [
        (n - 1) * s + e - sum(p)
        for n, s, e, p in zip(g.shape[2:], stride, extents, sides, strict=True)
    ]
    if min(map(sum, zip(least, more, strict=True))) < 1:
        raise ConvbenchError(
            f"the transposed convolution of {g.shape[2:]} samples would have size "
            f"{tuple(map(sum, zip(least, more, strict=True)))}; use less padding or a larger kernel"
        )
    # A layer has the outputs of g and no more up to this many samples beyond the least.
    fitting = [
        max(min(m, p[1] + s - 1), 1 - n)
        for m, s, p, n in zip(more, stride, sides, least, strict=True)
    ]
    shortened = tuple(
        (p[0], max(p[1] - f, 0) if f >= s else p[1])
        for p, f, s in zip(sides, fitting, stride, strict=True)
    )
    size = tuple(map(sum, zip(least, fitting, strict=True)))
    return size, shortened, tuple(m - f for m, f in zip(more, fitting, strict=True))
