"""The text form of a problem: oneDNN benchdnn's convolution descriptor.

``mb1_ic3ih227_oc96_kh11_sh4ph0_n"alexnet:conv1"`` reads: batch 1, 3 input channels,
227×227, 96 output channels, 11×11 kernel, stride 4, no padding. The rules are benchdnn's
(oneDNN, tests/benchdnn/doc/driver_conv.md): underscores are ignored, a missing ``w`` axis
is taken from ``h`` and a missing ``h`` from ``d``, the output size is deduced or, where
given, fixes the padding; ``dh`` counts the zeros between taps (dilation − 1); the batch is
2 where it is not given or 0; the name comes last.

What benchdnn cannot say follows as words of our own: ``rd rh rw`` padding behind where it
differs from the padding before, and ``_f64``, ``_flip``, ``_bias``, ``_ceil``, ``_exact``;
``_bwdd`` and ``_bwdw`` (its ``--dir=BWD_D`` and ``BWD_W``) ask for the gradient of the input
and of the kernel. ``_tile2x3`` is the period of a tiled layer, ``_biaslocation`` and ``_biastile``
are biases that a channel does not share, and ``_conn7.e.1c`` is a table of connections: a
hexadecimal number per output channel, whose bits are the input channels it sums over.
"""

from __future__ import annotations

import re
from typing import Any

from .connections import from_text, to_text
from .errors import ConvbenchError, shown
from .problem import AXES, Problem

DEFAULT_BATCH = 2
_NUMBER = re.compile(r"(g|mb|ic|oc|[ioksprd][dhw])(\d+)")
_WORD = re.compile(r"(f32|f64|flip|bias|ceil|exact|bwdd|bwdw)(?![a-z0-9])")
_LAYER = re.compile(
    r"(?:tile(?P<tile>\d+(?:x\d+)*)|conn(?P<connections>[0-9a-f]+(?:\.[0-9a-f]+)*)"
    r"|bias(?P<bias>location|tile))(?![a-z0-9])"
)
_OPERATIONS = {"bwdd": "grad_input", "bwdw": "grad_weight"}
_NAME = re.compile(r'n(?:"([^"]*)"|(\S*))$')


class DescriptorError(ConvbenchError):
    """Text that is no descriptor, as opposed to one that describes what cannot be done.

    ``column`` counts from 1 and says where reading stopped.
    """

    def __init__(self, message: str, column: int = 1) -> None:
        super().__init__(message)
        self.column = column


def format_descriptor(problem: Problem) -> str:
    """The shortest descriptor that parses back to `problem`."""
    names = problem.axis_names
    before = [p[0] for p in problem.padding]
    after = [p[1] for p in problem.padding]
    columns = list(
        zip(
            problem.size,
            problem.kernel,
            problem.stride,
            before,
            after,
            problem.dilation,
            strict=True,
        )
    )
    shown = names[:1] if len(set(columns)) == 1 else names

    def spell(letter: str, values: list[int]) -> str:
        return "".join(f"{letter}{axis}{v}" for axis, v in zip(shown, values, strict=False))

    parts = [f"g{problem.groups}"] if problem.groups > 1 else []
    parts += [
        f"mb{problem.batch}",
        f"ic{problem.in_channels}{spell('i', list(problem.size))}",
        f"oc{problem.out_channels}",
        spell("k", list(problem.kernel)),
    ]
    if set(problem.stride) != {1}:
        parts.append(spell("s", list(problem.stride)))
    if any(before):
        parts.append(spell("p", before))
    if before != after:
        parts.append(spell("r", after))
    if set(problem.dilation) != {1}:
        parts.append(spell("d", [d - 1 for d in problem.dilation]))
    if problem.dtype == "float64":
        parts.append("f64")
    parts += [word for word in ("flip", "bias") if getattr(problem, word)]
    if isinstance(problem.bias, str):
        parts[-1] += problem.bias
    if problem.is_tiled:
        parts.append("tile" + "x".join(map(str, problem.tile)))
    if problem.connections:
        parts.append("conn" + to_text(problem.connections))
    if problem.fit != "floor":
        parts.append(problem.fit)
    parts += [word for word, operation in _OPERATIONS.items() if operation == problem.operation]
    if problem.name:
        parts.append('n"{}"'.format(problem.name.replace('"', "'")))
    return "_".join(parts)


