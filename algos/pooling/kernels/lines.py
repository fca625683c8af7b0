"""Passes along one axis at a time: an array's lines, taken in bundles that fill the registers.

An axis of a volume becomes the middle one of (outer, n, inner). A bundle is `BUNDLE` lines side by
side, copied into ``(n, BUNDLE)``. If the axis is not the last, these are neighbouring columns; if
it is, they are neighbouring rows, transposed. Every step along the lines is then done to a whole
bundle at once, in vector registers.
"""

from __future__ import annotations

import numpy as np

from algos.backend.compiler import kernel

#: Lines of a bundle: 128 bytes of float32, two cache lines.
BUNDLE = 32


@kernel
def bundles(outer, inner):
    """Return the number of bundles in an array of `outer` × n × `inner`."""
    if inner == 1:
        return (outer + BUNDLE - 1) // BUNDLE
    return outer * ((inner + BUNDLE - 1) // BUNDLE)


@kernel
def bundle_of(item, outer, n, inner):
    """Return (start, step along a line, step between lines, lines) of one bundle, in elements."""
    if inner == 1:
        first = item * BUNDLE
        return first * n, 1, n, min(BUNDLE, outer - first)
    across = (inner + BUNDLE - 1) // BUNDLE
    first = item % across * BUNDLE
    return item // across * n * inner + first, inner, 1, min(BUNDLE, inner - first)


@kernel
def gather(flat, start, along, between, lines, count, bundle, at):
    """Copy bundle[at + i, l] = sample i of line l, for i < count and l < lines.

    `flat`: flat array; `start`, `along` and `between` are those of `bundle_of`.
    `bundle`: array (samples, BUNDLE), written from row `at` on.
    """
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
    """Do the inverse of `gather`, from the start of the bundle."""
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
    """Return (outer, n, inner) of an array of `shape` seen along `axis`."""
    outer = int(np.prod(shape[:axis], dtype=np.int64))
    inner = int(np.prod(shape[axis + 1 :], dtype=np.int64))
    return outer, shape[axis], inner
