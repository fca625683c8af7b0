"""Problems of ONNX nodes: convolution, transposed convolution and pooling.

Source of all attributes and of the meaning of ``auto_pad``: the operator reference of ONNX,
https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from algos.core.errors import ConvbenchError
from algos.core.problem import Problem
from algos.core.sizes import extent
from algos.pooling import PoolProblem

from .model import fitted

Shape = tuple[int, ...]

#: Operators whose nodes are layers that `problem_of` reads.
CONVOLUTIONS = ("Conv", "ConvTranspose", "FusedConv")
POOLINGS = {
    "MaxPool": "max", "AveragePool": "average", "LpPool": "lp",
    "GlobalMaxPool": "max", "GlobalAveragePool": "average", "GlobalLpPool": "lp",
}  # fmt: skip


def is_layer(operator: str) -> bool:
    """Return True if an operator convolves or pools, whether it can be read or not."""
    words = ("Conv", "Pool", "RoiAlign")
    return operator != "ConvertLike" and any(word in operator for word in words)


def problem_of(
    operator: str,
    attributes: Mapping[str, Any],
    shapes: Sequence[Shape | None],
    dtype: str,
    name: str = "",
) -> Problem | PoolProblem:
    """Return the problem of a node.

    Parameters
    ----------
    operator : str
        Name of the operator, in `CONVOLUTIONS` or `POOLINGS`.
    attributes : mapping
        Attributes of the node. Missing ones have ONNX's defaults.
    shapes : sequence of tuple of int
        Shapes of input, kernel and bias. The input's is ``(N, C, *size)``. The kernel's is
        ``(O, C/group, *kernel)``, or for a transposed convolution ``(C, O/group, *kernel)``. None
        stands for an unknown shape.
    dtype : {"float32", "float64"}
        Type to compute in.
    name : str
        Label of the problem.

    Raises
    ------
    ConvbenchError
        If the node asks for what no problem can say; the text is the reason.
    """
    x = shapes[0]
    if x is None:
        raise ConvbenchError(
            "the shape of its input is not known; export the model with a fixed size"
        )
    if len(x) < 3 or 0 in x:
        raise ConvbenchError(
            f"its input has the shape {x}, expected (N, C, …) without an empty axis"
        )
    about = {"dtype": dtype, "name": name}
    if operator in POOLINGS:
        return _pooling(operator, attributes, x, about)
    kernel = shapes[1] if len(shapes) > 1 else None
    if kernel is None or len(kernel) != len(x):
        raise ConvbenchError(f"the shape of its kernel is {kernel or 'not known'}")
    bias = len(shapes) > 2 and shapes[2] is not None
    if operator == "ConvTranspose":
        return _transposed(attributes, x, kernel, about)
    return _convolution(attributes, x, kernel, bias, about)


def _window(attributes: Mapping[str, Any], axes: int) -> tuple[Shape, Shape]:
    """Return stride and dilation, by default 1."""
    return tuple(attributes.get("strides", (1,) * axes)), tuple(
        attributes.get("dilations", (1,) * axes)
    )


def padding_of(
    attributes: Mapping[str, Any], size: Shape, taps: Shape, stride: Shape, dilation: Shape
) -> tuple[tuple[int, int], ...]:
    """Return the zeros before and after, per axis, as ``pads`` or ``auto_pad`` ask for."""
    axes = len(size)
    auto = _text(attributes.get("auto_pad", "NOTSET"))
    if auto == "NOTSET":
        pads = tuple(attributes.get("pads", (0,) * 2 * axes))
        return tuple(zip(pads[:axes], pads[axes:], strict=True))
    if auto == "VALID":
        return ((0, 0),) * axes
    totals = (
        max((-(-w // s) - 1) * s + extent(f, d) - w, 0)
        for w, f, s, d in zip(size, taps, stride, dilation, strict=True)
    )
    return tuple(_sides(total, auto) for total in totals)


def _sides(total: int, auto: str) -> tuple[int, int]:
    """Return `total` zeros in two parts, the odd one behind for SAME_UPPER, else in front."""
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise ConvbenchError(f"auto_pad {auto} is not known")
    less, more = total // 2, total - total // 2
    return (less, more) if auto == "SAME_UPPER" else (more, less)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _convolution(
    attributes: Mapping[str, Any], x: Shape, kernel: Shape, bias: bool, about: dict[str, Any]
) -> Problem:
    size, taps = x[2:], kernel[2:]
    stride, dilation = _window(attributes, len(size))
    groups = int(attributes.get("group", 1))
    if kernel[1] * groups != x[1]:
        raise ConvbenchError(
            f"its kernel sums over {kernel[1]} channels in {groups} groups, its input has {x[1]}"
        )
    return Problem(
        size=size, kernel=taps, batch=x[0], in_channels=x[1], out_channels=kernel[0],
        stride=stride, dilation=dilation, groups=groups, bias=bias,
        padding=padding_of(attributes, size, taps, stride, dilation), **about,
    )  # fmt: skip


def _transposed(
    attributes: Mapping[str, Any], x: Shape, kernel: Shape, about: dict[str, Any]
) -> Problem:
    """Return the gradient of the input of a convolution, which a transposed one computes."""
    given, taps = x[2:], kernel[2:]
    axes = len(given)
    stride, dilation = _window(attributes, axes)
    groups = int(attributes.get("group", 1))
    more = tuple(attributes.get("output_padding", (0,) * axes))
    spans = tuple(map(extent, taps, dilation))
    full = [s * (w - 1) + p + e for s, w, p, e in zip(stride, given, more, spans, strict=True)]
    auto = _text(attributes.get("auto_pad", "NOTSET"))
    wanted = tuple(attributes.get("output_shape", ()))[-axes:]
    if not wanted and auto.startswith("SAME"):
        wanted = tuple(s * w for s, w in zip(stride, given, strict=True))
    if wanted:
        totals = [whole - size for whole, size in zip(full, wanted, strict=True)]
        if min(totals) < 0:
            raise ConvbenchError(
                f"its output_shape {wanted} is larger than {tuple(full)}, which its kernel reaches"
            )
        # NOTSET with an output shape pads like SAME_LOWER; see the reference of ConvTranspose.
        upper = auto == "SAME_UPPER"
        sides = tuple(_sides(t, "SAME_UPPER" if upper else "SAME_LOWER") for t in totals)
    else:
        sides = padding_of(attributes, given, taps, stride, dilation)
    size = tuple(whole - sum(side) for whole, side in zip(full, sides, strict=True))
    problem = Problem(
        size=size, kernel=taps, batch=x[0], in_channels=kernel[1] * groups, out_channels=x[1],
        stride=stride, dilation=dilation, groups=groups, padding=sides, operation="grad_input",
        **about,
    )  # fmt: skip
    if problem.output_size != given or kernel[0] != x[1]:
        raise ConvbenchError(
            f"output_padding {more} with stride {stride} is not that of a convolution's gradient"
        )
    return problem


def _pooling(
    operator: str, attributes: Mapping[str, Any], x: Shape, about: dict[str, Any]
) -> PoolProblem:
    size, kind = x[2:], POOLINGS[operator]
    fields: dict[str, Any] = {"size": size, "kind": kind, "batch": x[0], "channels": x[1], **about}
    if kind == "lp":
        fields["p"] = attributes.get("p", 2)
    if operator.startswith("Global"):
        return PoolProblem(**fields, window="global")
    taps = tuple(attributes["kernel_shape"])
    stride, dilation = _window(attributes, len(size))
    sides = padding_of(attributes, size, taps, stride, dilation)
    if kind == "average":
        fields["count_include_pad"] = bool(attributes.get("count_include_pad", 0))
        if not any(map(sum, sides)):
            fields.pop("count_include_pad")  # it says nothing, and equal problems shall be equal
    ceil = bool(attributes.get("ceil_mode", 0))
    fields |= {"window": taps, "stride": stride, "dilation": dilation, "padding": sides}
    return fitted(PoolProblem(**fields, fit="ceil" if ceil else "floor"))


def spatial_mean(axes: Sequence[int], number: int) -> bool:
    """Return True if a mean over `axes` of an array with `number` axes is a global average.

    >>> spatial_mean([-2, -1], 4), spatial_mean([1], 4)
    (True, False)
    """
    return number > 2 and sorted(axis % number for axis in axes) == [*range(2, number)]
