# ruff: noqa: N803 - capitals mark what must be a constant
"""Small Fourier transforms in vector registers: the innermost steps of `transform`.

Each function transforms RADIX numbers, a whole vector of such transforms at once. A recursion over
the factors of the radix writes out the instructions (Cooley & Tukey, Math. Comp. 19, 1965).
Multiplications by ±1, ±i and (±1 ± i)/√2 become sign changes, swaps and sums. This is a small
generator of straight-line code, like that of FFTW (Frigo, PLDI 1999, doi:10.1145/301618.301661).

Complex numbers lie in two planes: that of the imaginary parts begins `plane` elements after that of
the real parts. SIGN is −1 for the transform and +1 for its inverse; neither is scaled.
"""

from __future__ import annotations

import cmath
import math
from typing import Any

from algos.backend.emitter import Emitter, Vector, element, intrinsic, ir, types

__all__ = ["butterfly", "multiply", "square"]


#: A complex number per lane: its vectors of real and of imaginary parts.
Complex = tuple[Any, Any]


class Arithmetic(Emitter):
    """Complex arithmetic on a vector of numbers at a time."""

    def load_complex(self, data: Any, index: Any, plane: Any) -> Complex:
        """Load the vector at `index`, and its imaginary parts `plane` elements further."""
        b = self.builder
        return (
            self.load(b.gep(data, [index])),
            self.load(b.gep(data, [b.add(index, plane)])),
        )

    def store_complex(self, value: Complex, data: Any, index: Any, plane: Any) -> None:
        """Store `value` at `index`, and its imaginary parts `plane` elements further."""
        b = self.builder
        self.store(value[0], b.gep(data, [index]))
        self.store(value[1], b.gep(data, [b.add(index, plane)]))

    def constant(self, value: float) -> Any:
        """Return a vector with `value` in every lane."""
        return ir.Constant(self.type, [ir.Constant(element(self.kind), value)] * self.kind.lanes)

    def add(self, x: Complex, y: Complex) -> Complex:
        return self.builder.fadd(x[0], y[0]), self.builder.fadd(x[1], y[1])

    def subtract(self, x: Complex, y: Complex) -> Complex:
        return self.builder.fsub(x[0], y[0]), self.builder.fsub(x[1], y[1])

    def product(self, x: Complex, y: Complex, conjugate: bool = False) -> Complex:
        """Return x·y, or x times the conjugate of y."""
        b = self.builder
        crossed, turned = b.fmul(x[1], y[1]), b.fmul(x[0], y[1])
        if conjugate:
            return self.fma(x[0], y[0], crossed), self.fma(x[1], y[0], b.fneg(turned))
        return self.fma(x[0], y[0], b.fneg(crossed)), self.fma(x[1], y[0], turned)

    def turned(self, x: Complex, steps: float, order: int) -> Complex:
        """Return x times exp(2πi·steps/order), by the cheapest instructions."""
        b = self.builder
        quarter = 4 * steps / order % 4
        if quarter == 0:
            return x
        if quarter == 1:
            return b.fneg(x[1]), x[0]
        if quarter == 2:
            return b.fneg(x[0]), b.fneg(x[1])
        if quarter == 3:
            return x[1], b.fneg(x[0])
        root = cmath.exp(2j * math.pi * steps / order)
        if quarter % 1 == 0.5:
            half = self.constant(math.sqrt(0.5))
            plus, minus = b.fmul(half, b.fadd(x[0], x[1])), b.fmul(half, b.fsub(x[0], x[1]))
            negative = b.fneg
            return {
                0.5: lambda: (minus, plus),
                1.5: lambda: (negative(plus), minus),
                2.5: lambda: (negative(minus), negative(plus)),
                3.5: lambda: (plus, negative(minus)),
            }[quarter]()
        return self.product(x, (self.constant(root.real), self.constant(root.imag)))

    def transform(self, x: list[Complex], sign: int) -> list[Complex]:
        """Return the Fourier transform of `x`, of length 2^a·3^b, in natural order."""
        order = len(x)
        if order == 1:
            return x
        if order == 2:
            return [self.add(*x), self.subtract(*x)]
        if order == 3:
            return self._of_three(x, sign)
        first = 3 if order % 2 else 4 if order == 16 else 2
        second = order // first
        columns = [self.transform(x[n::second], sign) for n in range(second)]
        result: list[Any] = [None] * order
        for k in range(first):
            row = [self.turned(columns[n][k], sign * n * k, order) for n in range(second)]
            result[k::first] = self.transform(row, sign)
        return result

    def _of_three(self, x: list[Complex], sign: int) -> list[Complex]:
        """Return the Fourier transform of three numbers."""
        b = self.builder
        total, apart = self.add(x[1], x[2]), self.subtract(x[1], x[2])
        half, sine = self.constant(-0.5), self.constant(sign * math.sqrt(0.75))
        middle = self.fma(half, total[0], x[0][0]), self.fma(half, total[1], x[0][1])
        turned = b.fneg(b.fmul(sine, apart[1])), b.fmul(sine, apart[0])
        return [self.add(x[0], total), self.add(middle, turned), self.subtract(middle, turned)]


