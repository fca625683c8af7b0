"""Notes on the defaults of a descriptor that a reader may not expect."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from algos.core.descriptor import axes_given, scan
from algos.core.errors import ConvbenchError
from algos.core.family import CONVOLUTION
from algos.core.problem import AXES

_ALONG = {"d": "depth", "h": "height", "w": "width"}
_FIELDS = {"p": "pads", "s": "is the stride along", "d": "is the dilation along"}
_PLAIN = {"p": "has no padding", "s": "has stride 1", "d": "has no dilation"}


def remarks(text: str, problem: Any) -> list[str]:
    """Return a line for each default that a reader may not expect; `problem` is that of `text`.

    Examples
    --------
    >>> from algos.notation import parse
    >>> text = "ic1ih12iw12_oc1_kh9kw9_ph4"
    >>> print(*remarks(text, parse(text)), sep="\\n")
    note: no mb is given, so the batch is 2 (benchdnn's default); write mb1 for one image
    note: ph4 pads the height alone, the width has no padding: of an axis that is spelled, nothing \
is taken from another; write pw4 for the same
    """
    found = []
    driver, _, rest = text.partition(":")
    spelled = re.sub(r'n"[^"]*"$', "", rest if driver in ("conv", "deconv", "pool") else text)
    benchdnn = problem.family is CONVOLUTION or driver == "pool"
    if not re.search(r"mb0*[1-9]", spelled):
        whose = "benchdnn's default" if benchdnn else "the default of this notation"
        other = "write mb1 for one image" if problem.batch != 1 else "write mb8 for eight images"
        found.append(f"no mb is given, so the batch is {problem.batch} ({whose}); {other}")
    if benchdnn:
        found += _one_axis(spelled)
        found += _deduced(spelled, problem)
    elif getattr(problem, "window", None) and not re.search(r"(?<![a-z])s[dhw][0-9]", spelled):
        found.append("no stride is given, so it is the window: windows do not overlap")
    return [f"note: {sentence}" for sentence in found]


def _one_axis(text: str) -> list[str]:
    """Return sentences on fields that are given for one axis but not for another given axis."""
    numbers = _numbers(text)
    given = axes_given(numbers)
    axes = [axis for axis in AXES[3] if axis in given]
    found = []
    for letter, does in _FIELDS.items():
        for first, other in pairwise(axes):
            value, plain = numbers.get(letter + first), 1 if letter == "s" else 0
            if value is None or value == plain or letter + other in numbers:
                continue
            if letter == "p" and "o" + other in numbers:  # then that decides
                continue
            found.append(
                f"{letter}{first}{value} {does} the {_ALONG[first]} alone, the {_ALONG[other]} "
                f"{_PLAIN[letter]}: of an axis that is spelled, nothing is taken from another; "
                f"write {letter}{other}{value} for the same"
            )
    return found


def _deduced(text: str, problem: Any) -> list[str]:
    """Return a sentence on each axis whose padding follows from its output size."""
    numbers = _numbers(text)
    found = []
    for axis, (before, after) in zip(problem.axis_names, problem.padding, strict=True):
        given = numbers.get("p" + axis, 0)
        if numbers.get("o" + axis) and (before, after) != (given, given):
            found.append(
                f"o{axis}{numbers['o' + axis]} decides the padding along the {_ALONG[axis]}: "
                f"{before} before, {after} behind"
            )
    return found


def _numbers(text: str) -> dict[str, int]:
    try:
        return scan(text)[0]
    except ConvbenchError:
        return {}
