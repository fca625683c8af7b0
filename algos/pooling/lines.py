"""Passes along one axis at a time: an array's lines, taken in bundles that fill the registers.

An axis of a volume becomes the middle one of (outer, n, inner). A bundle is `BUNDLE` lines
side by side, copied into ``(n, BUNDLE)``: neighbouring columns where the axis is not the last,
neighbouring rows, turned, where it is. Whatever is then done from sample to sample along the
lines is done to a whole bundle at once, in vector registers.
"""

from __future__ import annotations

import numpy as np

from ..jit import kernel

#: Lines of a bundle: 128 bytes of float32, two cache lines.
BUNDLE = 32


@kernel
def bundles(outer, inner):
    """How many bundles an array of `outer` × n × `inner` makes."""
    if inner == 1:
        return (outer + BUNDLE - 1) // BUNDLE
    return outer * ((inner + BUNDLE - 1) // BUNDLE)


@kernel
def bundle_of(item, outer, n, inner):
    """(start, step along a line, step between lines, lines) of one bundle, in flat elements."""
    if inner == 1:
        first = item * BUNDLE
        return first * n, 1, n, min(BUNDLE, outer - first)
    across = (inner + BUNDLE - 1) // BUNDLE
    first = item % across * BUNDLE
    return item // across * n * inner + first, inner, 1, min(BUNDLE, inner - first)


@kernel
def gather(flat, start, along, between, lines, count, bundle, at):
    """bundle[at + i, l] = sample i of line l, for i < count."""
    if between == 1 and lines == BUNDLE:
        for i in range(count):
            row = bundle[at + i]
            for l in range(BUNDLE):  # noqa: E741
                row[l] = flat[start + i * along + l]
        return
    for l in range(lines):  # noqa: E741
        for i in range(count):
            bundle[at + i, l] = flat[start + i * along + l * between]


@kernel
def scatter(bundle, flat, start, along, between, lines, count):
    """The inverse of `gather`, from the start of the bundle."""
    if between == 1 and lines == BUNDLE:
        for i in range(count):
            row = bundle[i]
            for l in range(BUNDLE):  # noqa: E741
                flat[start + i * along + l] = row[l]
        return
    for l in range(lines):  # noqa: E741
        for i in range(count):
            flat[start + i * along + l * between] = bundle[i, l]


def along_axis(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """(outer, n, inner) of an array of `shape` seen along `axis`."""
    outer = int(np.prod(shape[:axis], dtype=np.int64))
    inner = int(np.prod(shape[axis + 1 :], dtype=np.int64))
    return outer, shape[axis], inner
