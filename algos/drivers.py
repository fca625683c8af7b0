"""Descriptors of benchdnn's drivers other than convolution: deconvolution and pooling.

Their letters are those of `algos.core.descriptor`, but they define problems differently.
Source: oneDNN, tests/benchdnn/doc, driver_conv.md and driver_pool.md.

- deconv: ic and ih are the deconvolution's input, oc and oh its output. It is the gradient of
  the input of a *mirrored* convolution. The input of that one has the size of the output.
- pool: no oc. The operation is an option of the driver, not part of the text. Here it is a
  maximum unless the caller says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .core.descriptor import (
    Axis,
    DescriptorError,
    axes_given,
    batch_of,
    forward_axis,
    parse_descriptor,
    scan,
    sides_for,
    spatial,
    steps,
)
from .core.errors import ConvbenchError
from .core.problem import Problem
from .core.sizes import extent
from .pooling.core.problem import PoolProblem


def parse_deconv(text: str, **defaults: Any) -> Problem:
    """Return the transposed convolution that a deconv descriptor describes.

    Parameters
    ----------
    text : str
        For example ``mb1_ic96ih55_oc3oh227_kh11sh4ph0``.
    **defaults
        Fields of `Problem` for what the text leaves open.

    Examples
    --------
    >>> up = parse_deconv("mb1_ic96ih55_oc3oh227_kh11sh4ph0")
    >>> up.operation, up.operands, up.result_shape
    ('grad_input', ((1, 96, 55, 55), (96, 3, 11, 11)), (1, 3, 227, 227))
    """
    numbers, fields = _scanned(text, "deconvolution", ("dtype", "flip", "name"))
    for need in ("ic", "oc"):
        if need not in numbers:
            raise DescriptorError(f"descriptor {text!r} gives no {need} (channels)")
    fields = {
        "operation": "grad_input",
        **defaults,
        **fields,
        **spatial(text, numbers, _mirrored_axis),
        "in_channels": numbers["oc"],
        "out_channels": numbers["ic"],
        "groups": numbers.get("g", 1),
        "batch": batch_of(numbers, defaults),
    }
    try:
        return Problem(**fields)
    except ConvbenchError as error:
        raise ConvbenchError(
            f"descriptor {text!r}, read as the convolution from oc to ic that it is the gradient "
            f"of: {error}"
        ) from None


def parse_pool(text: str, **defaults: Any) -> PoolProblem:
    """Return the pooling that a pool descriptor describes.

    Parameters
    ----------
    text : str
        For example ``mb1_ic64_ih112oh56_kh3sh2ph0``.
    **defaults
        Fields of `PoolProblem` for what the text leaves open, `kind` above all.

    Examples
    --------
    >>> str(parse_pool("mb1_ic64_ih112oh56_kh3sh2ph0"))
    'max_mb1_ic64ih112_kh3_sh2_rh1'
    """
    numbers, fields = _scanned(text, "pooling", ("dtype", "fit", "name"))
    for key in ("g", "oc"):
        if key in numbers:
            raise DescriptorError(
                f"descriptor {text!r} gives {key}, which pooling has not; "
                f"is it a convolution's or a deconvolution's?"
            )
    if "ic" not in numbers:
        raise DescriptorError(f"descriptor {text!r} gives no ic (channels)")
    along = spatial(text, _without_lone_dilation(numbers), forward_axis)
    along["window"] = along.pop("kernel")
    batch = batch_of(numbers, defaults)
    fields = {**defaults, **fields, **along, "channels": numbers["ic"], "batch": batch}
    try:
        return PoolProblem(**fields)
    except ConvbenchError as error:
        raise ConvbenchError(f"descriptor {text!r}: {error}") from None


#: Readers by the name of benchdnn's driver.
DRIVERS: dict[str, Callable[..., Any]] = {
    "conv": parse_descriptor, "deconv": parse_deconv, "pool": parse_pool,
}  # fmt: skip


def belongs_to(text: str) -> str | None:
    """Return the one driver that `text` makes sense for, or None where it does not tell.

    Without oc it is pooling. With both sizes given, it is a convolution or a deconvolution
    where these follow from each other in that direction alone, with less padding than kernel.

    Examples
    --------
    >>> belongs_to("ic96ih55oc3oh227kh11sh4ph0"), belongs_to("ic3ih227oc96oh55kh11sh4ph0")
    ('deconv', 'conv')
    """
    try:
        numbers, _ = scan(text)
    except ConvbenchError:
        return None
    if "ic" in numbers and "oc" not in numbers:
        return "pool"
    forward, mirrored = _follows(numbers, "i", "o"), _follows(numbers, "o", "i")
    if forward == mirrored:
        return None
    return "conv" if forward else "deconv"


def _follows(numbers: dict[str, int], given: str, made: str) -> bool:
    """Return True if sizes `made` are what a convolution makes of `given`, sensibly padded."""
    for axis in axes_given(numbers):
        size, output = numbers.get(given + axis), numbers.get(made + axis)
        if not size or not output or "k" + axis not in numbers:
            continue
        span = extent(numbers["k" + axis], numbers.get("d" + axis, 0) + 1)
        stride, before = numbers.get("s" + axis, 1) or 1, numbers.get("p" + axis)
        sides = sides_for(size, span, stride, output, before, numbers.get("r" + axis))
        if sides is None or sides[1] >= span:
            return False
    return True


def _scanned(
    text: str, name: str, allowed: tuple[str, ...]
) -> tuple[dict[str, int], dict[str, Any]]:
    """Return what `scan` does, unless the text says what means nothing to its driver."""
    numbers, fields = scan(text)
    for word in fields:
        if word not in allowed:
            raise DescriptorError(
                f"descriptor {text!r} gives {word}, which says nothing about a {name}; leave it out"
            )
    return numbers, fields


def _without_lone_dilation(numbers: dict[str, int]) -> dict[str, int]:
    """Return `numbers` without the dilations of axes that have no other values, as benchdnn's
    pooling.
    """
    given = axes_given({key: n for key, n in numbers.items() if key[0] != "d"})
    return {key: n for key, n in numbers.items() if key[0] != "d" or key[1] in given}


def _mirrored_axis(text: str, axis: str, numbers: dict[str, int]) -> Axis:
    """Return one axis of the mirrored convolution, from the deconvolution's output to its input."""
    size, kernel, stride, dilation = steps(text, axis, numbers)
    before, after = numbers.get("p" + axis), numbers.get("r" + axis)
    span, output = extent(kernel, dilation), numbers.get("o" + axis)
    if not output or stride < 1:
        before = before or 0
        after = before if after is None else after
        made = (size - 1) * stride + span - before - after
        if made < 1:
            raise ConvbenchError(
                f"descriptor {text!r}: the output size along {axis} would be ({size} − 1)·{stride} "
                f"+ {span} − {before + after} = {made}; give less padding"
            )
        return Axis(made, kernel, stride, dilation, (before, after))
    found = sides_for(output, span, stride, size, before, after)
    if found is None:
        raise ConvbenchError(
            f"descriptor {text!r}: a deconvolution from i{axis}{size} with k{axis}{kernel}, "
            f"s{axis}{stride}, p{axis}{before or 0} has an output size of "
            f"{(size - 1) * stride + span - 2 * (before or 0)}, give or take padding behind, "
            f"not o{axis}{output}"
        )
    return Axis(output, kernel, stride, dilation, found)
