"""The text form of a problem: oneDNN benchdnn's convolution descriptor.

``mb1_ic3ih227_oc96_kh11_sh4ph0_n"alexnet:conv1"`` reads: batch 1, 3 input channels,
227×227, 96 output channels, 11×11 kernel, stride 4, no padding. The rules are benchdnn's (oneDNN,
tests/benchdnn/doc/driver_conv.md). Underscores are ignored. A missing ``w`` axis is taken from
``h`` and a missing ``h`` from ``d``. The output size is deduced; a given one fixes the padding;
``dh`` counts the zeros between taps (dilation − 1); the batch is 2 where it is not given or 0; the
name comes last.

What benchdnn cannot say follows as words of our own: ``rd rh rw`` padding behind where it
differs from the padding before, and ``_f64``, ``_flip``, ``_bias``, ``_ceil``, ``_exact``;
``_bwdd`` and ``_bwdw`` (its ``--dir=BWD_D`` and ``BWD_W``) ask for the gradient of the input
and of the kernel. ``_tile2x3`` is the period of a tiled layer. ``_biaslocation`` and ``_biastile``
are biases that a channel does not share. ``_conn7.e.1c`` is a table of connections: a hexadecimal
number per output channel, whose bits are its input channels. ``_nearest``, ``_reflect``,
``_mirror``, ``_wrap`` and ``_constant1.5`` are the boundary, instead of zeros. ``_axb``, a tag of
benchdnn's, says that input and output have their channels last in memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from .connections import from_text
from .errors import ConvbenchError, shown
from .memory_order import CHANNELS_LAST
from .problem import AXES, Problem
from .sizes import extent
from .spelling import LAST_WORD, OPERATION_WORDS

DEFAULT_BATCH = 2
MOST_DIGITS = 20
_NUMBER = re.compile(r"(g|mb|ic|oc|[ioksprd][dhw])([0-9]+)")
_WORD = re.compile(r"(f32|f64|flip|bias|ceil|exact|bwdd|bwdw|axb)(?![a-z0-9])")
_LAYER = re.compile(
    r"(?:tile(?P<tile>[0-9]+(?:x[0-9]+)*)|conn(?P<connections>[0-9a-f]+(?:\.[0-9a-f]+)*)"
    r"|bias(?P<bias>location|tile)|(?P<boundary>nearest|reflect|mirror|wrap|constant)"
    r"(?P<cval>(?<=constant)[-+]?[0-9]+(?:\.[0-9]*)?(?:e[-+]?[0-9]+)?)?)(?![a-z0-9.+-])"
)


class Axis(NamedTuple):
    """Sizes along one spatial axis."""

    size: int
    kernel: int
    stride: int
    dilation: int
    padding: tuple[int, int]


_NAME = re.compile(r'n(?:"([^"]*)"|(\S*))$')


class DescriptorError(ConvbenchError):
    """Error for text that does not parse, unlike a descriptor of something impossible.

    ``column`` counts from 1 and says where reading stopped.
    """

    def __init__(self, message: str, column: int = 1) -> None:
        super().__init__(message)
        self.column = column


def parse_descriptor(text: str, **defaults: Any) -> Problem:
    """Return the problem that `text` describes.

    Parameters
    ----------
    text : str
        A descriptor, for example ``mb1_ic3ih227_oc96_kh11_sh4ph0``.
    **defaults
        Fields of `Problem` for what the text leaves open (`batch`, `dtype`, `bias`, …).

    Raises
    ------
    DescriptorError
        Naming the column where the text cannot be read, or what is missing.
    ConvbenchError
        If it describes an impossible problem, such as a kernel larger than its input.

    Examples
    --------
    >>> parse_descriptor("mb1_ic3ih227_oc96_kh11_sh4ph0").output_size
    (55, 55)
    >>> str(parse_descriptor('ic16iw99_oc8_kw3_pw1_n"x"'))
    'mb2_ic16iw99_oc8_kw3_pw1_n"x"'
    """
    if not isinstance(text, str):
        raise DescriptorError(f"descriptor {shown(text)} must be text, such as ic3ih8_oc4_kh3")
    numbers, fields = scan(text)
    for need in ("ic", "oc"):
        if need not in numbers:
            raise DescriptorError(f"descriptor {text!r} gives no {need} (channels)")
    fields = {
        **defaults,
        **fields,
        **spatial(text, numbers, forward_axis),
        "in_channels": numbers["ic"],
        "out_channels": numbers["oc"],
        "groups": numbers.get("g", 1),
        "batch": batch_of(numbers, defaults),
    }
    try:
        return Problem(**fields)
    except ConvbenchError as error:
        raise ConvbenchError(f"descriptor {text!r}: {error}") from None


def batch_of(numbers: dict[str, int], defaults: dict[str, Any]) -> int:
    """Return the batch size that `numbers` give, or else that of `defaults`, or benchdnn's."""
    return numbers.get("mb", 0) or defaults.get("batch", DEFAULT_BATCH)


def spatial(
    text: str, numbers: dict[str, int], read_axis: Callable[[str, str, dict[str, int]], Axis]
) -> dict[str, Any]:
    """Return size, kernel, stride, dilation and padding, with one entry per axis.

    An axis without any values takes all from the axis before it.
    """
    given = axes_given(numbers)
    if not given:
        raise DescriptorError(f"descriptor {text!r} gives no size: add ih… and kh… (or iw…, id…)")
    axes = AXES[3 if "d" in given else 2 if "h" in given else 1]
    per_axis: list[Axis] = []
    for axis in axes:
        per_axis.append(read_axis(text, axis, numbers) if axis in given else per_axis[-1])
    columns = zip(*per_axis, strict=True)
    return dict(zip(Axis._fields, columns, strict=True))