def parse_descriptor(text: str, **defaults: Any) -> Problem:
    """The problem that `text` describes.

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
        If what it describes is no problem: a kernel larger than its input, say.

    Examples
    --------
    >>> parse_descriptor("mb1_ic3ih227_oc96_kh11_sh4ph0").output_size
    (55, 55)
    >>> str(parse_descriptor('ic16iw99_oc8_kw3_pw1_n"x"'))
    'mb2_ic16iw99_oc8_kw3_pw1_n"x"'
    """
    if not isinstance(text, str):
        raise DescriptorError(f"descriptor {shown(text)} must be text, such as ic3ih8_oc4_kh3")
    numbers, fields = _scan(text)
    for need in ("ic", "oc"):
        if need not in numbers:
            raise DescriptorError(f"descriptor {text!r} gives no {need} (channels)")
    given = {key[1] for key in numbers if key not in ("g", "mb", "ic", "oc")}
    if not given:
        raise DescriptorError(f"descriptor {text!r} gives no size: add ih… and kh… (or iw…, id…)")
    axes = AXES[3 if "d" in given else 2 if "h" in given else 1]
    per_axis = []
    for axis in axes:
        if axis in given:
            per_axis.append(_read_axis(text, axis, numbers))
        else:
            per_axis.append(per_axis[-1])
    size, kernel, stride, dilation, padding = zip(*per_axis, strict=True)
    fields = {
        **defaults,
        **fields,
        "size": size,
        "kernel": kernel,
        "stride": stride,
        "dilation": dilation,
        "padding": padding,
        "in_channels": numbers["ic"],
        "out_channels": numbers["oc"],
        "groups": numbers.get("g", 1),
    }
    fields["batch"] = numbers.get("mb", 0) or defaults.get("batch", DEFAULT_BATCH)
    try:
        return Problem(**fields)
    except ConvbenchError as error:
        raise ConvbenchError(f"descriptor {text!r}: {error}") from None


def _scan(text: str) -> tuple[dict[str, int], dict[str, Any]]:
    numbers: dict[str, int] = {}
    fields: dict[str, Any] = {}
    at = 0
    while at < len(text):
        if text[at] == "_":
            at += 1
        elif match := _NUMBER.match(text, at):
            key = match[1]
            if numbers.get(key, int(match[2])) != int(match[2]):
                raise DescriptorError(
                    f"descriptor {text!r}, column {at + 1}: {key} is given twice, "
                    f"as {numbers[key]} and as {match[2]}",
                    at + 1,
                )
            numbers[key] = int(match[2])
            at = match.end()
        elif match := _WORD.match(text, at):
            word = match[1]
            if word in ("f32", "f64"):
                fields["dtype"] = "float" + word[1:]
            elif word in ("ceil", "exact"):
                fields["fit"] = word
            elif word in _OPERATIONS:
                fields["operation"] = _OPERATIONS[word]
            else:
                fields[word] = True
            at = match.end()
        elif match := _LAYER.match(text, at):
            fields |= _layer(match)
            at = match.end()
        elif match := _NAME.match(text, at):
            fields["name"] = match[1] if match[1] is not None else match[2]
            at = match.end()
        else:
            raise DescriptorError(
                f"descriptor {text!r}, column {at + 1}: cannot read {text[at : at + 12]!r}; "
                f"expected parts such as mb1, ic3, ih224, oc64, kh3, sh2, ph1, dh1, g8, "
                f'_f64, _flip, _bias, _bwdd or n"name"',
                at + 1,
            )
    return numbers, fields


def _layer(match: re.Match[str]) -> dict[str, Any]:
    """The field of a problem that one of the longer words spells."""
    if match["bias"]:
        return {"bias": match["bias"]}
    if match["tile"]:
        tile = tuple(map(int, match["tile"].split("x")))
        return {"tile": tile if len(tile) > 1 else tile[0]}
    return {"connections": from_text(match["connections"])}


def _read_axis(
    text: str, axis: str, numbers: dict[str, int]
) -> tuple[int, int, int, int, tuple[int, int]]:
    """(size, kernel, stride, dilation, (before, after)) of one axis, output size honoured."""
    for letter, what in (("i", "input size"), ("k", "kernel size")):
        if letter + axis not in numbers:
            raise DescriptorError(
                f"descriptor {text!r} gives no {letter}{axis} ({what} along {axis})"
            )
    size, kernel = numbers["i" + axis], numbers["k" + axis]
    stride, dilation = numbers.get("s" + axis, 1), numbers.get("d" + axis, 0) + 1
    output, before = numbers.get("o" + axis) or None, numbers.get("p" + axis)
    extent = (kernel - 1) * dilation + 1
    if output is None or stride < 1:
        before = before or 0
        return size, kernel, stride, dilation, (before, numbers.get("r" + axis, before))
    total = (output - 1) * stride + extent - size
    if before is None:
        before = max(total, 0) // 2
    after = numbers.get("r" + axis, before)
    if (size + before + after - extent) // stride + 1 != output:
        # A negative rest is input that no output position reaches; none of it is cut off.
        after = max(total - before, 0)
        fits = (size + before + after - extent) // stride + 1 == output
        if not fits or "r" + axis in numbers:
            raise ConvbenchError(
                f"descriptor {text!r}: o{axis}{output} does not follow from i{axis}{size}, "
                f"k{axis}{kernel}, s{axis}{stride}, p{axis}{before}: the output size is "
                f"{(size + 2 * before - extent) // stride + 1}"
            )
    return size, kernel, stride, dilation, (before, after)
