"""Descriptor text of a problem, written; `algos.core.descriptor` reads it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .connections import to_text
from .memory_order import CHANNELS_LAST

#: Word for channels last: the tag of benchdnn for it in any number of axes, as in ``--stag=axb``.
LAST_WORD = "axb"
OPERATION_WORDS = {"bwdd": "grad_input", "bwdw": "grad_weight"}


def nameless(descriptor: str) -> str:
    """Return a descriptor without the name of its problem.

    >>> nameless('mb1_ic1ih9_oc1_kh3_n"edges"')
    'mb1_ic1ih9_oc1_kh3'
    """
    return descriptor[: descriptor.rindex('_n"')] if '_n"' in descriptor else descriptor


def format_descriptor(problem: Any) -> str:
    """Return the shortest descriptor that parses back to `problem`."""
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
    if problem.boundary != "zeros":
        parts.append(problem.boundary + _value(problem))
    if problem.fit != "floor":
        parts.append(problem.fit)
    if problem.layout == CHANNELS_LAST:
        parts.append(LAST_WORD)
    parts += [word for word, operation in OPERATION_WORDS.items() if operation == problem.operation]
    if problem.name:
        parts.append('n"{}"'.format(problem.name.replace('"', "'")))
    return "_".join(parts)


def _value(problem: Any) -> str:
    """Return the shortest digits that read back as the value of a constant boundary."""
    if problem.boundary != "constant":
        return ""
    digits = np.format_float_scientific(np.dtype(problem.dtype).type(problem.cval), trim="-")
    plain = np.format_float_positional(np.dtype(problem.dtype).type(problem.cval), trim="-")
    return min(plain, digits, key=len)