def axes_given(numbers: dict[str, int]) -> set[str]:
    """Return the axes (d, h, w) that have a value in `numbers`."""
    return {key[1] for key in numbers if key not in ("g", "mb", "ic", "oc")}


def whole(text: str, digits: str, at: int) -> int:
    """Return the number that `digits`, found at index `at` of `text`, spell."""
    if len(digits) > MOST_DIGITS:
        raise DescriptorError(
            f"descriptor {text!r}, column {at + 1}: a number of {len(digits)} digits is larger "
            f"than any size; give at most {MOST_DIGITS}",
            at + 1,
        )
    return int(digits)


def enter(text: str, at: int, key: str, digits: str, numbers: dict[str, int]) -> None:
    """Put a number into `numbers` under its letters, unless another is there already."""
    value = whole(text, digits, at)
    if numbers.setdefault(key, value) != value:
        raise DescriptorError(
            f"descriptor {text!r}, column {at + 1}: {key} is given twice, "
            f"as {numbers[key]} and as {value}",
            at + 1,
        )


def scan(text: str) -> tuple[dict[str, int], dict[str, Any]]:
    """Return the numbers of a descriptor by their letters, and the fields that words give."""
    numbers: dict[str, int] = {}
    fields: dict[str, Any] = {}
    at = 0
    while at < len(text):
        if text[at] == "_":
            at += 1
        elif match := _NUMBER.match(text, at):
            enter(text, at, match[1], match[2], numbers)
            at = match.end()
        elif match := _WORD.match(text, at):
            word = match[1]
            if word in ("f32", "f64"):
                fields["dtype"] = "float" + word[1:]
            elif word in ("ceil", "exact"):
                fields["fit"] = word
            elif word == LAST_WORD:
                fields["layout"] = CHANNELS_LAST
            elif word in OPERATION_WORDS:
                fields["operation"] = OPERATION_WORDS[word]
            else:
                fields[word] = True
            at = match.end()
        elif match := _LAYER.match(text, at):
            fields |= _layer(text, at, match)
            at = match.end()
        elif match := _NAME.match(text, at):
            fields["name"] = match[1] if match[1] is not None else match[2]
            at = match.end()
        else:
            raise DescriptorError(
                f"descriptor {text!r}, column {at + 1}: cannot read {text[at : at + 12]!r}; "
                f"expected parts such as mb1, ic3, ih224, oc64, kh3, sh2, ph1, dh1, g8, "
                f'_f64, _flip, _bias, _reflect, _axb, _bwdd or n"name"',
                at + 1,
            )
    return numbers, fields


def _layer(text: str, at: int, match: re.Match[str]) -> dict[str, Any]:
    """Return the field of a problem that one of the longer words spells."""
    if match["bias"]:
        return {"bias": match["bias"]}
    if match["boundary"]:
        found = {"boundary": match["boundary"]}
        return {**found, "cval": float(match["cval"])} if match["cval"] else found
    if match["tile"]:
        tile = tuple(whole(text, period, at) for period in match["tile"].split("x"))
        return {"tile": tile if len(tile) > 1 else tile[0]}
    return {"connections": from_text(match["connections"])}


def forward_axis(text: str, axis: str, numbers: dict[str, int]) -> Axis:
    """Return the sizes of one axis; an output size that is given decides the padding."""
    size, kernel, stride, dilation = steps(text, axis, numbers)
    output, before = numbers.get("o" + axis) or None, numbers.get("p" + axis)
    after = numbers.get("r" + axis)
    if output is None or stride < 1:
        before = before or 0
        sides = (before, before if after is None else after)
        return Axis(size, kernel, stride, dilation, sides)
    found = sides_for(size, extent(kernel, dilation), stride, output, before, after)
    if found is None:
        before = before or 0
        made = (size + 2 * before - extent(kernel, dilation)) // stride + 1
        raise ConvbenchError(
            f"descriptor {text!r}: o{axis}{output} does not follow from i{axis}{size}, "
            f"k{axis}{kernel}, s{axis}{stride}, p{axis}{before}: the output size is {made}"
        )
    return Axis(size, kernel, stride, dilation, found)


def steps(text: str, axis: str, numbers: dict[str, int]) -> tuple[int, int, int, int]:
    """Return input size, kernel size, stride and dilation of one axis."""
    for letter, name in (("i", "input size"), ("k", "kernel size")):
        if letter + axis not in numbers:
            raise DescriptorError(
                f"descriptor {text!r} gives no {letter}{axis} ({name} along {axis})"
            )
    size, kernel = numbers["i" + axis], numbers["k" + axis]
    return size, kernel, numbers.get("s" + axis, 1), numbers.get("d" + axis, 0) + 1


def sides_for(
    size: int, extent: int, stride: int, output: int, before: int | None, after: int | None
) -> tuple[int, int] | None:
    """Return the padding that gives `output` positions, or None if there is none.

    What is given is kept: `before`, else half of what is missing, and `after`, else as much as
    before or what else it takes.
    """
    total = (output - 1) * stride + extent - size
    if before is None:
        before = max(total, 0) // 2
    # A negative rest is input that no output position reaches; none of it is cut off.
    tried = (before, max(total - before, 0)) if after is None else (after,)
    for behind in tried:
        if (size + before + behind - extent) // stride + 1 == output:
            return before, behind
    return None
