# ruff: noqa: N803 - capitals mark what must be a constant
"""Fast Fourier transform of tiles in vector registers, without sorting its output.

A transform of length n = r₁·r₂·… takes one pass per factor over the data, made of the small
transforms of `butterflies`. Going forward, every pass splits each block into r smaller ones
(decimation in frequency), which leaves the spectrum in a permuted order. Going back, the passes run
in reverse and take it in that order (Gentleman & Sande, AFIPS 1966, doi:10.1145/1464291.1464352).
Here spectra are only multiplied with one another, so no order has to be restored.

Lanes always hold neighbouring elements. Columns of an image are transformed independently. A row is
split until its blocks are one vector long; these are transformed across the lanes, as squares
transposed in registers.

Arguments that mean the same in every kernel; indices and lengths count elements:

`data`: pointer to complex numbers, transformed in place. Imaginary parts lie `plane` further.
`at`: index of the first element.
`passes`, `factors`: pointers to the arrays of a `Transform`; `count` is the number of passes.

Measurements: docs/kernels.md.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from algos.backend.compiler import apart, kernel
from algos.simd.registers import lanes

from .butterflies import butterfly, square

#: Time of a pass over the data with each radix, relative to radix 8. Measured on Zen 4.
_PASS = {8: 1.0, 4: 0.75, 3: 0.75, 2: 0.6}

#: Lengths with few and small odd factors: the lengths of lines and tiles to choose from.
LENGTHS = sorted(odd << a for odd in (1, 3, 9) for a in range(28))


@lru_cache(maxsize=256)
def passes(length: int, stop: int) -> np.ndarray:
    """Return for each pass its radix, the length of its blocks, and the index of its factors."""
    found, block, near = [], length, 0
    for radix in _radices(length // stop):
        found.append((radix, block, near))
        near += 2 * (radix - 1) * (block // radix)
        block //= radix
    return np.array(found, np.int64).reshape(-1, 3)


@lru_cache(maxsize=256)
def factors(length: int, stop: int, dtype: str) -> np.ndarray:
    """Return the twiddle factors of all passes, about 2·`length` numbers."""
    found, block = [np.zeros(0)], length
    for radix in _radices(length // stop):
        short = block // radix
        angles = np.outer(np.arange(1, radix), np.arange(short)) / block
        roots = np.exp(-2j * np.pi * angles).ravel()
        found += [roots.real, roots.imag]
        block = short
    return np.concatenate(found).astype(dtype)


def _radices(quotient: int) -> list[int]:
    """Return the factors of `quotient`, as few as possible, the odd ones first."""
    chosen: list[int] = []
    while quotient % 3 == 0:
        chosen.append(3)
        quotient //= 3
    while quotient > 1:
        # 16 is faster as 4·4 than as 8·2.
        radix = 4 if quotient in (4, 16) else min(quotient, 8)
        chosen.append(radix)
        quotient //= radix
    return chosen


def passes_cost(quotient: int) -> float:
    """Return the time of splitting blocks `quotient`-fold, in passes with radix 8."""
    return sum(_PASS[radix] for radix in _radices(quotient))


@kernel(inline="always")
def _pass(data, at, plane, length, block, step, width, factors, near, RADIX, SIGN, ROW):
    """Do one pass over a row of `length` elements (ROW), or over `width` columns.

    `block`: length of the blocks to split.
    `step`: elements between neighbours in a column.
    `near`: index into `factors` of this pass's twiddle factors.
    """
    short, lane = block // RADIX, lanes(data)
    if ROW:
        for start in range(at, at + length, block):
            for k in range(0, short, lane):
                butterfly(data, start + k, plane, short, factors, near + k, short, RADIX, SIGN, 1)
    elif short == 1:
        for start in range(0, length, block):
            for v in range(0, width, lane):
                here = at + start * step + v
                butterfly(data, here, plane, step, factors, near, short, RADIX, SIGN, 0)
    else:
        for start in range(0, length, block):
            for k in range(short):
                for v in range(0, width, lane):
                    here = at + (start + k) * step + v
                    butterfly(
                        data, here, plane, short * step, factors, near + k, short, RADIX, SIGN, 2
                    )


def _lines(SIGN: int, ROW: bool) -> Any:
    """Return the kernel of all passes over a row or over columns, for one direction SIGN."""

    @apart
    @kernel
    def lines(data, at, plane, length, step, width, passes, count, factors):
        """Transform a row of `length` elements, or `width` columns of elements `step` apart."""
        for p in range(count):
            q = 3 * (p if SIGN < 0 else count - 1 - p)
            radix, block, near = passes[q], passes[q + 1], passes[q + 2]
            if radix == 8:
                _pass(data, at, plane, length, block, step, width, factors, near, 8, SIGN, ROW)
            elif radix == 4:
                _pass(data, at, plane, length, block, step, width, factors, near, 4, SIGN, ROW)
            elif radix == 3:
                _pass(data, at, plane, length, block, step, width, factors, near, 3, SIGN, ROW)
            else:
                _pass(data, at, plane, length, block, step, width, factors, near, 2, SIGN, ROW)

    return lines


def _squares(SIGN: int) -> Any:
    """Return the kernel for blocks of one vector each, for one direction SIGN."""

    @apart
    @kernel
    def squares(data, at, plane, length, between, step):
        """Transform the squares that begin every `between` elements; their rows lie `step` apart.

        Together the squares cover `length` elements.
        """
        for start in range(at, at + length, between):
            square(data, start, plane, step, SIGN)

    return squares


#: Split a row into blocks of one vector; `transform_squares` does the rest. The inverses undo this,
#: scaled by the quotient of the lengths before and after.
transform_row, restore_row = (_lines(sign, True) for sign in (-1, 1))
#: Transform `width` columns of `length` elements that lie `step` apart.
transform_columns, restore_columns = (_lines(sign, False) for sign in (-1, 1))
#: Transform blocks of one vector each.
transform_squares, restore_squares = (_squares(sign) for sign in (-1, 1))