def _start(context: Any, builder: Any, data: types.CPointer) -> Arithmetic:
    return Arithmetic(context, builder, Vector(data.dtype))


@intrinsic(prefer_literal=True)
def butterfly(typing, data, at, plane, step, factors, near, count, RADIX, SIGN, KIND):
    """Transform the vectors at ``at + j·step``, j < RADIX, in place.

    Going forward, result j is then multiplied with the twiddle factor at ``near + (j − 1)·count``.
    Its imaginary part lies ``(RADIX − 1)·count`` elements further. Going back, operand j is first
    multiplied with the conjugate of that factor.

    `data`: pointer; one vector is read and written at each index and `plane` elements further.
    `factors`: pointer to the twiddle factors.
    KIND: 0 if all factors are one; 1 if a factor is a vector; 2 if it is one number for all lanes.
    """
    radix, sign, kind = (value.literal_value for value in (RADIX, SIGN, KIND))

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = _start(context, builder, data)
        data_, at_, plane_, step_, factors_, near_, count_ = arguments[:7]
        number = lambda value: ir.Constant(ir.IntType(64), value)  # noqa: E731
        places = [builder.add(at_, builder.mul(step_, number(j))) for j in range(radix)]
        values = [simd.load_complex(data_, place, plane_) for place in places]

        def factor(j: int) -> Complex:
            real = builder.add(near_, builder.mul(count_, number(j - 1)))
            imaginary = builder.add(real, builder.mul(count_, number(radix - 1)))
            parts = (builder.gep(factors_, [index]) for index in (real, imaginary))
            if kind == 1:
                return tuple(simd.load(part) for part in parts)
            typ = element(simd.kind)
            return tuple(simd.splat(builder.load(part, typ=typ)) for part in parts)

        if kind and sign > 0:
            values[1:] = [
                simd.product(v, factor(j), conjugate=True) for j, v in enumerate(values[1:], 1)
            ]
        values = simd.transform(values, sign)
        if kind and sign < 0:
            values[1:] = [simd.product(v, factor(j)) for j, v in enumerate(values[1:], 1)]
        for value, place in zip(values, places, strict=True):
            simd.store_complex(value, data_, place, plane_)
        return context.get_dummy_value()

    numbers = [types.intp] * 3
    return types.void(data, *numbers, factors, types.intp, types.intp, RADIX, SIGN, KIND), emit


@intrinsic(prefer_literal=True)
def square(typing, data, at, plane, step, SIGN):
    """Transform along the lanes: as many vectors as a vector has lanes, `step` apart, in place.

    The square is transposed in registers, transformed across vectors and transposed back.

    `data`: pointer; its vectors from `at` on, and `plane` further, are read and written.
    """
    (sign,) = (SIGN.literal_value,)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = _start(context, builder, data)
        data_, at_, plane_, step_, _ = arguments
        lanes = simd.kind.lanes
        places = [
            builder.add(at_, builder.mul(step_, ir.Constant(ir.IntType(64), j)))
            for j in range(lanes)
        ]
        values = [simd.load_complex(data_, place, plane_) for place in places]
        values = _turned_over(simd, simd.transform(_turned_over(simd, values), sign))
        for value, place in zip(values, places, strict=True):
            simd.store_complex(value, data_, place, plane_)
        return context.get_dummy_value()

    return types.void(data, *[types.intp] * 3, SIGN), emit


def _turned_over(simd: Arithmetic, values: list[Complex]) -> list[Complex]:
    """Return the transposed square of complex vectors."""
    planes = [simd.transposed([value[part] for value in values]) for part in (0, 1)]
    return list(zip(*planes, strict=True))


@intrinsic(prefer_literal=True)
def multiply(typing, total, at, x, from_x, plane, w, from_w, w_plane, ADD):
    """Compute total[at:] = x[from_x:]·w[from_w:] for a vector of complex numbers; += if ADD is 1.

    `total`, `x`, `w`: pointers. A vector is read or written at the index, and one of imaginary
        parts further on. The distance is `plane` in `total` and `x`, and `w_plane` in `w`.
    """
    (add,) = (ADD.literal_value,)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        simd = _start(context, builder, total)
        total_, at_, x_, from_x_, plane_, w_, from_w_, w_plane_, _ = arguments
        value = simd.product(
            simd.load_complex(x_, from_x_, plane_), simd.load_complex(w_, from_w_, w_plane_)
        )
        if add:
            value = simd.add(simd.load_complex(total_, at_, plane_), value)
        simd.store_complex(value, total_, at_, plane_)
        return context.get_dummy_value()

    i = types.intp
    return types.void(total, i, x, i, i, w, i, i, ADD), emit
