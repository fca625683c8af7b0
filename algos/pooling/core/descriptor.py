"""The text form of a pooling problem, in the manner of benchdnn's pooling descriptors.

``max_mb1_ic64ih112_kh3_sh2ph1_ceil`` reads: maxima over 3×3 windows, two samples apart, of 64
channels of 112×112 with padding 1; ``average_mb8_ic512ih7_output=1``: adaptive averages. The
letters are those of `algos.core.descriptor`; other fields follow as ``option=value``. Unlike there,
each letter by itself is passed on to the following axes: ``kh9kw5_ph2`` pads both.
"""

from __future__ import annotations

import re
from typing import Any

from algos.core.descriptor import enter
from algos.core.errors import ConvbenchError, closest, shown
from algos.core.sizes import AXES

from .options import KINDS
from .problem import PoolProblem
from .spelling import OPTIONS, WORDS

_NAME = re.compile(r'_*n"([^"]*)"$')
_LETTERS = {"size": "i", "window": "k", "stride": "s", "dilation": "d"}
_FLAGS = ("overlapping", "count_include_pad")
_PART = re.compile(
    r"_*(?:(mb|ic|[iokspdr][dhw])([0-9]+)|(" + "|".join(OPTIONS) + r')=([^_"]+)|([a-z][a-z0-9]+))'
)


def parse_pool_descriptor(text: str, **defaults: Any) -> PoolProblem:
    """Return the problem that `text` describes; `defaults` are fields for what it leaves open.

    Raises
    ------
    ConvbenchError
        Naming the column where the text cannot be read, or what is wrong with what it says.

    Examples
    --------
    >>> parse_pool_descriptor("max_mb1_ic64ih112_kh3_sh2ph1").output_size
    (56, 56)
    >>> str(parse_pool_descriptor("lp_ic1iw9_kw3_p=3_f64"))
    'lp_mb1_ic1iw9_kw3_sw3_p=3_f64'
    """
    if not isinstance(text, str):
        raise ConvbenchError(f"descriptor {shown(text)} must be text, such as max_ic3ih8_kh2")
    numbers: dict[str, int] = {}
    found: dict[str, Any] = {}
    at = 0
    while at < len(text):
        if match := _NAME.match(text, at):
            found["name"] = match[1]
        elif match := _PART.match(text, at):
            _enter(text, at, match, numbers, found)
        elif text[at:].strip("_"):
            raise ConvbenchError(
                f"descriptor {text!r}, column {at + 1}: cannot read {text[at : at + 12]!r}; "
                f"expected parts such as max, mb1, ic64, ih112, kh3, sh2, ph1, dh1, ceil, f64, "
                f'output=2,2, p=3 or n"name"'
            )
        else:
            break
        at = match.end()
    columns = _columns(text, numbers)
    try:
        problem = PoolProblem(**{**defaults, **found, **columns})
    except ConvbenchError as error:
        raise ConvbenchError(f"descriptor {text!r}: {error}") from None
    for axis, size in zip(problem.axis_names, problem.output_size, strict=False):
        if numbers.get(f"o{axis}", size) != size:
            raise ConvbenchError(
                f"descriptor {text!r}: o{axis}{numbers[f'o{axis}']} does not follow from the rest: "
                f"the output size is {size}; a descriptor of benchdnn's, whose padding follows "
                f"from its output size, begins with pool: instead of {problem.kind}"
            )
    return problem


def _enter(
    text: str, at: int, match: re.Match, numbers: dict[str, int], found: dict[str, Any]
) -> None:
    """Put one part of the text into `numbers` or `found`."""
    key, number, option, value, word = match.groups()
    if key:
        enter(text, at, key, number, numbers)
    elif option in OPTIONS:
        found[option] = _read(value)
        if option in _FLAGS and not isinstance(found[option], bool):
            raise ConvbenchError(
                f"descriptor {text!r}, column {at + 1}: {option}={value!r} must be True or False"
            )
    elif word in KINDS:
        found["kind"] = word
    elif word in WORDS:
        name, meant = WORDS[word]
        found[name] = meant
    else:
        near = closest(option or word, [*KINDS, *WORDS, *OPTIONS])
        raise ConvbenchError(
            f"descriptor {text!r}, column {at + 1}: {option or word!r} is not known; {near}"
        )


def _columns(text: str, numbers: dict[str, int]) -> dict[str, Any]:
    """Return the fields that are given by letter and axis."""
    axes = AXES[max((1 + "whd".index(key[1]) for key in numbers if key[0] == "i" and key != "ic"),
                    default=1)]  # fmt: skip
    result: dict[str, Any] = {}
    if "mb" in numbers:
        result["batch"] = numbers["mb"]
    if "ic" in numbers:
        result["channels"] = numbers["ic"]

    def column(letter: str) -> list[int] | None:
        values: list[int] = []
        for axis in axes:
            if letter + axis in numbers:
                values.append(numbers[letter + axis])
            elif values:
                values.append(values[-1])
        return values if len(values) == len(axes) else None

    for name, letter in _LETTERS.items():
        values = column(letter)
        if values is not None:
            result[name] = tuple(v + 1 for v in values) if letter == "d" else tuple(values)
    if "size" not in result:
        raise ConvbenchError(f"descriptor {text!r} gives no size: add ih… (or iw…, id…)")
    before, after = column("p"), column("r")
    if before or after:
        before = before or [0] * len(axes)
        result["padding"] = tuple(zip(before, after or before, strict=True))
    return result


def _read(value: str) -> Any:
    if "x" in value and value[0].isdigit():
        return tuple(tuple(map(_read, level.split("x"))) for level in value.split(","))
    if "," in value:
        return tuple(map(_read, value.split(",")))
    if value in ("True", "False"):
        return value == "True"
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
